"""An encoder as its exporters want it: plain tensors in and out, attention in plain products."""

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["PlainEncoder", "plain_encoder"]

PLAIN = "wattbench-plain"
"""The name under which transformers finds our attention."""


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

    def __init__(self, part: Any) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor, _: None) -> Tensor:
        matrices = (self.part.query, self.part.key, self.part.value)
        query, key, value = (m(x).unflatten(-1, (-1, self.part.head_dim)).transpose(1, 2) for m in matrices)
        mixed, _ = _plain_attention(self, query, key, value, None)
        y: Tensor = self.part.output(mixed.flatten(2))
        return y


def plain_encoder(module: Any) -> PlainEncoder:
    """Return an encoder's module ready for export; the module itself is changed."""
    if hasattr(module, "config"):
        from transformers import AttentionInterface

        AttentionInterface.register(PLAIN, _plain_attention)
        module.set_attn_implementation(PLAIN)
    else:
        for layer in module.tower.layers:
            layer.attention = _TinyAttention(layer.attention)
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
