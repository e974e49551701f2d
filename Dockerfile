# syntax=docker/dockerfile:1

# docker build -t weft .                       the CPU image
# docker build -t weft:cuda --target cuda .    for NVIDIA GPUs
# .ci/image/image.ts runs the steps of the CPU image without Docker.

# Presumably the CUDA version that onnxruntime-node's provider is built for (docs/gpu.md). A step below fails if libraries are missing.
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY models models
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts
# Remove ONNX Runtime's libraries for other systems, and tiktoken's vocabularies of other models.
RUN rm -r node_modules/tiktoken/encoders && find node_modules/onnxruntime-node/bin/napi-v6 \
    -mindepth 2 -maxdepth 2 ! -path "*/linux/$(node -p process.arch)" -exec rm -r {} +
# The checkout may not be readable by other users.
RUN chmod -R a+rX package.json models
# Build the graph now, because a server on a read-only root cannot.
RUN node dist/cli/main.js models convert opt-stories --cache-dir cache

FROM build AS build-cuda
RUN node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12
RUN node dist/cli/main.js models convert opt-stories --cache-dir cache --precision fp16

FROM ${CUDA_IMAGE} AS cuda
COPY --from=build-cuda /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=build-cuda /app/package.json ./
COPY --from=build-cuda /app/node_modules node_modules
COPY --from=build-cuda /app/models models
COPY --from=build-cuda /app/dist dist
RUN needed=$(ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so) \
    && ! echo "$needed" | grep 'not found' | grep -v libcuda.so.1
# User 1000 is "ubuntu" in this image and "node" in the CPU image.
COPY --from=build-cuda --chown=1000:1000 /app/cache cache
ENV NODE_ENV=production WEFT_HOST=0.0.0.0 WEFT_DEVICE=cuda WEFT_CACHE_DIR=/app/cache HF_HOME=/app/cache/huggingface
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s CMD ["node", "/app/dist/cli/healthcheck.js"]
ENTRYPOINT ["node", "/app/dist/cli/main.js", "serve"]

FROM node:24-bookworm-slim AS cpu
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/models models
COPY --from=build /app/dist dist
COPY --from=build --chown=1000:1000 /app/cache cache
ENV NODE_ENV=production WEFT_HOST=0.0.0.0 WEFT_CACHE_DIR=/app/cache HF_HOME=/app/cache/huggingface
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "/app/dist/cli/healthcheck.js"]
ENTRYPOINT ["node", "/app/dist/cli/main.js", "serve"]
