"""The replay sampler: a recorded power trace, played again from the first read on."""

import time
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.replay_file import Recording, Trace, read_recording
from wattbench.results.errors import UsageError

__all__ = ["ReplaySampler"]


class ReplaySampler:
    """Shows at every read what the recorded sensor showed that long after the recording's start.

    Values are held until the next recorded one, as a sensor holds its reading; nothing is interpolated. After its end
    the recording starts again (counters go on counting), since holding the last value would make up watts that nobody
    recorded. That it loops stands in the channel's basis.
    """

    name = "replay"

    def __init__(self, options: SamplerOptions, *, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._path = None if options.argument is None else Path(options.argument)
        self._covers = options.covers
        self._now_ns = now_ns
        self._start_ns: int | None = None
        self._traces: tuple[tuple[str, Trace], ...] = ()
        self._length_s = 0.0
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Read the file; without one the replay is absent: it runs only on request."""
        self.close()
        if self._path is None:
            remedy = "Name a recording: --power replay:FILE (docs/power.md#replay shows the format)."
            return Availability(state="absent", reason="a replay is no sensor; it runs only on request", remedy=remedy)
        try:
            recording = read_recording(self._path)
        except UsageError as exc:
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=exc.remedy)
        self.channels = tuple(_channel(t, recording, self._path, self._covers) for t in recording.traces)
        self._traces = tuple((c.id, t) for c, t in zip(self.channels, recording.traces, strict=True))
        length_s = self._length_s = recording.length_s
        facts = {"file": self._path.name, "sha256": recording.sha256, "length_s": f"{length_s:g}"}
        return Availability(state="present", reason=f"{self._path.name}, {length_s:g} s, then again", facts=facts)

    def read(self) -> tuple[Reading, ...]:
        """Return what each trace shows now, in W or J."""
        now_ns = self._now_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        elapsed_s = (now_ns - self._start_ns) / 1e9
        loops, within_s = divmod(elapsed_s, self._length_s) if self._length_s > 0 else (0.0, 0.0)
        return tuple(Reading(channel=name, value=_shown(trace, loops, within_s)) for name, trace in self._traces)

    def close(self) -> None:
        """Forget the recording and when it began."""
        self._traces = ()
        self._start_ns = None


def _shown(trace: Trace, loops: float, within_s: float) -> float:
    """Return the recorded value that was in force at a time of the recording, after so many whole ones before."""
    value = trace.values[bisect_right(trace.times_s, within_s) - 1]
    return value if trace.kind == "power" else value + loops * (trace.values[-1] - trace.values[0])


def _channel(trace: Trace, recording: Recording, path: Path, covers: str | None) -> ChannelRecord:
    played = f"replayed from {path.name} (sha256 {recording.sha256[:12]}), looping after {recording.length_s:g} s"
    facts = recording.facts
    wraps_at_j = facts.get("wraps_at_j") if trace.kind == "counter" else None
    return ChannelRecord(
        id=f"replay:{trace.scope}",
        sampler="replay",
        group=f"replay:{trace.scope}",
        scope=trace.scope,
        kind=trace.kind,
        provenance="replayed",
        unit="J" if trace.kind == "counter" else "W",
        covers=None if trace.scope in ("node", "wall") else covers,
        resolution=None,
        update_period_s=facts.get("update_period_s"),
        averaging_window_s=facts.get("averaging_window_s"),
        lag_s=facts.get("lag_s"),
        seen_share=facts.get("seen_share"),
        wraps_at_j=wraps_at_j,
        limit_w=facts.get("limit_w"),
        accuracy_rel=facts.get("accuracy_rel"),
        accuracy_basis=f"{recording.accuracy_basis}; {played}",
    )
