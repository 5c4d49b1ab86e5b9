"""NVML's own log of power samples: its time stamps placed on the run's clock."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import itemgetter
from typing import Any

from wattbench.harness.power.contract import Reading
from wattbench.harness.power.nvml_calls import SamplesCall

__all__ = ["ClockPair", "SampleRing", "pair_clocks", "plain_number"]

_VALUE_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")  # by nvmlValueType_t

_TRIES = 3
_JUMP_NS = 10_000_000
"""A wall clock that moves by more than this between two polls was set; time services slew slower (0.5 ms/s)."""

_FUTURE_NS = 50_000_000
_REMEMBERED = 4096

_FETCH_NS = (50_000_000, 500_000_000)
_FETCH_SHARE = 4
"""How long to leave the log alone: a fourth of the time that it holds, so that nothing is lost when one fetch is late.

Half a second at most, so that a window's last samples are there when its energy is taken (`settle_s`: a second).
"""

_PACE_OF = 64
"""Of so many samples the pace is told, and of an eighth where there are no more yet."""

_STRANGE_S = 60.0
"""A newest sample that is this far from the wall clock is stamped by another clock, and cannot be placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPair:
    """One instant on the run's clock and on the wall clock, in ns; `width_ns` bounds how far apart they were read."""

    run_ns: int
    wall_ns: int
    width_ns: int

    def on_run_clock(self, wall_us: int) -> int:
        """Return an instant of the wall clock, in us, on the run's clock, in ns."""
        return self.run_ns - (self.wall_ns - wall_us * 1000)


def pair_clocks(
    now_ns: Callable[[], int] = time.perf_counter_ns, wall_ns: Callable[[], int] = time.time_ns
) -> ClockPair:
    """Return both clocks' time at one instant: the wall clock read between two reads of the run's, the closest of 3."""
    best: tuple[int, int, int] | None = None
    for _ in range(_TRIES):
        before, wall, after = now_ns(), wall_ns(), now_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, wall)
    assert best is not None
    return ClockPair(width_ns=best[0], run_ns=best[1], wall_ns=best[2])


def plain_number(value: Any, value_type: int) -> float | None:  # any: NVML's untyped union
    """Return the member of an nvmlValue_t that its type names, or None for a type that nobody knows."""
    return getattr(value, _VALUE_MEMBERS[value_type]) if 0 <= value_type < len(_VALUE_MEMBERS) else None


class SampleRing:
    """What `nvmlDeviceGetSamples` has of one board since the last look.

    The driver stamps its samples with the machine's wall clock (nvml.h, nvmlSample_t: CPU time stamp in us). Each fetch
    reads that clock beside the run's and places the stamps by the difference, so a wall clock that is slewed
    or set in the middle of a run moves no more than the samples of one fetch; those that would then lie in the future
    or before an earlier one are logged without a value. A clock that was set back makes old stamps look like the
    future's: those that were read before are known, and passed over.
    """

    def __init__(self, nvml: Any, handle: Any, kind: int) -> None:  # any: NVML's module and handle
        self._nvml = nvml
        self._call = SamplesCall(nvml, handle, kind)
        self._seen_us = 0
        self._read_us: deque[int] = deque(maxlen=_REMEMBERED)
        self._set_back = False
        self._last_taken_ns: int | None = None
        self._pair: ClockPair | None = None
        self._paced = False
        self.fetch_ns = _FETCH_NS[0]
        """How long after a fetch the next one is due."""

    def open(self, pair: ClockPair) -> str | None:
        """Look for the first time, past what lies in the ring; return why it cannot be used, or None."""
        try:
            samples = self._call.fetch(0)
        except self._nvml.NVMLError as exc:
            return str(exc)
        if not samples:
            return "it is empty"
        self._read_us.extend(sorted(stamp_us for stamp_us, _ in samples))
        self._pace()
        self._seen_us = max(self._read_us)
        off_s = abs(pair.on_run_clock(self._seen_us) - pair.run_ns) / 1e9
        self._pair = pair
        return f"its stamps are {off_s:.0f} s off the wall clock" if off_s > _STRANGE_S else None

    def read(self, channel: str, pair: ClockPair) -> list[Reading]:
        """Return what is new, in W, oldest first; nothing new is no reading."""
        self._follow(pair)
        try:
            samples = self._call.fetch(self._seen_us)
        except self._nvml.NVMLError_NotFound:
            return []
        except self._nvml.NVMLError as exc:
            return [Reading(channel=channel, value=None, error=f"NVML: {exc}")]
        new = sorted((s for s in samples if self._is_new(s[0], pair)), key=itemgetter(0))
        self._read_us.extend(stamp_us for stamp_us, _ in new)
        if not self._paced or 2 * len(new) > self._call.room:
            self._pace()
        return [self._placed(channel, stamp_us, milliwatt, pair) for stamp_us, milliwatt in new]

    def _pace(self) -> None:
        """Set the time of the next fetch by how long the log holds its samples: as many as have room, at their pace.

        Three quarters of the gaps are no shorter than the one that is taken for the pace.
        """
        recent_us = islice(self._read_us, max(len(self._read_us) - _PACE_OF, 0), None)
        gaps_us = sorted(b - a for a, b in pairwise(recent_us) if b > a)
        if gaps_us:
            held_ns = 1000 * gaps_us[len(gaps_us) // 4] * self._call.room
            self.fetch_ns = min(max(held_ns // _FETCH_SHARE, _FETCH_NS[0]), _FETCH_NS[1])
            self._paced = len(gaps_us) > _PACE_OF // 8

    def _is_new(self, stamp_us: int, pair: ClockPair) -> bool:
        if stamp_us <= self._seen_us:
            return False
        return not (self._set_back and _is_ahead(pair, stamp_us) and stamp_us in self._read_us)

    def _follow(self, pair: ClockPair) -> None:
        """Move the last stamp seen with a wall clock that was set, or the ring would seem empty until it catches up."""
        if self._pair is not None:
            moved_ns = (pair.wall_ns - self._pair.wall_ns) - (pair.run_ns - self._pair.run_ns)
            if abs(moved_ns) > _JUMP_NS:
                self._seen_us += moved_ns // 1000
                self._set_back = self._set_back or moved_ns < 0
        self._pair = pair

    def _placed(self, channel: str, stamp_us: int, milliwatt: float | None, pair: ClockPair) -> Reading:
        taken_ns = pair.on_run_clock(stamp_us)
        last_ns = self._last_taken_ns
        if milliwatt is None:
            self._seen_us = max(self._seen_us, stamp_us)
            return Reading(channel=channel, value=None, error=f"NVML: value type {self._call.value_type} is not known")
        if _is_ahead(pair, stamp_us) or (last_ns is not None and taken_ns <= last_ns):
            error = "its time stamp cannot be placed: the wall clock was set"
            return Reading(channel=channel, value=None, sensor_ns=stamp_us * 1000, error=error)
        self._last_taken_ns = taken_ns
        self._seen_us = max(self._seen_us, stamp_us)
        return Reading(channel=channel, value=milliwatt / 1000, sensor_ns=stamp_us * 1000, taken_ns=taken_ns)


def _is_ahead(pair: ClockPair, stamp_us: int) -> bool:
    return pair.on_run_clock(stamp_us) > pair.run_ns + _FUTURE_NS
