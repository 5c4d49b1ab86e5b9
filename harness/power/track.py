"""The log of one sampler: its polls, their columns, and how well it was read."""

import contextlib
import math
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from wattbench.harness.power.contract import Batching, Block, Deferring, Paced, Reading, Sampler
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

_BATCH = 100
"""So many reads are sorted into the log at once, and so often the processor time of a lone sampler is counted."""

_LEFT_OUT = "the sampler left this channel out"


def deadlines(clock: "Clock", period_ns: int, stop: threading.Event, start_ns: int | None = None) -> Iterator[int]:
    """Wait for each instant start + n x period until the stop, and yield it; of those that were missed, the last."""
    now_ns, wait_until = clock.now_ns, clock.wait_until
    start_ns = now_ns() if start_ns is None else start_ns
    n = (now_ns() - start_ns) // period_ns
    while not wait_until(deadline_ns := start_ns + n * period_ns, stop):
        yield deadline_ns
        n = max(n, (now_ns() - start_ns) // period_ns) + 1


class _Times:
    """When each read of a sampler began and came back, from the log's origin: one list for all of its channels."""

    def __init__(self) -> None:
        self.before_ns: list[int] = []
        self.after_ns: list[int] = []

    def append(self, before_ns: int, after_ns: int) -> None:
        """Log one more read, or one more value of it."""
        self.before_ns.append(before_ns)
        self.after_ns.append(after_ns)


class _Column:
    """The growing columns of one channel; all times count from the log's origin.

    A channel that gives one value a read shares the list of its times with the others; a buffered one has its own.
    """

    def __init__(self, times: _Times, *, buffered: bool) -> None:
        self.buffered = buffered
        self.times = times
        self.value: list[float | None] = []
        self.sensor_ns: list[int | None] = []
        self.sensor_origin_us: int | None = None
        self.taken_ns: list[int | None] = []
        self.errors: dict[str, str] = {}

    def append(self, reading: Reading) -> bool:
        """Log one value; one that is no finite number is logged as missing, with that as the cause, and is not good."""
        value, sensor_ns = reading.value, reading.sensor_ns
        good = value is not None and math.isfinite(value)
        if not good or reading.error is not None:
            self.errors[str(len(self.value))] = _error(reading)
        self.value.append(value if good else None)
        if sensor_ns is not None:
            if self.sensor_origin_us is None:
                self.sensor_origin_us = sensor_ns // 1000
            sensor_ns -= 1000 * self.sensor_origin_us
        self.sensor_ns.append(sensor_ns)
        return good

    def extend(self, values: list[float], stamps_ns: list[int | None] | None) -> None:
        """Log good values of many reads, with the source's stamps where it gives any."""
        self.value.extend(values)
        if stamps_ns is None:
            self.sensor_ns.extend([None] * len(values))
            return
        if self.sensor_origin_us is None:
            self.sensor_origin_us = next((ns // 1000 for ns in stamps_ns if ns is not None), None)
        origin_ns = 1000 * (self.sensor_origin_us or 0)
        self.sensor_ns.extend([None if ns is None else ns - origin_ns for ns in stamps_ns])

    def log_buffered(self, before_ns: int, after_ns: int, origin_ns: int, readings: list[Reading]) -> bool:
        """Log what one read of a buffered channel brought and return whether all of it is good."""
        good = True
        for reading in readings:
            good = self.append(reading) and good
            self.times.append(before_ns, after_ns)
            self.taken_ns.append(None if reading.taken_ns is None else reading.taken_ns - origin_ns)
        return good

    def since(self, since_ns: int) -> list[tuple[int, float]]:
        """Return the good values read since an instant, with the instants."""
        before_ns = self.times.before_ns
        first = bisect_left(before_ns, since_ns)
        taken = self.taken_ns[first:] or [None] * (len(self.value) - first)
        rows = zip(taken, before_ns[first:], self.value[first:], strict=True)
        return [(read_ns if taken_ns is None else taken_ns, v) for taken_ns, read_ns, v in rows if v is not None]

    def clear(self) -> None:
        """Forget every row, and the times of it, which several columns may share."""
        for rows in (self.value, self.sensor_ns, self.taken_ns, self.errors):
            rows.clear()
        self.times.before_ns.clear()
        self.times.after_ns.clear()

    def snapshot(self, name: str) -> Polls:
        """Return a copy of the columns; those that no value has are left out."""
        stamped, taken = (any(t is not None for t in column) for column in (self.sensor_ns, self.taken_ns))
        return Polls(
            channel=name,
            before_ns=tuple(self.times.before_ns),
            after_ns=tuple(self.times.after_ns),
            value=tuple(self.value),
            sensor_ns=tuple(self.sensor_ns) if stamped else None,
            errors=dict(self.errors),
            taken_ns=tuple(self.taken_ns) if taken else None,
            sensor_origin_us=self.sensor_origin_us,
        )


_Read = tuple[int, int, Any, str]  # any: the readings, or what a Deferring sampler will make them of
"""What one read brought, as it came: the instants before and after, the readings (None: it failed), the cause."""


class Track:
    """One sampler's polls and log. Polling belongs to one thread at a time; everything else may be called from any.

    What a read brings is kept as it came, and sorted into the columns 100 reads at a time or when someone asks: after
    the sleep between two polls the caches are cold, and every line of code costs ten times what it costs in a loop.
    For the same reason a poll takes no lock: what it saw waits in a queue.
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
        self._batching = sampler if isinstance(sampler, Batching) else None
        self._look = sampler.read if self._deferring is None else self._deferring.look
        self._now_ns = clock.now_ns
        self._reads: deque[_Read] = deque()
        self._times = _Times()
        self._columns = {
            c.id: _Column(_Times() if c.buffered else self._times, buffered=c.buffered) for c in self.channels
        }
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
        for number, _ in enumerate(deadlines(self._clock, self.period_ns, stop, start_ns), 1):
            self.poll()
            if number % _BATCH == 0:
                cpu_ns = self.charge(cpu_ns)
        self.charge(cpu_ns)
        self.close()

    def poll(self) -> int:
        """Read the sampler once and log what came, or why nothing did; return how long the read took, in ns."""
        before_ns = self._out_since_ns = self._now_ns()
        try:
            seen, cause = self._look(), _LEFT_OUT
        except Exception as exc:  # noqa: BLE001 - a plug-in's bug is logged as a failed read, the recording goes on
            seen, cause = None, _cause(exc)
        after_ns = self._now_ns()
        self._out_since_ns = None
        self._reads.append((before_ns, after_ns, seen, cause))
        if len(self._reads) >= _BATCH:
            with self._lock:
                self._sort_in()
        return after_ns - before_ns

    def charge(self, since_ns: int) -> int:
        """Put the processor time that this thread took since an instant of it on the sampler's bill; return now's."""
        now_ns = time.thread_time_ns()
        self.bill(now_ns - since_ns)
        return now_ns

    def bill(self, cpu_ns: int) -> None:
        """Put processor time on the sampler's bill."""
        with self._lock:
            self._cpu_ns += cpu_ns

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

    def drain(self) -> tuple[Polls, ...]:
        """Return the log since the last call and forget it, for whoever keeps it elsewhere; health goes on counting."""
        with self._lock:
            self._sort_in()
            polls = tuple(column.snapshot(name) for name, column in self._columns.items())
            for column in self._columns.values():
                column.clear()
        return polls

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
        """Log the reads that lie waiting, unless the log is closed; the lock is held."""
        reads = []
        while self._reads:
            reads.append(self._reads.popleft())
        if reads and not self._sealed and not self._log_block(reads):
            for read in reads:
                self._log(read)

    def _log_block(self, reads: list[_Read]) -> bool:
        """Log many reads at once, if the sampler can do that and every value of all of them is good; say whether."""
        if self._batching is None or any(seen is None for _, _, seen, _ in reads):
            return False
        try:
            block = self._batching.block([seen for _, _, seen, _ in reads])
        except Exception:  # noqa: BLE001 - whatever is wrong is told one by one
            return False
        if block is None or not _is_whole(block, self.channels, len(reads)):
            return False
        times = [(before_ns - self._origin_ns, after_ns - self._origin_ns) for before_ns, after_ns, _, _ in reads]
        for name, values in block.values.items():
            self._columns[name].extend(values, block.stamps_ns.get(name))
        for number, readings in block.samples:
            for name in dict.fromkeys(r.channel for r in readings):
                own = [r for r in readings if r.channel == name]
                self._columns[name].log_buffered(*times[number], self._origin_ns, own)
        for before, after in times:
            self._times.append(before, after)
            self._count_read(before, good=True)
        return True

    def _log(self, read: _Read) -> None:
        """Log a read; a channel that it left out failed, unless it is buffered."""
        before_ns, after_ns, readings, cause = read
        before, after = before_ns - self._origin_ns, after_ns - self._origin_ns
        if self._deferring is not None and readings is not None:
            try:
                readings = self._deferring.readings(readings)
            except Exception as exc:  # noqa: BLE001 - as for a read
                readings, cause = None, _cause(exc)
        good = self._log_readings(before, after, readings, cause)
        self._times.append(before, after)
        self._count_read(before, good=good)

    def _count_read(self, before: int, *, good: bool) -> None:
        """Count one more read for the sampler's health."""
        self._first_ns = before if self._count == 0 else self._first_ns
        self._last_ns = before
        self._count += 1
        if good:
            self._max_gap_ns = self._gap_ns(before)
            self._last_good_ns = before
        else:
            self._failed += 1

    def _log_readings(self, before: int, after: int, readings: Sequence[Reading] | None, cause: str) -> bool:
        """Put the readings of one read (None: it failed) into their columns; return whether all are good."""
        last = {reading.channel: reading for reading in readings or ()}
        good = True
        for name, column in self._columns.items():
            reading = last.get(name)
            if reading is None and (readings is None or not column.buffered):
                reading = Reading(channel=name, value=None, error=cause)
            if not column.buffered:
                assert reading is not None
                good = column.append(reading) and good
            elif reading is not None:
                own = [r for r in readings or (reading,) if r.channel == name]
                good = column.log_buffered(before, after, self._origin_ns, own) and good
        return good

    def _gap_ns(self, until_ns: int) -> int | None:
        """Return the largest gap between good polls, counting the one that is still open until an instant."""
        if self._last_good_ns is None:
            return None
        return max(self._max_gap_ns or 0, until_ns - self._last_good_ns)

    def _is_out(self, now_ns: int) -> bool:
        since_ns = self._out_since_ns
        return since_ns is not None and now_ns - since_ns > max(3 * self.period_ns, _SILENT_FLOOR_NS)


def _is_whole(block: Block, channels: Sequence[ChannelRecord], count: int) -> bool:
    """Return whether a block has a good value of every read for each channel, and good samples of no other."""
    single = {c.id for c in channels if not c.buffered}
    values = block.values.values()
    samples = [reading for _, readings in block.samples for reading in readings]
    return (
        block.values.keys() == single
        and all(len(column) == count and all(map(math.isfinite, column)) for column in values)
        and all(r.value is not None and r.error is None and math.isfinite(r.value) for r in samples)
        and {r.channel for r in samples} <= {c.id for c in channels if c.buffered}
    )


def _error(reading: Reading) -> str:
    """Return why a value is missing, or what its sampler says beside a good one."""
    if reading.value is not None and not math.isfinite(reading.value):
        return f"the sampler gave {reading.value}"
    return reading.error or "the sampler gave no value and no cause"


def _cause(exc: Exception) -> str:
    """Return why a read failed as a whole, in one line."""
    if isinstance(exc, WattbenchError):
        return f"{exc.what}: {exc.why}" if exc.why else exc.what
    return f"{type(exc).__name__}: {exc}"
