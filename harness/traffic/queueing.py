"""The queue in front of one server: which calls are due, which of them have a place, and since when each waits."""

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.backends.traffic import NONE, Schedule

__all__ = ["CallQueue", "Waiting"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call that waits to be executed, and its planned start in ns from the window's start."""

    row: int
    planned_ns: int


class CallQueue:
    """The calls of a schedule on their way to a server; all times are ns from the window's start.

    In an open loop a call waits from when it is due. In a closed loop it waits from when its place came free, and
    those beyond the places do not wait at all: nobody has asked yet.
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        after: list[int] = schedule.after.tolist()
        self._due: list[int] = schedule.due_ns.tolist()
        self._pause: list[int] = schedule.pause_ns.tolist()
        self._followers: dict[int, list[int]] = {}
        for row, before in enumerate(after):
            if before != NONE:
                self._followers.setdefault(before, []).append(row)
        self._ready: list[tuple[int, int]] = [(due, i) for i, due in enumerate(self._due) if after[i] == NONE]
        self._waiting: deque[Waiting] = deque()
        closed = not schedule.open_loop and schedule.in_flight_max is not None
        self._places = [0] * (schedule.in_flight_max or 0) if closed else None
        heapq.heapify(self._ready)

    def take(self, now_ns: int, most: int) -> list[Waiting]:
        """Return up to `most` calls that wait now, those that wait longest first; they are then in progress."""
        self._admit(now_ns)
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def ended(self, row: int, end_ns: int) -> None:
        """Note that a call has ended: its place is free, and what follows it comes after its pause."""
        if self._places is not None:
            heapq.heappush(self._places, end_ns)
        for follower in self._followers.get(row, ()):
            heapq.heappush(self._ready, (max(self._due[follower], end_ns + self._pause[follower]), follower))

    def next_ns(self) -> int | None:
        """Return when the next call is due that does not wait yet; None when none will be, but by another's end."""
        if not self._ready or (self._places is not None and len(self._places) < self._schedule.query_size):
            return None
        return self._ready[0][0]

    def left(self, now_ns: int) -> Sequence[Waiting]:
        """Return the calls that still wait, when no more is to be executed."""
        self._admit(now_ns)
        return tuple(self._waiting)

    def _admit(self, now_ns: int) -> None:
        """Let what is due wait: all of it in an open loop, one query for so many free places in a closed one."""
        size = self._schedule.query_size
        while self._ready and self._ready[0][0] <= now_ns:
            if self._places is None:
                due, row = heapq.heappop(self._ready)
                self._waiting.append(Waiting(row, due))
                continue
            if len(self._places) < size:
                return
            calls = [heapq.heappop(self._ready) for _ in range(size)]
            planned = max([due for due, _ in calls] + [heapq.heappop(self._places) for _ in range(size)])
            self._waiting.extend(Waiting(row, planned) for _, row in calls)
