"""Sharing a model out over ranks: which matrices are cut, along which side, and what a rank keeps of them.

The cuts are those of Megatron-LM (Shoeybi et al. 2019, arXiv:1909.08053, section 3): the matrices into attention and
feed-forward along their outputs, so that a rank has whole heads; those out of them along their inputs, so that the
ranks' products add up to the whole. Norms, tables and poolers stay whole on every rank.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy

from wattbench.models.configurations import dimensions
from wattbench.models.load import ModelSpec
from wattbench.results.checks import require
from wattbench.results.errors import UsageError

__all__ = ["Cut", "Share", "cut_of", "head_is_cut", "part_of_block", "refuse_ranks"]

Cut = Literal["outputs", "inputs"]

_LLAMA: dict[str, Cut] = {
    **dict.fromkeys(("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "outputs"),
    "self_attn.o_proj": "inputs",
    **dict.fromkeys(("mlp.gate_proj", "mlp.up_proj"), "outputs"),
    "mlp.down_proj": "inputs",
}
_BERT: dict[str, Cut] = {
    **dict.fromkeys(("attention.self.query", "attention.self.key", "attention.self.value"), "outputs"),
    "attention.output.dense": "inputs",
    "intermediate.dense": "outputs",
    "output.dense": "inputs",
}
_VIT: dict[str, Cut] = {
    **dict.fromkeys(("attention.q_proj", "attention.k_proj", "attention.v_proj"), "outputs"),
    "attention.o_proj": "inputs",
    "mlp.fc1": "outputs",
    "mlp.fc2": "inputs",
}
_TINY: dict[str, Cut] = {
    **dict.fromkeys(("attention.query", "attention.key", "attention.value"), "outputs"),
    "attention.output": "inputs",
    **dict.fromkeys(("feed_forward.gate", "feed_forward.up"), "outputs"),
    "feed_forward.down": "inputs",
}

_CUTS: dict[str, dict[str, Cut]] = {
    "LlamaConfig": _LLAMA,
    "Qwen3Config": _LLAMA,
    "BertConfig": _BERT,
    "ViTConfig": _VIT,
    "wattbench.tiny": _TINY,
}
"""By architecture, how the names of the linear layers that are cut end in `transformers` and in our tiny models."""

_HEAD = "lm_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which part of every cut matrix a rank has: the `rank`-th of `ranks` equal ones."""

    rank: int
    ranks: int

    def __post_init__(self) -> None:
        require(0 <= self.rank < self.ranks, f"rank {self.rank} is not one of {self.ranks}")

    def of(self, size: int) -> slice:
        """Return this rank's part of a side of so many rows or columns, which the ranks must divide."""
        require(size % self.ranks == 0, f"{self.ranks} ranks do not divide {size}")
        part = size // self.ranks
        return slice(self.rank * part, (self.rank + 1) * part)


def cut_of(model: ModelSpec, layer: str, ranks: int) -> Cut | None:
    """Return how the linear layer of that name is cut, None for one that every rank has whole."""
    if layer.rpartition(".")[2] == _HEAD:
        return "outputs" if head_is_cut(model, ranks) else None
    return next((cut for end, cut in _CUTS[model.architecture].items() if f".{layer}".endswith(f".{end}")), None)


def head_is_cut(model: ModelSpec, ranks: int) -> bool:
    """Return whether a decoder's head has a matrix of its own, and so many logits that the ranks can share them."""
    architecture = dimensions(model)
    own = architecture.decoder is not None and architecture.lookup >= architecture.head
    return own and (architecture.vocabulary or 1) % ranks == 0


def refuse_ranks(model: ModelSpec, ranks: int) -> None:
    """Raise UsageError, with the numbers that would do, for a model that so many ranks cannot share."""
    if model.architecture not in _CUTS:
        why = "it is known how to cut decoders of Llama's kind, BERT, ViT and the tiny models"
        what = f"{model.name} cannot be shared out over {ranks} ranks"
        raise UsageError(what, why, "Choose another load, or leave out --tensor-parallel.")
    architecture = dimensions(model)
    stack = architecture.decoder or architecture.encoder
    assert stack is not None, "an architecture has a tower"
    sides = {"heads": stack.heads, "key and value heads": stack.kv_heads, "rows of feed-forward": stack.mlp_width}
    wrong = [f"{size} {side}" for side, size in sides.items() if size % ranks]
    if not wrong:
        return
    common = math.gcd(*sides.values())
    fitting = ", ".join(str(n) for n in range(2, common + 1) if common % n == 0)
    remedy = f"Choose --tensor-parallel {fitting}." if fitting else "Leave out --tensor-parallel."
    raise UsageError(f"{ranks} ranks cannot share {model.name}", f"{ranks} does not divide its {wrong[0]}", remedy)


def part_of_block(
    start: int, values: numpy.ndarray, width: int, rows: slice, columns: slice
) -> Iterator[tuple[int, numpy.ndarray]]:
    """Yield what a block of a flattened matrix has of a part of that matrix: places in the flattened part, values.

    The block's `values` begin at `start` of a matrix whose rows are `width` long; the part is its `rows` by `columns`.
    """
    part_width, at, end = columns.stop - columns.start, start, start + len(values)
    while at < end:
        row, column = divmod(at, width)
        count = (end - at) // width if column == 0 else 0
        if count:  # whole rows
            first, last = max(row, rows.start), min(row + count, rows.stop)
            if first < last:
                whole = values[at - start : at - start + count * width].reshape(count, width)
                yield (first - rows.start) * part_width, whole[first - row : last - row, columns].reshape(-1)
            at += count * width
            continue
        stop = min(end, (row + 1) * width)
        first, last = max(column, columns.start), min(column + stop - at, columns.stop)
        if rows.start <= row < rows.stop and first < last:
            inside = values[at - start + first - column : at - start + last - column]
            yield (row - rows.start) * part_width + first - columns.start, inside
        at = stop
