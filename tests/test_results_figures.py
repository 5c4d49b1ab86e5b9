"""One metric from its samples."""

import math

import pytest

from wattbench.results.figures import figure
from wattbench.results.stats import standard_uncertainty


def test_value_is_the_median() -> None:
    """The value is the median of the samples, with interval and spread."""
    metric = figure("a", "1", [1.0, 3.0, 2.0], "ratio", reason="none")

    assert metric.interval is not None
    assert (2.0, None, (1.0, 3.0), 1.0, (1.0, 3.0, 2.0)) == (
        metric.value,
        metric.reason,
        (metric.interval.low, metric.interval.high),
        metric.spread,
        metric.samples,
    )


def test_method_names_the_count() -> None:
    """The method says of how many samples the median is."""
    assert "ratio; median of 3" == figure("a", "1", [1.0, 3.0, 2.0], "ratio", reason="none").method


def test_missing_samples_are_named() -> None:
    """Samples that are unknown are counted and their reason is told."""
    metric = figure("a", "1", [1.0, None, 2.0], "ratio", reason="the sensor was silent")

    assert "ratio; median of 2 (of 3; the sensor was silent)" == metric.method


def test_nothing_known() -> None:
    """Without a known sample the value is None with the reason, never 0."""
    metric = figure("a", "1", [None, None], "ratio", reason="no sensor", u_absolute_rel=0.1)

    assert (None, "no sensor", None, None, (), "ratio", None) == (
        metric.value,
        metric.reason,
        metric.interval,
        metric.spread,
        metric.samples,
        metric.method,
        metric.u_absolute_rel,
    )


def test_one_sample() -> None:
    """One sample has a value, but no interval, no spread and no repeatability."""
    metric = figure("a", "1", [5.0], "ratio", reason="none", u_absolute_rel=0.1, u_comparison_rel=0.1)

    assert (5.0, None, None, None, None, "ratio") == (
        metric.value,
        metric.interval,
        metric.spread,
        metric.u_absolute_rel,
        metric.u_comparison_rel,
        metric.method,
    )


def test_uncertainties_add_repeatability() -> None:
    """Both uncertainties are the sensor's and the repeatability's in quadrature."""
    metric = figure("a", "1", [90.0, 100.0, 110.0], "", reason="", u_absolute_rel=0.03, u_comparison_rel=0.004)
    assert metric.interval is not None
    repeatability = standard_uncertainty(metric.interval) / 100.0

    assert (math.hypot(0.03, repeatability), math.hypot(0.004, repeatability)) == (
        metric.u_absolute_rel,
        metric.u_comparison_rel,
    )


@pytest.mark.parametrize(("samples", "u_rel"), [([90.0, 100.0], None), ([-1.0, 1.0], 0.03)])
def test_uncertainty_unknown(samples: list[float], u_rel: float | None) -> None:
    """Nothing relative is stated where the sensor states nothing or the value is zero."""
    assert figure("a", "1", samples, "", reason="", u_absolute_rel=u_rel).u_absolute_rel is None


def test_uncertainty_of_a_negative_value() -> None:
    """A negative figure, such as net power below idle, has a positive relative uncertainty."""
    metric = figure("a", "1", [-90.0, -100.0, -110.0], "", reason="", u_absolute_rel=0.03)

    assert metric.u_absolute_rel is not None
    assert metric.u_absolute_rel > 0.03
