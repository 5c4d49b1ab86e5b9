"""The integral of a sampled power curve and its coverage."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.curve import change_count, coverage, integrate_j, interpolate, observed_period_ns
from wattbench.results.errors import SamplingGapError

SECOND = 1_000_000_000

curves = st.lists(
    st.tuples(st.integers(1_000_000, SECOND), st.floats(0, 1000, allow_nan=False)), min_size=3, max_size=40
)


def curve_of(steps: list[tuple[int, float]]) -> tuple[list[int], list[float]]:
    """Return instants and powers from (gap, power) pairs."""
    times, now = [], 0
    for gap, _ in steps:
        now += gap
        times.append(now)
    return times, [power for _, power in steps]


def test_constant_power_gives_power_times_time_exactly() -> None:
    """300 W over 10 s are 3000 J, to the last bit."""
    times = [n * 50_000_000 for n in range(-10, 250)]

    assert 3000.0 == integrate_j(times, [300.0] * len(times), 0, 10 * SECOND, SECOND)


@given(power=st.floats(0.1, 2000), gaps=st.lists(st.integers(1_000_000, SECOND), min_size=4, max_size=50))
def test_constant_power_is_exact_for_any_rhythm(power: float, gaps: list[int]) -> None:
    """A constant power gives P x t however unevenly it is polled."""
    times, watts = curve_of([(gap, power) for gap in gaps])
    start, end = times[0] + 1, times[-1] - 1

    assert power * (end - start) / 1e9 == pytest.approx(integrate_j(times, watts, start, end, SECOND), rel=1e-12)


@given(steps=curves, share=st.floats(0.01, 0.99))
def test_energy_is_additive_over_windows(steps: list[tuple[int, float]], share: float) -> None:
    """The energies of two adjoining windows add up to that of both together."""
    times, watts = curve_of(steps)
    start, end = times[0], times[-1]
    middle = start + max(1, int((end - start) * share))
    parts = integrate_j(times, watts, start, middle, SECOND) + integrate_j(times, watts, middle, end, SECOND)

    assert integrate_j(times, watts, start, end, SECOND) == pytest.approx(parts, rel=1e-9, abs=1e-9)


@given(steps=curves, factor=st.floats(0.001, 1000))
def test_energy_scales_with_power(steps: list[tuple[int, float]], factor: float) -> None:
    """Twice the power is twice the energy."""
    times, watts = curve_of(steps)
    once = integrate_j(times, watts, times[0], times[-1], SECOND)

    scaled = integrate_j(times, [w * factor for w in watts], times[0], times[-1], SECOND)

    assert once * factor == pytest.approx(scaled, rel=1e-9, abs=1e-12)


def test_edges_are_interpolated() -> None:
    """A window that starts between two samples takes the line between them."""
    assert 75.0 == integrate_j([0, SECOND], [0.0, 200.0], SECOND // 2, SECOND, SECOND)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([], "no sample at all"),
        ([5, 3 * SECOND], "first sample lies"),
        ([-5, SECOND], "last sample lies"),
        ([-5, SECOND, 3 * SECOND], "2.000 s apart"),
    ],
)
def test_an_unknown_curve_is_refused(times: list[int], said: str) -> None:
    """Missing edges and gaps raise an error that says where; nothing is filled in."""
    with pytest.raises(SamplingGapError, match=said):
        integrate_j(times, [1.0] * len(times), 0, 2 * SECOND, 1.5 * SECOND)


def test_the_value_at_the_last_sample_is_that_sample() -> None:
    """Interpolating at the very end needs no sample beyond it."""
    assert 7.0 == interpolate([0, 10], [1.0, 7.0], 10)


def test_coverage_counts_what_lies_between_close_samples() -> None:
    """A gap that is too wide is not covered, and is named."""
    found = coverage([0, 1, 2, 6, 7, 8, 9, 10], 0, 10, 2)

    assert (0.6, 4e-9) == (found.share, found.max_gap_s)


@pytest.mark.parametrize(
    ("times", "share", "gap"),
    [([], 0.0, 10e-9), ([-3], 0.0, 10e-9), ([12], 0.0, 10e-9), ([2, 4, 6], 0.4, 4e-9)],
)
def test_edges_without_samples_are_not_covered(times: list[int], share: float, gap: float) -> None:
    """What lies before the first or after the last sample is a gap."""
    found = coverage(times, 0, 10, 2)

    assert share == found.share
    assert gap == pytest.approx(found.max_gap_s)


def test_the_update_period_shows_in_the_changes() -> None:
    """Polling four times as often as the sensor updates still finds its period."""
    times = list(range(0, 100, 5))
    values = [float(t // 20) for t in times]

    assert 20 == observed_period_ns(times, values)
    assert 4 == change_count(values)


def test_a_constant_has_no_observed_period() -> None:
    """One change is no period."""
    assert observed_period_ns([0, 1, 2], [1.0, 1.0, 2.0]) is None
    assert not math.isnan(change_count([]))
