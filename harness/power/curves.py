"""The power curve of a device over a window, whichever kind of channel shows it."""

from collections.abc import Sequence

from wattbench.harness.power.counter import CounterRules, find_ticks, tick_powers_w
from wattbench.harness.power.series import Series, max_gap_s, series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.errors import SensorError
from wattbench.results.measurement import Window

__all__ = ["curve_of", "powers_within"]

RATE_HZ = 20.0


def powers_within(
    channels: Sequence[ChannelRecord], polls: Sequence[Polls], window: Window
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return times (ns) and watts within a window from the first power channel, else from a counter's ticks.

    Nothing where there is no channel, or its counter cannot be followed.
    """
    ordered = sorted(channels, key=lambda c: c.kind == "counter")
    if not ordered:
        return (), ()
    part = series_of(ordered[0], polls).between(window.start_ns, window.end_ns)
    return curve_of(part)


def curve_of(series: Series) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return times (ns) and watts of a channel: its values, or a counter's mean powers at the middles of its ticks."""
    if series.channel.kind != "counter":
        return series.times_ns, series.values
    rules = CounterRules(
        max_gap_ns=max_gap_s(series.channel, RATE_HZ) * 1e9,
        period_ns=series.period_s * 1e9,
        wraps_at_j=series.channel.wraps_at_j,
    )
    try:
        ticks = find_ticks(series.times_ns, series.values, rules)
    except SensorError:
        return (), ()
    middles = tuple((a + b) // 2 for a, b in zip(ticks.times_ns, ticks.times_ns[1:], strict=False) if b > a)
    return middles, tick_powers_w(ticks)
