"""Makes test/fixtures/variants: tiny random OPT models, one per corner case of the architecture and the weight formats,
with the output of Hugging Face transformers (fp32, greedy, EOS ignored).

    pip install torch transformers && python scripts/make_variants.py
"""
import base64, json, shutil
from pathlib import Path

import torch
from transformers import OPTConfig, OPTForCausalLM

OUT = Path(__file__).resolve().parent.parent / "test" / "fixtures" / "variants"
BASE = dict(vocab_size=128, hidden_size=32, num_hidden_layers=2, ffn_dim=64, num_attention_heads=2,
            max_position_embeddings=48, word_embed_proj_dim=32, init_std=0.3, dropout=0.0, attention_dropout=0.0)
NUM_TOKENS = 12

# name: (changes to the configuration, dtype of the file, how to save it)
VARIANTS = {
    "no-bias": (dict(enable_bias=False), torch.float32, "safetensors"),
    "no-norm-weights": (dict(layer_norm_elementwise_affine=False), torch.float32, "safetensors"),
    "no-final-norm": (dict(_remove_final_layer_norm=True), torch.float32, "safetensors"),
    "untied": (dict(tie_word_embeddings=False), torch.float32, "safetensors"),
    "gelu-projected": (dict(activation_function="gelu", word_embed_proj_dim=16), torch.float32, "safetensors"),
    "post-norm-no-bias-bf16-bin": (dict(do_layer_norm_before=False, enable_bias=False, word_embed_proj_dim=16), torch.bfloat16, "bin"),
    "bf16-sharded": (dict(), torch.bfloat16, "sharded"),
    "fp16-decoder-prefix": (dict(), torch.float16, "decoder"),
}


def save(model, folder, how):
    if how == "bin":
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        model.config.save_pretrained(folder)
    elif how == "sharded":
        model.save_pretrained(folder, max_shard_size="30KB")
    elif how == "decoder":
        model.model.save_pretrained(folder)
    else:
        model.save_pretrained(folder)


def expected(model):
    cases = []
    for length in (1, 2, 7, 20, 36):
        prompt = [2] + torch.randint(4, BASE["vocab_size"], (length - 1,)).tolist()
        ids = torch.tensor([prompt])
        with torch.no_grad():
            logits = model(ids).logits[0, -1].float()
            for _ in range(NUM_TOKENS):
                ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
        cases.append(dict(prompt_token_ids=prompt, greedy_token_ids=ids[0, length:].tolist(),
                          last_prompt_logits_f32_base64=base64.b64encode(logits.numpy().tobytes()).decode()))
    return dict(cases=cases)


def make(name, seed, changes):
    """Makes an empty folder for a variant, and its model, with no two weights alike."""
    torch.manual_seed(seed)
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    model = OPTForCausalLM(OPTConfig(**{**BASE, **changes})).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases are initialized to 1 and 0, which would hide a mix-up
            parameter.data.add_(torch.randn_like(parameter) * 0.2)
    return folder, model


def finish(folder, model):
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "expected.json").write_text(json.dumps(expected(model.to(torch.float32)), indent=1))
    print(folder.name, sorted(str(p.relative_to(folder)) for p in folder.rglob("*")))


if __name__ == "__main__":
    for seed, (name, (changes, dtype, how)) in enumerate(VARIANTS.items()):
        folder, model = make(name, seed, changes)
        save(model.to(dtype), folder, how)
        finish(folder, model)
