"""The cost of an agentic task: its calls, its growing context, what is repeated and what fails."""

from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.prices import TokenPrices, task_usd
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.task import TaskShape, task_cost, task_queries
from wattbench.results.errors import UsageError

PLAIN = {
    "workload__calls": 200.0,
    "workload__growth_tokens": 800.0,
    "workload__cached_share": 0.0,
    "workload__retry_share": 0.05,
    "workload__success_share": 0.8,
}
SHARES = st.floats(min_value=0.0, max_value=0.9)


def _shape(**overrides: Any) -> TaskShape:  # any: values of any field
    fields = {
        "calls": 10,
        "input_tokens": 500.0,
        "output_tokens": 100.0,
        "growth_tokens": 50.0,
        "cached_share": 0.0,
        "retry_share": 0.1,
        "success_share": 0.9,
        "tools_usd": 0.0,
    }
    return TaskShape(**{**fields, **overrides})


def test_one_call_of_the_measured_lengths_is_a_query(cost_case: ModuleType) -> None:
    """A task of one call that never fails costs what the query costs."""
    shape = _shape(calls=1, growth_tokens=0.0, retry_share=0.0, success_share=1.0)

    assert 1.0 == task_queries(cost_case.make_measured(), shape)


def test_it_agrees_with_token_prices(cost_case: ModuleType) -> None:
    """By time and by the query's own prices of tokens the task costs the same."""
    measured, inputs = cost_case.make_measured(), cost_case.make_inputs(**PLAIN)
    query = query_cost(measured, inputs)
    assert query.usd_per_million_input is not None
    assert query.usd_per_million_output is not None
    prices = TokenPrices(
        input_usd_per_million=query.usd_per_million_input, output_usd_per_million=query.usd_per_million_output
    )
    by_price = task_usd(
        prices, calls=200, input_tokens=500, growth_tokens=800, output_tokens=100, retry_share=0.05, tools_usd=0.0
    )

    assert by_price / 0.8 == pytest.approx(task_cost(measured, inputs).usage.usd, rel=1e-12)


@given(calls=st.integers(min_value=1, max_value=300), retry=SHARES, growth=st.floats(min_value=0, max_value=1e4))
def test_each_burden_makes_it_dearer(cost_case: ModuleType, calls: int, retry: float, growth: float) -> None:
    """More calls, a faster growing context, more repeats and more failures all take more time; a cache takes less."""
    measured = cost_case.make_measured()
    base = _shape(calls=calls, retry_share=retry, growth_tokens=growth)
    whole = task_queries(measured, base)

    assert whole < task_queries(measured, _shape(calls=calls + 1, retry_share=retry, growth_tokens=growth))
    assert whole <= task_queries(measured, _shape(calls=calls, retry_share=retry, growth_tokens=growth + 1))
    assert whole < task_queries(measured, _shape(calls=calls, retry_share=retry + 0.05, growth_tokens=growth))
    failing = _shape(calls=calls, retry_share=retry, growth_tokens=growth, success_share=0.5)
    assert whole < task_queries(measured, failing)
    cached = _shape(calls=calls, retry_share=retry, growth_tokens=growth, cached_share=0.5)
    assert whole > task_queries(measured, cached)


def test_tools_are_paid_for_failed_tasks_too(cost_case: ModuleType) -> None:
    """A dollar of tools an attempt at 80 % success is 1.25 dollars a successful task, and is exact."""
    inputs = cost_case.make_inputs(**PLAIN, workload__tools_usd=1.0)
    without = task_cost(cost_case.make_measured(), cost_case.make_inputs(**PLAIN)).usage
    cost = task_cost(cost_case.make_measured(), inputs)

    assert without.usd + 1.25 == pytest.approx(cost.usage.usd)
    assert without.u_rel is not None
    assert cost.usage.u_rel is not None
    assert without.usd * without.u_rel == pytest.approx(cost.usage.usd * cost.usage.u_rel)


def test_usage_stays_below_reservation(cost_case: ModuleType) -> None:
    """Idle hours make the task dearer, as they do the query."""
    cost = task_cost(cost_case.make_measured(), cost_case.make_inputs(**PLAIN))
    assert cost.reservation is not None

    assert cost.usage.usd < cost.reservation.usd


def test_long_contexts_are_called_a_lower_bound(cost_case: ModuleType) -> None:
    """Beyond the measured length the linear scaling flatters, and the note says how far beyond it goes."""
    notes = task_cost(cost_case.make_measured(), cost_case.make_inputs(**PLAIN)).notes

    assert any("159,700 tokens, 319.4 times the measured 500" in note for note in notes)


def test_an_encoder_scales_by_its_input_alone(cost_case: ModuleType) -> None:
    """A load without output tokens has one phase, so half the tokens take half the time; it writes no tokens."""
    encoder = cost_case.make_measured(output_tokens=0.0, prefill_share=None)

    assert 0.5 == task_queries(
        encoder,
        _shape(calls=1, input_tokens=250.0, output_tokens=0.0, growth_tokens=0.0, retry_share=0.0, success_share=1.0),
    )
    with pytest.raises(UsageError, match="writes no tokens"):
        task_cost(encoder, cost_case.make_inputs(**PLAIN, workload__output_tokens=5.0))


def test_without_tokens_only_equal_calls_are_scaled(cost_case: ModuleType) -> None:
    """An import without tokens gives the cost of equal calls, and refuses growing ones."""
    blind = cost_case.make_measured(input_tokens=None, output_tokens=None, prefill_share=None)
    equal = cost_case.make_inputs(**{**PLAIN, "workload__growth_tokens": 0.0})

    assert 200 / 0.95 / 0.8 == pytest.approx(task_cost(blind, equal).queries)
    with pytest.raises(UsageError, match="calls of other lengths"):
        task_cost(blind, cost_case.make_inputs(**PLAIN))


def test_half_a_call_is_refused(cost_case: ModuleType) -> None:
    """Calls are whole."""
    with pytest.raises(UsageError, match="whole calls"):
        task_cost(cost_case.make_measured(), cost_case.make_inputs(**{**PLAIN, "workload__calls": 1.5}))
