"""Parts of a model as an exported graph wants them: constant matrices, one node a norm, one node an attention."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["CachedAttention", "GraphCache", "Product", "Rotation", "replace_parts"]


class GraphCache:
    """A decoder's KV cache while its graph is traced: for each layer a key and a value of fixed capacity.

    ONNX Runtime's GroupQueryAttention takes the memory of a layer, (requests, kv_heads, capacity, head_dim), writes the
    new positions behind the filled ones and gives it back. With input and output bound to the same memory nothing is
    copied and nothing grows, and only the filled part is read.
    """

    def __init__(self, past: Sequence[Tensor], total: Tensor, requests: int) -> None:
        self.present = list(past)
        self.total = total  # (1,): the context after the new positions
        self.last = (total - 1).expand(requests)

    def get_seq_length(self, *_: Any) -> int:
        """Return 0, for transformers' models: the positions are given to them."""
        return 0


class Product(nn.Module):  # type: ignore[misc] # torch is skipped
    """A linear layer whose matrix is stored as (in, out): one MatMul with a constant, as every quantiser wants it."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.detach().contiguous(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., in) as (..., out)."""
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Rotation(nn.Module):  # type: ignore[misc] # torch is skipped
    """The cosines and sines of rotary positions (arXiv:2104.09864) for every position of the model."""

    def __init__(self, rotary: Any, positions: int, like: Tensor) -> None:
        super().__init__()
        cos, sin = rotary(like, torch.arange(positions)[None])  # (1, positions, head_dim), the halves alike
        half = cos.shape[-1] // 2
        self.cos, self.sin = (nn.Buffer(part[0, :, :half].contiguous()) for part in (cos, sin))


class CachedAttention(nn.Module):  # type: ignore[misc] # torch is skipped
    """Causal attention with grouped queries over the cache, from hidden states to hidden states.

    `inward` is one product for queries, keys and values, or three; with `norms` of queries and keys (Qwen3) it is one.
    """

    def __init__(
        self,
        *,
        layer: int,
        inward: Sequence[nn.Module],
        outward: nn.Module,
        head_dim: int,
        heads: tuple[int, int],
        scaling: float,
        rotation: Rotation | None = None,
        norms: Sequence[nn.Module] = (),
    ) -> None:
        super().__init__()
        self.layer, self.head_dim, self.heads, self.scaling = layer, head_dim, heads, scaling
        self.inward, self.outward = nn.ModuleList(inward), outward
        self.norms = nn.ModuleList(norms)
        self.rotation = rotation

    def forward(self, hidden_states: Tensor, past_key_values: GraphCache, **_: Any) -> tuple[Tensor, None]:
        """Return the hidden states; the signature is that of transformers' attention modules."""
        parts = [product(hidden_states) for product in self.inward]
        if self.norms:
            heads, kv_heads = self.heads
            parts = list(parts[0].split([width * self.head_dim for width in (heads, kv_heads, kv_heads)], dim=-1))
        for index, norm in enumerate(self.norms):
            parts[index] = norm(parts[index].unflatten(-1, (-1, self.head_dim))).flatten(-2)
        query, key, value = parts if len(parts) == 3 else (parts[0], None, None)
        return self.outward(self._attend(query, key, value, past_key_values)), None

    def _attend(self, query: Tensor, key: Tensor | None, value: Tensor | None, cache: GraphCache) -> Tensor:
        heads, kv_heads = self.heads
        keys, values = cache.present[2 * self.layer : 2 * self.layer + 2]
        angles = () if self.rotation is None else (self.rotation.cos, self.rotation.sin)
        mixed, new_keys, new_values = torch.onnx.ops.symbolic_multi_out(
            "com.microsoft::GroupQueryAttention",
            (query, key, value, keys, values, cache.last, cache.total, *angles),
            {"num_heads": heads, "kv_num_heads": kv_heads, "scale": self.scaling, "do_rotary": int(bool(angles))},
            dtypes=(query.dtype, keys.dtype, values.dtype),
            shapes=((*query.shape[:2], heads * self.head_dim), keys.shape, values.shape),
            version=1,
        )
        cache.present[2 * self.layer : 2 * self.layer + 2] = new_keys, new_values
        return mixed


def replace_parts(module: nn.Module, rotation: Rotation | None = None) -> None:
    """Replace, in place, the parts of a model that would export to many nodes or to products with a turned matrix.

    A head that shares its matrix with a table becomes a matrix of its own: the graph's file holds both.
    """
    for name, child in list(module.named_children()):
        new = _attention(child, rotation) or _simple(child)
        if new is None:
            replace_parts(child, rotation)
        else:
            setattr(module, name, new)


class _GatedFeedForward(nn.Module):  # type: ignore[misc] # torch is skipped
    """A gated feed-forward (arXiv:2002.05202) whose gate and inner product are one product."""

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.inward = _joined((part.gate_proj, part.up_proj))
        self.outward = Product(part.down_proj.weight.t(), part.down_proj.bias)
        self.activation = part.act_fn

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., hidden) as (..., hidden)."""
        gate, up = self.inward(x).chunk(2, dim=-1)
        y: Tensor = self.outward(self.activation(gate) * up)
        return y


class _Norm(nn.Module):  # type: ignore[misc] # torch is skipped
    """RMS norm (arXiv:1910.07467) as torch's own function, which exports to one node."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self.weight, self.epsilon = nn.Parameter(weight.detach(), requires_grad=False), epsilon

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        return y


def _simple(part: Any) -> nn.Module | None:
    """Return the replacement of a linear layer, a norm or a gated feed-forward, None for anything else."""
    if isinstance(part, nn.Linear):
        return Product(part.weight.t(), part.bias)
    if type(part).__name__ == "Conv1D":  # GPT-2's linear layer stores (in, out) already
        return Product(part.weight, part.bias)
    if type(part).__name__ in ("LlamaMLP", "Qwen3MLP"):
        return _GatedFeedForward(part)
    if hasattr(part, "variance_epsilon"):  # the RMS norms of transformers
        return _norm(part)
    return None


def _norm(part: Any) -> _Norm:
    return _Norm(part.weight, part.variance_epsilon)


def _attention(part: Any, rotation: Rotation | None) -> CachedAttention | None:
    """Return the replacement of a decoder's attention, None for anything else."""
    kind = type(part).__name__
    if kind == "GPT2Attention":
        return CachedAttention(
            layer=part.layer_idx,
            inward=[Product(part.c_attn.weight, part.c_attn.bias)],
            outward=Product(part.c_proj.weight, part.c_proj.bias),
            head_dim=part.head_dim,
            heads=(part.num_heads, part.num_heads),
            scaling=part.scaling,
        )
    if kind not in ("LlamaAttention", "Qwen3Attention"):
        return None
    linear = (part.q_proj, part.k_proj, part.v_proj)
    normed = hasattr(part, "q_norm")
    return CachedAttention(
        layer=part.layer_idx,
        inward=[_joined(linear)],
        outward=Product(part.o_proj.weight.t(), part.o_proj.bias),
        head_dim=part.head_dim,
        heads=(part.q_proj.out_features // part.head_dim, part.k_proj.out_features // part.head_dim),
        scaling=part.scaling,
        rotation=rotation,
        norms=[_norm(part.q_norm), _norm(part.k_norm)] if normed else (),
    )


def _joined(linear: Sequence[Any]) -> Product:
    """Return linear layers of one input as one product, side by side."""
    weight = torch.cat([part.weight for part in linear]).t()
    bias = None if linear[0].bias is None else torch.cat([part.bias for part in linear])
    return Product(weight, bias)
