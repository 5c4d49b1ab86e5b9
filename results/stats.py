"""The statistics of repeats and latencies: pure functions of samples, none of which minds their order."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import NormalDist

from wattbench.results.metrics import Interval

__all__ = [
    "STEADY_TEST",
    "bootstrap_interval",
    "early_stopping_bound",
    "early_stopping_minimum",
    "is_steady",
    "median",
    "median_interval",
    "quantile",
    "relative_half_width",
    "spread_iqr",
    "standard_uncertainty",
]

BOOTSTRAP_SEED = 20_240_611
"""Fixed, so that the same samples always give the same interval."""

CONFIDENCE = 0.99
"""Confidence of the early-stopping bound, as in MLPerf LoadGen (early_stopping.cc: c = 0.99, tolerance d = 0)."""

STEADY_RATES_MIN = 6
STEADY_DRIFT = 0.02
STEADY_DRIFT_NOISY = 0.05
STEADY_TEST = (
    "the medians of the two halves of the last half of the warm-up's rates (at least 6) differ by at most 2 %, or by "
    "at most the standard error of that difference where jitter is larger, but never by more than 5 %"
)
"""The rule of `is_steady` in words, for the result.

Two halves compared through robust statistics, at most 5 % apart: the warm-up calibration of pyperf
(`_worker.py`, test_calibrate_warmups: quartiles of two samples within 5 %). 2 %: this protocol's tighter goal.
"""


def median(samples: Sequence[float]) -> float:
    """Return the median; the mean of the middle two for an even count. Raises ValueError without samples."""
    if not samples:
        raise ValueError("the median of nothing is not defined")
    ordered = sorted(samples)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_interval(samples: Sequence[float], level: float = 0.95) -> Interval | None:
    """Return the exact, distribution-free interval for the median between two order statistics.

    The interval [x(d), x(n+1-d)] covers the median with probability 1 - 2 B(d-1; n, 1/2), B being the binomial
    distribution function; d is the largest rank whose coverage is at least `level`. Up to 5 samples no rank reaches
    95 %: then it spans all samples and its own `level` says what that covers (93.75 % for 5). None below 2 samples.
    Source: Conover, Practical Nonparametric Statistics, 3.2; Le Boudec, Performance Evaluation, theorem 2.1.
    """
    n = len(samples)
    if n < 2:
        return None
    ordered = sorted(samples)
    tails = accumulate(math.comb(n, k) for k in range(n // 2))
    coverages = [1 - tail / 2 ** (n - 1) for tail in tails]
    depth = max(1, sum(coverage >= level for coverage in coverages))
    return Interval(
        low=float(ordered[depth - 1]),
        high=float(ordered[n - depth]),
        level=coverages[depth - 1],
        method=f"order statistics {depth} and {n + 1 - depth} of {n} (exact binomial coverage of the median)",
    )


def bootstrap_interval(
    samples: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = BOOTSTRAP_SEED
) -> Interval | None:
    """Return the percentile bootstrap interval of the median; None below 2 samples.

    Seeded, and blind to the order of the samples. For few samples it is often too narrow for its level (87.5 % instead
    of 95 % for 7, 89.1 % for 10) and for 5 or fewer it spans them all: repeats are summarised by `median_interval`, and
    this is for many independent samples, such as the medians of 30 or more runs (docs/metrics.md says why).
    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 13.3.
    """
    if len(samples) < 2:
        return None
    import numpy

    draws = numpy.random.default_rng(seed).integers(0, len(samples), (resamples, len(samples)))
    medians = numpy.median(numpy.sort(numpy.asarray(samples, dtype=float))[draws], axis=1)
    tail = 100 * (1 - level) / 2
    low, high = (float(x) for x in numpy.percentile(medians, [tail, 100 - tail]))
    spans = low == min(samples) and high == max(samples)
    what = "percentile bootstrap of the median" + (", spans all samples" if spans else "")
    return Interval(low=low, high=high, level=level, method=f"{what} ({resamples} resamples, seed {seed})")


def spread_iqr(samples: Sequence[float]) -> float | None:
    """Return the interquartile range, quartiles interpolated linearly (Hyndman and Fan type 7); None below 2."""
    if len(samples) < 2:
        return None
    ordered = sorted(samples)
    return _interpolated(ordered, 0.75) - _interpolated(ordered, 0.25)


def quantile(samples: Sequence[float], q: float, weights: Sequence[int] | None = None) -> float:
    """Return the nearest-rank quantile: the smallest sample that at least a share `q` of all samples do not exceed.

    Hyndman and Fan type 1, so the answer is always a sample. A weight counts a sample that many times.
    Raises ValueError without samples or for a `q` outside (0, 1].
    """
    if not samples or not 0 < q <= 1:
        raise ValueError(f"quantile {q} of {len(samples)} samples is not defined")
    pairs = sorted(zip(samples, weights or [1] * len(samples), strict=True))
    reached = list(accumulate(weight for _, weight in pairs))
    rank = math.ceil(round(q * reached[-1], 9))
    return pairs[bisect_left(reached, rank)][0]


def early_stopping_bound(samples: Sequence[float], q: float) -> float | None:
    """Return the upper bound of the quantile `q` at 99 % confidence, or None where there are too few samples.

    With t the largest number of slow samples that still proves the quantile (`early_stopping_minimum`), the bound is
    the t-th largest sample. The floor is t = 1: 64 samples for 0.9, 662 for 0.99, 6636 for 0.999. The samples must be
    independent. Source: MLPerf LoadGen, early_stopping.cc and results.cc.
    """
    if not 0 < q < 1:
        raise ValueError(f"quantile {q} lies outside 0..1")
    allowed = _allowed_slow(len(samples), q)
    return sorted(samples)[-allowed] if allowed >= 1 else None


def early_stopping_minimum(q: float, slow: int) -> int:
    """Return the least number of samples that proves quantile `q` when `slow` of them are too slow.

    The least n with B(slow; n, 1 - q) <= 0.01, B being the binomial distribution function (MLPerf LoadGen).
    """
    high = slow + 1
    while _allowed_slow(high, q) < slow:
        high *= 2
    return bisect_left(range(high), slow, key=lambda n: _allowed_slow(n, q))


def relative_half_width(interval: Interval | None, value: float | None) -> float | None:
    """Return half the interval's length over the value's size; None where either is unknown or the value is 0."""
    if interval is None or not value:
        return None
    return interval.half_width / abs(value)


def standard_uncertainty(interval: Interval) -> float:
    """Return the standard uncertainty (k=1) that an interval stands for: half its length over the normal quantile.

    Source: GUM (JCGM 100:2008) 4.3.4, an interval with a stated level of confidence.
    """
    return interval.half_width / NormalDist().inv_cdf((1 + interval.level) / 2)


def is_steady(rates_per_s: Sequence[float]) -> bool:
    """Return whether a warm-up's rates no longer drift, by the rule of `STEADY_TEST`; False below 6 rates.

    It asks for the absence of drift, not of jitter: a noisy machine can be steady. The standard error of the
    difference of two medians of m samples is 1.2533 s sqrt(2/m); s is taken from successive differences, which a
    drift does not inflate (median |difference| = 0.9539 s for normal noise).
    """
    recent = rates_per_s[-max(STEADY_RATES_MIN, len(rates_per_s) // 2) :]
    if len(recent) < STEADY_RATES_MIN or min(recent) <= 0:
        return False
    half = len(recent) // 2
    late = median(recent[-half:])
    drift = abs(late - median(recent[:half])) / late
    jitter = median([abs(b - a) for a, b in pairwise(recent)]) / 0.9539 / late
    error = 1.2533 * jitter * math.sqrt(2 / half)
    return drift <= min(max(STEADY_DRIFT, error), STEADY_DRIFT_NOISY)


def _interpolated(ordered: Sequence[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _allowed_slow(n: int, q: float) -> int:
    """Return the largest t with B(t; n, 1 - q) <= 0.01, or -1; terms 12 sigma below the mean are under 1e-30."""
    mean = n * (1 - q)
    t = max(0, int(mean - 12 * math.sqrt(mean * q)) - 1)
    total = math.exp(_log_binomial(t, n, 1 - q))
    while total <= 1 - CONFIDENCE:
        t += 1
        total += math.exp(_log_binomial(t, n, 1 - q))
    return t - 1


def _log_binomial(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)
