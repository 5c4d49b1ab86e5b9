"""What one channel's samples say of the energy between two instants, by its kind's own method."""

import math
from dataclasses import dataclass

from wattbench.harness.power.counter import CounterRules, counter_delta_j, find_ticks, tick_powers_w
from wattbench.harness.power.curve import integrate_j
from wattbench.harness.power.series import ABSURD_FACTOR, Series, absurd, max_gap_s
from wattbench.results.errors import SamplingGapError, SensorError

__all__ = ["Estimate", "estimate", "powers_w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one method says of one window: joules, or why not."""

    joules: float | None
    reason: str | None


def estimate(series: Series, start_ns: int, end_ns: int, rate_hz: float) -> Estimate:
    """Return the energy of a channel between two instants: a counter's gain, or the area under a power curve."""
    gap_s = max_gap_s(series.channel, rate_hz)
    try:
        if series.channel.kind == "counter":
            joules = counter_delta_j(series.times_ns, series.values, start_ns, end_ns, _rules(series, gap_s))
        else:
            joules = integrate_j(series.times_ns, series.values, start_ns, end_ns, gap_s * 1e9)
    except (SamplingGapError, SensorError) as exc:
        why = f"{exc.what}: {exc.why}" if exc.why else exc.what
        return Estimate(joules=None, reason=f"{series.channel.id}: {why}")
    if not 0 < joules < math.inf:
        why = absurd(f"{series.channel.id} saw {joules:g} J, and no powered device draws nothing")
        return Estimate(joules=None, reason=why)
    return Estimate(joules=joules, reason=None)


def powers_w(series: Series, start_ns: int, end_ns: int, rate_hz: float) -> tuple[float, ...]:
    """Return the powers that a channel showed between two instants, in watts: its samples, or a counter's tick by tick.

    None of them where a counter's steps cannot be told apart.
    """
    rows = series.between(start_ns, end_ns)
    if series.channel.kind != "counter":
        return rows.values
    try:
        return tick_powers_w(find_ticks(rows.times_ns, rows.values, _rules(series, max_gap_s(series.channel, rate_hz))))
    except SensorError:
        return ()


def _rules(series: Series, gap_s: float) -> CounterRules:
    limit_w = series.channel.limit_w
    return CounterRules(
        max_gap_ns=gap_s * 1e9,
        period_ns=series.period_s * 1e9,
        wraps_at_j=series.channel.wraps_at_j,
        plausible_w=None if limit_w is None else ABSURD_FACTOR * limit_w,
    )
