"""An encoder as its exporters want it: plain tensors in and out, attention in plain products."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PlainEncoder", "plain_encoder"]

PLAIN, FLAT = "wattbench-plain", "wattbench-flat"
"""The names under which transformers finds our attentions."""


class PlainEncoder(nn.Module):  # type: ignore[misc] # torch is skipped
    """An encoder: (hidden states, pooled vectors), or (class logits,), in float32."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the vectors of tokens, int64 or int32 (requests, positions), or of images, float32."""
        if inputs.is_floating_point():
            images = inputs.to(next(self.module.parameters()).dtype)
            return (self.module(pixel_values=images).logits.float(),)
        output = self.module(input_ids=inputs)
        return output.last_hidden_state.float(), output.pooler_output.float()


class _TinyAttention(nn.Module):  # type: ignore[misc] # torch is skipped
    """The attention of the tiny encoder in plain products; its own exports to more."""

    def __init__(self, part: Any, flat: bool) -> None:
        super().__init__()
        self.part, self.attention = part, _flat_attention if flat else _plain_attention

    def forward(self, x: Tensor, _: None) -> Tensor:
        matrices = (self.part.query, self.part.key, self.part.value)
        query, key, value = (m(x).unflatten(-1, (-1, self.part.head_dim)).transpose(1, 2) for m in matrices)
        mixed, _ = self.attention(self, query, key, value, None)
        y: Tensor = self.part.output(mixed.flatten(2))
        return y


def plain_encoder(module: Any, *, flat: bool = False) -> PlainEncoder:
    """Return an encoder's module ready for export; the module itself is changed.

    With `flat` attention's products have one dimension of requests and heads: ExecuTorch copies both sides of a product
    of four dimensions, and XNNPACK does not take these copies.
    """
    if hasattr(module, "config"):
        from transformers import AttentionInterface

        AttentionInterface.register(PLAIN, _plain_attention)
        AttentionInterface.register(FLAT, _flat_attention)
        module.set_attn_implementation(FLAT if flat else PLAIN)
    else:
        for layer in module.tower.layers:
            layer.attention = _TinyAttention(layer.attention, flat)
    encoder = PlainEncoder(module)
    encoder.eval()
    return encoder


def _plain_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, **options: Any
) -> tuple[Tensor, None]:
    """Return an encoder's attention over (requests, heads, positions, head_dim), positions first, in plain products.

    The signature is that of transformers' attention functions. Plain nodes are what every engine has; ONNX Runtime's
    own CPU kernels were not faster with a fused one.
    """
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    shares = torch.softmax((query * scaling) @ key.transpose(2, 3), dim=-1, dtype=torch.float32)
    return (shares.to(value.dtype) @ value).transpose(1, 2), None


def _flat_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, **options: Any
) -> tuple[Tensor, None]:
    """Return the same as `_plain_attention`, by products of three dimensions."""
    scaling = options.get("scaling") or query.shape[-1] ** -0.5
    requests, heads = query.shape[:2]
    q, k, v = (part.flatten(0, 1) for part in (query * scaling, key, value))  # (requests x heads, positions, head_dim)
    shares = torch.softmax(torch.bmm(q, k.transpose(1, 2)), dim=-1, dtype=torch.float32)
    return torch.bmm(shares.to(v.dtype), v).unflatten(0, (requests, heads)).transpose(1, 2), None
