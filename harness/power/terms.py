"""The budget of an energy from the log itself: every figure that the log can tell is taken from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from math import fsum
from statistics import pstdev

from wattbench.harness.power.alias import Looks, Rhythm, beats, independent_looks
from wattbench.harness.power.budget import BudgetInputs, Share, ratio_share_rel, window_budget
from wattbench.harness.power.curve import change_count
from wattbench.harness.power.estimate import estimate, powers_w
from wattbench.harness.power.resolution import resolution_share
from wattbench.harness.power.series import Series
from wattbench.results.energy import BudgetTerm, ChannelRecord
from wattbench.results.measurement import Window

__all__ = ["APART_MAX", "Sight", "budget_of", "sampling_fraction"]

APART_MAX = 0.02
"""A part-time view that lies further from the other views of its source does not see a fair sample."""

UPDATES_AGREE = 0.1
"""An observed update period is believed within this share of the stated one; beyond it updates were missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a budget is made for: the windows (one, or those of a phase), their energy in joules, and both views.

    `chosen` gave the energy; `power` shows how restless the power was (the same, or a power field beside a counter).
    `residual` is counter/integral - 1, `apart` how far a part-time view lies from the others, `load` its rhythms.
    """

    chosen: Series
    power: Series
    windows: Sequence[Window]
    energy_j: float
    rate_hz: float
    residual: float | None = None
    apart: float | None = None
    load: Sequence[Rhythm] = ()

    @property
    def duration_s(self) -> float:
        """Return the length of all windows together, in seconds."""
        return fsum(w.duration_s for w in self.windows)

    def powers(self) -> tuple[float, ...]:
        """Return the powers within the windows, in watts."""
        return tuple(chain(*(powers_w(self.power, w.start_ns, w.end_ns, self.rate_hz) for w in self.windows)))


def budget_of(sight: Sight) -> tuple[BudgetTerm, ...]:
    """Return the budget of an energy: the channel's facts, and the rest from the log."""
    chosen, channel = sight.chosen, sight.chosen.channel
    independent_s = max(chosen.period_s, chosen.spacing_s)
    edge_s = max(independent_s, channel.averaging_window_s or 0.0)
    lag_u_s = _lag_u_s(chosen, edge_s)
    known = "lag unknown, taken as 0" if channel.lag_s is None else f"lag {channel.lag_s:.3g} s"
    powers = sight.powers()
    seen = sampling_fraction(chosen)
    aliased = _alias(sight, powers, seen)
    inputs = BudgetInputs(
        duration_s=sight.duration_s,
        windows=len(sight.windows),
        gain_rel=channel.accuracy_rel,
        gain_basis=_gain_basis(channel),
        gain_shared=channel.kind != "model",
        edge_period_s=edge_s,
        lag_rel=_lag_rel(sight, lag_u_s),
        lag_basis=f"{known} +- {lag_u_s:.3g} s, by shifting the window over the log",
        seen_share=seen,
        spread_rel=_spread_rel(sight, powers),
        independent_s=independent_s,
        residual=sight.residual,
        alias_rel=aliased.u_rel if aliased else None,
        alias_basis=aliased.basis if aliased else "",
        resolution=resolution_share(
            chosen,
            energy_j=sight.energy_j,
            duration_s=sight.duration_s,
            windows=len(sight.windows),
            edge_s=edge_s,
        ),
        offset=_offset(channel, sight.energy_j / sight.duration_s),
        alignment=_alignment(sight),
    )
    return window_budget(inputs)


def sampling_fraction(series: Series) -> float | None:
    """Return the share of the time that the log sees: less than the sensor's when polls are rarer than its updates."""
    channel = series.channel
    if channel.seen_share is None or channel.kind == "counter":
        return channel.seen_share
    looked_s = max(series.period_s, channel.averaging_window_s or 0.0)
    return channel.seen_share if looked_s >= series.spacing_s else channel.seen_share * looked_s / series.spacing_s


def _gain_basis(channel: ChannelRecord) -> str:
    """Return what the gain rests on, and that nothing is known of an offset beside it where that is so."""
    if channel.offset_u_w is not None or channel.kind == "model":
        return channel.accuracy_basis
    return f"{channel.accuracy_basis}; its offset is not known apart, and cancels between runs of like power only"


def _offset(channel: ChannelRecord, power_w: float) -> Share | None:
    """Return the part of an uncalibrated offset b of which only the size is known.

    The gain's figure is an error found at a power p, with the offset in it as it was there; at P it is off by
    b (1/P - 1/p) more. In the ratio of two runs it leaves b (1/P1 - 1/P2).
    """
    if channel.offset_u_w is None or channel.offset_at_w is None:
        return None
    u_w, at_w = channel.offset_u_w, channel.offset_at_w
    return Share(
        u_rel=u_w * abs(1 / power_w - 1 / at_w),
        comparison_rel=ratio_share_rel(u_w, power_w, 1 / at_w),
        basis=f"boards of this make are off by {u_w:.3g} W; the gain holds it at {at_w:.4g} W, this is {power_w:.4g} W",
    )


