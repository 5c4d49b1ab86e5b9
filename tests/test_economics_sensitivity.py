"""How sure a cost is: the draws agree with the formulas, the seed with itself."""

from dataclasses import replace
from types import ModuleType

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics import fleet
from wattbench.results.economics.inputs import CostInputs, Prior, parse_inputs, parse_prior
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.sampling import instances_for_waits
from wattbench.results.economics.sensitivity import Sensitivity, sensitivity_of
from wattbench.results.economics.sizing import fleet_plan, load_of
from wattbench.results.errors import UsageError

FLEET = {
    "workload__users": 100_000.0,
    "workload__queries_per_user_day": 20.0,
    "workload__peak_share": 0.1,
    "slo__wait_s": 0.5,
    "slo__late_share": 0.05,
    "slo__spares": 1.0,
}


def _with(inputs: CostInputs, *priors: Prior) -> CostInputs:
    return replace(inputs, priors={prior.path: prior for prior in priors})


def _prior(path: str, low: float, mode: float, high: float) -> Prior:
    return parse_prior(path, [low, mode, high], "a test")


def _known(cost_case: ModuleType, inputs: CostInputs, seed: int = 0, samples: int = 2000) -> Sensitivity:
    return sensitivity_of(cost_case.make_measured(), inputs, samples=samples, seed=seed)


@given(
    price=st.floats(min_value=1e3, max_value=1e6),
    rate=st.floats(min_value=0, max_value=0.3),
    utilisation=st.floats(min_value=0.05, max_value=1.0),
    pue=st.floats(min_value=1.0, max_value=2.0),
)
def test_the_middle_is_the_querys_cost(
    cost_case: ModuleType, price: float, rate: float, utilisation: float, pue: float
) -> None:
    """At the most likely inputs the formulas over arrays give what the formulas over numbers give."""
    inputs = cost_case.make_inputs(
        hardware__price_usd=price, hardware__interest_rate=rate, use__utilisation=utilisation, power__pue=pue
    )
    cost = query_cost(cost_case.make_measured(), inputs)
    known = _known(cost_case, inputs, samples=1)
    central = {spread.name: spread.central for spread in known.spreads}
    assert cost.reservation is not None

    assert cost.usage.usd == pytest.approx(central["usage"], rel=1e-12)
    assert cost.reservation.usd == pytest.approx(central["reservation"], rel=1e-12)


def test_the_middle_is_the_fleets_cost(cost_case: ModuleType) -> None:
    """Machines and year of the fleet are those of `bench cost fleet`."""
    inputs = cost_case.make_inputs(**FLEET)
    load = load_of(inputs)
    assert load is not None
    plan = fleet_plan(cost_case.make_measured(), inputs, load)
    central = {spread.name: spread.central for spread in _known(cost_case, inputs).spreads}

    assert plan.machines == central["machines"]
    assert plan.usd_per_year.usd == pytest.approx(central["usd_per_year"], rel=1e-12)
    assert plan.usd_per_query.usd == pytest.approx(central["usd_per_query"], rel=1e-12)


@given(
    cases=st.lists(
        st.tuples(st.floats(min_value=0.1, max_value=300), st.floats(min_value=0.1, max_value=20)),
        min_size=1,
        max_size=20,
    ),
    wait=st.floats(min_value=0, max_value=3),
    share=st.floats(min_value=0.001, max_value=0.4),
)
def test_waiting_over_arrays_is_waiting_one_by_one(cases: list[tuple[float, float]], wait: float, share: float) -> None:
    """The least machines of many draws at once are those of each draw alone."""
    arrivals, served = (numpy.array(column) for column in zip(*cases, strict=True))
    found = instances_for_waits(arrivals, served, wait_s=wait, probability=share)
    alone = [
        fleet.instances_for_wait(arrivals_per_s=a, served_per_s=s, wait_s=wait, probability=share) for a, s in cases
    ]

    assert alone == found.tolist()


def test_a_seed_gives_one_answer(cost_case: ModuleType) -> None:
    """The same seed gives the same figures to the last bit, another one others."""
    inputs = _with(cost_case.make_inputs(power__pue=None), _prior("power.pue", 1.1, 1.2, 1.4))

    assert _known(cost_case, inputs) == _known(cost_case, inputs)
    assert _known(cost_case, inputs).spreads != _known(cost_case, inputs, seed=1).spreads


def test_the_measured_spread_is_carried(cost_case: ModuleType) -> None:
    """2 % of the rate (k=1) alone is 1.645 times 2 % to either end of the 90 %."""
    inputs = cost_case.make_rented()
    usage = _known(cost_case, inputs, samples=200_000).spreads[0]

    assert (1 - 0.0329, 1 + 0.0329) == (
        pytest.approx(usage.p5 / usage.central, abs=1e-3),
        pytest.approx(usage.p95 / usage.central, abs=1e-3),
    )


