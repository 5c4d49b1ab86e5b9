"""The recorder: polls every sampler at fixed deadlines in threads of its own, and logs each poll."""

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from wattbench.harness.power.contract import Sampler
from wattbench.harness.power.shared_thread import SharedThread
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

    now_ns = staticmethod(time.perf_counter_ns)

    def wait_until(self, deadline_ns: int, stop: threading.Event) -> bool:
        """Wait for the deadline or the stop, whichever comes first; return whether to stop.

        Sleeps in slices instead of waiting for the event: a timed wait on it costs twice the CPU time of a sleep.
        """
        while (left_s := (deadline_ns - time.perf_counter_ns()) / 1e9) > 0:
            time.sleep(min(left_s, _SLICE_S))
            if stop.is_set():
                return True
        return stop.is_set()


class Recorder:
    """Polls samplers at `rate_hz` in daemon threads, so that a slow or hanging one stalls no other.

    Samplers of one pace that answer at once share a thread, for waking up costs more than reading them (`SharedThread`
    tells what happens when one of them turns slow); those with a pace of their own (`Paced`) never do.

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
        alike = tuple(track for track in self._tracks if not track.paced)
        self._shared = SharedThread(alike, self._clock, self._stop) if len(alike) > 1 else None
        self._started = False

    @property
    def channels(self) -> tuple[ChannelRecord, ...]:
        """Return every channel that is recorded, in the samplers' order."""
        return tuple(channel for track in self._tracks for channel in track.channels)

    def start(self) -> None:
        """Start polling; may be called once."""
        self._started = True
        if self._shared is not None:
            self._shared.start()
        for track in self._tracks:
            if self._shared is None or track.paced:
                threading.Thread(target=track.run, args=(self._stop,), name=f"power-{track.name}", daemon=True).start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop polling and wait at most `timeout_s` in all; a sampler that hangs is left behind and marked silent.

        Each sampler is closed by a thread of ours, so that closing cannot hang the caller either. Calling it twice,
        or without a start, does nothing.
        """
        self._stop.set()
        if self._started and self._shared is not None:
            self._shared.disband()
        end_s = time.monotonic() + timeout_s
        for track in self._tracks:
            ended = not self._started or track.ended.wait(max(end_s - time.monotonic(), 0.0))
            track.seal(hung=not ended)

    def polls(self) -> tuple[Polls, ...]:
        """Return a snapshot of every poll of every channel so far."""
        return tuple(polls for track in self._tracks for polls in track.polls())

    def drain(self) -> tuple[Polls, ...]:
        """Return the polls since the last call and forget them, so that a log without an end needs no memory."""
        return tuple(polls for track in self._tracks for polls in track.drain())

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
