"""The log of one sampler: its poll loop, its columns of raw polls, and how well it was read."""

import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING

from wattbench.harness.power.contract import Reading, Sampler
from wattbench.results.checks import require
from wattbench.results.energy import ChannelRecord, Polls, RecorderHealth
from wattbench.results.errors import WattbenchError

if TYPE_CHECKING:
    from wattbench.harness.power.recorder import Clock

__all__ = ["Track"]

_SILENT_FLOOR_NS = 1_000_000_000
"""A read that is out for longer than this (and 3 periods) makes its sampler silent."""

_LATEST_NS = 1_000_000_000

_SHORTEST_NS = 1_000_000
"""No sensor that we know is updated faster than every millisecond (RAPL), so faster polls only cost."""

_LONGEST_NS = 3_600_000_000_000


class _Column:
    """The growing columns of one channel."""

    def __init__(self) -> None:
        self.value: list[float | None] = []
        self.sensor_ns: list[int | None] = []
        self.errors: dict[str, str] = {}

    def append(self, reading: Reading) -> None:
        """Log one reading; a value that is no finite number is logged as missing, with that as the cause."""
        value, error = reading.value, reading.error
        if value is None:
            error = error or "the sampler gave no value and no cause"
        elif not math.isfinite(value):
            value, error = None, f"the sampler gave {value}"
        if error is not None:
            self.errors[str(len(self.value))] = error
        self.value.append(value)
        self.sensor_ns.append(reading.sensor_ns)


class Track:
    """One sampler's poll loop and log. `run` belongs to one thread; everything else may be called from any."""

    def __init__(self, sampler: Sampler, rate_hz: float, clock: "Clock", origin_ns: int) -> None:
        self.name = sampler.name
        self.channels: tuple[ChannelRecord, ...] = sampler.channels
        self._sampler = sampler
        self._rate_hz = rate_hz
        require(math.isfinite(rate_hz) and rate_hz > 0, f"a rate of polls is a positive number, not {rate_hz}")
        self._period_ns = round(min(max(1e9 / rate_hz, _SHORTEST_NS), _LONGEST_NS))
        self._clock = clock
        self._origin_ns = origin_ns
        self._lock = threading.Lock()
        self._before: list[int] = []
        self._after: list[int] = []
        self._columns = {c.id: _Column() for c in self.channels}
        self._failed = 0
        self._last_good_ns: int | None = None
        self._max_gap_ns: int | None = None
        self._cpu_ns = 0
        self._out_since_ns: int | None = None
        self._sealed = False
        self._hung = False

    def run(self, stop: threading.Event) -> None:
        """Poll at every deadline until the stop, then close the sampler."""
        cpu_start_ns = time.thread_time_ns()
        start_ns = self._clock.now_ns()
        n = 0
        while not self._clock.wait_until(start_ns + n * self._period_ns, stop):
            self.poll()
            self._cpu_ns = time.thread_time_ns() - cpu_start_ns
            n = max(n + 1, (self._clock.now_ns() - start_ns) // self._period_ns + 1)  # missed deadlines are skipped
        self._close()

    def poll(self) -> None:
        """Read the sampler once and log what came, or why nothing did."""
        before_ns = self._clock.now_ns()
        self._out_since_ns = before_ns
        try:
            readings = {r.channel: r for r in self._sampler.read()}
            cause = "the sampler left this channel out"
        except WattbenchError as exc:
            readings, cause = {}, f"{exc.what}: {exc.why}" if exc.why else exc.what
        except Exception as exc:  # noqa: BLE001 - a plug-in's bug is logged as a failed read, the recording goes on
            readings, cause = {}, f"{type(exc).__name__}: {exc}"
        after_ns = self._clock.now_ns()
        self._out_since_ns = None
        with self._lock:
            if not self._sealed:
                self._append(before_ns, after_ns, readings, cause)

    def seal(self, *, hung: bool) -> None:
        """Close the log: a read that comes back later is not logged any more."""
        with self._lock:
            self._hung = self._hung or hung
            self._sealed = True

    def polls(self) -> tuple[Polls, ...]:
        """Return a snapshot of the log, one record per channel."""
        with self._lock:
            before, after = tuple(self._before), tuple(self._after)
            return tuple(_snapshot(name, before, after, column) for name, column in self._columns.items())

    def health(self) -> RecorderHealth:
        """Return the rate reached, the largest gap between good polls, the share of one core, and the failures."""
        now_ns = self._clock.now_ns() - self._origin_ns
        with self._lock:
            count, failed = len(self._before), self._failed
            first, last = (self._before[0], self._before[-1]) if count else (0, 0)
            gap_ns = self._gap_ns(last if self._sealed and not self._hung else now_ns)
        return RecorderHealth(
            sampler=self.name,
            asked_rate_hz=self._rate_hz,
            reached_rate_hz=(count - 1) * 1e9 / (last - first) if last > first else None,
            polls=count,
            failed=failed,
            max_gap_s=None if gap_ns is None else gap_ns / 1e9,
            cpu_share=self._cpu_ns / (last - first) if last > first else None,
            silent=self._hung or self._is_out(now_ns + self._origin_ns),
        )

    def latest_w(self, channel: ChannelRecord) -> float | None:
        """Return a channel's mean power over the last second before now, in watts, or None."""
        since_ns = self._clock.now_ns() - self._origin_ns - _LATEST_NS
        with self._lock:
            column = self._columns[channel.id].value
            first = next((i for i in range(len(column), 0, -1) if self._before[i - 1] < since_ns), 0)
            points = [(self._before[i], v) for i, v in enumerate(column[first:], first) if v is not None]
        if channel.kind != "counter":
            return math.fsum(v for _, v in points) / len(points) if points else None
        if len(points) < 2 or points[-1][1] < points[0][1]:
            return None
        return (points[-1][1] - points[0][1]) * 1e9 / (points[-1][0] - points[0][0])

    def _append(self, before_ns: int, after_ns: int, readings: dict[str, Reading], cause: str) -> None:
        for name, column in self._columns.items():
            column.append(readings.get(name) or Reading(channel=name, value=None, error=cause))
        self._before.append(before_ns - self._origin_ns)
        self._after.append(after_ns - self._origin_ns)
        if any(column.value[-1] is None for column in self._columns.values()):
            self._failed += 1
        else:
            self._max_gap_ns = self._gap_ns(self._before[-1])
            self._last_good_ns = self._before[-1]

    def _gap_ns(self, until_ns: int) -> int | None:
        """Return the largest gap between good polls, counting the one that is still open until an instant."""
        if self._last_good_ns is None:
            return None
        return max(self._max_gap_ns or 0, until_ns - self._last_good_ns)

    def _is_out(self, now_ns: int) -> bool:
        since_ns = self._out_since_ns
        return since_ns is not None and now_ns - since_ns > max(3 * self._period_ns, _SILENT_FLOOR_NS)

    def _close(self) -> None:
        with contextlib.suppress(Exception):  # the recording is over; a plug-in's bug in closing may not cost it
            self._sampler.close()


def _snapshot(name: str, before: tuple[int, ...], after: tuple[int, ...], column: _Column) -> Polls:
    stamped = any(stamp is not None for stamp in column.sensor_ns)
    return Polls(
        channel=name,
        before_ns=before,
        after_ns=after,
        value=tuple(column.value),
        sensor_ns=tuple(column.sensor_ns) if stamped else None,
        errors=dict(column.errors),
    )
