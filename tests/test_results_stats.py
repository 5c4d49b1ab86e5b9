"""Statistics of repeats and latencies."""

import random
import statistics
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.metrics import Interval
from wattbench.results.stats import (
    STEADY_TEST,
    bootstrap_interval,
    early_stopping_bound,
    early_stopping_minimum,
    is_steady,
    median,
    median_interval,
    quantile,
    relative_half_width,
    spread_iqr,
    standard_uncertainty,
)

SAMPLES = st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=2, max_size=30)

LOADGEN = [
    *[(0.9, t, n) for t, n in ((0, 44), (1, 64), (2, 81), (5, 127), (10, 197), (50, 681))],
    *[(0.99, t, n) for t, n in ((0, 459), (1, 662), (2, 838), (5, 1307), (10, 2010), (50, 6898))],
    *[(0.999, t, n) for t, n in ((0, 4603), (1, 6636))],
]


def test_median_odd() -> None:
    """The median of an odd count is the middle sample."""
    assert 2.0 == median([3.0, 1.0, 2.0])


def test_median_even() -> None:
    """The median of an even count is the mean of the middle two."""
    assert 2.5 == median([4.0, 1.0, 2.0, 3.0])


def test_median_of_nothing() -> None:
    """Nothing has no median."""
    with pytest.raises(ValueError, match="nothing"):
        median([])


@given(SAMPLES)
def test_median_is_the_standard_one(samples: list[float]) -> None:
    """The median is the one of the standard library."""
    assert statistics.median(samples) == median(samples)


@given(SAMPLES, st.randoms())
def test_order_does_not_matter(samples: list[float], rng: random.Random) -> None:
    """Every statistic of repeats and latencies ignores the order of the samples."""
    shuffled = samples.copy()
    rng.shuffle(shuffled)

    assert _all(samples) == _all(shuffled)


def _all(samples: list[float]) -> list[object]:
    return [
        median(samples),
        median_interval(samples),
        bootstrap_interval(samples, resamples=50),
        spread_iqr(samples),
        quantile(samples, 0.9),
        early_stopping_bound(samples * 3, 0.9),
    ]


@pytest.mark.parametrize(("n", "low", "level"), [(2, 1, 0.5), (5, 1, 0.9375), (8, 1, 0.9921875), (10, 2, 0.978515625)])
def test_median_interval_ranks(n: int, low: int, level: float) -> None:
    """The interval lies between two order statistics and states its exact coverage."""
    interval = median_interval([float(x) for x in range(1, n + 1)])

    assert interval is not None
    assert (low, n + 1 - low, level) == (interval.low, interval.high, interval.level)


@pytest.mark.parametrize("n", range(6, 41))
def test_median_interval_covers(n: int) -> None:
    """From 6 samples on the coverage is at least the level asked for, and the next rank would fall below it."""
    interval = median_interval([float(x) for x in range(1, n + 1)])
    assert interval is not None
    depth = int(interval.low)
    narrower = 1 - 2 * sum(comb(n, k) for k in range(depth + 1)) / 2**n

    assert narrower < 0.95 <= interval.level


def test_median_interval_of_one() -> None:
    """One sample has no interval."""
    assert median_interval([1.0]) is None


def test_median_interval_of_equal_samples() -> None:
    """Equal samples give an interval without length."""
    interval = median_interval([7.0] * 5)

    assert interval is not None
    assert 0.0 == interval.half_width


def test_bootstrap_of_five_spans_all() -> None:
    """For five samples the bootstrap interval spans them all and says so."""
    interval = bootstrap_interval([1.0, 2.0, 3.0, 4.0, 5.0])

    assert interval is not None
    assert (1.0, 5.0) == (interval.low, interval.high)
    assert "spans all samples" in interval.method


@pytest.mark.parametrize(("n", "ranks"), [(7, (2.0, 6.0)), (10, (3.0, 8.0))])
def test_bootstrap_of_few_is_too_narrow(n: int, ranks: tuple[float, float]) -> None:
    """For few samples the bootstrap returns the ranks that docs/metrics.md calls too narrow."""
    interval = bootstrap_interval([float(x) for x in range(1, n + 1)])

    assert interval is not None
    assert ranks == (interval.low, interval.high)


def test_bootstrap_of_many() -> None:
    """For many samples the bootstrap interval lies inside them, around the median, and names its seed."""
    interval = bootstrap_interval([float(x) for x in range(101)], seed=3)

    assert interval is not None
    assert 0.0 < interval.low < 50.0 < interval.high < 100.0
    assert "percentile bootstrap of the median (10000 resamples, seed 3)" == interval.method


def test_bootstrap_of_one() -> None:
    """One sample cannot be resampled."""
    assert bootstrap_interval([1.0]) is None


def test_spread() -> None:
    """The spread is the distance of linearly interpolated quartiles."""
    assert 2.0 == spread_iqr([5.0, 1.0, 2.0, 3.0, 4.0])


def test_spread_of_one() -> None:
    """One sample has no spread."""
    assert spread_iqr([1.0]) is None


