"""When the calls of an open loop are due: Poisson, gamma and constant arrivals, at a fixed or a moving rate."""

import math

import numpy
from numpy.typing import NDArray

from wattbench.harness.traffic.ramps import Ramp
from wattbench.harness.traffic.streams import checked_count
from wattbench.results.traffic_plan import Arrival

__all__ = ["arrivals_ns", "ramp_arrivals_ns"]

Integers = NDArray[numpy.int64]
Floats = NDArray[numpy.float64]

SPREADS = 10
GAPS_MAX = 1_000_000
"""At once so many standard deviations more gaps than expected are drawn, but no more than this; others follow."""


def arrivals_ns(
    arrival: Arrival, rate_per_s: float, shape: float | None, window_s: float, generator: numpy.random.Generator
) -> Integers:
    """Return when calls are due, in ns from the window's start, all within the window.

    The gaps between calls are exponential (poisson), gamma of `shape` (its coefficient of variation is 1/sqrt(shape):
    bursty below 1, even above) or all alike (constant, the first call at 0); their mean is 1 / rate.
    """
    return _ns(_unit(arrival, shape, rate_per_s * window_s, generator) / rate_per_s, window_s)


def ramp_arrivals_ns(
    arrival: Arrival, ramp: Ramp, shape: float | None, window_s: float, generator: numpy.random.Generator
) -> Integers:
    """Return when calls are due while the rate moves as a ramp of rates says, in ns from the window's start.

    Arrivals of rate 1 are stretched by the inverse of the ramp's expected count, which for Poisson arrivals is exactly
    the inhomogeneous process (Cinlar, Introduction to Stochastic Processes, 4.7).
    """
    at_s = numpy.linspace(0.0, window_s, ramp.pieces + 1)
    expected = ramp.expected(at_s / window_s) * window_s
    unit = _unit(arrival, shape, float(expected[-1]), generator)
    if not ramp.linear:
        return _ns(numpy.interp(unit, expected, at_s), window_s)
    first, last = ramp.levels[0], ramp.levels[-1]
    slope = (last - first) / window_s
    # expected(t) = first t + slope t^2 / 2, solved for t in the form that does not cancel
    return _ns(2 * unit / (first + numpy.sqrt(numpy.maximum(first**2 + 2 * slope * unit, 0.0))), window_s)


def _unit(arrival: Arrival, shape: float | None, total: float, generator: numpy.random.Generator) -> Floats:
    """Return arrivals of rate 1 in [0, total)."""
    if arrival == "constant":
        return numpy.arange(checked_count(math.ceil(total)), dtype=numpy.float64)
    k = shape or 1.0  # gamma of shape 1 is the exponential of a Poisson process
    checked_count(math.ceil(total))
    parts: list[Floats] = [numpy.zeros(0)]
    reached, count = 0.0, 0
    while reached < total:
        left = total - reached
        wanted = min(GAPS_MAX, math.ceil(left + SPREADS * math.sqrt(left / k) + SPREADS))
        at = reached + numpy.cumsum(generator.gamma(k, 1 / k, wanted))
        parts.append(at[at < total])
        count = checked_count(count + len(parts[-1]))
        reached = float(at[-1])
    within: Floats = numpy.concatenate(parts)
    return within


def _ns(at_s: Floats, window_s: float) -> Integers:
    due: Integers = numpy.floor(at_s * 1e9).astype(numpy.int64)
    return due[due < round(window_s * 1e9)]
