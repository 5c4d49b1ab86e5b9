"""Late queries cost: the share that keeps its promises, from measured quantiles, and the cost of a query on time."""

from types import ModuleType

import pytest

from wattbench.harness.cli.cost.query import cost_lines
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.service import OnTime, on_time
from wattbench.results.errors import UsageError


@pytest.mark.parametrize(
    ("latency_s", "low", "high"),
    [(0.5, 0.0, 0.5), (1.0, 0.5, 0.9), (1.7, 0.9, 0.99), (2.0, 0.99, 1.0)],
)
def test_a_promise_lies_between_two_quantiles(cost_case: ModuleType, latency_s: float, low: float, high: float) -> None:
    """Measured are p50 1 s, p90 1.5 s and p99 2 s: what keeps 1.7 s is at least 90 % and less than 99 %."""
    inputs = cost_case.make_inputs(slo__latency_s=latency_s)

    assert OnTime(low=low, high=high) == on_time(cost_case.make_measured(), inputs)


def test_several_promises_are_broken_by_different_queries(cost_case: ModuleType) -> None:
    """At the worst the 10 % that are late by one promise and the 1 % by another are others: 89 % keep both."""
    found = on_time(cost_case.make_measured(), cost_case.make_inputs(slo__latency_s=1.7, slo__ttft_s=0.3))
    assert found is not None

    assert (pytest.approx(0.89), 0.99) == (found.low, found.high)


def test_without_a_promise_nothing_is_late(cost_case: ModuleType) -> None:
    """No promise, no share, and no line of it."""
    cost = query_cost(cost_case.make_measured(), cost_case.make_inputs())

    assert cost.on_time is None
    assert not any("on time" in line for line in cost_lines(cost))


def test_a_query_on_time_pays_for_the_late_ones(cost_case: ModuleType) -> None:
    """Between 90 and 99 % come in time: the cost of one lies between c / 0.99 and c / 0.9."""
    cost = query_cost(cost_case.make_measured(), cost_case.make_inputs(slo__latency_s=1.7))
    (line,) = [line for line in cost_lines(cost) if line.startswith("query on time")]
    (share,) = [line for line in cost_lines(cost) if line.startswith("on time")]

    assert f"{cost.usage.usd / 0.99:.4g} to {cost.usage.usd / 0.9:.4g} USD usage" in line
    assert "90 to 99 % of the queries keep the promise" in share


def test_a_promise_that_nothing_is_known_to_keep(cost_case: ModuleType) -> None:
    """Below the first quantile at most half comes in time, and perhaps none does: there is only a least cost."""
    cost = query_cost(cost_case.make_measured(), cost_case.make_inputs(slo__latency_s=0.5))
    (line,) = [line for line in cost_lines(cost) if line.startswith("query on time")]

    assert f"at least {cost.usage.usd / 0.5:.4g} USD usage" in line


def test_a_latency_that_was_not_measured_is_no_promise(cost_case: ModuleType) -> None:
    """The case has no time per token; the promise is refused, not passed over."""
    with pytest.raises(UsageError, match="A promise cannot be held against the result"):
        on_time(cost_case.make_measured(), cost_case.make_inputs(slo__tpot_s=0.1))


def test_rest_above_work_is_a_slip(cost_case: ModuleType) -> None:
    """A declared machine that draws 8 W idle and 5 W busy has one of the two wrong."""
    machine = cost_case.make_measured(powers=(), no_power_reason="no sensor")
    with pytest.raises(UsageError, match="A machine draws more at rest than at work: at rest 8 W"):
        query_cost(machine, cost_case.make_inputs(power__active_w=5.0, power__idle_w=8.0))
