#!/usr/bin/env bash
# What has to be seen on a GPU of NVIDIA, in one command: that it computes rightly, what a step takes, and the race; then whether
# the figures of docs/gpu.md are reached. Takes Linux on x64 with a driver, CUDA 12 and cuDNN 9, and some twenty minutes.
#
#     bench/gpu.sh [DEVICE] [MODEL] [FLAGS of the race…]
#
# DEVICE: cuda:0 by default; with webgpu it runs anywhere, and says how it would go. MODEL: opt-125m-random by default.
set -euo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda:0}
model=${2:-opt-125m-random}
results="bench/results/gpu-$(date -u +%Y-%m-%dT%H-%M-%S)"
mkdir -p "$results"

npm ci
if [[ $device == cuda* ]]; then
  nvidia-smi
  npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12
fi
if [[ $model == opt-*-random ]]; then node dist/cli/main.js models random "${model%-random}"; fi

echo '== it computes what transformers does'
WEFT_TEST_DEVICE=$device npx vitest run test/conformance/device.test.ts

echo '== steps, without a server'
node dist/cli/main.js bench engine "$model" --device "$device" | tee "$results/engine.md"

echo '== the race'
npm run bench -- --device "$device" --model "$model" --output "$results" "${@:3}"

node --import tsx bench/gpu-figures.ts "$results"