@pytest.mark.parametrize(
    ("q", "expected"), [(0.1, 1.0), (0.11, 2.0), (0.5, 5.0), (0.9, 9.0), (0.91, 10.0), (1.0, 10.0)]
)
def test_quantile_is_nearest_rank(q: float, expected: float) -> None:
    """A quantile is the smallest sample that a share q of the samples do not exceed."""
    assert expected == quantile([float(x) for x in range(1, 11)], q)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1), st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_quantile_weights_repeat(pairs: list[tuple[int, int]], q: float) -> None:
    """A weight counts a sample that many times."""
    expanded = [float(value) for value, weight in pairs for _ in range(weight)]

    assert quantile(expanded, q) == quantile([float(v) for v, _ in pairs], q, [w for _, w in pairs])


@pytest.mark.parametrize(("samples", "q"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.1)])
def test_quantile_refuses(samples: list[float], q: float) -> None:
    """No samples, or a quantile outside (0, 1], have no answer."""
    with pytest.raises(ValueError, match="not defined"):
        quantile(samples, q)


@pytest.mark.parametrize(("q", "slow", "expected"), LOADGEN)
def test_early_stopping_constants(q: float, slow: int, expected: int) -> None:
    """The least counts are those of MLPerf LoadGen."""
    assert expected == early_stopping_minimum(q, slow)


@pytest.mark.parametrize(("q", "floor"), [(0.9, 64), (0.99, 662), (0.999, 6636)])
def test_early_stopping_floor(q: float, floor: int) -> None:
    """Below the floor there is no bound; at the floor it is the largest sample."""
    samples = [float(x) for x in range(1, floor + 1)]

    assert (None, float(floor)) == (early_stopping_bound(samples[:-1], q), early_stopping_bound(samples, q))


@pytest.mark.parametrize(("n", "expected"), [(80, 80.0), (81, 80.0), (197, 188.0)])
def test_early_stopping_bound(n: int, expected: float) -> None:
    """The bound is the t-th largest sample, t being the number of slow samples that still proves the quantile."""
    assert expected == early_stopping_bound([float(x) for x in range(1, n + 1)], 0.9)


@pytest.mark.parametrize("q", [0.0, 1.0])
def test_early_stopping_refuses(q: float) -> None:
    """The smallest and the largest value of a distribution cannot be bounded."""
    with pytest.raises(ValueError, match="outside"):
        early_stopping_bound([1.0], q)


def test_relative_half_width() -> None:
    """The relative half-width is half the length over the value's size."""
    assert 0.1 == relative_half_width(Interval(low=-11.0, high=-9.0, level=0.95, method=""), -10.0)


@pytest.mark.parametrize("value", [None, 0.0])
def test_relative_half_width_unknown(value: float | None) -> None:
    """Without a value, or around zero, nothing is relative."""
    assert relative_half_width(Interval(low=-1.0, high=1.0, level=0.95, method=""), value) is None


def test_relative_half_width_without_interval() -> None:
    """Without an interval there is no half-width."""
    assert relative_half_width(None, 1.0) is None


def test_standard_uncertainty() -> None:
    """A 95 % interval stands for half its length over 1.96."""
    assert 1.0 == pytest.approx(standard_uncertainty(Interval(low=-1.959964, high=1.959964, level=0.95, method="")))


def _noisy(count: int, jitter: float, *, drift: float = 0.0, seed: int = 1) -> list[float]:
    rng = random.Random(seed)
    return [100.0 * (1 + drift * i / count) * (1 + rng.gauss(0, jitter)) for i in range(count)]


def test_steady_constant() -> None:
    """A constant rate is steady from six rates on."""
    assert (False, True) == (is_steady([5.0] * 5), is_steady([5.0] * 6))


def test_steady_ramp() -> None:
    """A rate that still rises by a fifth over the warm-up is not steady."""
    assert not is_steady(_noisy(40, 0.005, drift=0.2))


def test_steady_after_a_slow_start() -> None:
    """Slow first executions do not count once the later half is level."""
    assert is_steady([10.0, 30.0, 60.0, 80.0, 95.0, 100.0, 101.0, 99.5, 100.5, 99.0, 100.0])


@pytest.mark.parametrize("jitter", [0.03, 0.05, 0.1])
def test_steady_noise(jitter: float) -> None:
    """Jitter without drift is steady in most draws, as on a shared machine."""
    held = [is_steady(_noisy(60, jitter, seed=seed)) for seed in range(100)]

    assert sum(held) >= 60


@pytest.mark.parametrize("jitter", [0.01, 0.03, 0.05])
def test_steady_noise_does_not_hide_drift(jitter: float) -> None:
    """A drift of 20 % across the judged half is seen through the jitter in most draws."""
    held = [is_steady(_noisy(30, jitter, drift=0.4, seed=seed)) for seed in range(100)]

    assert sum(held) <= 25


def test_steady_refuses_standstill() -> None:
    """A rate of zero is never steady."""
    assert not is_steady([1.0] * 5 + [0.0])


def test_steady_test_in_words() -> None:
    """The rule in words names its three figures."""
    assert all(figure in STEADY_TEST for figure in ("2 %", "5 %", "6"))


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.5, float("nan")])
def test_a_level_lies_between_0_and_1(level: float) -> None:
    """An interval at any other level has no standard uncertainty, so that there is none."""
    with pytest.raises(ValueError, match="level lies between 0 and 1"):
        Interval(low=1.0, high=2.0, level=level, method="")
