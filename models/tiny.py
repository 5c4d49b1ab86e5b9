"""A tiny decoder and encoder in plain PyTorch, so that everything can be tested without `transformers`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattbench.results.errors import UsageError

__all__ = ["KeyValueStore", "TinyConfig", "TinyDecoder", "TinyEncoder", "TinyOutput", "tiny_model"]


class KeyValueStore(Protocol):
    """What attention needs of a KV cache: keep the new keys and values of a layer, give back all so far."""

    def update(self, keys: Tensor, values: Tensor, layer_idx: int) -> tuple[Tensor, Tensor]:
        """Take (batch, kv_heads, new, head_dim) twice, return (batch, kv_heads, all, head_dim) twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyConfig:
    """The fields of the architecture "wattbench.tiny"; widths in elements, `max_positions` in tokens."""

    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    intermediate_size: int
    max_positions: int

    @property
    def head_dim(self) -> int:
        """Return the width of one head."""
        return self.hidden_size // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyOutput:
    """What a tiny model gives; the names are those of transformers' outputs."""

    last_hidden_state: Tensor
    logits: Tensor | None = None
    pooler_output: Tensor | None = None


def tiny_model(family: str, config: Mapping[str, object]) -> nn.Module:
    """Return an untrained tiny model on the current default device.

    Parameters, all without biases: token table (vocab, hidden), position table (max_positions, hidden); per layer two
    RMS norms, query and output (hidden, hidden), key and value (kv_heads x head_dim, hidden), gate, up and down
    (intermediate, hidden); a last norm. A decoder's head is its token table; an encoder has a pooler (hidden,
    hidden). Raises UsageError for a family or a field that it does not have.
    """
    classes: dict[str, Callable[[TinyConfig], nn.Module]] = {"decoder": TinyDecoder, "encoder": TinyEncoder}
    if family not in classes:
        raise UsageError(f"There is no tiny {family}", f"wattbench.tiny has {' and '.join(classes)}")
    try:
        fields = TinyConfig(**{str(key): int(str(value)) for key, value in config.items()})
    except TypeError as exc:
        raise UsageError("The tiny model's [config] is incomplete", str(exc), "Correct the model's file.") from exc
    return classes[family](fields)


class _Attention(nn.Module):  # type: ignore[misc] # torch is skipped
    """Attention with grouped queries (arXiv:2305.13245)."""

    def __init__(self, config: TinyConfig, layer_idx: int, causal: bool) -> None:
        super().__init__()
        self.layer_idx, self.causal, self.head_dim = layer_idx, causal, config.head_dim
        self.query = nn.Linear(config.hidden_size, config.heads * config.head_dim, bias=False)
        self.key = nn.Linear(config.hidden_size, config.kv_heads * config.head_dim, bias=False)
        self.value = nn.Linear(config.hidden_size, config.kv_heads * config.head_dim, bias=False)
        self.output = nn.Linear(config.heads * config.head_dim, config.hidden_size, bias=False)

    def forward(self, x: Tensor, cache: KeyValueStore | None) -> Tensor:  # (batch, tokens, hidden)
        q, k, v = (self._split(matrix(x)) for matrix in (self.query, self.key, self.value))
        if cache is not None:
            k, v = cache.update(k, v, self.layer_idx)
        new, seen = q.shape[2], k.shape[2]
        mask = None
        if self.causal and 1 < new < seen:  # new positions after cached ones: each sees itself and all before
            mask = torch.ones(new, seen, dtype=torch.bool, device=x.device).tril(seen - new)
        square = self.causal and new == seen and new > 1
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=square, enable_gqa=True)
        merged: Tensor = self.output(y.transpose(1, 2).flatten(2))
        return merged

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)  # (batch, heads, tokens, head_dim)


class _FeedForward(nn.Module):  # type: ignore[misc] # torch is skipped
    """The gated feed-forward part with SiLU (arXiv:2002.05202)."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(functional.silu(self.gate(x)) * self.up(x))
        return y


class _Layer(nn.Module):  # type: ignore[misc] # torch is skipped
    """One pre-norm transformer layer."""

    def __init__(self, config: TinyConfig, layer_idx: int, causal: bool) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.hidden_size)
        self.attention = _Attention(config, layer_idx, causal)
        self.feed_forward_norm = nn.RMSNorm(config.hidden_size)
        self.feed_forward = _FeedForward(config)

    def forward(self, x: Tensor, cache: KeyValueStore | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cache)
        y: Tensor = x + self.feed_forward(self.feed_forward_norm(x))
        return y


class _Tower(nn.Module):  # type: ignore[misc] # torch is skipped
    """Embeddings, learned positions, layers and the last norm."""

    def __init__(self, config: TinyConfig, causal: bool) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_positions, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config, i, causal) for i in range(config.layers))
        self.norm = nn.RMSNorm(config.hidden_size)

    def forward(self, input_ids: Tensor, position_ids: Tensor | None, cache: KeyValueStore | None) -> Tensor:
        if position_ids is None:
            position_ids = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.tokens(input_ids) + self.positions(position_ids)  # (batch, tokens, hidden)
        for layer in self.layers:
            x = layer(x, cache)
        y: Tensor = self.norm(x)
        return y


class TinyDecoder(nn.Module):  # type: ignore[misc] # torch is skipped
    """A causal language model whose head is its token table."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.tower = _Tower(config, causal=True)

    def forward(
        self,
        input_ids: Tensor,  # (batch, tokens)
        position_ids: Tensor | None = None,  # (1, tokens)
        past_key_values: KeyValueStore | None = None,
        use_cache: bool = False,
        logits_to_keep: int = 0,
    ) -> TinyOutput:
        """Return the logits of the last `logits_to_keep` positions (0: of all), as transformers' decoders do."""
        hidden = self.tower(input_ids, position_ids, past_key_values if use_cache else None)
        kept = hidden[:, -logits_to_keep:] if logits_to_keep else hidden
        return TinyOutput(last_hidden_state=hidden, logits=functional.linear(kept, self.tower.tokens.weight))


class TinyEncoder(nn.Module):  # type: ignore[misc] # torch is skipped
    """A bidirectional encoder whose pooler reads the first position."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.tower = _Tower(config, causal=False)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(self, input_ids: Tensor) -> TinyOutput:  # (batch, tokens)
        """Return the hidden states of all positions and the pooled first one."""
        hidden = self.tower(input_ids, None, None)
        return TinyOutput(last_hidden_state=hidden, pooler_output=torch.tanh(self.pooler(hidden[:, 0])))
