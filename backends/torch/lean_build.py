"""Taking a built module of Llama's family apart into a lean decoder; the module's own weights are freed on the way."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from wattbench.backends.torch.lean import LeanDecoder, LeanLayer, LeanShape
from wattbench.backends.torch.matrices import Matrix
from wattbench.backends.torch.ranks import Ranks
from wattbench.models.load import ModelSpec
from wattbench.models.torch_build import TINY

__all__ = ["MakeMatrix", "fits_lean", "lean_decoder"]

MakeMatrix = Callable[[Tensor, bool], Matrix]
"""Makes a matrix of a weight (outputs, inputs); the flag says whether it is the head, which sees one row a request."""

ARCHITECTURES = (TINY, "LlamaConfig", "Qwen3Config")

ROTARY_FIXED = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions whose frequencies do not change with the length of the sequence."""


def fits_lean(model: ModelSpec) -> bool:
    """Return whether the lean decoder computes what this model does: no biases, no windows, SiLU, fixed rotations.

    `rope_scaling`, the older name of what `rope_parameters` says, is left to transformers' own modules.
    """
    c = model.config
    if model.family != "decoder" or model.architecture not in ARCHITECTURES:
        return False
    rotary = c.get("rope_parameters") or {}
    if not isinstance(rotary, dict) or c.get("rope_scaling") or rotary.get("partial_rotary_factor", 1) != 1:
        return False
    if any(c.get(key) for key in ("attention_bias", "mlp_bias", "use_sliding_window")):
        return False
    return c.get("hidden_act", "silu") == "silu" and rotary.get("rope_type", "default") in ROTARY_FIXED


def lean_decoder(
    module: Any,  # any: a transformers or tiny module
    context: int,
    make: MakeMatrix,
    ranks: Ranks | None = None,
) -> LeanDecoder:
    """Return the lean form of a decoder that `fits_lean`; `module` is useless afterwards.

    `make` decides how matrices are kept. Each layer of the module is dropped as soon as it has been copied, so that the
    weights exist twice for one layer at a time. With `ranks` the module is one rank's part, and so is what it gives.
    """
    if hasattr(module, "tower"):
        return _from_tiny(module, make, ranks)
    tower, config = module.model, module.config
    head_dim = int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    attention = tower.layers[0].self_attn
    shape = LeanShape(
        heads=len(attention.q_proj.weight) // head_dim,
        kv_heads=len(attention.k_proj.weight) // head_dim,
        head_dim=head_dim,
        epsilon=config.rms_norm_eps,
    )
    layers = _taken(tower.layers, lambda layer: _llama_layer(layer, shape, make))
    table = tower.embed_tokens.weight.detach()
    positions = torch.arange(context, device=table.device).unsqueeze(0)
    cosine, sine = tower.rotary_emb(table[:1].unsqueeze(0), positions)  # each (1, context, head_dim)
    signs = torch.ones(head_dim, dtype=sine.dtype, device=sine.device)
    signs[: head_dim // 2] = -1
    head = _head_rows(module.lm_head.weight.detach(), len(table), ranks)
    return LeanDecoder(
        shape,
        layers,
        table=table,
        norm=tower.norm.weight.detach(),
        head=make(head, True),
        rotary=(cosine[0].contiguous(), (sine[0] * signs).contiguous()),
        positions=None,
        ranks=ranks,
        head_is_part=len(head) < len(table),
    )


def _head_rows(weight: Tensor, vocabulary: int, ranks: Ranks | None) -> Tensor:
    """Return this rank's rows of a head: those that it has of a matrix of its own, or its share of the token table.

    All of them where the ranks do not divide the vocabulary.
    """
    if ranks is None or len(weight) < vocabulary or vocabulary % ranks.share.ranks:
        return weight
    return weight[ranks.share.of(vocabulary)]


def _from_tiny(module: Any, make: MakeMatrix, ranks: Ranks | None) -> LeanDecoder:
    tower = module.tower
    first = tower.layers[0].attention
    shape = LeanShape(
        heads=first.query.weight.shape[0] // first.head_dim,
        kv_heads=first.key.weight.shape[0] // first.head_dim,
        head_dim=first.head_dim,
        epsilon=None,
    )
    layers = _taken(tower.layers, lambda layer: _tiny_layer(layer, make))
    table = tower.tokens.weight.detach()
    head = _head_rows(table, len(table), ranks)
    return LeanDecoder(
        shape,
        layers,
        table=table,
        norm=tower.norm.weight.detach(),
        head=make(head, True),
        rotary=None,
        positions=tower.positions.weight.detach(),
        ranks=ranks,
        head_is_part=len(head) < len(table),
    )


def _taken(layers: Any, take: Callable[[Any], LeanLayer]) -> list[LeanLayer]:
    found = []
    for index in range(len(layers)):
        found.append(take(layers[index]))
        layers[index] = nn.Identity()
    return found


def _llama_layer(layer: Any, shape: LeanShape, make: MakeMatrix) -> LeanLayer:
    attention, feed_forward = layer.self_attn, layer.mlp
    heads_norm = None
    if getattr(attention, "q_norm", None) is not None:
        norms = [attention.q_norm.weight.expand(shape.heads, -1), attention.k_norm.weight.expand(shape.kv_heads, -1)]
        heads_norm = torch.cat(norms).detach()
    return LeanLayer(
        attention_norm=layer.input_layernorm.weight.detach(),
        feed_forward_norm=layer.post_attention_layernorm.weight.detach(),
        heads_norm=heads_norm,
        query_key_value=make(_joined(attention.q_proj, attention.k_proj, attention.v_proj), False),
        output=make(attention.o_proj.weight.detach(), False),
        gate_up=make(_joined(feed_forward.gate_proj, feed_forward.up_proj), False),
        down=make(feed_forward.down_proj.weight.detach(), False),
    )


def _tiny_layer(layer: Any, make: MakeMatrix) -> LeanLayer:
    attention, feed_forward = layer.attention, layer.feed_forward
    return LeanLayer(
        attention_norm=layer.attention_norm.weight.detach(),
        feed_forward_norm=layer.feed_forward_norm.weight.detach(),
        heads_norm=None,
        query_key_value=make(_joined(attention.query, attention.key, attention.value), False),
        output=make(attention.output.weight.detach(), False),
        gate_up=make(_joined(feed_forward.gate, feed_forward.up), False),
        down=make(feed_forward.down.weight.detach(), False),
    )


def _joined(*linears: Any) -> Tensor:
    return torch.cat([linear.weight.detach() for linear in linears])
