"""The agent's memory: the last rows of its polls, numbered, so that whoever asks late learns what is missing."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from wattbench.harness.power.agent_wire import Row
from wattbench.results.energy import Polls

__all__ = ["RING_ROWS", "Ring", "Slice", "rows_of"]

RING_ROWS = 65_536
"""Rows that an agent keeps: 27 minutes of two channels at 20 Hz, and below 20 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows that follow each other: the number to ask for the ones after them, how many were lost before, and more."""

    rows: tuple[Row, ...]
    next: int
    lost: int
    more: bool


class Ring:
    """Keeps the last `depth` rows; they are numbered from 0. All methods may be called from any thread."""

    def __init__(self, depth: int = RING_ROWS) -> None:
        self.depth = depth
        self._rows: deque[Row] = deque(maxlen=depth)
        self._next = 0
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """Return the number of the coming row."""
        with self._lock:
            return self._next

    def extend(self, rows: Sequence[Row]) -> None:
        """Add rows; the oldest fall out."""
        with self._lock:
            self._rows.extend(rows)
            self._next += len(rows)

    def since(self, number: int, most: int) -> Slice:
        """Return at most so many rows from a number on; one from the future stands for the coming row."""
        with self._lock:
            oldest = self._next - len(self._rows)
            start = min(max(number, oldest), self._next)
            rows = tuple(islice(self._rows, start - oldest, start - oldest + most))
            end = start + len(rows)
            return Slice(rows=rows, next=end, lost=max(oldest - number, 0), more=end < self._next)


def rows_of(number: int, polls: Polls) -> Iterator[Row]:
    """Return the rows of one channel's polls."""
    taken = polls.taken_ns or (None,) * len(polls.value)
    columns = zip(polls.before_ns, polls.after_ns, polls.value, taken, strict=True)
    for place, (before_ns, after_ns, value, taken_ns) in enumerate(columns):
        yield number, before_ns, after_ns, value, taken_ns, polls.errors.get(str(place))
