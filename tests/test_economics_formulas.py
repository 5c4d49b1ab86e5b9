"""The formulas of cost: their laws, whatever the numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics import capital, efficiency, fleet, footprint, prices, training
from wattbench.results.economics.power import ItPower, two_state

MONEY = st.floats(min_value=0.01, max_value=1e6)
RATES = st.floats(min_value=0.01, max_value=1e7)
SECONDS = st.floats(min_value=0.001, max_value=1e4)
SHARES = st.floats(min_value=0.01, max_value=1.0)
WATTS = st.floats(min_value=0.1, max_value=1e6)


@given(cost=MONEY, prefill=SECONDS, decode=SECONDS, concurrency=st.floats(min_value=1, max_value=1e4))
def test_input_and_output_add_up(cost: float, prefill: float, decode: float, concurrency: float) -> None:
    """What input and output cost adds up to what the query's time costs."""
    split = prices.split_by_time(cost_usd_per_h=cost, prefill_s=prefill, decode_s=decode, concurrency=concurrency)

    assert split.input_usd + split.output_usd == split.total_usd
    assert cost / 3600 * (prefill + decode) / concurrency == pytest.approx(split.total_usd, rel=1e-12)


@given(cost=MONEY, rate=RATES, factor=st.floats(min_value=1.01, max_value=100))
def test_cost_falls_with_throughput(cost: float, rate: float, factor: float) -> None:
    """A faster machine at the same price is cheaper a unit, in proportion."""
    assert prices.usage_usd_per_million(cost, rate) == pytest.approx(
        factor * prices.usage_usd_per_million(cost, factor * rate)
    )


@given(cost=MONEY, rate=RATES, utilisation=SHARES)
def test_paying_for_idle_hours_is_never_cheaper(cost: float, rate: float, utilisation: float) -> None:
    """The cost by reservation is at least the cost by usage, and equals it without idle hours."""
    usage = prices.usage_usd_per_million(cost, rate)

    assert usage <= prices.reservation_usd_per_million(cost, rate, utilisation)
    assert usage == prices.reservation_usd_per_million(cost, rate, 1.0)


@given(watts=WATTS, pue=st.floats(min_value=1.0, max_value=3.0), price=st.floats(min_value=0.001, max_value=2.0))
def test_energy_costs_more_with_overhead_and_price(watts: float, pue: float, price: float) -> None:
    """An hour of electricity is watts times overhead times price, the overhead once."""
    found = capital.energy_usd_per_h(ItPower(power_w=watts).facility(pue), price)

    assert watts * pue / 1000 * price == pytest.approx(found)


@given(idle=WATTS, more=WATTS, low=SHARES, high=SHARES)
def test_idle_power_is_part_of_the_bill(idle: float, more: float, low: float, high: float) -> None:
    """Mean power lies between idle and active power and rises with utilisation."""
    low, high = sorted((low, high))
    powers = [two_state(idle_w=idle, active_w=idle + more, utilisation=u).power_w for u in (0.0, low, high, 1.0)]

    assert powers == sorted(powers)
    assert (idle, pytest.approx(idle + more)) == (powers[0], powers[-1])


@given(
    calls=st.integers(min_value=1, max_value=500),
    first=st.floats(min_value=1, max_value=1e5),
    growth=st.floats(min_value=0, max_value=1e4),
)
def test_a_task_is_the_sum_of_its_calls(calls: int, first: float, growth: float) -> None:
    """An agent's task costs what its calls cost one by one, each with a longer input."""
    both = prices.TokenPrices(input_usd_per_million=0.5, output_usd_per_million=2.0)
    one_by_one = [prices.query_usd(both, input_tokens=first + i * growth, output_tokens=100) for i in range(calls)]
    task = prices.task_usd(
        both, calls=calls, input_tokens=first, growth_tokens=growth, output_tokens=100, retry_share=0.0, tools_usd=0.0
    )

    assert math.fsum(one_by_one) == pytest.approx(task, rel=1e-9)


def test_repeated_calls_and_tools_cost() -> None:
    """A fifth of calls repeated makes the calls a quarter dearer; tools are paid beside."""
    both = prices.TokenPrices(input_usd_per_million=1.0, output_usd_per_million=0.0)
    task = prices.task_usd(
        both, calls=10, input_tokens=1e6, growth_tokens=0, output_tokens=0, retry_share=0.2, tools_usd=3.0
    )

    assert 10 / 0.8 + 3 == pytest.approx(task)


@given(price=MONEY, rate=st.floats(min_value=0.001, max_value=0.3), years=st.floats(min_value=1, max_value=15))
def test_interest_makes_owning_dearer(price: float, rate: float, years: float) -> None:
    """Yearly payments with interest exceed straight-line depreciation, and discounted they are the price."""
    payment = price * capital.capital_recovery_factor(rate, years)

    assert payment > price * capital.capital_recovery_factor(0.0, years)
    assert price == pytest.approx(payment * (1 - (1 + rate) ** -years) / rate)


