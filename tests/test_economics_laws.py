"""What must hold of a query's cost, whatever the numbers."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.capital import capital_recovery_factor
from wattbench.results.economics.measured import MeasuredPower, Quantity
from wattbench.results.economics.power import FacilityPower, ItPower
from wattbench.results.economics.query import QueryCost, query_cost
from wattbench.results.errors import UsageError

RATES = st.floats(min_value=1e-3, max_value=1e6)
SHARES = st.floats(min_value=0.0, max_value=1.0)
USED = st.floats(min_value=0.001, max_value=1.0)
FACTORS = st.floats(min_value=1.001, max_value=100.0)


def _cost(
    cost_case: ModuleType, rate: float = 10.0, share: float = 0.25, idle_w: float = 2000.0, **changes: float
) -> QueryCost:
    wall = MeasuredPower(scope="wall", boundary="plug", active=Quantity(value=6000.0, u_rel=0.01), idle_w=idle_w)
    measured = cost_case.make_measured(
        queries_per_s=Quantity(value=rate, u_rel=0.02), prefill_share=share, powers=(wall,)
    )
    return query_cost(measured, cost_case.make_inputs(**changes))


def _reserved(cost: QueryCost) -> float:
    assert cost.reservation is not None
    return cost.reservation.usd


@given(rate=RATES, share=SHARES, utilisation=USED)
def test_input_and_output_are_the_whole_exactly(
    cost_case: ModuleType, rate: float, share: float, utilisation: float
) -> None:
    """To the last bit: no cent is counted twice, none is lost."""
    cost = _cost(cost_case, rate, share, use__utilisation=utilisation)
    assert cost.phases is not None

    assert cost.usage.usd == cost.phases.input_usd + cost.phases.output_usd
    assert min(cost.phases.input_usd, cost.phases.output_usd) >= 0


@given(rate=RATES, factor=FACTORS)
def test_cost_falls_with_throughput(cost_case: ModuleType, rate: float, factor: float) -> None:
    """A faster machine with the same hour is cheaper a query, in proportion."""
    slow, fast = _cost(cost_case, rate), _cost(cost_case, rate * factor)

    assert slow.usage.usd == pytest.approx(factor * fast.usage.usd)
    assert _reserved(slow) == pytest.approx(factor * _reserved(fast))


@given(factor=FACTORS)
def test_cost_rises_with_the_price(cost_case: ModuleType, factor: float) -> None:
    """A dearer machine makes a dearer query."""
    assert _cost(cost_case).usage.usd < _cost(cost_case, hardware__price_usd=300_000 * factor).usage.usd


@given(pue=st.floats(min_value=1.0, max_value=3.9), more=st.floats(min_value=0.001, max_value=0.1))
def test_cost_rises_with_the_overhead(cost_case: ModuleType, pue: float, more: float) -> None:
    """The building's overhead costs, in proportion and once."""
    low, high = (_cost(cost_case, power__pue=x) for x in (pue, pue + more))
    assert low.hourly.energy_busy_usd is not None
    assert high.hourly.energy_busy_usd is not None

    assert low.usage.usd < high.usage.usd
    assert high.hourly.energy_busy_usd / low.hourly.energy_busy_usd == pytest.approx((pue + more) / pue)


@given(idle=st.floats(min_value=1.0, max_value=5000.0), more=st.floats(min_value=1.0, max_value=900.0))
def test_cost_rises_with_power_at_rest(cost_case: ModuleType, idle: float, more: float) -> None:
    """Watts at rest are paid by whoever reserves, not by the busy time."""
    low, high = _cost(cost_case, idle_w=idle), _cost(cost_case, idle_w=idle + more)

    assert _reserved(low) < _reserved(high)
    assert low.usage.usd == high.usage.usd


@given(utilisation=USED, idle=st.floats(min_value=0.0, max_value=6000.0))
def test_usage_is_never_above_reservation(cost_case: ModuleType, utilisation: float, idle: float) -> None:
    """Idle hours only add; without any both are equal."""
    cost, full = (_cost(cost_case, idle_w=idle, use__utilisation=u) for u in (utilisation, 1.0))

    assert cost.usage.usd <= _reserved(cost) * (1 + 1e-12)
    assert full.usage.usd == pytest.approx(_reserved(full))


@given(utilisation=USED)
def test_usage_is_never_above_reservation_without_a_power_at_rest(cost_case: ModuleType, utilisation: float) -> None:
    """Where rest was not measured its hours count without energy; the work's energy is still paid."""
    wall = MeasuredPower(scope="wall", boundary="plug", active=Quantity(value=6000.0, u_rel=None), idle_w=None)
    cost = query_cost(cost_case.make_measured(powers=(wall,)), cost_case.make_inputs(use__utilisation=utilisation))

    assert cost.usage.usd <= _reserved(cost) * (1 + 1e-12)


@given(factor=FACTORS)
def test_prices_scale_with_their_unit(cost_case: ModuleType, factor: float) -> None:
    """All amounts in another unit give the cost in that unit."""
    plain = _cost(cost_case)
    scaled = _cost(cost_case, hardware__price_usd=3e5 * min(factor, 10), power__usd_per_kwh=0.1 * min(factor, 10))

    assert min(factor, 10) * plain.usage.usd == pytest.approx(scaled.usage.usd)


def test_the_overhead_cannot_be_counted_twice() -> None:
    """Power at the building's meter has no way to be multiplied by a PUE again, and no cost of energy without one."""
    assert not hasattr(FacilityPower, "facility")
    assert FacilityPower is type(ItPower(power_w=1.0).facility(1.2))


@given(rate=st.floats(min_value=0.0, max_value=0.5), years=st.floats(min_value=1, max_value=20))
def test_interest_grows_out_of_straight_lines(rate: float, years: float) -> None:
    """However small the interest, the factor lies between straight-line depreciation and that plus the interest."""
    assert 1 / years * (1 - 1e-9) <= capital_recovery_factor(rate, years) <= (1 / years + rate) * (1 + 1e-9)


def test_a_machine_that_keeps_its_price_and_draws_nothing_costs_nothing(cost_case: ModuleType) -> None:
    """Zero is no cost of a query: it is refused with what is missing."""
    with pytest.raises(UsageError, match="costs nothing"):
        query_cost(
            cost_case.make_measured(powers=(), no_power_reason="x"), cost_case.make_inputs(hardware__residual_usd=3e5)
        )


def test_a_residual_above_the_price_is_refused(cost_case: ModuleType) -> None:
    """Worth more at its end than new is a slip, not an income."""
    with pytest.raises(UsageError, match="worth more at its end"):
        query_cost(cost_case.make_measured(), cost_case.make_inputs(hardware__residual_usd=4e5))
