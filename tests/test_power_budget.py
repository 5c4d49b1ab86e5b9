"""The uncertainty budget of an energy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.budget import (
    CLOCK_REL,
    BudgetInputs,
    Share,
    beyond,
    combined,
    own_share_rel,
    ratio_share_rel,
    window_budget,
)
from wattbench.results.energy import BudgetTerm

STEADY = BudgetInputs(
    duration_s=60.0,
    gain_rel=0.029,
    gain_basis="header",
    gain_shared=True,
    edge_period_s=0.1,
    lag_rel=0.0,
    lag_basis="none",
    seen_share=1.0,
    spread_rel=0.1,
    independent_s=0.1,
    residual=None,
)


def changed(**changes: object) -> BudgetInputs:
    """Return the steady inputs with some changed."""
    fields = {name: getattr(STEADY, name) for name in BudgetInputs.__slots__}
    return BudgetInputs(**(fields | changes))  # type: ignore[arg-type]  # the tests pass the right types


def line(inputs: BudgetInputs, name: str) -> BudgetTerm:
    """Return one line of a budget."""
    return next(t for t in window_budget(inputs) if t.name == name)


def test_edges_cost_a_period_over_the_length() -> None:
    """An update period of 0.1 s costs 0.07 % of a minute and 4.1 % of a second."""
    assert 0.00068 == pytest.approx(line(STEADY, "edges").u_rel, rel=0.01)
    assert 0.041 == pytest.approx(line(changed(duration_s=1.0), "edges").u_rel, rel=0.01)


def test_the_gain_cancels_on_the_same_board() -> None:
    """Absolute holds the gain and the clock, comparison does not."""
    u = combined(window_budget(STEADY))

    assert math.hypot(0.029, 0.000680, CLOCK_REL) == pytest.approx(u.absolute_rel, rel=1e-4)
    assert 0.000680 == pytest.approx(u.comparison_rel, rel=1e-3)


def test_a_models_gain_does_not_cancel() -> None:
    """A model is off by another factor at another load, so its error stays in comparisons."""
    assert combined(window_budget(changed(gain_shared=False))).comparison_rel > 0.029


def test_an_unknown_gain_is_not_small() -> None:
    """Without a stated accuracy there is no absolute figure."""
    assert combined(window_budget(changed(gain_rel=None))).absolute_rel is None


@pytest.mark.parametrize(("share", "said"), [(0.25, "25%"), (None, "unknown share")])
def test_seeing_part_of_the_time_costs(share: float | None, said: str) -> None:
    """The unseen rest is sampled: spread x sqrt((1 - share) / looks); an unknown share counts as points."""
    term = line(changed(seen_share=share), "part_time")

    assert 0.1 * math.sqrt((1 - (share or 0)) / 600) == pytest.approx(term.u_rel)
    assert said in term.basis


def test_seeing_all_of_the_time_costs_nothing() -> None:
    """There is no such line for a sensor that never looks away, and none for a residual without two methods."""
    assert ["gain", "edges", "lag", "clock"] == [t.name for t in window_budget(STEADY)]


def test_a_residual_widens_the_absolute_figure() -> None:
    """The truth may lie anywhere between counter and integral."""
    assert 0.03 / math.sqrt(3) == pytest.approx(line(changed(residual=-0.03), "residual").u_rel)


def test_a_step_counts_in_both_figures() -> None:
    """What the sensor's least step makes unsure cancels in no comparison."""
    step = Share(u_rel=0.048, comparison_rel=0.048, basis="1 W at 6 W")
    u = combined(window_budget(changed(resolution=step)))

    assert math.hypot(0.029, 0.000680, CLOCK_REL, 0.048) == pytest.approx(u.absolute_rel, rel=1e-4)
    assert math.hypot(0.000680, 0.048) == pytest.approx(u.comparison_rel, rel=1e-4)


@given(residual=st.floats(-0.2, 0.2), step_rel=st.floats(0.0, 0.2))
def test_a_step_behind_a_residual_counts_once(residual: float, step_rel: float) -> None:
    """Residual and resolution together are the larger of the two, never their sum."""
    inputs = changed(residual=residual, resolution=Share(u_rel=step_rel, comparison_rel=step_rel, basis=""))
    both = math.hypot(line(inputs, "residual").u_rel, line(inputs, "resolution").u_rel)

    assert max(abs(residual) / math.sqrt(3), step_rel) == pytest.approx(both, abs=1e-9)
    assert beyond(residual, step_rel) <= abs(residual)


def test_an_offset_may_count_more_in_comparisons() -> None:
    """A line may have two figures: at the power of its comparison an offset costs nothing, in ratios it does."""
    offset = Share(u_rel=0.01, comparison_rel=0.03, basis="")
    inputs = changed(offset=offset)
    u = combined(window_budget(inputs))

    assert (0.01, 0.03) == (line(inputs, "offset").u_rel, line(inputs, "offset").compared_rel)
    assert math.hypot(0.029, 0.000680, CLOCK_REL, 0.01) == pytest.approx(u.absolute_rel, rel=1e-4)
    assert math.hypot(0.000680, 0.03) == pytest.approx(u.comparison_rel, rel=1e-3)


def test_a_windows_own_share_is_without_the_sensors_line() -> None:
    """Where gain and offset are looked for, edges, lag and resolution are what a level is unsure by."""
    step, offset = Share(u_rel=0.002, comparison_rel=0.002, basis=""), Share(u_rel=0.01, comparison_rel=0.03, basis="")
    terms = window_budget(changed(resolution=step, offset=offset))

    assert math.hypot(0.000680, 0.002) == pytest.approx(own_share_rel(terms), rel=1e-3)


@given(
    offset_w=st.floats(-30.0, 30.0), one_w=st.floats(20.0, 900.0), two_w=st.floats(20.0, 900.0), at=st.floats(0.0, 0.1)
)
def test_an_offset_never_moves_a_ratio_further_than_both_runs_say(
    offset_w: float, one_w: float, two_w: float, at: float
) -> None:
    """The rest b (1/P1 - 1/P2) is at most the root sum of squares of both runs' shares, whatever the reference."""
    shares = [ratio_share_rel(abs(offset_w), power_w, at) for power_w in (one_w, two_w)]

    assert abs(offset_w * (1 / one_w - 1 / two_w)) <= math.hypot(*shares) + 1e-12
