#!/usr/bin/env bash
# Checks an NVIDIA GPU in one command: correct results, step times, the race, and whether the targets in docs/gpu.md are reached.
# Needs Linux on x64, a driver, and the CUDA and cuDNN libraries. Takes about twenty minutes.
#
#     bench/gpu.sh [DEVICE] [MODEL] [FLAGS of the race…]
#
# DEVICE: cuda:0 by default. Without such a GPU, webgpu runs the same on Chromium's software GPU.
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

echo '== conformance with transformers'
CI=true WEFT_TEST_DEVICE=$device npx vitest run test/conformance/device.test.ts

echo '== step times, without a server'
node dist/cli/main.js bench engine "$model" --device "$device" | tee "$results/engine.md"

echo '== the race'
npm run bench -- --device "$device" --model "$model" --output "$results" "${@:3}"

node --import tsx bench/gpu-figures.ts "$results"
