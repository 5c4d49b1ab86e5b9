"""The log of one sampler: its polls, their columns, and how well it was read."""

import contextlib
import math
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wattbench.harness.power.contract import Deferring, Paced, Reading, Sampler
from wattbench.results.checks import require
from wattbench.results.energy import ChannelRecord, Polls, RecorderHealth
from wattbench.results.errors import WattbenchError

if TYPE_CHECKING:
    from wattbench.harness.power.recorder import Clock

__all__ = ["Track", "deadlines"]

_SILENT_FLOOR_NS = 1_000_000_000
"""A read that is out for longer than this (and 3 periods) makes its sampler silent."""

_LATEST_NS = 1_000_000_000

_SHORTEST_NS = 1_000_000
"""No sensor that we know is updated faster than every millisecond (RAPL), so faster polls only cost."""

_LONGEST_NS = 3_600_000_000_000

_BATCH = 20

_LEFT_OUT = "the sampler left this channel out"


def deadlines(clock: "Clock", period_ns: int, stop: threading.Event, start_ns: int | None = None) -> Iterator[int]:
    """Wait for each instant start + n x period until the stop, and yield it; of those that were missed, the last."""
    start_ns = clock.now_ns() if start_ns is None else start_ns
    n = (clock.now_ns() - start_ns) // period_ns
    while not clock.wait_until(start_ns + n * period_ns, stop):
        yield start_ns + n * period_ns
        n = max(n + 1, (clock.now_ns() - start_ns) // period_ns + 1)


class _Column:
    """The growing columns of one channel; all times count from the log's origin."""

    def __init__(self, *, buffered: bool) -> None:
        self.buffered = buffered
        self.before_ns: list[int] = []
        self.after_ns: list[int] = []
        self.value: list[float | None] = []
        self.sensor_ns: list[int | None] = []
        self.sensor_origin_us: int | None = None
        self.taken_ns: list[int | None] = []
        self.errors: dict[str, str] = {}

    def log(self, before_ns: int, after_ns: int, origin_ns: int, readings: list[Reading]) -> bool:
        """Log what one read brought and return whether all of it is good."""
        good = True
        for reading in readings:
            good = self._append(reading) and good
            self.before_ns.append(before_ns)
            self.after_ns.append(after_ns)
            self.taken_ns.append(None if reading.taken_ns is None else reading.taken_ns - origin_ns)
        return good

    def since(self, since_ns: int) -> list[tuple[int, float]]:
        """Return the good values read since an instant, with the instants."""
        first = bisect_left(self.before_ns, since_ns)
        rows = zip(self.taken_ns[first:], self.before_ns[first:], self.value[first:], strict=True)
        return [(read_ns if taken_ns is None else taken_ns, v) for taken_ns, read_ns, v in rows if v is not None]

    def snapshot(self, name: str) -> Polls:
        """Return a copy of the columns; those that no value has are left out."""
        stamped, taken = (any(t is not None for t in column) for column in (self.sensor_ns, self.taken_ns))
        return Polls(
            channel=name,
            before_ns=tuple(self.before_ns),
            after_ns=tuple(self.after_ns),
            value=tuple(self.value),
            sensor_ns=tuple(self.sensor_ns) if stamped else None,
            errors=dict(self.errors),
            taken_ns=tuple(self.taken_ns) if taken else None,
            sensor_origin_us=self.sensor_origin_us,
        )

    def _append(self, reading: Reading) -> bool:
        """Log one value; one that is no finite number is logged as missing, with that as the cause, and is not good."""
        value, error = reading.value, reading.error
        if value is None:
            error = error or "the sampler gave no value and no cause"
        elif not math.isfinite(value):
            value, error = None, f"the sampler gave {value}"
        if error is not None:
            self.errors[str(len(self.value))] = error
        self.value.append(value)
        self.sensor_ns.append(None if reading.sensor_ns is None else self._since_origin_ns(reading.sensor_ns))
        return value is not None

    def _since_origin_ns(self, sensor_ns: int) -> int:
        """Return a stamp of the source's clock as ns since the us of its first one."""
        if self.sensor_origin_us is None:
            self.sensor_origin_us = sensor_ns // 1000
        return sensor_ns - 1000 * self.sensor_origin_us


_Read = tuple[int, int, Any, str]  # any: the readings, or what a Deferring sampler will make them of
"""What one read brought, as it came: the instants before and after, the readings (None: it failed), the cause."""


class Track:
    """One sampler's polls and log. Polling belongs to one thread at a time; everything else may be called from any.

    What a read brings is kept as it came, and sorted into the columns 20 reads at a time or when someone asks: after
    the sleep between two polls the caches are cold, and every line of code costs ten times what it costs in a loop.
    """

    def __init__(self, sampler: Sampler, rate_hz: float, clock: "Clock", origin_ns: int) -> None:
        self.name = sampler.name
        self.channels: tuple[ChannelRecord, ...] = sampler.channels
        self._sampler = sampler
        require(math.isfinite(rate_hz) and rate_hz > 0, f"a rate of polls is a positive number, not {rate_hz}")
        self._rate_hz = min(rate_hz, 1 / sampler.poll_period_s) if isinstance(sampler, Paced) else rate_hz
        self.period_ns = round(min(max(1e9 / self._rate_hz, _SHORTEST_NS), _LONGEST_NS))
        self._clock = clock
        self._origin_ns = origin_ns
        self._lock = threading.Lock()
        self._deferring = sampler if isinstance(sampler, Deferring) else None
        self._look = sampler.read if self._deferring is None else self._deferring.look
        self._reads: list[_Read] = []
        self._columns = {c.id: _Column(buffered=c.buffered) for c in self.channels}
        self._first_ns = self._last_ns = 0
        self._count = self._failed = 0
        self._last_good_ns: int | None = None
        self._max_gap_ns: int | None = None
        self._cpu_ns = 0
        self._out_since_ns: int | None = None
        self._sealed = False
        self._hung = False
        self.ended = threading.Event()
        """Set when the sampler is closed and nothing polls it any more."""

    @property
    def paced(self) -> bool:
        """Return whether the sampler asks for a pace of its own, as what lies behind a network does."""
        return isinstance(self._sampler, Paced)

    def run(self, stop: threading.Event, start_ns: int | None = None) -> None:
        """Poll alone at every deadline, counted from `start_ns` or now, until the stop; then close the sampler."""
        cpu_ns = time.thread_time_ns()
        for _ in deadlines(self._clock, self.period_ns, stop, start_ns):
            self.poll()
            cpu_ns = self.charge(cpu_ns)
        self.close()

    def poll(self) -> int:
        """Read the sampler once and log what came, or why nothing did; return how long the read took, in ns."""
        before_ns = self._clock.now_ns()
        self._out_since_ns = before_ns
        try:
            seen, cause = self._look(), _LEFT_OUT
        except Exception as exc:  # noqa: BLE001 - a plug-in's bug is logged as a failed read, the recording goes on
            seen, cause = None, _cause(exc)
        after_ns = self._clock.now_ns()
        self._out_since_ns = None
        with self._lock:
            if not self._sealed:
                self._reads.append((before_ns, after_ns, seen, cause))
                if len(self._reads) >= _BATCH:
                    self._sort_in()
        return after_ns - before_ns

    def charge(self, since_ns: int) -> int:
        """Put the processor time that this thread took since an instant of it on the sampler's bill; return now's."""
        now_ns = time.thread_time_ns()
        with self._lock:
            self._cpu_ns += now_ns - since_ns
        return now_ns

    def out_ns(self) -> int:
        """Return for how long the read that is under way has been out, 0 when there is none."""
        since_ns = self._out_since_ns
        return 0 if since_ns is None else self._clock.now_ns() - since_ns

    def close(self) -> None:
        """Close the sampler: polling has ended."""
        with contextlib.suppress(Exception):  # the recording is over; a plug-in's bug in closing may not cost it
            self._sampler.close()
        self.ended.set()

    def seal(self, *, hung: bool) -> None:
        """Close the log: a read that comes back later is not logged any more."""
        with self._lock:
            self._sort_in()
            self._hung = self._hung or hung
            self._sealed = True

    def polls(self) -> tuple[Polls, ...]:
        """Return a snapshot of the log, one record per channel."""
        with self._lock:
            self._sort_in()
            return tuple(column.snapshot(name) for name, column in self._columns.items())

    def health(self) -> RecorderHealth:
        """Return the rate reached, the largest gap between good polls, the share of one core, and the failures."""
        now_ns = self._clock.now_ns() - self._origin_ns
        with self._lock:
            self._sort_in()
            count, failed = self._count, self._failed
            first, last = self._first_ns, self._last_ns
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
            self._sort_in()
            points = self._columns[channel.id].since(since_ns)
        if channel.kind != "counter":
            return math.fsum(v for _, v in points) / len(points) if points else None
        if len(points) < 2 or points[-1][1] < points[0][1]:
            return None
        return (points[-1][1] - points[0][1]) * 1e9 / (points[-1][0] - points[0][0])

    def _sort_in(self) -> None:
        """Log the reads that lie waiting; the lock is held."""
        for read in self._reads:
            self._log(read)
        self._reads.clear()

    def _log(self, read: _Read) -> None:
        """Log a read; a channel that it left out failed, unless it is buffered."""
        before_ns, after_ns, readings, cause = read
        before, after, good = before_ns - self._origin_ns, after_ns - self._origin_ns, True
        if self._deferring is not None and readings is not None:
            try:
                readings = self._deferring.readings(readings)
            except Exception as exc:  # noqa: BLE001 - as for a read
                readings, cause = None, _cause(exc)
        for name, column in self._columns.items():
            own = [r for r in readings or () if r.channel == name]
            if not own and (readings is None or not column.buffered):
                own = [Reading(channel=name, value=None, error=cause)]
            good = column.log(before, after, self._origin_ns, own if column.buffered else own[-1:]) and good
        self._first_ns = before if self._count == 0 else self._first_ns
        self._last_ns = before
        self._count += 1
        if good:
            self._max_gap_ns = self._gap_ns(before)
            self._last_good_ns = before
        else:
            self._failed += 1

    def _gap_ns(self, until_ns: int) -> int | None:
        """Return the largest gap between good polls, counting the one that is still open until an instant."""
        if self._last_good_ns is None:
            return None
        return max(self._max_gap_ns or 0, until_ns - self._last_good_ns)

    def _is_out(self, now_ns: int) -> bool:
        since_ns = self._out_since_ns
        return since_ns is not None and now_ns - since_ns > max(3 * self.period_ns, _SILENT_FLOOR_NS)


def _cause(exc: Exception) -> str:
    """Return why a read failed as a whole, in one line."""
    if isinstance(exc, WattbenchError):
        return f"{exc.what}: {exc.why}" if exc.why else exc.what
    return f"{type(exc).__name__}: {exc}"
