"""KServe's protocol, version 2, over HTTP: which tensors an encoder takes, and requests of token ids for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from wattbench.backends.traffic import Schedule
from wattbench.results.errors import UsageError

__all__ = ["Inputs", "Tensor", "ids_of", "infer_body", "inputs_of", "some_ids"]

IDS = (1000, 30_000)
"""Ids are drawn from here: whole words of BERT's vocabulary (30,522), within that of most other encoders."""

INTEGERS = ("INT64", "INT32")
ROLES = (("mask", 1), ("type", 0), ("segment", 0))
"""What stands in the name of a tensor that is the same for every token of one text, and what it is filled with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One input of a model; `fill` is what it is filled with, None for the token ids themselves."""

    name: str
    datatype: str
    fill: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a model takes: tensors of shape (tokens,), or (1, tokens) if `batched`.

    `tokens` is how many it takes, None for any number.
    """

    tensors: tuple[Tensor, ...]
    batched: bool
    tokens: int | None


def inputs_of(metadata: bytes, model: str) -> Inputs:
    """Return what a model takes, from the server's description of it.

    Raises UsageError for a model that takes anything else than the token ids of a text, with masks and types.
    """
    what = f"The model {model!r} is not one that token ids can be sent to"
    remedy = "Name an encoder whose inputs are INT64 or INT32 of shape (tokens) or (batch, tokens)."
    try:
        described = [
            (str(one["name"]), str(one["datatype"]), [int(size) for size in one["shape"]])
            for one in json.loads(metadata)["inputs"]
        ]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as exc:
        raise UsageError(what, f"the server's description of it is not understood ({exc!r})", remedy) from exc
    taken = ", ".join(f"{name} {datatype} {shape}" for name, datatype, shape in described) or "nothing"
    tensors = tuple(Tensor(name=name, datatype=datatype, fill=_fill(name)) for name, datatype, _ in described)
    shapes = [shape for _, _, shape in described]
    plain = bool(shapes) and all(tensor.datatype in INTEGERS for tensor in tensors)
    alike = all(shape == shapes[0] for shape in shapes) and len(shapes[0]) in (1, 2) if shapes else False
    if not plain or not alike or [tensor.fill for tensor in tensors].count(None) != 1:
        raise UsageError(what, f"it takes {taken}", remedy)
    if len(shapes[0]) == 2 and shapes[0][0] not in (-1, 1):
        raise UsageError(what, f"it takes {shapes[0][0]} texts at once: {taken}", remedy)
    tokens = int(shapes[0][-1])
    return Inputs(tensors=tensors, batched=len(shapes[0]) == 2, tokens=tokens if tokens > 0 else None)


def ids_of(schedule: Schedule, seed: int, inputs: Inputs) -> list[str]:
    """Return the token ids of each call, new ones for each seed, with commas between them.

    Raises UsageError for a length that the model does not take.
    """
    lengths = schedule.input_tokens
    if inputs.tokens is not None and bool((lengths != inputs.tokens).any()):
        other = int(lengths[lengths != inputs.tokens][0])
        why = f"the model takes exactly {inputs.tokens}, the load has {other}"
        raise UsageError("Wrong number of tokens in", why, f"Give --input-tokens {inputs.tokens}.")
    drawn = numpy.random.default_rng(seed).integers(*IDS, size=int(lengths.sum()))
    return [",".join(map(str, part.tolist())) for part in numpy.split(drawn, numpy.cumsum(lengths)[:-1])]


def some_ids(count: int) -> str:
    """Return so many token ids that no seed draws together: for asking a server what it does."""
    return ",".join(str(IDS[0] + number % (IDS[1] - IDS[0])) for number in range(count))


def infer_body(inputs: Inputs, ids: str) -> bytes:
    """Return the body of a request for one text."""
    count = ids.count(",") + 1
    shape = f"[1,{count}]" if inputs.batched else f"[{count}]"
    return b'{"inputs":[' + b",".join(_tensor(tensor, shape, ids, count) for tensor in inputs.tensors) + b"]}"


def _tensor(tensor: Tensor, shape: str, ids: str, count: int) -> bytes:
    data = ids if tensor.fill is None else ",".join([str(tensor.fill)] * count)
    head: Sequence[Any] = (json.dumps(tensor.name), shape, tensor.datatype, data)
    return '{{"name":{},"shape":{},"datatype":"{}","data":[{}]}}'.format(*head).encode()


def _fill(name: str) -> int | None:
    return next((fill for part, fill in ROLES if part in name.lower()), None)
