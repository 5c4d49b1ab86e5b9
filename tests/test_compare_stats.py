"""Ratios with intervals, false discoveries, and what a ratio says."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.compare_stats import (
    Estimate,
    Ratio,
    discoveries,
    estimate_of,
    outcome_of,
    ratio_of,
)
from wattbench.results.figures import figure
from wattbench.results.metrics import Metric

POSITIVE = st.floats(1e-6, 1e9)
ESTIMATES = st.builds(Estimate, value=POSITIVE, u_rel=st.floats(1e-6, 0.5), freedom=st.integers(1, 1000))


def rates(samples: Sequence[float], **stated: float | None) -> Metric:
    """Return a figure of one sample a repeat; with uncertainties it is an energy of a board."""
    scope = "board" if stated else None
    return figure("x", "1", samples, "made up", reason="-", scope=scope, **stated)


def ratio(low: float, value: float, high: float) -> Ratio:
    """Return a ratio with its interval; its p does not matter."""
    return Ratio(value=value, low=low, high=high, p=0.5)


@given(first=ESTIMATES, second=ESTIMATES)
def test_a_ratio_turned_round_is_its_inverse(first: Estimate, second: Estimate) -> None:
    """B over A is one over A over B, interval and probability included."""
    there, back = ratio_of(first, second), ratio_of(second, first)

    assert math.isclose(there.value, 1 / back.value, rel_tol=1e-9)
    assert math.isclose(there.low * back.high, 1, rel_tol=1e-9)
    assert math.isclose(there.p, back.p, abs_tol=1e-9)


@given(first=ESTIMATES, second=ESTIMATES, scale=st.floats(1e-3, 1e3))
def test_a_ratio_has_no_unit(first: Estimate, second: Estimate, scale: float) -> None:
    """Both figures in another unit give the same ratio and interval."""

    def scaled(estimate: Estimate) -> Estimate:
        return Estimate(value=estimate.value * scale, u_rel=estimate.u_rel, freedom=estimate.freedom)

    plain, other = ratio_of(first, second), ratio_of(scaled(first), scaled(second))

    assert math.isclose(plain.value, other.value, rel_tol=1e-9)
    assert math.isclose(plain.low, other.low, rel_tol=1e-9)


@given(first=ESTIMATES, second=ESTIMATES)
def test_the_interval_holds_the_ratio_and_1_exactly_when_p_allows(first: Estimate, second: Estimate) -> None:
    """The ratio lies within its interval, and 1 does when the probability is at least 5 %."""
    found = ratio_of(first, second)

    assert found.low <= found.value <= found.high
    assert 0 <= found.p <= 1
    if abs(found.p - 0.05) > 1e-6:
        assert (found.p > 0.05) == (found.low < 1 < found.high)


def test_a_known_ratio() -> None:
    """Two figures of 3 % and 4 %, known well: 5 % together, times 1.962 for 1000 degrees of freedom."""
    found = ratio_of(
        Estimate(value=100.0, u_rel=0.03, freedom=1000),
        Estimate(value=110.0, u_rel=0.04, freedom=1000),
    )

    assert 1.1 == pytest.approx(found.value)
    assert 1.1 * math.exp(0.05 * 1.9623) == pytest.approx(found.high, rel=1e-4)


def test_figures_without_any_spread_differ_for_certain() -> None:
    """Where nothing is uncertain, unequal is unequal."""
    exact = [Estimate(value=value, u_rel=0.0, freedom=4) for value in (1.0, 1.0, 2.0)]

    assert (1.0, 0.0) == (ratio_of(exact[0], exact[1]).p, ratio_of(exact[0], exact[2]).p)


@pytest.mark.parametrize("repeats", [5, 7, 10])
def test_intervals_cover_the_truth(repeats: int) -> None:
    """Of 2,000 pairs of equal machines at least 94 % have 1 within their interval (seeded)."""
    draw = random.Random(repeats)
    covered = 0
    for _ in range(2000):
        pair = [rates([draw.gauss(100, 2) for _ in range(repeats)]) for _ in range(2)]
        first, second = (estimate_of(metric, same_board=False) for metric in pair)
        assert first is not None
        assert second is not None
        found = ratio_of(first, second)
        covered += found.low <= 1 <= found.high

    assert covered >= 0.94 * 2000


def test_energies_take_the_uncertainty_that_fits() -> None:
    """On one board the sensor's gain cancels; between boards it does not."""
    energy = rates([100.0, 101.0, 99.0, 100.5, 99.5], u_absolute_rel=0.05, u_comparison_rel=0.004)
    same, other = estimate_of(energy, same_board=True), estimate_of(energy, same_board=False)

    assert same is not None
    assert other is not None
    assert energy.u_comparison_rel == pytest.approx(same.u_rel)
    assert energy.u_absolute_rel == pytest.approx(other.u_rel)
    assert other.freedom > same.freedom >= 4


