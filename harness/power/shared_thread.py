"""One thread that polls several samplers at the same deadlines, and lets go of one that keeps the others waiting."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattbench.harness.power.track import Track, deadlines

if TYPE_CHECKING:
    from wattbench.harness.power.recorder import Clock

__all__ = ["SharedThread"]

_SLOW_NS = 5_000_000
_SLOW_READS = 3
"""A sampler whose reads take longer than 5 ms so many times in a row gets a thread of its own."""

_OUT_NS = 100_000_000
_WATCH_S = 0.3
"""A read that is out for 100 ms, looked for every 300 ms, keeps the thread, and the others go on in a new one.

They then miss at most 0.4 s and a period, less than the 0.5 s from which on a gap is a doubt.
"""


class SharedThread:
    """Polls tracks of one period, one after the other, until the recorder stops.

    A second thread watches over a read that hangs. Each sampler is charged with the processor time since the one before
    it; the first one so bears the waking up, and the watching.
    """

    def __init__(self, tracks: Sequence[Track], clock: "Clock", stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._tracks = tuple(tracks)
        self._first = self._tracks[0]
        self._slow_reads = dict.fromkeys(self._tracks, 0)
        self._turn = 0
        """Counts the threads that polled for us: one that finds another number here has lost the tracks to a newer."""
        self._reading: Track | None = None
        self._start_ns = 0

    def start(self) -> None:
        """Start polling and watching; may be called once."""
        self._start_ns = self._clock.now_ns()
        with self._lock:
            self._begin()
        threading.Thread(target=self._watch, name="power-watch", daemon=True).start()

    def disband(self) -> None:
        """End polling after the stop: every track but the one that is being read is closed, each by its own thread."""
        with self._lock:
            idle, self._tracks = tuple(t for t in self._tracks if t is not self._reading), ()
            self._turn += 1
        for track in idle:
            threading.Thread(target=track.close, name=f"power-{track.name}-close", daemon=True).start()

    def _begin(self) -> None:
        """Start a thread for the tracks that are left; the lock is held."""
        name = "power-" + "-".join(track.name for track in self._tracks)
        threading.Thread(target=self._run, args=(self._turn,), name=name, daemon=True).start()

    def _run(self, turn: int) -> None:
        cpu_ns = time.thread_time_ns()
        for _ in deadlines(self._clock, self._first.period_ns, self._stop, self._start_ns):
            for track in self._tracks:
                if not self._take(track, turn):
                    return
                took_ns = track.poll()
                cpu_ns = track.charge(cpu_ns)
                if not self._give_back(track, turn, took_ns):
                    track.run(self._stop, self._start_ns)
                    return

    def _take(self, track: Track, turn: int) -> bool:
        """Mark a track as being read; return whether this thread still polls for us."""
        with self._lock:
            if self._turn == turn:
                self._reading = track
            return self._turn == turn

    def _give_back(self, track: Track, turn: int, took_ns: int) -> bool:
        """Note that a read is back and let a slow track go; return whether this thread still polls for us."""
        with self._lock:
            if self._turn != turn:
                return False
            self._reading = None
            self._slow_reads[track] = self._slow_reads[track] + 1 if took_ns > _SLOW_NS else 0
            leaves = self._slow_reads[track] >= _SLOW_READS and len(self._tracks) > 1
            if leaves:
                self._tracks = tuple(t for t in self._tracks if t is not track)
        if leaves:
            alone = threading.Thread(
                target=track.run, args=(self._stop, self._start_ns), name=f"power-{track.name}", daemon=True
            )
            alone.start()
        return True

    def _watch(self) -> None:
        """Look from time to time whether a read hangs; then leave it its thread and go on with the others elsewhere."""
        cpu_ns = time.thread_time_ns()
        while not self._stop.is_set() and len(self._tracks) > 1:
            time.sleep(_WATCH_S)
            with self._lock:
                stuck = self._reading
                if stuck is not None and stuck.out_ns() > _OUT_NS and len(self._tracks) > 1:
                    self._tracks = tuple(t for t in self._tracks if t is not stuck)
                    self._reading = None
                    self._turn += 1
                    self._begin()
            cpu_ns = self._first.charge(cpu_ns)
