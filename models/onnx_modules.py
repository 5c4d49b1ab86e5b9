"""The torch modules that are exported to ONNX: a model's own module behind plain tensors in and out."""

from typing import Any

import torch
from torch import Tensor, nn

from wattbench.models.onnx_layers import CachedAttention, GraphCache, Product, Rotation, replace_parts
from wattbench.models.plain_encoder import PlainEncoder, plain_encoder

__all__ = ["DecoderGraph", "decoder_graph", "encoder_graph"]


class DecoderGraph(nn.Module):  # type: ignore[misc] # torch is skipped
    """A decoder's step over its cache: (next tokens, logits of the last position in float32, *cache)."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, input_ids: Tensor, total: Tensor, past: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return what follows new tokens, (requests, new), that end a context of `total` positions."""
        requests, new = input_ids.shape
        cache = GraphCache(past, total, requests)
        positions = (total - new + torch.arange(new, dtype=total.dtype)).to(torch.int64)[None]  # (1, new)
        logits = self.last_logits(input_ids, positions, cache).float()  # (requests, vocabulary)
        return logits.argmax(dim=-1, keepdim=True), logits, *cache.present

    def last_logits(self, input_ids: Tensor, positions: Tensor, cache: GraphCache) -> Tensor:
        """Return the logits of the last new position, (requests, vocabulary)."""
        unused = torch.zeros(1, 1, 1, 1)  # a mask of four dimensions keeps transformers from making one
        output = self.module(
            input_ids=input_ids,
            position_ids=positions,
            attention_mask=unused,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        last: Tensor = output.logits[:, -1]
        return last


class _TinyDecoderGraph(DecoderGraph):
    """The tiny decoder, layer by layer: its own attention takes its mask from shapes, which cannot be traced."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self.head = Product(module.tower.tokens.weight.t())
        for index, layer in enumerate(module.tower.layers):
            layer.attention = _tiny_attention(index, layer.attention)

    def last_logits(self, input_ids: Tensor, positions: Tensor, cache: GraphCache) -> Tensor:
        """Return the logits of the last new position, (requests, vocabulary)."""
        tower = self.module.tower
        x = tower.tokens(input_ids) + tower.positions(positions)
        for layer in tower.layers:
            x = x + layer.attention(layer.attention_norm(x), cache)[0]
            x = x + layer.feed_forward(layer.feed_forward_norm(x))
        logits: Tensor = self.head(tower.norm(x[:, -1]))
        return logits


def encoder_graph(module: Any) -> PlainEncoder:
    """Return an encoder's module ready for export; the module itself is changed."""
    graph = plain_encoder(module)
    replace_parts(graph.module)
    graph.eval()
    return graph


def decoder_graph(module: Any, positions: int) -> DecoderGraph:
    """Return a decoder's module ready for export, for contexts of at most `positions`; the module itself is changed."""
    inner = getattr(module, "model", None)
    rotary = getattr(inner, "rotary_emb", None)
    rotation = None if rotary is None else Rotation(rotary, positions, next(module.parameters()))
    graph = DecoderGraph(module) if hasattr(module, "config") else _TinyDecoderGraph(module)
    replace_parts(module, rotation)
    graph.eval()
    return graph


def _tiny_attention(index: int, part: Any) -> CachedAttention:
    width = part.head_dim
    return CachedAttention(
        layer=index,
        inward=[Product(x.weight.t()) for x in (part.query, part.key, part.value)],
        outward=Product(part.output.weight.t()),
        head_dim=width,
        heads=(part.query.out_features // width, part.key.out_features // width),
        scaling=width**-0.5,
    )
