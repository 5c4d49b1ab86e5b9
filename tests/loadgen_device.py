"""The device that MLPerf's LoadGen drives: the n-th query takes a known time, and whatever the machine adds to it."""

import time

__all__ = ["TOKENS", "Device"]

TOKENS = 5
"""Tokens of each answer; the first comes after a quarter of the query's time."""

SPIN_NS = 200_000
BACK_TO_BACK_NS = 1_000_000


class Device:
    """Takes one query at a time, of 13 different times from `base_ns` to 1.6 times that.

    With a `queue` before it, a query that comes within a millisecond of the end before it counts as having waited, and
    starts at that end: what the generator itself takes between two queries does not add up over a busy stretch.
    """

    def __init__(self, base_ns: int, *, queue: bool) -> None:
        self._base_ns, self._queue, self._count, self._free_ns = base_ns, queue, 0, 0

    def begin(self) -> tuple[int, int]:
        """Begin the next query, and return when its first token and its end are to come."""
        now = time.perf_counter_ns()
        start = self._free_ns if self._queue and now - self._free_ns < BACK_TO_BACK_NS else now
        total = self._base_ns + self._base_ns * (self._count * 7919 % 13) // 20
        self._count, self._free_ns = self._count + 1, start + total
        return start + total // 4, start + total

    def wait_until(self, at_ns: int) -> int:
        """Sleep, then spin, until `time.perf_counter_ns` shows a time, and return what it shows."""
        left_ns = at_ns - time.perf_counter_ns()
        if left_ns > SPIN_NS:
            time.sleep((left_ns - SPIN_NS) / 1e9)
        while (now := time.perf_counter_ns()) < at_ns:
            pass
        return now
