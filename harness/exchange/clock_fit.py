"""Where the edges of a run's load lie in a meter's recording: an estimate of the offset between two clocks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy

from wattbench.results.document import Result
from wattbench.results.measurement import Window

__all__ = ["OffsetFit", "fit_offset"]

STEP_S = 0.1
REACH_S = 120.0
"""Offsets are tried up to two minutes either way: more than that is another time zone or another run."""

SEEN_SHARE = 0.8
"""An offset is tried where at least this share of the load, and of the idle time, lies within the recording."""

SPREAD_FLOOR = 1e-3
"""A power that varies less than this has no edges, only rounding."""

CORRELATION_FLOOR = 0.5
PLATEAU = 0.995
"""Offsets with a correlation this near to the best are as good: the time between idle and load counts for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetFit:
    """The offset to add to the recording's times, in seconds, its standard uncertainty, and the correlation there."""

    offset_s: float
    uncertainty_s: float
    correlation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """The running integrals of power and of its square over time, in s, W s and W^2 s."""

    times: numpy.ndarray
    energy: numpy.ndarray
    square: numpy.ndarray


def fit_offset(times_ns: Sequence[int], watts: Sequence[float], result: Result) -> OffsetFit | None:
    """Return the offset at which the recording is high under load and low in idle windows, or None.

    `times_ns` are on the run's clock as far as it is known. Sought is the largest correlation of the power with a
    step that is 1 in warm-up and windows and 0 in idle windows; the middle of the offsets that are as good is taken,
    and their half-length as a rectangular bound. None without an idle window, without a contrast between the two, or
    where the best offset lies at the end of those that could be tried.
    """
    high = [repeat.window for repeat in result.repeats]
    high += [result.warmup.window] if result.warmup is not None else []
    low = [idle.window for idle in result.idle]
    if not high or not low or len(times_ns) < 2:
        return None
    curve = _curve(times_ns, watts)
    offsets = numpy.arange(-REACH_S, REACH_S + STEP_S / 2, STEP_S)
    scores = _correlations(curve, high, low, offsets)
    if not numpy.isfinite(scores).any():
        return None
    best = float(numpy.nanmax(scores))
    good = offsets[scores >= PLATEAU * best]
    tried = offsets[numpy.isfinite(scores)]
    if best < CORRELATION_FLOOR or good[0] == tried[0] or good[-1] == tried[-1]:
        return None
    half_s = (good[-1] - good[0] + STEP_S) / 2
    middle_s = round(float((good[0] + good[-1]) / 2), 3)
    return OffsetFit(offset_s=middle_s, uncertainty_s=float(half_s) / 3**0.5, correlation=best)


def _curve(times_ns: Sequence[int], watts: Sequence[float]) -> _Curve:
    times = numpy.asarray(times_ns, dtype=float) / 1e9
    power = numpy.asarray(watts, dtype=float)
    steps = numpy.diff(times)
    energy = numpy.concatenate([[0.0], numpy.cumsum(steps * (power[1:] + power[:-1]) / 2)])
    square = numpy.concatenate([[0.0], numpy.cumsum(steps * (power[1:] ** 2 + power[:-1] ** 2) / 2)])
    return _Curve(times=times, energy=energy, square=square)


def _correlations(
    curve: _Curve, high: Sequence[Window], low: Sequence[Window], offsets: numpy.ndarray
) -> numpy.ndarray:
    """Return the correlation of power and step at each offset; NaN where too little of either side is recorded."""
    sums = [_sums(curve, spans, offsets) for spans in (high, low)]
    whole = [sum(span.duration_s for span in spans) for spans in (high, low)]
    (t1, e1, s1), (t0, e0, s0) = sums
    seen = (t1 >= SEEN_SHARE * whole[0]) & (t0 >= SEEN_SHARE * whole[1])
    with numpy.errstate(divide="ignore", invalid="ignore"):
        total = t1 + t0
        mean = (e1 + e0) / total
        spread = numpy.sqrt(numpy.maximum((s1 + s0) / total - mean**2, 0.0))
        found = (e1 / t1 - e0 / t0) * numpy.sqrt(t1 * t0) / total / spread
    return numpy.where(seen & (spread > SPREAD_FLOOR * mean), found, numpy.nan)


def _sums(
    curve: _Curve, spans: Sequence[Window], offsets: numpy.ndarray
) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """Return the time, energy and squared energy within the spans for each offset, as far as they are recorded."""
    time, energy, square = (numpy.zeros_like(offsets) for _ in range(3))
    for span in spans:
        start = numpy.clip(span.start_ns / 1e9 - offsets, curve.times[0], curve.times[-1])
        end = numpy.clip(span.end_ns / 1e9 - offsets, curve.times[0], curve.times[-1])
        time += end - start
        energy += numpy.interp(end, curve.times, curve.energy) - numpy.interp(start, curve.times, curve.energy)
        square += numpy.interp(end, curve.times, curve.square) - numpy.interp(start, curve.times, curve.square)
    return time, energy, square
