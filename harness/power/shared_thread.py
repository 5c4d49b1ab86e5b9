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


_END_S = 0.2
"""The polling thread notices a stop within 0.1 s, unless a read is out."""

_BILL_EVERY = 20
"""The processor time is counted after so many deadlines."""


class SharedThread:
    """Polls tracks of one period, one after the other, until the recorder stops.

    A second thread watches over a read that hangs. The thread's processor time is split among its samplers by how long
    their reads took; the first one bears the watching.
    """

    def __init__(self, tracks: Sequence[Track], clock: "Clock", stop: threading.Event) -> None:
        self._clock = clock
        self._stop = stop
        self._lock = threading.Lock()
        self._tracks = tuple(tracks)
        self._first = self._tracks[0]
        self._slow_reads: dict[Track, int] = {}
        """How many slow reads in a row each track had; those that had none last are not in it."""
        self._turn = 0
        """Counts the threads that polled for us: one that finds another number here has lost the tracks to a newer."""
        self._reading: Track | None = None
        self._start_ns = 0
        self._thread: threading.Thread | None = None

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
            threading.Thread(target=self._close, args=(track,), name=f"power-{track.name}-close", daemon=True).start()

    def _close(self, track: Track) -> None:
        """Close a track once the polling thread has ended, so that all of its time is on the bills, or soon anyway."""
        if self._thread is not None:
            self._thread.join(_END_S)
        track.close()

    def _begin(self) -> None:
        """Start a thread for the tracks that are left; the lock is held."""
        name = "power-" + "-".join(track.name for track in self._tracks)
        self._thread = threading.Thread(target=self._run, args=(self._turn,), name=name, daemon=True)
        self._thread.start()

    def _run(self, turn: int) -> None:
        """Poll until the stop, or until another thread has the tracks; one that hung here is then polled alone."""
        lost = self._poll(turn)
        if lost is not None:
            lost.run(self._stop, self._start_ns)

    def _poll(self, turn: int) -> Track | None:
        """Poll all tracks at each deadline; return the one that was left to this thread, if any was.

        What runs at each deadline stands in this one loop, since cold code costs more than work.
        """
        lock, tracks, cpu_ns = self._lock, self._tracks, time.thread_time_ns()
        took_ns = dict.fromkeys(tracks, 1)
        try:
            for number, _ in enumerate(deadlines(self._clock, self._first.period_ns, self._stop, self._start_ns), 1):
                for track in tracks:
                    with lock:
                        if self._turn != turn:
                            return None
                        self._reading = track
                    read_ns = track.poll()
                    with lock:
                        if self._turn != turn:
                            return track
                        self._reading = None
                    took_ns[track] += read_ns
                    if read_ns > _SLOW_NS or self._slow_reads:
                        self._note(track, read_ns)
                tracks = self._tracks
                if number % _BILL_EVERY == 0:
                    cpu_ns = _bill(took_ns, cpu_ns)
        finally:
            _bill(took_ns, cpu_ns)
        return None

    def _note(self, track: Track, read_ns: int) -> None:
        """Count a slow read, and let a track that had three in a row go to a thread of its own."""
        with self._lock:
            if read_ns <= _SLOW_NS:
                self._slow_reads.pop(track, None)
                return
            self._slow_reads[track] = self._slow_reads.get(track, 0) + 1
            leaves = self._slow_reads[track] >= _SLOW_READS and track in self._tracks and len(self._tracks) > 1
            if leaves:
                self._tracks = tuple(t for t in self._tracks if t is not track)
                self._slow_reads.pop(track)
        if leaves:
            alone = threading.Thread(
                target=track.run, args=(self._stop, self._start_ns), name=f"power-{track.name}", daemon=True
            )
            alone.start()

    def _watch(self) -> None:
        """Look from time to time whether a read hangs; then leave it its thread and go on with the others elsewhere."""
        cpu_ns = time.thread_time_ns()
        while not self._stop.is_set() and len(self._tracks) > 1:
            time.sleep(_WATCH_S)
            stuck = self._reading
            if stuck is not None and stuck.out_ns() > _OUT_NS:
                self._leave_behind(stuck)
            cpu_ns = self._first.charge(cpu_ns)

    def _leave_behind(self, stuck: Track) -> None:
        """Go on with the other tracks in a new thread, unless the read came back meanwhile."""
        with self._lock:
            if self._reading is stuck and stuck.out_ns() > _OUT_NS and len(self._tracks) > 1:
                self._tracks = tuple(t for t in self._tracks if t is not stuck)
                self._reading = None
                self._turn += 1
                self._begin()


def _bill(took_ns: dict[Track, int], since_ns: int) -> int:
    """Split a thread's processor time since an instant of it by how long each track's reads took; return now's."""
    now_ns, every_ns = time.thread_time_ns(), sum(took_ns.values())
    for track, part_ns in took_ns.items():
        track.bill((now_ns - since_ns) * part_ns // every_ns)
        took_ns[track] = 1
    return now_ns
