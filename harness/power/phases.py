"""The energy of one phase (prefill, decode) from the windows in which it ran, where the sensor can resolve them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from wattbench.harness.power.energy import estimate
from wattbench.harness.power.series import Series, absurd_reason, max_gap_s, series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.measurement import Completions, Window

__all__ = ["PHASE_PERIODS", "PhaseEnergies", "PhaseEnergy", "PhaseWindows", "phase_energy", "phase_windows"]

PHASE_PERIODS = 20
"""A phase's windows must be this many sensor periods long: their edges alone cost 1/sqrt(6)/20 = 2 % (k=1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergy:
    """The energy of one phase over all its windows in joules, or None with the reason; their total length in s."""

    energy_j: float | None
    duration_s: float
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergies:
    """The energy of both phases over one repeat in joules; `reason` says why one of them or both are None."""

    prefill_j: float | None
    decode_j: float | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseWindows:
    """The spans of a repeat in which prefill ran, and those in which decode did."""

    prefill: tuple[Window, ...]
    decode: tuple[Window, ...]


def phase_windows(done: Completions) -> PhaseWindows:
    """Return the phases of the successful executions: prefill [start, first output), decode [first output, end).

    A phase that took no time, and an execution without tokens out, has no window.
    """
    rows = zip(done.start_ns, done.first_output_ns, done.end_ns, done.error, strict=True)
    spans = [(start, first, end) for start, first, end, error in rows if first is not None and error is None]
    return PhaseWindows(
        prefill=tuple(Window(start_ns=start, end_ns=first) for start, first, _ in spans if start < first),
        decode=tuple(Window(start_ns=first, end_ns=end) for _, first, end in spans if first < end),
    )


def phase_energy(
    channels: Sequence[ChannelRecord], polls: Sequence[Polls], windows: Sequence[Window], *, rate_hz: float
) -> PhaseEnergy:
    """Return the energy of a phase as the sum over its windows, from the channel of the group that resolves best.

    Every window must be at least `PHASE_PERIODS` of the sensor's periods long (the longest of its update period,
    averaging window and poll spacing); with one that is shorter, or unknown, the sum is None, never a part of it.
    """
    duration_s = fsum(w.duration_s for w in windows)
    finest = min((series_of(c, polls) for c in channels), key=_resolution_s)
    reason = _unresolved(finest, windows, max_gap_s(finest.channel, rate_hz))
    found = [] if reason else [estimate(finest, w.start_ns, w.end_ns, rate_hz) for w in windows]
    reason = reason or next((e.reason for e in found if e.reason is not None), None)
    joules = [e.joules for e in found if e.joules is not None]
    return PhaseEnergy(energy_j=None if reason else fsum(joules), duration_s=duration_s, reason=reason)


def _resolution_s(series: Series) -> float:
    return max(series.period_s, series.channel.averaging_window_s or 0.0, series.spacing_s)


def _unresolved(series: Series, windows: Sequence[Window], reach_s: float) -> str | None:
    if not windows:
        return "the phase has no window of its own"
    if not series.times_ns:
        return f"{series.channel.id} gave no sample"
    shortest_s = min(w.duration_s for w in windows)
    needed_s = PHASE_PERIODS * _resolution_s(series)
    if shortest_s < needed_s:
        needs = f"{series.channel.id} needs windows of {needed_s:.3g} s to tell phases apart"
        return f"{needs}, the shortest has {shortest_s:.3g} s"
    reach_ns = round(reach_s * 1e9)
    absurd = (absurd_reason(series, w.start_ns - reach_ns, w.end_ns + reach_ns) for w in windows)
    return next((r for r in absurd if r is not None), None)
