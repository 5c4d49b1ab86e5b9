"""One metric from the samples of its repeats: median, interval, spread, and both uncertainties."""

import math
from collections.abc import Sequence

from wattbench.results.metrics import Interval, Metric
from wattbench.results.stats import median, median_interval, spread_iqr, standard_uncertainty

__all__ = ["figure", "known_part"]


def figure(
    name: str,
    unit: str,
    samples: Sequence[float | None],
    method: str,
    *,
    reason: str,
    scope: str | None = None,
    boundary: str | None = None,
    u_absolute_rel: float | None = None,
    u_comparison_rel: float | None = None,
) -> Metric:
    """Return the metric of one sample per repeat; `reason` says why a sample is None.

    `u_*_rel` are what the sensors state for one repeat (relative, k=1); the repeatability, taken from the interval, is
    added to them in quadrature (GUM 5.1.2, independent terms). Without an interval it is unknown, and so are they.
    """
    known = [sample for sample in samples if sample is not None]
    value = median(known) if known else None
    interval = median_interval(known)
    return Metric(
        name=name,
        unit=unit,
        value=value,
        reason=reason if value is None else None,
        method=_method(method, len(known), len(samples), reason),
        interval=interval,
        spread=spread_iqr(known),
        samples=tuple(known),
        scope=scope,
        boundary=boundary,
        u_absolute_rel=_with_repeatability(u_absolute_rel, interval, value),
        u_comparison_rel=_with_repeatability(u_comparison_rel, interval, value),
    )


def known_part(metric: Metric, repeats: int) -> str:
    """Return in how many of a run's windows a figure is known, in words; empty for all, none, and a single sample.

    A sensor that is lost in mid-run leaves the energies of the windows before it: they are the figure, which says so.
    """
    known = len(metric.samples)
    if metric.name == "power.idle" or not 0 < known < repeats:
        return ""
    return f"known in {known} of {repeats} windows"


def _method(method: str, known: int, asked: int, reason: str) -> str:
    if known <= 1 and asked <= 1:
        return method
    missing = f" (of {asked}; {reason})" if 0 < known < asked else ""
    return f"{method}; median of {known}{missing}" if known else method


def _with_repeatability(u_rel: float | None, interval: Interval | None, value: float | None) -> float | None:
    if u_rel is None or interval is None or not value:
        return None
    return math.hypot(u_rel, standard_uncertainty(interval) / abs(value))
