"""The energy of a window from the polls of one source: counter, integral, residual, gross and net."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.harness.power.alias import Rhythm
from wattbench.harness.power.budget import combined
from wattbench.harness.power.curve import change_count, coverage
from wattbench.harness.power.estimate import Estimate, estimate
from wattbench.harness.power.series import Log, Series, absurd_reason, coarse_reason, max_gap_s, series_of
from wattbench.harness.power.terms import Sight, budget_of, sampling_fraction
from wattbench.results.energy import BudgetTerm, ChannelEnergy, ChannelRecord, EnergyMethod
from wattbench.results.measurement import Window

__all__ = [
    "RESIDUAL_DOUBT",
    "RESIDUAL_INVALID",
    "RESIDUAL_WINDOW_S",
    "alias_rel",
    "channel_energy",
    "groups_of",
]

RESIDUAL_DOUBT = 0.02
"""A larger residual between counter and integral is worth a word."""

RESIDUAL_INVALID = 0.05
"""A larger residual makes the energy invalid; the counter is then not taken as primary."""

RESIDUAL_WINDOW_S = 10.0
"""Below this length the two edges alone part the methods: 2 edges of 100 ms are 2 % of 10 s (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Views:
    """Both methods over one window, which one is primary, and what was noted on the way."""

    chosen: Series
    power: Series | None
    method: EnergyMethod
    by_counter: Estimate
    by_integral: Estimate
    residual: float | None
    notes: tuple[str, ...]

    @property
    def primary(self) -> Estimate:
        return self.by_counter if self.method == "counter" else self.by_integral

    @property
    def reason(self) -> str | None:
        """Return why there is no energy, from both methods; None when there is one."""
        reasons = [e.reason for e in (self.by_counter, self.by_integral) if e.reason is not None]
        return "; ".join(dict.fromkeys(reasons)) if self.primary.joules is None else None


def groups_of(channels: Sequence[ChannelRecord]) -> tuple[tuple[ChannelRecord, ...], ...]:
    """Return the channels by group, groups in the order of their first channel."""
    names = dict.fromkeys(c.group for c in channels)
    return tuple(tuple(c for c in channels if c.group == name) for name in names)


def channel_energy(
    channels: Sequence[ChannelRecord],
    polls: Log,
    window: Window,
    *,
    rate_hz: float,
    idle_power_w: float | None = None,
    load: Sequence[Rhythm] = (),
) -> ChannelEnergy:
    """Return the energy of one group of channels over a window: both methods, the better one first, and the budget.

    `channels` are the views of one physical source (one `group`, at least one), `polls` may hold more. The counter
    is primary where there is one and it agrees with the integral within `RESIDUAL_INVALID`; else the integral of
    the power channel that sees most. Nothing is clamped; what cannot be known is None with a reason. Values that
    cannot be true (not a number, negative, over ten times the limit) refuse the whole window. `load` are the rhythms
    of what ran, against which the looks of a part-time sensor may beat.
    """
    views = _views(channels, polls, window, rate_hz)
    energy_j, chosen = views.primary.joules, views.chosen
    apart = alias_rel(channels, polls, window, rate_hz=rate_hz)
    terms = () if energy_j is None else _budget(views, window, rate_hz, energy_j, apart, load)
    u = combined(terms) if terms else None
    seen = coverage(chosen.times_ns, window.start_ns, window.end_ns, max_gap_s(chosen.channel, rate_hz) * 1e9)
    values = chosen.between(window.start_ns, window.end_ns).values
    return ChannelEnergy(
        channel=chosen.channel.id,
        scope=chosen.channel.scope,
        provenance=chosen.channel.provenance,
        covers=chosen.channel.covers,
        energy_j=energy_j,
        energy_net_j=_net_j(energy_j, idle_power_w, window.duration_s),
        mean_power_w=None if energy_j is None else energy_j / window.duration_s,
        method=None if energy_j is None else views.method,
        counter_j=views.by_counter.joules,
        integral_j=views.by_integral.joules,
        residual=views.residual,
        polls=len(values),
        updates=change_count(values),
        coverage=seen.share,
        max_gap_s=seen.max_gap_s,
        sampling_fraction=sampling_fraction(chosen),
        u_absolute_rel=None if u is None else u.absolute_rel,
        u_comparison_rel=None if u is None else u.comparison_rel,
        budget=terms,
        reason=views.reason,
        notes=views.notes,
    )


def alias_rel(channels: Sequence[ChannelRecord], polls: Log, window: Window, *, rate_hz: float) -> float | None:
    """Return how far a part-time power channel lies from the group's other views, as a fraction; None without both.

    A sensor that looks 25 of every 100 ms beats against a load of a similar rhythm (arXiv 2312.02741): its integral
    then leaves the counter and the averaged field, which this shows.
    """
    views = [(c, estimate(series_of(c, polls), window.start_ns, window.end_ns, rate_hz).joules) for c in channels]
    part = [j for c, j in views if j is not None and c.kind != "counter" and (c.seen_share or 1.0) < 1]
    rest = [j for c, j in views if j is not None and (c.kind == "counter" or (c.seen_share or 1.0) >= 1)]
    apart = [a / b - 1 for a in part for b in rest]
    return max(apart, key=abs) if apart else None


def _views(channels: Sequence[ChannelRecord], polls: Log, window: Window, rate_hz: float) -> _Views:
    every = [series_of(c, polls) for c in channels]
    counter = next((s for s in every if s.channel.kind == "counter"), None)
    power = min((s for s in every if s.channel.kind != "counter"), key=_preference, default=None)
    reach_ns = round(max(max_gap_s(c, rate_hz) for c in channels) * 1e9)
    absurd = [absurd_reason(s, window.start_ns - reach_ns, window.end_ns + reach_ns) for s in every]
    refused = next((r for r in absurd if r is not None), None)
    by_counter, by_integral = (
        Estimate(joules=None, reason=refused)
        if s is None or refused is not None
        else _estimate_window(s, window, rate_hz)
        for s in (counter, power)
    )
    residual = _residual(by_counter, by_integral)
    trusted = by_counter.joules is not None and (residual is None or abs(residual) <= RESIDUAL_INVALID)
    by_count = counter is not None and (power is None or trusted)
    return _Views(
        chosen=(counter if by_count else power) or every[0],
        power=power,
        method="counter" if by_count else "integral",
        by_counter=by_counter,
        by_integral=by_integral,
        residual=residual,
        notes=_notes(counter, by_counter, power, by_integral, residual),
    )


def _estimate_window(series: Series, window: Window, rate_hz: float) -> Estimate:
    coarse = coarse_reason(series.channel, window.duration_s)
    return Estimate(joules=None, reason=coarse) if coarse else estimate(series, window.start_ns, window.end_ns, rate_hz)


def _preference(series: Series) -> tuple[float, float]:
    """Prefer the power channel that sees the most of the time, then the one that smooths least."""
    channel = series.channel
    return -(channel.seen_share or 0.0), math.inf if channel.averaging_window_s is None else channel.averaging_window_s


def _net_j(energy_j: float | None, idle_power_w: float | None, duration_s: float) -> float | None:
    return None if energy_j is None or idle_power_w is None else energy_j - idle_power_w * duration_s


def _residual(by_counter: Estimate, by_integral: Estimate) -> float | None:
    if by_counter.joules is None or by_integral.joules is None:
        return None
    return by_counter.joules / by_integral.joules - 1


def _notes(
    counter: Series | None,
    by_counter: Estimate,
    power: Series | None,
    by_integral: Estimate,
    residual: float | None,
) -> tuple[str, ...]:
    """Return what went wrong with one method where the other still gives the energy, and a large residual."""
    both = counter is not None and power is not None
    notes = [e.reason for e in (by_counter, by_integral) if both and e.reason is not None]
    if residual is not None and abs(residual) > RESIDUAL_DOUBT:
        primary = "counter" if abs(residual) <= RESIDUAL_INVALID else "integral"
        notes.append(f"counter and integral differ by {residual:+.2%}; the {primary} is taken")
    return tuple(notes)


def _budget(
    views: _Views,
    window: Window,
    rate_hz: float,
    energy_j: float,
    apart: float | None,
    load: Sequence[Rhythm],
) -> tuple[BudgetTerm, ...]:
    """Return the budget of the primary view's energy."""
    sight = Sight(
        chosen=views.chosen,
        power=views.chosen if views.power is None or views.by_integral.joules is None else views.power,
        windows=(window,),
        energy_j=energy_j,
        rate_hz=rate_hz,
        residual=views.residual,
        apart=apart,
        load=load,
    )
    return budget_of(sight)
