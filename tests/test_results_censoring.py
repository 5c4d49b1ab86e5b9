"""Times that were cut while they went on: a published table, and what watching until a fixed end does to them."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.censoring import kaplan_meier
from wattbench.results.stats import quantile

ENDED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CUT = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
"""Weeks of remission under 6-mercaptopurine: Freireich et al., Blood 21 (1963), as in many textbooks."""


def test_a_published_table() -> None:
    """The estimate of the 6-MP group of Freireich's trial, to the digits that textbooks print."""
    found = kaplan_meier(ENDED, CUT)

    assert (6, 7, 10, 13, 16, 22, 23) == found.at
    assert [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448] == [round(1 - share, 3) for share in found.ended]
    assert (23, None) == (found.quantile(0.5), found.quantile(0.9))


@given(st.lists(st.floats(0.001, 1e4), min_size=1, max_size=60), st.sampled_from([0.5, 0.9, 0.99]))
def test_without_cuts_it_is_the_samples_own_distribution(samples: list[float], q: float) -> None:
    """The quantiles are the nearest-rank ones, the mean is the mean."""
    found = kaplan_meier(samples, [])

    assert quantile(samples, q) == found.quantile(q)
    assert math.fsum(samples) / len(samples) == pytest.approx(found.mean())


def test_nothing_that_ended_has_no_distribution() -> None:
    """Times that are all cut say how long at least, and nothing else."""
    with pytest.raises(ValueError, match="none ended"):
        kaplan_meier([], [3.0])


def test_long_ones_are_not_undercounted_by_a_windows_end() -> None:
    """Of sessions one after another in 4,000 windows of 60 s, the whole ones alone are a third too short."""
    source = numpy.random.default_rng(8)
    spans = source.exponential(30.0, size=(4000, 60))
    ends = numpy.cumsum(spans, axis=1)
    begun = ends - spans < 60
    whole, cut = spans[ends <= 60], (60 - (ends - spans))[begun & (ends > 60)]
    found = kaplan_meier(whole.tolist(), cut.tolist())
    true_s = 30 * math.log(2)

    assert quantile(whole.tolist(), 0.5) < 0.75 * true_s
    assert true_s == pytest.approx(found.quantile(0.5), rel=0.03)
