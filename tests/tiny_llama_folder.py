"""A tiny Llama as a folder of transformers: seeded weights, a tokenizer of one token a byte, a chat template."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["write_tiny_llama"]

END = "<|end|>"


def write_tiny_llama(folder: Path, *, width: int = 32) -> None:
    """Write model and tokenizer into a folder; the head never picks a byte beyond ASCII, nor the end.

    A head of attention is half of `width`; vLLM on a processor computes none below 32.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=END)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    end = int(str(tokenizer.convert_tokens_to_ids(END)))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        eos_token_id=end,
        pad_token_id=end,
        tie_word_embeddings=False,
    )
    model = LlamaForCausalLM(config)
    plain = [letters.index(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    others = [token for token in range(len(tokenizer)) if token not in plain]
    with torch.no_grad():
        model.lm_head.weight[others] = 0
        model.lm_head.weight.mul_(20)
    model.save_pretrained(folder)
