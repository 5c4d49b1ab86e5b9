"""A tiny Llama as a GGUF file: seeded weights, a token a byte; llama.cpp's server answers within milliseconds."""

from pathlib import Path

import gguf
import numpy

__all__ = ["write_tiny_gguf"]

WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 2, 128, 8192
NAME = "tiny"


def _alphabet() -> list[str]:
    """Return GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [stand_in[byte] for byte in range(256)]


def write_tiny_gguf(path: Path) -> None:
    """Write the model. Its head never picks a byte beyond ASCII, since llama.cpp refuses broken UTF-8 in an answer."""
    drawn = numpy.random.default_rng(0)
    tokens = [*_alphabet(), "<|end|>"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(256)
    writer.add_bos_token_id(256)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}{% endfor %}")

    def matrix(name: str, rows: int, columns: int) -> numpy.ndarray:
        values = (drawn.standard_normal((rows, columns)) / columns**0.5).astype(numpy.float32)
        writer.add_tensor(f"{name}.weight", values)
        return values

    def ones(name: str) -> None:
        writer.add_tensor(f"{name}.weight", numpy.ones(WIDTH, dtype=numpy.float32))

    matrix("token_embd", len(tokens), WIDTH)
    for layer in range(LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            matrix(f"blk.{layer}.{part}", WIDTH, WIDTH)
        matrix(f"blk.{layer}.ffn_gate", INNER, WIDTH)
        matrix(f"blk.{layer}.ffn_up", INNER, WIDTH)
        matrix(f"blk.{layer}.ffn_down", WIDTH, INNER)
        ones(f"blk.{layer}.attn_norm")
        ones(f"blk.{layer}.ffn_norm")
    ones("output_norm")
    head = (drawn.standard_normal((len(tokens), WIDTH)) / WIDTH**0.5).astype(numpy.float32)
    lower = [ord(letter) for letter in "abcdefghijklmnopqrstuvwxyz "]
    head[[token for token in range(len(tokens)) if token not in lower]] = 0
    writer.add_tensor("output.weight", head * 4)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
