"""The recorder: polls every sampler at fixed deadlines in a thread of its own, and logs each poll."""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from wattbench.harness.power.contract import Sampler
from wattbench.harness.power.track import Track
from wattbench.results.energy import ChannelRecord, Polls, RecorderHealth

__all__ = ["Clock", "MonotonicClock", "Recorder"]


_SLICE_S = 0.1
"""The longest sleep: how long a stop may take to be noticed."""


class Clock(Protocol):
    """The recorder's clock; tests turn one by hand."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        ...

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Wait for the deadline or the stop, whichever comes first; return whether to stop."""
        ...


class MonotonicClock:
    """The run's clock: `time.perf_counter_ns`, the same for every process of the machine."""

    def now_ns(self) -> int:
        """Return the monotonic time in nanoseconds."""
        return time.perf_counter_ns()

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Wait for the deadline or the stop, whichever comes first; return whether to stop.

        Sleeps in slices instead of waiting for the event: a timed wait on it costs twice the CPU time of a sleep.
        """
        while not stop.is_set() and (left_s := (deadline_ns - time.perf_counter_ns()) / 1e9) > 0:
            time.sleep(min(left_s, _SLICE_S))
        return stop.is_set()


class Recorder:
    """Polls samplers at `rate_hz`, one daemon thread each, so that a slow or hanging one stalls no other.

    Deadlines are absolute (t0 + n/rate, at most 1000 a second); one that was missed is skipped, never made up in a
    burst. Times are logged relative to `origin_ns`. All methods may be called from any thread, at any time. Raises
    ValueError for a rate that is not a positive number.
    """

    def __init__(
        self, samplers: Sequence[Sampler], rate_hz: float, *, clock: Clock | None = None, origin_ns: int = 0
    ) -> None:
        self._clock: Clock = MonotonicClock() if clock is None else clock
        self._stop = threading.Event()
        self._tracks = tuple(Track(sampler, rate_hz, self._clock, origin_ns) for sampler in samplers)
        self._threads = tuple(
            threading.Thread(target=t.run, args=(self._stop,), name=f"power-{t.name}", daemon=True)
            for t in self._tracks
        )

    @property
    def channels(self) -> tuple[ChannelRecord, ...]:
        """Return every channel that is recorded, in the samplers' order."""
        return tuple(channel for track in self._tracks for channel in track.channels)

    def start(self) -> None:
        """Start polling; may be called once."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop polling and wait at most `timeout_s` in all; a sampler that hangs is left behind and marked silent.

        Each thread closes its sampler when it ends, so that closing cannot hang the caller either. Calling it twice,
        or without a start, does nothing.
        """
        self._stop.set()
        end_s = time.monotonic() + timeout_s
        for track, thread in zip(self._tracks, self._threads, strict=True):
            if thread.ident is not None:
                thread.join(max(end_s - time.monotonic(), 0.0))
            track.seal(hung=thread.is_alive())

    def polls(self) -> tuple[Polls, ...]:
        """Return a snapshot of every poll of every channel so far."""
        return tuple(polls for track in self._tracks for polls in track.polls())

    def health(self) -> tuple[RecorderHealth, ...]:
        """Return how well each sampler has been read so far."""
        return tuple(track.health() for track in self._tracks)

    def latest_w(self, channels: Sequence[ChannelRecord] | None = None) -> float | None:
        """Return the mean power of the last second for a progress display, in watts, or None.

        Of the first of `channels` (None: all) with a known scope that gives one: power before counters.
        """
        asked = self.channels if channels is None else channels
        ordered = sorted(asked, key=lambda c: (c.scope == "other", c.kind == "counter"))
        latest = (track.latest_w(c) for c in ordered for track in self._tracks if c in track.channels)
        return next((watts for watts in latest if watts is not None), None)
