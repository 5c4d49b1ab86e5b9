"""The usable samples of one channel, picked from its raw polls and set back by the sensor's lag."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from wattbench.harness.power.curve import observed_period_ns
from wattbench.results.energy import ChannelRecord, Polls

__all__ = [
    "ABSURD_FACTOR",
    "COARSE_PERIODS",
    "Log",
    "Series",
    "absurd",
    "absurd_reason",
    "coarse_reason",
    "is_absurd",
    "make_series",
    "max_gap_s",
    "memory_s",
    "series_of",
    "settle_s",
]

ABSURD_FACTOR = 10
"""A reading above this many times the source's own power limit cannot be true."""

_ABSURD = "impossible reading: "
"""Marks a reason as an absurd value's; written by `absurd` and read by `is_absurd` alone."""

ABSURD_W = 1e6
"""Where no limit is known, a reading above this is a fault: ten times what a rack of accelerators draws (100 kW)."""

COARSE_PERIODS = 2
"""A window with fewer of a power sensor's updates has no energy of its own: mostly the time around it is seen."""

GAP_FLOOR_S = 0.5
"""The least gap that is a fault: gaps of 3 polls or half a second, whichever is longer, can still be bridged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One channel's good polls: instants (ns, set back by the lag) and values in its unit.

    `spacing_s` is the median time between good polls of the whole log (0 for fewer than two), `period_s` the update
    period: the stated one, else the observed one, else the spacing.
    """

    channel: ChannelRecord
    times_ns: tuple[int, ...]
    values: tuple[float, ...]
    spacing_s: float
    period_s: float

    def between(self, start_ns: int, end_ns: int) -> "Series":
        """Return the part of the series whose instants lie in [start_ns, end_ns)."""
        part = slice(bisect_left(self.times_ns, start_ns), bisect_left(self.times_ns, end_ns))
        return replace(self, times_ns=self.times_ns[part], values=self.values[part])


Log = Sequence[Polls] | Mapping[str, Series]
"""The log of a run: its raw polls, or the series made of them once, by channel, where many windows are asked for."""


def make_series(channel: ChannelRecord, times_ns: tuple[int, ...], values: tuple[float, ...]) -> Series:
    """Return the series of these samples, with what the whole of them tells of its times."""
    gaps = [b - a for a, b in pairwise(times_ns)]
    spacing_s = median(gaps) / 1e9 if gaps else 0.0
    period_s = channel.update_period_s
    if period_s is None:
        observed = observed_period_ns(times_ns, values)
        period_s = spacing_s if observed is None else observed / 1e9
    return Series(channel=channel, times_ns=times_ns, values=values, spacing_s=spacing_s, period_s=period_s)


def series_of(channel: ChannelRecord, log: Log) -> Series:
    """Return the good polls of a channel, minus the lag; failed reads fall out.

    A value stands where its source took it, if it says so, else in the middle of its read.
    """
    if isinstance(log, Mapping):
        return log[channel.id]
    rows = next((p for p in log if p.channel == channel.id), None)
    lag_ns = round((channel.lag_s or 0.0) * 1e9)
    if rows is None:
        return make_series(channel, (), ())
    middles = ((before + after) // 2 for before, after in zip(rows.before_ns, rows.after_ns, strict=True))
    columns = zip(middles, rows.taken_ns or (None,) * len(rows.value), rows.value, strict=True)
    good = [((middle if taken is None else taken) - lag_ns, v) for middle, taken, v in columns if v is not None]
    return make_series(channel, tuple(t for t, _ in good), tuple(v for _, v in good))


def absurd(facts: str) -> str:
    """Return the reason of an energy that is refused because a sensor's value cannot be true."""
    return _ABSURD + facts


def is_absurd(reason: str) -> bool:
    """Return whether a reason or note, or one of several joined, says that a sensor's value cannot be true."""
    return _ABSURD in reason


def absurd_reason(series: Series, start_ns: int, end_ns: int) -> str | None:
    """Return why a window's values cannot be true (not a number, negative, far above the limit), or None."""
    limit_w = series.channel.limit_w
    bound, above = ABSURD_W, f"more than {ABSURD_W:g} W, which nothing measured here draws"
    if limit_w is not None:
        bound, above = ABSURD_FACTOR * limit_w, f"more than {ABSURD_FACTOR} times its limit of {limit_w:g} W"
    for value in series.between(start_ns, end_ns).values:
        if not math.isfinite(value) or value < 0:
            return absurd(f"{series.channel.id} gave {value} {series.channel.unit}")
        if value > bound and series.channel.unit == "W":
            return absurd(f"{series.channel.id} gave {value:g} W, {above}")
    return None


def coarse_reason(channel: ChannelRecord, duration_s: float) -> str | None:
    """Return why a power channel is too coarse for a window of that length, or None; a counter never is."""
    seconds, need_s = memory_s(channel), COARSE_PERIODS * memory_s(channel)
    if channel.kind == "counter" or duration_s >= need_s:
        return None
    return f"{channel.id} shows means of {seconds:g} s: a window of {duration_s:.3g} s is too short, {need_s:g} s do"


def memory_s(channel: ChannelRecord) -> float:
    """Return the time that one value of a channel stands for, in seconds; 0 where that is not known."""
    return max(channel.update_period_s or 0.0, channel.averaging_window_s or 0.0)


def max_gap_s(channel: ChannelRecord, rate_hz: float) -> float:
    """Return the longest time between two samples of a channel that can be bridged: 3 polls or updates, or 0.5 s."""
    return max(3 / rate_hz, 3 * (channel.update_period_s or 0.0), GAP_FLOOR_S)


def settle_s(channels: Iterable[ChannelRecord], rate_hz: float) -> float:
    """Return how long polling must go on after a window's end before its energy can be computed, in seconds.

    The sensor's lag, and two further updates or polls so that the edge lies between two of them.
    """
    waits = [(c.lag_s or 0.0) + 2 * max(c.update_period_s or GAP_FLOOR_S, 1 / rate_hz) for c in channels]
    return max(waits, default=0.0)
