#!/usr/bin/env bash
# What has to be seen on a GPU of NVIDIA, in one command: that it computes rightly, what a step takes, and the race; then whether
# the figures of docs/gpu.md are reached. Takes Linux on x64, a driver, the libraries of CUDA and cuDNN, and some twenty minutes.
#
#     bench/gpu.sh [DEVICE] [MODEL] [FLAGS of the race…]
#
# DEVICE: cuda:0 by default; with webgpu it shows how it goes where there is no such GPU, on Chromium's in software.
# MODEL: opt-125m-random by default.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda:0}
model=${2:-opt-125m-random}
results="bench/results/gpu-$(date -u +%Y-%m-%dT%H-%M-%S)"
mkdir -p "$results"

npm ci
if [[ $device == cuda* ]]; then
  nvidia-smi || true
  node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12
  ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so | grep 'not found' || true
else
  export VK_DRIVER_FILES=${VK_DRIVER_FILES:-/usr/lib/chromium/vk_swiftshader_icd.json}
fi
if [[ $model == opt-*-random ]]; then node dist/cli/main.js models random "${model%-random}"; fi

echo '== it computes what transformers does'
CI=true WEFT_TEST_DEVICE=$device npx vitest run test/conformance/device.test.ts

echo '== steps, without a server'
node dist/cli/main.js bench engine "$model" --device "$device" | tee "$results/engine.md"

echo '== the race'
npm run bench -- --device "$device" --model "$model" --output "$results" "${@:3}"

node --import tsx bench/gpu-figures.ts "$results"
