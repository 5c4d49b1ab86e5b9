"""The yearly bill of a stream of queries."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.bill import at_prices, bill_of
from wattbench.results.errors import UsageError


def test_a_million_queries_a_day_at_a_cent_and_at_a_tenth() -> None:
    """The line between 3.65 and 0.365 million USD a year."""
    dear, cheap = at_prices(1e6, (0.01, 0.001))

    assert (3.65e6, 0.365e6) == (pytest.approx(dear.usd_per_year), pytest.approx(cheap.usd_per_year))


def test_it_is_the_query_times_the_years_queries(cost_case: ModuleType) -> None:
    """Usage and reservation scale with the queries, their uncertainty stays."""
    bill = bill_of(cost_case.make_measured(), cost_case.make_inputs(workload__queries_per_day=1000.0))
    assert bill.reservation is not None
    assert bill.query.reservation is not None

    assert bill.query.usage.usd * 365_000 == pytest.approx(bill.usage.usd)
    assert bill.query.reservation.usd * 365_000 == pytest.approx(bill.reservation.usd)
    assert bill.query.usage.u_rel == bill.usage.u_rel


@given(per_day=st.floats(min_value=1, max_value=1e8))
def test_whole_machines_cost_at_least_their_share(cost_case: ModuleType, per_day: float) -> None:
    """Machines come whole, none is busier than the goal, so their year costs no less than the reservation's."""
    bill = bill_of(cost_case.make_measured(), cost_case.make_inputs(workload__queries_per_day=per_day))
    assert bill.reservation is not None
    assert bill.whole is not None
    assert bill.utilisation is not None

    assert bill.utilisation <= 0.5 * (1 + 1e-9)
    assert bill.usage.usd <= bill.reservation.usd <= bill.whole.usd * (1 + 1e-9)


def test_whole_machines_by_hand(cost_case: ModuleType) -> None:
    """864,000 queries a day are 10 a second: two machines of 10 a second at half their hours."""
    bill = bill_of(cost_case.make_measured(), cost_case.make_inputs(workload__queries_per_day=864_000.0))
    assert bill.whole is not None

    assert (2, 0.5) == (bill.machines, pytest.approx(bill.utilisation))
    assert 2 * 8760 * (cost_case.CAPITAL_H + 4 * 1.2 * 0.1) == pytest.approx(bill.whole.usd)


def test_without_a_utilisation_only_usage_is_billed(cost_case: ModuleType) -> None:
    """Idle hours need to be known: without them there is a reason instead of a figure."""
    bill = bill_of(
        cost_case.make_measured(), cost_case.make_rented(use__utilisation=None, workload__queries_per_day=1.0)
    )

    assert (None, None, None) == (bill.reservation, bill.whole, bill.machines)
    assert bill.query.reservation_reason is not None


def test_queries_a_day_are_asked_for(cost_case: ModuleType) -> None:
    """Nothing is assumed of the stream."""
    with pytest.raises(UsageError, match=r"workload\.queries_per_day"):
        bill_of(cost_case.make_measured(), cost_case.make_inputs())
