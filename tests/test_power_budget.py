"""The uncertainty budget of an energy."""

import math

import pytest

from wattbench.harness.power.budget import (
    CLOCK_REL,
    BudgetInputs,
    combined,
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