def test_the_widest_bar_comes_first(cost_case: ModuleType) -> None:
    """The tornado is sorted, its ends are the cost at the inputs' ends, and quantiles are in order."""
    inputs = _with(
        cost_case.make_inputs(),
        _prior("use.utilisation", 0.2, 0.5, 0.8),
        _prior("power.usd_per_kwh", 0.08, 0.1, 0.15),
    )
    known = _known(cost_case, inputs)
    low = query_cost(cost_case.make_measured(), cost_case.make_inputs(use__utilisation=0.2)).reservation
    assert low is not None

    assert "use.utilisation" == known.bars[0].name
    assert low.usd == pytest.approx(known.bars[0].at_low)
    assert [bar.swing for bar in known.bars] == sorted((bar.swing for bar in known.bars), reverse=True)
    assert {"measured throughput", "measured power"} <= {bar.name for bar in known.bars}
    assert all(spread.p5 <= spread.p50 <= spread.p95 for spread in known.spreads)


def test_declared_watts_vary_by_their_priors(cost_case: ModuleType) -> None:
    """Priors of declared power at work and at rest move the cost; of a measured one they are refused."""
    priors = _prior("power.active_w", 5000, 6000, 9000), _prior("power.idle_w", 500, 2000, 3000)
    blind = cost_case.make_measured(powers=(), no_power_reason="x")
    known = sensitivity_of(blind, _with(cost_case.make_inputs(), *priors), samples=100, seed=0)
    swings = {bar.name: bar.swing for bar in known.bars}

    assert swings["power.active_w"] > 0
    assert swings["power.idle_w"] > 0
    with pytest.raises(UsageError, match=r"power\.active_w changes nothing"):
        _known(cost_case, _with(cost_case.make_inputs(), priors[0]))


def test_a_boards_host_varies(cost_case: ModuleType) -> None:
    """A prior of the host's watts beside a measured board moves power at work and at rest."""
    from wattbench.results.economics.measured import MeasuredPower, Quantity

    board = MeasuredPower(scope="board", boundary="board", active=Quantity(value=500.0, u_rel=0.03), idle_w=80.0)
    measured = cost_case.make_measured(powers=(board,))
    inputs = _with(cost_case.make_inputs(), _prior("power.host_w", 100, 300, 600))
    known = sensitivity_of(measured, inputs, samples=100, seed=0)
    high = query_cost(measured, cost_case.make_inputs(power__host_w=600.0)).reservation
    assert high is not None

    bar = next(bar for bar in known.bars if bar.name == "power.host_w")
    assert high.usd == pytest.approx(bar.at_high)


@pytest.mark.parametrize(
    ("prior", "given", "words"),
    [
        (("carbon.grid_g_per_kwh", 1, 2, 3), {}, "changes nothing"),
        (("power.pue", 1.1, 1.3, 1.4), {}, "contradict"),
        (("use.utilisation", 0.2, 0.5, 0.8), FLEET, "changes nothing"),
    ],
)
def test_a_prior_that_says_nothing_is_refused(
    cost_case: ModuleType, prior: tuple[str, float, float, float], given: dict[str, float], words: str
) -> None:
    """A prior that the model does not use, or that contradicts the value given, is an error."""
    with pytest.raises(UsageError, match=words):
        _known(cost_case, _with(cost_case.make_inputs(**given), _prior(*prior)))


def test_nothing_varies_is_said(cost_case: ModuleType) -> None:
    """Without priors and without a stated uncertainty there is no spread to show."""
    measured = cost_case.make_measured(queries_per_s=replace(cost_case.make_measured().queries_per_s, u_rel=None))
    with pytest.raises(UsageError, match="Nothing varies"):
        sensitivity_of(measured, cost_case.make_inputs(), samples=10, seed=0)
    with pytest.raises(UsageError, match="number of draws"):
        _known(cost_case, cost_case.make_inputs(), samples=0)


def test_a_monte_carlo_without_end_is_refused(cost_case: ModuleType) -> None:
    """A million machines in ten thousand draws would take minutes; the error says what to do."""
    inputs = cost_case.make_inputs(**{**FLEET, "workload__users": 1e10})
    with pytest.raises(UsageError, match=r"million machines|too long"):
        _known(cost_case, inputs, samples=10_000)
    with pytest.raises(UsageError, match="too long"):
        instances_for_waits(numpy.full(10_000, 9e5), numpy.ones(10_000), wait_s=1.0, probability=0.1)


def test_a_fleet_by_its_day_without_a_promise(cost_case: ModuleType) -> None:
    """The schedule gives the peak, a prior without width is a constant, and the middle is still the plan's."""
    day = [0.2] * 12 + [0.6] * 12
    given = {
        **{path: value for path, value in cost_case.OWNED.items() if path != "use.utilisation"},
        "workload.queries_per_day": 2e6,
        "slo.spares": 0.0,
    }
    inputs = _with(parse_inputs(None, given, schedule=day), _prior("power.pue", 1.2, 1.2, 1.2))
    load = load_of(inputs)
    assert load is not None
    plan = fleet_plan(cost_case.make_measured(), inputs, load)
    known = _known(cost_case, inputs, samples=10)
    central = {spread.name: spread.central for spread in known.spreads}

    assert (plan.machines, pytest.approx(plan.usd_per_year.usd)) == (central["machines"], central["usd_per_year"])
    assert 0 == next(bar.swing for bar in known.bars if bar.name == "power.pue")


def test_without_a_utilisation_usage_alone_is_drawn(cost_case: ModuleType) -> None:
    """A query's reservation cost needs a utilisation, in the Monte Carlo as elsewhere."""
    known = _known(cost_case, cost_case.make_rented(use__utilisation=None), samples=10)

    assert (["usage"], "usage") == ([spread.name for spread in known.spreads], known.figure)