@pytest.mark.parametrize(
    "metric",
    [
        rates([]),
        rates([5.0]),
        rates([0.0, 0.0, 0.0]),
        rates([5.0, 5.1, 4.9], u_absolute_rel=None, u_comparison_rel=None),
    ],
    ids=["nothing", "one repeat", "zero", "a sensor that states nothing"],
)
def test_what_is_not_known_gives_no_estimate(metric: Metric) -> None:
    """One repeat has no spread, zero no ratio, and a sensor without uncertainty no interval."""
    found = metric if metric.scope is None else figure("x", "W", metric.samples, "made up", reason="-", scope="board")

    assert estimate_of(found, same_board=True) is None


@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e308])
def test_figures_that_no_run_gives_end_no_comparison(value: float) -> None:
    """A document may state 5e-324 beside an interval of another size: that gives no estimate, or a finite one."""
    odd = replace(rates([100.0, 101.0, 99.0, 100.5, 99.5]), value=value)
    found = estimate_of(odd, same_board=True)

    assert found is None or math.isfinite(ratio_of(found, found).high)
    assert (value < 1) == (found is None)


def test_benjamini_and_hochbergs_own_example() -> None:
    """Their paper's 15 probabilities (1995, section 3.2) give four discoveries at 5 %."""
    published = (
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    )

    assert (True,) * 4 + (False,) * 11 == discoveries(published)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_discoveries_are_the_smallest_probabilities(probabilities: list[float]) -> None:
    """What counts as real is never less probable to be chance than what does not, and Bonferroni's are among it."""
    found = discoveries(probabilities)
    real = [p for p, is_real in zip(probabilities, found, strict=True) if is_real]
    rest = [p for p, is_real in zip(probabilities, found, strict=True) if not is_real]

    assert not real or not rest or max(real) <= min(rest)
    assert all(is_real for p, is_real in zip(probabilities, found, strict=True) if p <= 0.05 / len(probabilities))
    assert all(p <= 0.05 for p in real)


@pytest.mark.parametrize(
    ("found", "real", "higher", "outcome"),
    [
        (ratio(0.99, 1.0, 1.01), False, True, "equal"),
        (ratio(1.001, 1.005, 1.01), True, True, "equal"),
        (ratio(0.90, 1.0, 1.10), False, True, "inconclusive"),
        (ratio(1.05, 1.1, 1.15), True, True, "better"),
        (ratio(1.05, 1.1, 1.15), True, False, "worse"),
        (ratio(0.85, 0.9, 0.95), True, False, "better"),
        (ratio(1.05, 1.1, 1.15), False, True, "inconclusive"),
    ],
)
def test_what_a_ratio_says(found: Ratio, real: bool, higher: bool, outcome: str) -> None:
    """Within delta it is equal, however real; else better or worse by the figure's direction where it is real."""
    assert outcome == outcome_of(found, real=real, delta=0.02, higher_is_better=higher)


@pytest.mark.parametrize(
    "changes", [{"value": 0.0}, {"value": -1.0}, {"u_rel": -0.1}, {"u_rel": math.nan}, {"freedom": 0}]
)
def test_impossible_estimates_are_refused(changes: dict[str, float]) -> None:
    """A ratio needs figures above 0 and uncertainties that exist."""
    with pytest.raises(ValueError, match=r"ratio|negative|finite|freedom"):
        Estimate(**{"value": 1.0, "u_rel": 0.1, "freedom": 4, **changes})  # type: ignore[arg-type] # wrong on purpose