def test_residual_value_is_not_paid() -> None:
    """Without interest only what is lost in value is paid, over the hours of its years."""
    found = capital.capital_usd_per_h(price_usd=10_000, residual_usd=2_000, rate=0.0, years=4)

    assert 8_000 / 4 / 8760 == pytest.approx(found)


@given(servers=st.integers(min_value=1, max_value=200), load=st.floats(min_value=0.01, max_value=0.99))
def test_erlang_c_by_its_closed_form(servers: int, load: float) -> None:
    """The recursion gives the closed form, computed with logarithms."""
    offered = servers * load
    terms = [math.exp(k * math.log(offered) - math.lgamma(k + 1)) for k in range(servers)]
    top = math.exp(servers * math.log(offered) - math.lgamma(servers + 1)) / (1 - load)

    assert top / (math.fsum(terms) + top) == pytest.approx(fleet.erlang_c(servers, offered), rel=1e-9)


def test_overloaded_servers_make_everybody_wait() -> None:
    """With more arrivals than the servers can serve everybody waits."""
    assert fleet.erlang_c(4, 4.0) == 1.0
    assert fleet.wait_probability(4, arrivals_per_s=9, served_per_s=2, wait_s=100) == 1.0


@given(
    arrivals=st.floats(min_value=0.1, max_value=500),
    served=st.floats(min_value=0.1, max_value=50),
    wait=st.floats(min_value=0, max_value=10),
)
def test_instances_are_the_least_that_hold(arrivals: float, served: float, wait: float) -> None:
    """The number of instances keeps the promise, and one fewer breaks it."""
    count = fleet.instances_for_wait(arrivals_per_s=arrivals, served_per_s=served, wait_s=wait, probability=0.05)
    waits = [
        fleet.wait_probability(n, arrivals_per_s=arrivals, served_per_s=served, wait_s=wait)
        for n in (count - 1, count)
        if n
    ]

    assert waits[-1] <= 0.05
    assert all(w > 0.05 for w in waits[:-1])


def test_spares_come_on_top() -> None:
    """Spares are added to the instances that the promise needs."""
    need = {"arrivals_per_s": 20.0, "served_per_s": 3.0, "wait_s": 0.5, "probability": 0.01}

    assert fleet.instances_for_wait(**need) + 2 == fleet.instances_for_wait(**need, spares=2)


@given(energy=st.floats(min_value=1e-3, max_value=1e6), pue=st.floats(min_value=1.0, max_value=2.0))
def test_units_per_kwh_and_joules_are_inverse(energy: float, pue: float) -> None:
    """Units a kWh times the joules of a unit at the meter are the joules of a kWh."""
    assert 3.6e6 == pytest.approx(efficiency.units_per_kwh(energy, pue=pue) * energy * pue)


def test_embodied_emissions_are_carried_by_the_work() -> None:
    """Half the utilisation doubles each query's share of the machine's making."""
    facts = {"machine_kg": 5700.0, "life_years": 3.0, "busy_s": 10.0, "concurrency": 64.0}

    assert 2 * footprint.embodied_g(**facts, utilisation=1.0) == pytest.approx(
        footprint.embodied_g(**facts, utilisation=0.5)
    )


def test_inference_overtakes_training_at_half() -> None:
    """After the queries that overtake, inference has half of the sum."""
    queries = training.queries_to_overtake(5e6, 0.002)

    assert 0.5 == pytest.approx(training.inference_share(queries, training=5e6, per_query=0.002))


def test_months_add_up_with_growth() -> None:
    """The share by month is that of all queries so far."""
    months = training.monthly_shares(queries_per_month=100, growth_per_month=1.0, training=700, per_query=1.0)

    assert [1 / 8, 3 / 10, 1 / 2] == pytest.approx([next(months) for _ in range(3)])


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ItPower(power_w=-1),
        lambda: ItPower(power_w=float("nan")),
        lambda: ItPower(power_w=100).facility(0.9),
        lambda: two_state(idle_w=1, active_w=2, utilisation=50),
        lambda: prices.usage_usd_per_million(1.0, 0.0),
        lambda: prices.usage_usd_per_million(-1.0, 1.0),
        lambda: prices.reservation_usd_per_million(1.0, 1.0, 0.0),
        lambda: prices.cached_price(1.0, 0.1, 1.5),
        lambda: capital.capital_recovery_factor(-0.1, 5),
        lambda: capital.capital_usd_per_h(price_usd=1, residual_usd=5, rate=0, years=1),
        lambda: fleet.peak_rate(users=1, tasks_per_day=1, calls_per_task=1, peak_share=20),
        lambda: fleet.erlang_c(0, 1.0),
        lambda: training.queries_to_overtake(1.0, 0.0),
    ],
)
def test_what_cannot_be_is_refused(wrong: object) -> None:
    """Negative or absent quantities, shares in percent and overheads below one are refused, never computed with."""
    assert callable(wrong)

    with pytest.raises(ValueError, match=r".+"):
        wrong()
