"""What a sensor's least step makes an energy unsure by: the stated step, or the one that its log shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice, pairwise

from wattbench.harness.power.budget import Share, beyond
from wattbench.harness.power.series import Series

__all__ = ["resolution_share", "shown_step"]

VALUES_MAX = 20_000
"""So many of a log's values are looked at for its step: a quarter of an hour at 20 Hz; a sweep's log has hours."""

DISTINCT_MIN = 20
"""With so many different values two neighbours of the grid are among them, be it of tenths or of 1/256 W (our choice);
with fewer the last digit speaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A least step in the sensor's unit, and who says so."""

    size: float
    source: str


def resolution_share(
    series: Series, *, energy_j: float, duration_s: float, windows: int, edge_s: float
) -> Share | None:
    """Return the part of the sensor's least step in the budget of an energy; None where it has none.

    A power sensor rounds each reading to its step q, which is q / sqrt(12) (rectangular, JCGM 100:2008, 4.3.7). The
    readings of a near-constant power all round alike, so a mean over them is no better than one of them, and however
    many windows it is over. A counter's energy is unsure by its step at both edges of each window, each by itself.
    Nothing of either cancels between runs: two powers that show the same digit may lie a step apart.
    `edge_s` is the time within which the budget has each edge already: a counter's steps that bring no more than the
    energy of that time are counted there.
    """
    mean_w = energy_j / duration_s
    if series.channel.kind == "counter":
        step = _counter_step(series, mean_w * edge_s)
        u_rel = step.size / math.sqrt(12) * math.sqrt(2 * windows) / energy_j
        at = f"at {2 * windows} edges of {energy_j:.4g} J"
    else:
        step = _power_step(series)
        u_rel = step.size / math.sqrt(12) / mean_w
        at = f"at {mean_w:.4g} W; the readings of a steady power round alike, so their mean is no better"
    if u_rel <= 0:
        return None
    return Share(
        u_rel=u_rel, comparison_rel=u_rel, basis=f"steps of {step.size:.4g} {series.channel.unit} ({step.source}) {at}"
    )


def shown_step(values: Sequence[float]) -> float | None:
    """Return the least difference between two of a log's values, where it has `DISTINCT_MIN` of them or more.

    Values on a grid differ by one step of it or more, so this is never too small. 9 digits are compared: what lies
    beyond is left of conversions.
    """
    distinct = sorted({float(f"{value:.9g}") for value in _finite(values)})
    return min(b - a for a, b in pairwise(distinct)) if len(distinct) >= DISTINCT_MIN else None


def _power_step(series: Series) -> _Step:
    """Return the step of a power's readings: the stated or the shown one, whichever is coarser, else the last digit.

    A driver's unit is not always the sensor's step. A model has no step.
    """
    stated, shown = series.channel.resolution, shown_step(series.values)
    if series.channel.kind == "model":
        return _Step(size=0.0, source="a model")
    if stated is not None and stated >= (shown or 0.0):
        return _Step(size=stated, source="stated")
    if shown is not None:
        return _Step(size=shown, source="the least difference in its log")
    return _Step(size=_last_digit(series.values), source="the last digit in its log")


def _counter_step(series: Series, edge_j: float) -> _Step:
    """Return the step that a counter's edges are unsure by beyond `edge_j`, which the budget has there already.

    A stated step counts in full beside a stated update period: the edges know nothing of it. Where the period is the
    observed one it is the time that a step takes, and the least gain in the log may be what an update brings: of these
    only what lies beyond is counted.
    """
    stated, seen = series.channel.resolution or 0.0, _least_gain(series.values)
    more = beyond(max(stated, seen), edge_j)
    if series.channel.update_period_s is not None and stated >= more:
        return _Step(size=stated, source="stated")
    return _Step(size=more, source="seen in its log, beyond what its edges have")


def _least_gain(values: Sequence[float]) -> float:
    """Return the least rise between two polls, 0 for a counter that did not rise."""
    return min((b - a for a, b in pairwise(_finite(values)) if b > a), default=0.0)


def _last_digit(values: Sequence[float]) -> float:
    """Return the place of the last digit that any value has, at most 1: zeros before the point may be digits."""
    places = (Decimal(f"{value:.9g}").normalize().as_tuple().exponent for value in _finite(values))
    return 10.0 ** min(0, *(place for place in places if isinstance(place, int)), 0)


def _finite(values: Sequence[float]) -> list[float]:
    return [value for value in islice(values, VALUES_MAX) if math.isfinite(value)]
