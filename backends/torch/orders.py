"""What rank 0 tells the other ranks and what they answer: one JSON line each, an execution at a time."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import numpy

from wattbench.backends.contract import Batch, Preparation
from wattbench.backends.lines import Failure, Lines
from wattbench.results.subject import RankRecord

__all__ = [
    "ArrayText",
    "Done",
    "Execute",
    "Inputs",
    "Leave",
    "Outbox",
    "Peak",
    "Ready",
    "Report",
    "TakeSeat",
    "from_line",
    "to_line",
]

KEPT = 16
"""How many batches' inputs every rank keeps: the harness executes fewer distinct ones in turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayText:
    """An array as text: numpy's name of its type, its shape, and its bytes in base64."""

    dtype: str
    shape: tuple[int, ...]
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeSeat:
    """Become a rank: meet the others in `folder`, and prepare your part at the level of the preparation."""

    rank: int
    ranks: int
    folder: str
    preparation: Preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A rank is prepared; the bytes are those that its engine states, None where it leaves them to the load's count."""

    record: RankRecord
    step_bytes: int | None
    kv_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Execute a batch, or with `outputs` compute the numbers of its request 0; `arrays` is None for known inputs."""

    number: int
    arrays: dict[str, ArrayText] | None
    requests: int
    input_tokens: int
    output_tokens: int
    outputs: bool = False
    forced_tokens: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An execution has ended: when, and a checksum of the tokens that the rank wrote (None: it wrote none)."""

    end_ns: int
    tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Say your peak memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The peak memory so far in bytes, None when it is not known."""

    memory_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Free the device and end."""


LINES = Lines((TakeSeat, Ready, Execute, Done, Report, Peak, Leave, Failure), "The ranks do not understand each other")
to_line, from_line = LINES.to_line, LINES.from_line


class Outbox:
    """Rank 0's side of the inputs: arrays are sent once, and by number while every rank still keeps them."""

    def __init__(self) -> None:
        self._kept: dict[int, Mapping[str, numpy.ndarray]] = {}
        self._next = 0

    def execute(self, batch: Batch, *, outputs: bool, forced_tokens: numpy.ndarray | None) -> Execute:
        """Return the order for a batch, whose arrays must not change afterwards."""
        number = next((n for n, arrays in self._kept.items() if arrays is batch.arrays), None)
        arrays = None
        if number is None:
            number, self._next = self._next, self._next + 1
            _keep(self._kept, number, batch.arrays)
            arrays = {name: _as_text(array) for name, array in batch.arrays.items()}
        return Execute(
            number=number,
            arrays=arrays,
            requests=batch.requests,
            input_tokens=batch.input_tokens,
            output_tokens=batch.output_tokens,
            outputs=outputs,
            forced_tokens=None if forced_tokens is None else tuple(int(token) for token in forced_tokens),
        )


class Inputs:
    """A follower's side of the inputs."""

    def __init__(self) -> None:
        self._kept: dict[int, Mapping[str, numpy.ndarray]] = {}

    def batch(self, order: Execute) -> Batch:
        """Return the batch of an order."""
        if order.arrays is not None:
            _keep(self._kept, order.number, {name: _as_array(text) for name, text in order.arrays.items()})
        return Batch(
            arrays=self._kept[order.number],
            requests=order.requests,
            input_tokens=order.input_tokens,
            output_tokens=order.output_tokens,
        )


def _keep(kept: dict[int, Mapping[str, numpy.ndarray]], number: int, arrays: Mapping[str, numpy.ndarray]) -> None:
    """Keep a batch's inputs and forget the oldest; both sides do the same."""
    kept[number] = arrays
    if len(kept) > KEPT:
        del kept[min(kept)]


def _as_text(array: numpy.ndarray) -> ArrayText:
    data = base64.b64encode(numpy.ascontiguousarray(array).tobytes()).decode()
    return ArrayText(dtype=array.dtype.str, shape=array.shape, data=data)


def _as_array(text: ArrayText) -> numpy.ndarray:
    flat = numpy.frombuffer(base64.b64decode(text.data), dtype=numpy.dtype(text.dtype))
    return flat.reshape(text.shape).copy()  # writable, as torch wants it
