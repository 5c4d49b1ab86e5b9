"""A decoder of Llama's family in few operations: fused matrices, positions computed once, one static cache."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from wattbench.backends.torch.matrices import Matrix
from wattbench.backends.torch.ranks import Ranks

__all__ = ["LeanDecoder", "LeanLayer", "LeanShape"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeanShape:
    """The widths of attention, and the epsilon of the norms (None: that of the type)."""

    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float | None


class LeanLayer(nn.Module):  # type: ignore[misc] # torch is skipped
    """The weights of one layer; `heads_norm` scales each query and key head (Qwen3), None where there is none."""

    attention_norm: Tensor
    feed_forward_norm: Tensor
    heads_norm: Tensor | None

    def __init__(
        self,
        *,
        attention_norm: Tensor,
        feed_forward_norm: Tensor,
        heads_norm: Tensor | None,  # (heads + kv_heads, head_dim)
        query_key_value: Matrix,
        output: Matrix,
        gate_up: Matrix,
        down: Matrix,
    ) -> None:
        super().__init__()
        self.register_buffer("attention_norm", attention_norm, persistent=False)
        self.register_buffer("feed_forward_norm", feed_forward_norm, persistent=False)
        self.register_buffer("heads_norm", heads_norm, persistent=False)
        self.query_key_value, self.output, self.gate_up, self.down = query_key_value, output, gate_up, down


class LeanDecoder(nn.Module):  # type: ignore[misc] # torch is skipped
    """Token table, layers, last norm and head; positions are either rotary (`cosine`, `sine`) or added (`positions`).

    `sine` has the sign of the rotation in it: x rotated is x * cosine + roll(x) * sine. The arithmetic is that of
    transformers' modules, in another order of rounding; the quality gate compares. With `ranks` it is one rank's part:
    what attention and feed-forward give is summed over the ranks, and with `head_is_part` the logits are gathered.
    """

    table: Tensor
    norm: Tensor
    cosine: Tensor | None
    sine: Tensor | None
    positions: Tensor | None

    def __init__(
        self,
        shape: LeanShape,
        layers: list[LeanLayer],
        *,
        table: Tensor,
        norm: Tensor,
        head: Matrix,
        rotary: tuple[Tensor, Tensor] | None,  # each (context, head_dim)
        positions: Tensor | None,  # (positions, hidden)
        ranks: Ranks | None = None,
        head_is_part: bool = False,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.ranks, self.head_is_part = ranks, head_is_part
        self.layers: Any = nn.ModuleList(layers)  # any: a list of LeanLayer that torch knows of
        self.head = head
        cosine, sine = rotary or (None, None)
        for name, tensor in {
            "table": table,
            "norm": norm,
            "cosine": cosine,
            "sine": sine,
            "positions": positions,
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    def forward(
        self,
        ids: Tensor,  # (batch, new)
        positions: Tensor,  # (new,) of the new tokens
        span: Tensor,  # (end,): as many as the cache will hold positions that are seen
        keys: list[Tensor],  # per layer (requests, kv_heads, capacity, head_dim)
        values: list[Tensor],
        mask: Tensor | None = None,  # (1, 1, new, end) where attention sees less than the span
        *,
        few: bool = False,
    ) -> Tensor:
        """Store the new positions and return the logits of the last, (batch, vocabulary)."""
        x = functional.embedding(ids, self.table)  # (batch, new, hidden)
        if self.positions is not None:
            x = x + self.positions[positions]
        rotary = None
        if self.cosine is not None and self.sine is not None:
            rotary = self.cosine[positions][:, None], self.sine[positions][:, None]
        later = None if mask is not None else _later_turn_mask(ids.shape[1], len(span), ids.device)
        for layer, k, v in zip(self.layers, keys, values, strict=True):
            seen = _Seen(k[: len(ids)], v[: len(ids)], positions, len(span), mask, later)
            query_key_value = _product(layer.query_key_value, self._normed(x, layer.attention_norm), few=few)
            y = self._attention(layer, query_key_value, rotary, seen)
            x = x + self._summed(_product(layer.output, y, few=few))
            gate, up = _product(layer.gate_up, self._normed(x, layer.feed_forward_norm), few=few).chunk(2, dim=-1)
            x = x + self._summed(_product(layer.down, functional.silu(gate) * up, few=few))
        logits: Tensor = _product(self.head, self._normed(x[:, -1:], self.norm), few=few)[:, -1]
        return self.ranks.gathered(logits) if self.ranks is not None and self.head_is_part else logits

    @property
    def matrices(self) -> list[Matrix]:
        """Return the matrices that every decode step multiplies with."""
        inner = [m for layer in self.layers for m in layer.children() if isinstance(m, Matrix)]
        return [*inner, self.head]

    def step_bytes(self, requests: int) -> int:
        """Return the bytes of weights that a decode step of so many requests reads; norms count, single rows do not."""
        norms = [t for layer in self.layers for t in layer.buffers(recurse=False)]
        return int(sum(m.bytes_for(requests) for m in self.matrices) + sum(t.nbytes for t in norms) + self.norm.nbytes)

    def cache(self, requests: int, capacity: int) -> tuple[list[Tensor], list[Tensor]]:
        """Return empty keys and values for every layer.

        One position more than is used: a view of the whole would be contiguous and one of a part is not, which compiled
        code would have to tell apart.
        """
        size = (requests, self.shape.kv_heads, capacity + 1, self.shape.head_dim)
        dtype, device = self.norm.dtype, self.norm.device
        keys, values = ([torch.zeros(size, dtype=dtype, device=device) for _ in self.layers] for _ in range(2))
        return keys, values

    def _summed(self, x: Tensor) -> Tensor:
        return x if self.ranks is None else self.ranks.summed(x)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        y: Tensor = functional.rms_norm(x, weight.shape, weight, self.shape.epsilon)
        return y

    def _attention(
        self, layer: LeanLayer, query_key_value: Tensor, rotary: tuple[Tensor, Tensor] | None, seen: "_Seen"
    ) -> Tensor:
        s = self.shape
        split = query_key_value.unflatten(-1, (-1, s.head_dim))  # (batch, new, heads + 2 kv_heads, head_dim)
        turned, value = split[:, :, : s.heads + s.kv_heads], split[:, :, s.heads + s.kv_heads :]
        if layer.heads_norm is not None:
            turned = functional.rms_norm(turned, (s.head_dim,), None, s.epsilon) * layer.heads_norm
        if rotary is not None:
            cosine, sine = rotary
            turned = torch.addcmul(turned * cosine, turned.roll(s.head_dim // 2, -1), sine)
        seen.store(turned[:, :, s.heads :].transpose(1, 2), value.transpose(1, 2))
        return seen.attend(turned[:, :, : s.heads], s)


class _Seen:
    """The keys and values of one layer that the new positions may attend to."""

    def __init__(
        self,
        keys: Tensor,
        values: Tensor,
        positions: Tensor,
        end: int,
        mask: Tensor | None,  # (1, 1, new, end) where the cache is written by position
        later: Tensor | None,  # (new, end) of a later turn's prompt
    ) -> None:
        self._keys, self._values, self._positions = keys, values, positions
        self._end, self._mask, self._later = end, mask, later

    def store(self, keys: Tensor, values: Tensor) -> None:
        """Write (batch, kv_heads, new, head_dim) twice: before the end, or with a mask wherever the positions say."""
        if self._mask is not None:
            self._keys.index_copy_(2, self._positions, keys)
            self._values.index_copy_(2, self._positions, values)
            return
        start = self._end - keys.shape[2]
        self._keys[:, :, start : self._end].copy_(keys)
        self._values[:, :, start : self._end].copy_(values)

    def attend(self, query: Tensor, s: LeanShape) -> Tensor:  # (batch, new, heads, head_dim)
        """Return what the queries gather, (batch, new, heads x head_dim)."""
        batch, new = query.shape[:2]
        keys, values = self._keys[:, :, : self._end], self._values[:, :, : self._end]
        attention = functional.scaled_dot_product_attention
        if new == 1:  # the queries of a group are rows of one small square: no key is repeated
            grouped = query.reshape(batch, s.kv_heads, s.heads // s.kv_heads, s.head_dim)
            y: Tensor = attention(grouped, keys, values, attn_mask=self._mask)
            return y.reshape(batch, 1, s.heads * s.head_dim)
        first, grouping = self._end == new, s.heads != s.kv_heads
        y = attention(query.transpose(1, 2), keys, values, attn_mask=self._later, is_causal=first, enable_gqa=grouping)
        return y.transpose(1, 2).flatten(2)


def _later_turn_mask(new: int, end: int, device: torch.device) -> Tensor | None:
    """Return what each new position of a later turn sees: itself and all before, (new, end); None: no such turn."""
    if new == 1 or new == end:
        return None
    return torch.ones(new, end, dtype=torch.bool, device=device).tril(end - new)


def _product(matrix: Matrix, x: Tensor, *, few: bool) -> Tensor:
    y: Tensor = matrix.few(x) if few else matrix(x)
    return y
