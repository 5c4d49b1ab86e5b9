"""The energy of one phase (prefill, decode) from the windows in which it ran, where the sensor can resolve them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum

from wattbench.harness.power.alias import Rhythm
from wattbench.harness.power.budget import combined
from wattbench.harness.power.calibration import calibrated_terms, corrected_j, misfit_reason
from wattbench.harness.power.corrections import own_calibration
from wattbench.harness.power.estimate import estimate
from wattbench.harness.power.series import Log, Series, absurd_reason, max_gap_s, series_of
from wattbench.harness.power.terms import Sight, budget_of
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.energy import ChannelRecord
from wattbench.results.measurement import Completions, Window
from wattbench.results.rungs import PhaseEnergies, PhaseEnergy

__all__ = ["PHASE_PERIODS", "PhaseWindows", "phase_energies", "phase_energy", "phase_windows"]

PHASE_PERIODS = 20
"""A phase's windows must be this many sensor periods long: their edges alone cost 1/sqrt(6)/20 = 2 % (k=1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseWindows:
    """The spans of a repeat in which prefill ran, and those in which decode did; `overlap`: some ran at once."""

    prefill: tuple[Window, ...]
    decode: tuple[Window, ...]
    overlap: bool


def phase_windows(done: Completions) -> PhaseWindows:
    """Return the phases of the successful executions: prefill [start, first output), decode [first output, end).

    A phase that took no time, and an execution without tokens out, has no window.
    """
    rows = zip(done.start_ns, done.first_output_ns, done.end_ns, done.error, strict=True)
    spans = [(start, first, end) for start, first, end, error in rows if first is not None and error is None]
    return PhaseWindows(
        prefill=tuple(Window(start_ns=start, end_ns=first) for start, first, _ in spans if start < first),
        decode=tuple(Window(start_ns=first, end_ns=end) for _, first, end in spans if first < end),
        overlap=any(b[0] < a[2] for a, b in pairwise(sorted(spans))),
    )


def phase_energies(
    groups: Sequence[Sequence[ChannelRecord]],
    polls: Log,
    done: Completions,
    *,
    rate_hz: float,
    load: Sequence[Rhythm] = (),
    calibrations: Sequence[CalibrationRecord] = (),
) -> PhaseEnergies:
    """Return the energy of prefill and decode, added over the groups of channels of a rung (at least one).

    A sum of sensors of one make has the sum of their absolute uncertainties, for they err alike, and the root of the
    squares of the others. A group with a calibration of its own scope is corrected by it.
    """
    spans = phase_windows(done)

    def of(windows: Sequence[Window]) -> PhaseEnergy:
        if spans.overlap:
            return _unknown(windows, "executions ran at the same time, so their phases share the energy")
        parts = []
        for group in groups:
            record = own_calibration(calibrations, group[0].group)
            parts.append(phase_energy(group, polls, windows, rate_hz=rate_hz, load=load, calibration=record))
        return _added(parts)

    return PhaseEnergies(prefill=of(spans.prefill), decode=of(spans.decode))


def phase_energy(
    channels: Sequence[ChannelRecord],
    polls: Log,
    windows: Sequence[Window],
    *,
    rate_hz: float,
    load: Sequence[Rhythm] = (),
    calibration: CalibrationRecord | None = None,
) -> PhaseEnergy:
    """Return the energy of a phase as the sum over its windows, from the channel of the group that resolves best.

    Every window must be at least `PHASE_PERIODS` of the sensor's periods long (the longest of its update period,
    averaging window and poll spacing); with one that is shorter, or unknown, the sum is None, never a part of it.
    With a `calibration` the sum and its budget are corrected as those of a window are.
    """
    finest = min((series_of(c, polls) for c in channels), key=_resolution_s)
    reason = _unresolved(finest, windows, max_gap_s(finest.channel, rate_hz))
    found = [] if reason else [estimate(finest, w.start_ns, w.end_ns, rate_hz) for w in windows]
    reason = reason or next((e.reason for e in found if e.reason is not None), None)
    if reason is not None:
        return _unknown(windows, reason)
    energy_j = fsum(e.joules for e in found if e.joules is not None)
    sight = Sight(chosen=finest, power=finest, windows=windows, energy_j=energy_j, rate_hz=rate_hz, load=load)
    terms = budget_of(sight)
    if calibration is not None:
        misfit = misfit_reason(calibration, finest.channel.id, energy_j, sight.duration_s)
        if misfit is not None:
            return _unknown(windows, misfit)
        terms = calibrated_terms(calibration, terms, energy_j, sight.duration_s)
        energy_j = corrected_j(calibration, energy_j, sight.duration_s)
    u = combined(terms)
    return PhaseEnergy(
        energy_j=energy_j,
        duration_s=sight.duration_s,
        u_absolute_rel=u.absolute_rel,
        u_comparison_rel=u.comparison_rel,
        reason=None,
    )


def _unknown(windows: Sequence[Window], reason: str) -> PhaseEnergy:
    duration_s = fsum(w.duration_s for w in windows)
    return PhaseEnergy(energy_j=None, duration_s=duration_s, u_absolute_rel=None, u_comparison_rel=None, reason=reason)


def _added(parts: Sequence[PhaseEnergy]) -> PhaseEnergy:
    """Return the sum of one phase over several sources; unknown with the first reason where one of them is."""
    reason = next((part.reason for part in parts if part.reason is not None), None)
    joules = [part.energy_j for part in parts if part.energy_j is not None]
    total_j = fsum(joules)

    def u_rel(shares: Sequence[float | None], add: Callable[[Sequence[float]], float]) -> float | None:
        known = [j * u for j, u in zip(joules, shares, strict=True) if u is not None]
        return add(known) / total_j if len(known) == len(joules) else None

    if reason is not None:
        return PhaseEnergy(
            energy_j=None, duration_s=parts[0].duration_s, u_absolute_rel=None, u_comparison_rel=None, reason=reason
        )
    return PhaseEnergy(
        energy_j=total_j,
        duration_s=parts[0].duration_s,
        u_absolute_rel=u_rel([part.u_absolute_rel for part in parts], fsum),
        u_comparison_rel=u_rel([part.u_comparison_rel for part in parts], lambda us: math.hypot(*us)),
        reason=None,
    )


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