def _alignment(sight: Sight) -> Share | None:
    """Return the part of another machine's clock, which may be off by its bound either way (rectangular).

    Both edges of a window move together, so it counts what the energy changes by when the window is shifted: the steps
    of power at its edges, times the shift.
    """
    bound_s = sight.chosen.channel.clock_bound_s
    if bound_s is None:
        return None
    u_rel = _lag_rel(sight, bound_s / math.sqrt(3))
    basis = f"the serving host's clock is placed within {bound_s:.3g} s, by shifting the window over the log"
    return Share(u_rel=u_rel, comparison_rel=u_rel, basis=basis)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Alias:
    """How unsure the unseen time makes an energy whose sensor does not see a fair sample of it, and why."""

    u_rel: float
    basis: str


def _alias(sight: Sight, powers: Sequence[float], seen: float | None) -> _Alias | None:
    """Return the alias of a part-time sensor; None where nothing speaks for one.

    Two signs of it: its energy lies off the other views', or the load's rhythm beats slowly against its looks. A beat
    is unsure by whichever is larger: the spread of the readings over as many looks as are independent of each other,
    or what may be left of the largest swing that the whole log allows.
    """
    if (sight.chosen.channel.seen_share or 1.0) >= 1 or len(powers) < 2:
        return None
    found = []
    if sight.apart is not None and abs(sight.apart) > APART_MAX:
        facts = f"the part-time view is {sight.apart:+.1%} off the others of its source"
        found.append(_Alias(u_rel=abs(sight.apart) / math.sqrt(3), basis=facts))
    worst = next(iter(beats(_looks(sight), sight.load)), None)
    if worst is not None:
        mean_w = sight.energy_j / sight.duration_s
        count = independent_looks(powers)
        seen_rel = pstdev(powers) / mean_w * math.sqrt((1 - (seen or 0.0)) / count)
        swing_rel = _swing_w(sight, powers, mean_w) / mean_w
        basis = f"{worst.facts}; power spread {pstdev(powers) / mean_w:.1%} over {count:.0f} independent looks"
        basis += f", at most {swing_rel:.1%} unseen with {worst.leftover:.2g} of it left"
        found.append(_Alias(u_rel=max(seen_rel, swing_rel * worst.leftover), basis=basis))
    return max(found, key=lambda alias: alias.u_rel, default=None)


def _looks(sight: Sight) -> Looks:
    """Return how the sensor looked: its update period as the log shows it where that agrees with the stated one."""
    series, channel = sight.power, sight.chosen.channel
    stated_s = sight.chosen.period_s
    rows = [series.between(w.start_ns, w.end_ns) for w in sight.windows]
    updates = sum(change_count(row.values) for row in rows)
    observed_s = sight.duration_s / updates if updates else stated_s
    believed = updates > 0 and abs(observed_s / stated_s - 1) <= UPDATES_AGREE
    period_s = observed_s if believed else stated_s
    count = max(round(sight.duration_s / period_s), 1)
    unsure_s = (series.spacing_s / count) if believed else stated_s * UPDATES_AGREE / math.sqrt(3)
    window_s = channel.averaging_window_s or (channel.seen_share or 0.0) * stated_s
    return Looks(period_s=period_s, period_u_s=unsure_s, window_s=window_s, count=count)


def _swing_w(sight: Sight, powers: Sequence[float], mean_w: float) -> float:
    """Return the largest standard deviation that power can have at its mean, in watts.

    sqrt((mean - low) (high - mean)), Bhatia and Davis (2000), between the lowest reading of the whole log (idle) and
    the highest, or the source's own limit where it is known: what is not seen may reach either.
    """
    whole = powers_w(sight.power, sight.power.times_ns[0], sight.power.times_ns[-1] + 1, sight.rate_hz) or powers
    high_w = max(*whole, mean_w, sight.chosen.channel.limit_w or 0.0)
    return math.sqrt((mean_w - min(*whole, mean_w)) * (high_w - mean_w))


def _lag_u_s(series: Series, edge_s: float) -> float:
    """Return the lag's standard uncertainty: the observed one, one update's phase, or for an unknown lag an edge's."""
    channel = series.channel
    if channel.lag_u_s is not None:
        return channel.lag_u_s
    return edge_s / math.sqrt(3) if channel.lag_s is None else series.period_s / math.sqrt(12)


def _lag_rel(sight: Sight, lag_u_s: float) -> float:
    """Return how much the energy changes when the windows are shifted by the lag's uncertainty, either way.

    Where the log allows no shift the worst is taken: full power on one side of an edge, none on the other.
    """
    shift_ns = round(lag_u_s * 1e9)
    changes = [abs(joules - sight.energy_j) for by in (-shift_ns, shift_ns) if (joules := _shifted_j(sight, by))]
    if changes:
        return max(changes) / sight.energy_j
    return lag_u_s * len(sight.windows) / sight.duration_s


def _shifted_j(sight: Sight, by_ns: int) -> float | None:
    found = [estimate(sight.chosen, w.start_ns + by_ns, w.end_ns + by_ns, sight.rate_hz).joules for w in sight.windows]
    known = [joules for joules in found if joules is not None]
    return fsum(known) if len(known) == len(found) else None


def _spread_rel(sight: Sight, powers: Sequence[float]) -> float:
    """Return the spread of power over its mean within the windows."""
    return pstdev(powers) * sight.duration_s / sight.energy_j if len(powers) >= 2 else 0.0
