"""Makes the onnx-* folders of test/fixtures/variants: tiny random OPT models, exported by Optimum and PyTorch.

    pip install "optimum-onnx[onnxruntime]" "torch==2.6.*" && python scripts/make_onnx_variants.py
"""
import tempfile
from pathlib import Path

import onnx
import torch
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import export
from optimum.exporters.onnx.model_configs import OPTOnnxConfig
from optimum.onnx import merge_decoders

from make_variants import finish, make


def export_to(file, model, opset, with_past=True):
    config = OPTOnnxConfig(model.config, task="text-generation", use_past=True, use_past_in_inputs=with_past)
    export(model, config, Path(file), opset=opset)


def merged(folder, model):
    """The graphs for prompt and token as branches of one, as transformers.js uses them. Opset 14 has no LayerNormalization."""
    with tempfile.TemporaryDirectory() as scratch:
        export_to(f"{scratch}/prompt.onnx", model, 14, with_past=False)
        export_to(f"{scratch}/token.onnx", model, 14)
        (folder / "onnx").mkdir()
        merge_decoders(f"{scratch}/prompt.onnx", f"{scratch}/token.onnx", strict=False,
                       save_path=str(folder / "onnx" / "decoder_model_merged.onnx"))


def external_fp16(folder, model):
    with tempfile.TemporaryDirectory() as scratch:
        export_to(f"{scratch}/model.onnx", model, 18)
        half = convert_float_to_float16(onnx.load(f"{scratch}/model.onnx"), keep_io_types=True, disable_shape_infer=True)
        onnx.save_model(half, folder / "model_fp16.onnx", save_as_external_data=True, location="model_fp16.onnx_data",
                        size_threshold=0)


def alike(folder, model):
    """Equal weights are stored once and referenced through Identity."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.fill_(0.5)
    (folder / "onnx").mkdir()
    export_to(folder / "onnx" / "model.onnx", model, 18)


VARIANTS = {
    "onnx-merged-untied": (dict(tie_word_embeddings=False), merged),
    "onnx-external-fp16-projected": (dict(word_embed_proj_dim=16, do_layer_norm_before=False), external_fp16),
    "onnx-equal-weights": (dict(), alike),
}

for seed, (name, (changes, save)) in enumerate(VARIANTS.items(), start=100):
    folder, model = make(name, seed, changes)
    model.half().float()  # round to fp16, so that the fp16 export loses nothing
    model.config.save_pretrained(folder)
    save(folder, model)
    finish(folder, model)
