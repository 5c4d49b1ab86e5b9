"""Writing a decoder's seeded weights as GGUF files, so that llama.cpp runs the same shape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch

from wattbench.models.find import find_load
from wattbench.models.torch_build import build

__all__ = ["FORMATS", "write_gguf"]

FORMATS = {
    "bf16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
}
"""The formats of the matrices. The token table, which is the head too, is kept in q8_0 where they are q4_0: llama.cpp's
own quantiser also spends more bits on it."""

ARCHITECTURES = {"Qwen3Config": "qwen3", "LlamaConfig": "llama"}

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(load_name: str, form: str, path: Path, weights: str = "synthetic") -> None:
    """Write the model of a load with its seeded (seed 0) or real weights in one of the formats; keep what is there."""
    if path.exists():
        return
    model = find_load(load_name).model
    if model.architecture not in ARCHITECTURES:
        raise SystemExit(f"no GGUF layout for {model.architecture}: choose a model of {', '.join(ARCHITECTURES)}")
    built = build(model, weights=weights, seed=0, dtype=torch.float32, device=torch.device("cpu"))
    config: Any = built.module.config
    partial = path.with_suffix(".part")
    writer = gguf.GGUFWriter(partial, ARCHITECTURES[model.architecture])
    _describe(writer, model.name, config)
    for name, values in _tensors(built.module, config, permuted=model.architecture == "LlamaConfig"):
        kind = FORMATS[form] if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        if name == "token_embd.weight" and form == "q4_0":
            kind = FORMATS["q8_0"]
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _describe(writer: gguf.GGUFWriter, name: str, config: Any) -> None:
    """Write the dimensions, and a vocabulary of made-up words: prompts are given as numbers."""
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_name(name)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    special = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"w{i}" for i in range(config.vocab_size)])
    writer.add_token_scores([0.0] * config.vocab_size)
    writer.add_token_types([*special, *[gguf.TokenType.NORMAL] * (config.vocab_size - len(special))])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)


def _tensors(module: Any, config: Any, *, permuted: bool) -> Iterator[tuple[str, numpy.ndarray]]:
    """Yield every parameter under its GGUF name, in float32."""
    for name, parameter in module.named_parameters():
        values = parameter.detach().float().numpy()
        if name == "model.embed_tokens.weight":
            yield "token_embd.weight", values
        elif name == "model.norm.weight":
            yield "output_norm.weight", values
        elif name == "lm_head.weight":
            yield "output.weight", values
        else:
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}
            if permuted and part in heads:
                values = _interleaved(values, heads[part])
            yield f"blk.{layer}.{NAMES[part]}.weight", values


def _interleaved(values: numpy.ndarray, heads: int) -> numpy.ndarray:
    """Return query or key rows in the order of llama.cpp's rotary positions for Llama: pairs beside each other."""
    halves = values.reshape(heads, 2, -1, values.shape[1])
    return numpy.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)
