"""When inference overtakes training."""

from itertools import pairwise
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.lifetime import lifetime_of
from wattbench.results.economics.query import query_cost
from wattbench.results.errors import UsageError

STREAM = {
    "workload__queries_per_day": 1e6,
    "workload__growth_per_month": 0.1,
    "training__months": 24.0,
    "training__usd": 100_000.0,
    "training__energy_kwh": 50_000.0,
}


def test_money_and_energy_by_hand(cost_case: ModuleType) -> None:
    """Training over the cost of a query, and over its energy up to the building: 960 J."""
    measured, inputs = cost_case.make_measured(), cost_case.make_inputs(**STREAM)
    life, cost = lifetime_of(measured, inputs), query_cost(measured, inputs)
    assert life.money is not None
    assert life.energy is not None
    assert cost.reservation is not None

    assert 100_000 / cost.reservation.usd == pytest.approx(life.money.queries)
    assert 50_000 / (960 / 3.6e6) == pytest.approx(life.energy.queries)
    assert "up to building" == life.energy.basis
    assert cost.reservation.u_rel == life.money.u_rel
    assert (0.02**2 + 0.01**2) ** 0.5 == pytest.approx(life.energy.u_rel)


@given(growth=st.floats(min_value=-0.5, max_value=1.0), months=st.integers(min_value=1, max_value=120))
def test_the_share_rises_and_passes_half_in_its_month(cost_case: ModuleType, growth: float, months: int) -> None:
    """Inference's share never falls; the month of overtaking is the first at whose end N* queries were answered."""
    changed = {**STREAM, "workload__growth_per_month": growth, "training__months": float(months)}
    life = lifetime_of(cost_case.make_measured(), cost_case.make_inputs(**changed))
    assert life.money is not None
    reached = [month + 1 for month, n in enumerate(life.queries_by_month) if n >= life.money.queries * (1 + 1e-9)]

    assert all(b >= a * (1 - 1e-12) for a, b in pairwise(life.money.shares))
    assert months == len(life.money.shares)
    assert (reached[0] if reached else None) == life.money.month


def test_without_watts_there_is_money_alone(cost_case: ModuleType) -> None:
    """A result without energy says why its energy never overtakes anything."""
    life = lifetime_of(cost_case.make_measured(powers=(), no_power_reason="x"), cost_case.make_inputs(**STREAM))

    assert life.money is not None
    assert life.energy is None
    assert any("no rung is known" in reason for reason in life.missing)


def test_training_is_asked_for(cost_case: ModuleType) -> None:
    """One of training's two figures is needed, and months are whole."""
    with pytest.raises(UsageError, match=r"training\.energy_kwh"):
        lifetime_of(
            cost_case.make_measured(),
            cost_case.make_inputs(**{**STREAM, "training__usd": None, "training__energy_kwh": None}),
        )
    with pytest.raises(UsageError, match="whole"):
        lifetime_of(cost_case.make_measured(), cost_case.make_inputs(**{**STREAM, "training__months": 1.5}))
