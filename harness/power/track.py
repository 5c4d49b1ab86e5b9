"""The log of one sampler: its poll loop, its columns of raw polls, and how well it was read."""

import contextlib
import math
import threading
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from wattbench.harness.power.contract import Paced, Reading, Sampler
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
        for reading in readings:
            self._append(reading)
            self.before_ns.append(before_ns)
            self.after_ns.append(after_ns)
            self.taken_ns.append(None if reading.taken_ns is None else reading.taken_ns - origin_ns)
        return all(v is not None for v in self.value[len(self.value) - len(readings) :])

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

    def _append(self, reading: Reading) -> None:
        """Log one value; one that is no finite number is logged as missing, with that as the cause."""
        value, error = reading.value, reading.error
        if value is None:
            error = error or "the sampler gave no value and no cause"
        elif not math.isfinite(value):
            value, error = None, f"the sampler gave {value}"
        if error is not None:
            self.errors[str(len(self.value))] = error
        self.value.append(value)
        self.sensor_ns.append(None if reading.sensor_ns is None else self._since_origin_ns(reading.sensor_ns))

    def _since_origin_ns(self, sensor_ns: int) -> int:
        """Return a stamp of the source's clock as ns since the us of its first one."""
        if self.sensor_origin_us is None:
            self.sensor_origin_us = sensor_ns // 1000
        return sensor_ns - 1000 * self.sensor_origin_us


class Track:
    """One sampler's poll loop and log. `run` belongs to one thread; everything else may be called from any."""

    def __init__(self, sampler: Sampler, rate_hz: float, clock: "Clock", origin_ns: int) -> None:
        self.name = sampler.name
        self.channels: tuple[ChannelRecord, ...] = sampler.channels
        self._sampler = sampler
        require(math.isfinite(rate_hz) and rate_hz > 0, f"a rate of polls is a positive number, not {rate_hz}")
        self._rate_hz = min(rate_hz, 1 / sampler.poll_period_s) if isinstance(sampler, Paced) else rate_hz
        self._period_ns = round(min(max(1e9 / self._rate_hz, _SHORTEST_NS), _LONGEST_NS))
        self._clock = clock
        self._origin_ns = origin_ns
        self._lock = threading.Lock()
        self._columns = {c.id: _Column(buffered=c.buffered) for c in self.channels}
        self._first_ns = self._last_ns = 0
        self._count = self._failed = 0
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
            readings = self._sampler.read()
            cause = "the sampler left this channel out"
        except WattbenchError as exc:
            readings, cause = None, f"{exc.what}: {exc.why}" if exc.why else exc.what
        except Exception as exc:  # noqa: BLE001 - a plug-in's bug is logged as a failed read, the recording goes on
            readings, cause = None, f"{type(exc).__name__}: {exc}"
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
            return tuple(column.snapshot(name) for name, column in self._columns.items())

    def health(self) -> RecorderHealth:
        """Return the rate reached, the largest gap between good polls, the share of one core, and the failures."""
        now_ns = self._clock.now_ns() - self._origin_ns
        with self._lock:
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
            points = self._columns[channel.id].since(since_ns)
        if channel.kind != "counter":
            return math.fsum(v for _, v in points) / len(points) if points else None
        if len(points) < 2 or points[-1][1] < points[0][1]:
            return None
        return (points[-1][1] - points[0][1]) * 1e9 / (points[-1][0] - points[0][0])

    def _append(self, before_ns: int, after_ns: int, readings: tuple[Reading, ...] | None, cause: str) -> None:
        """Log a read (None: it failed as a whole); a channel that it left out failed, unless it is buffered."""
        before, after, good = before_ns - self._origin_ns, after_ns - self._origin_ns, True
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
        return since_ns is not None and now_ns - since_ns > max(3 * self._period_ns, _SILENT_FLOOR_NS)

    def _close(self) -> None:
        with contextlib.suppress(Exception):  # the recording is over; a plug-in's bug in closing may not cost it
            self._sampler.close()
