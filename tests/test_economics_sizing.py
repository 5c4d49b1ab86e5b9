"""How many machines a load needs within a promise, and what fits under a cap."""

import math
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.cli.cost.fleet import fit_lines, plan_lines
from wattbench.results.economics import fleet
from wattbench.results.economics.caps import battery_of, fit_of
from wattbench.results.economics.inputs import CostInputs, parse_inputs
from wattbench.results.economics.service import promises, service_level
from wattbench.results.economics.sizing import FleetPlan, fleet_plan, load_of
from wattbench.results.errors import UsageError

USERS = {"workload__users": 100_000.0, "workload__queries_per_user_day": 20.0, "workload__peak_share": 0.1}
PROMISE = {"slo__wait_s": 0.5, "slo__late_share": 0.05, "slo__spares": 1.0}


def _plan(cost_case: ModuleType, inputs: CostInputs) -> FleetPlan:
    load = load_of(inputs)
    assert load is not None
    return fleet_plan(cost_case.make_measured(), inputs, load)


def test_users_make_a_peak() -> None:
    """100,000 users with 20 queries a day, a tenth in the busiest hour: 55.6 a second; 23.1 on the mean."""
    load = load_of(parse_inputs(None, {key.replace("__", "."): value for key, value in USERS.items()}))
    assert load is not None

    assert (200_000 / 3600, 2e6 / 86_400) == (pytest.approx(load.peak_per_s), pytest.approx(load.mean_per_s))


def test_the_schedule_gives_the_peak() -> None:
    """Without a share the busiest of the 24 hours gives it."""
    day = [0.2] * 12 + [0.6] * 12
    load = load_of(parse_inputs(None, {"workload.queries_per_day": 864_000.0}, schedule=day))
    assert load is not None

    assert 864_000 * 0.6 / (12 * 0.2 + 12 * 0.6) / 3600 == pytest.approx(load.peak_per_s)


def test_a_fleet_by_its_parts(cost_case: ModuleType) -> None:
    """The least machines that keep the promise, a spare, and the year of all at the load's own utilisation."""
    plan = _plan(cost_case, cost_case.make_inputs(**USERS, **PROMISE))
    waits = [
        fleet.wait_probability(n, arrivals_per_s=200_000 / 3600, served_per_s=10.0, wait_s=0.5)
        for n in (plan.needed - 1, plan.needed)
    ]
    mean_w = 2000 + 4000 * plan.utilisation

    assert waits[1] <= 0.05 < waits[0]
    assert plan.needed + 1 == plan.machines
    assert 2e6 / 86_400 / (plan.machines * 10) == pytest.approx(plan.utilisation)
    year = plan.machines * 8760 * (cost_case.CAPITAL_H + mean_w / 1000 * 1.2 * 0.1)
    assert year == pytest.approx(plan.usd_per_year.usd)
    assert year / (2e6 * 365) == pytest.approx(plan.usd_per_query.usd)
    assert plan.machines * 7200 == pytest.approx(plan.peak_w)
    assert plan.price_usd == plan.machines * 300_000
    assert any("use.utilisation 0.5 is not used" in note for note in plan.notes)


def test_without_a_promise_queries_wait(cost_case: ModuleType) -> None:
    """Machines for the peak's mean alone, and a note that says what that means."""
    plan = _plan(cost_case, cost_case.make_inputs(**USERS, slo__spares=0.0))

    assert 6 == plan.machines
    assert any("queries will wait" in note for note in plan.notes)


def test_the_latency_promise_leaves_what_the_service_takes(cost_case: ModuleType) -> None:
    """3 s for all but 2 %: the measured p99 of 2 s leaves 1 s of waiting for all but 1 %."""
    level = service_level(cost_case.make_measured(), cost_case.make_inputs(slo__latency_s=3.0, slo__late_share=0.02))
    assert level is not None

    assert (pytest.approx(1.0), pytest.approx(0.01)) == (level.wait_s, level.share)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slo__latency_s": 1.0, "slo__late_share": 0.02}, "even without waiting"),
        ({"slo__latency_s": 3.0, "slo__late_share": 0.005}, "strict enough"),
        ({"slo__latency_s": 3.0, "slo__wait_s": 1.0, "slo__late_share": 0.02}, "contradict"),
        ({"slo__latency_s": 3.0}, r"slo\.late_share"),
    ],
)
def test_a_promise_that_cannot_be_proven_is_refused(
    cost_case: ModuleType, changes: dict[str, float], words: str
) -> None:
    """Too slow a machine, too strict a share for what was measured, and two promises at once are refused by name."""
    with pytest.raises(UsageError, match=words):
        service_level(cost_case.make_measured(), cost_case.make_inputs(**changes))


def test_promises_are_held_against_quantiles(cost_case: ModuleType) -> None:
    """A promise is kept or broken by the least strict quantile that proves it, or not known."""
    inputs = cost_case.make_inputs(slo__latency_s=1.8, slo__ttft_s=0.2, slo__tpot_s=0.1, slo__late_share=0.1)
    held = promises(cost_case.make_measured(), inputs)

    assert [True, False, None] == [promise.kept for promise in held]
    assert (0.9, 0.99) == tuple(promise.measured.q for promise in held if promise.measured)


@given(
    arrivals=st.floats(min_value=0.1, max_value=500),
    served=st.floats(min_value=0.1, max_value=50),
    wait=st.floats(min_value=0, max_value=5),
    share=st.floats(min_value=0.001, max_value=0.4),
)
def test_the_count_is_the_least_that_keeps_the_promise(
    arrivals: float, served: float, wait: float, share: float
) -> None:
    """One instance less breaks it; and the inverse says that this count carries at least these arrivals."""
    count = fleet.instances_for_wait(arrivals_per_s=arrivals, served_per_s=served, wait_s=wait, probability=share)
    carried = fleet.rate_for_wait(count, served_per_s=served, wait_s=wait, probability=share)

    assert fleet.wait_probability(count, arrivals_per_s=arrivals, served_per_s=served, wait_s=wait) <= share + 1e-9
    if count > 1:
        less = fleet.wait_probability(count - 1, arrivals_per_s=arrivals, served_per_s=served, wait_s=wait)
        assert less > share - 1e-9
    assert carried >= arrivals * (1 - 1e-9)


def test_what_fits_under_each_cap(cost_case: ModuleType) -> None:
    """A building's meter counts PUE, a circuit does not; the narrowest cap decides."""
    inputs = cost_case.make_inputs(
        cap__power_w=100_000.0,
        circuit__voltage_v=400.0,
        circuit__current_a=63.0,
        circuit__phases=3.0,
        circuit__usable_share=0.8,
        cap__capital_usd=3e6,
        cap__usd_per_year=1e6,
        **{key: value for key, value in PROMISE.items() if key != "slo__spares"},
        workload__queries_per_user_day=20.0,
        workload__peak_share=0.1,
    )
    fit = fit_of(cost_case.make_measured(), inputs)
    assert fit is not None
    by_name = {cap.name: cap.machines for cap in fit.caps}
    year = 8760 * (cost_case.CAPITAL_H + 4 * 1.2 * 0.1)

    assert 100_000 // 7200 == by_name["power_w"]
    assert math.floor(math.sqrt(3) * 400 * 63 * 0.8 / 6000) == by_name["circuit"]
    assert (10, math.floor(1e6 / year)) == (by_name["capital_usd"], by_name["usd_per_year"])
    assert ("circuit", 5) == (fit.binding, fit.machines)
    assert fit.peak_per_s < 50
    assert fit.users == pytest.approx(fit.peak_per_s * 3600 / 2)
    assert 10 / 7200 * 1e6 == pytest.approx(fit.queries_per_s_per_mw)


def test_a_fit_carries_rate_and_watts(cost_case: ModuleType) -> None:
    """Under a cap of power rate and watts both count, 2 % and 1 % making 2.2 %; under one of money the rate alone."""
    by_power = fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__power_w=102 * 7200.0))
    by_price = fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__capital_usd=3e6))
    assert by_power is not None
    assert by_price is not None

    assert (100, 102, 104) == (by_power.machines_low, by_power.machines, by_power.machines_high)
    assert math.hypot(0.02, 0.01) == pytest.approx(by_power.u_peak_rel)
    assert math.hypot(0.02, 0.01) == pytest.approx(by_power.u_per_mw_rel)
    assert (10, 10, 0.02) == (by_price.machines_low, by_price.machines_high, pytest.approx(by_price.u_peak_rel))
    text = "\n".join(fit_lines(by_power))
    assert "102 machines (100 .. 104, k=2): 734,400 W, 7200 +/- 2 % (k=2) a machine" in text
    assert "1020 queries/s +/- 4.5 % (k=2) in the busiest hour" in text


def test_a_budget_carries_the_energy_in_it(cost_case: ModuleType) -> None:
    """Of a machine's year the energy alone is measured, so its uncertainty counts by its share."""
    fit = fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__usd_per_year=1e6))
    assert fit is not None
    busy = 6 * 1.2 * 0.1

    assert 0.01 * busy / (cost_case.CAPITAL_H + busy) == pytest.approx(fit.caps[0].u_each_rel)


def test_a_plan_carries_rate_and_watts(cost_case: ModuleType) -> None:
    """Machines at both ends of the rate; the building's watts by the rate, which moves the count, and by the watts."""
    plan = _plan(cost_case, cost_case.make_inputs(workload__peak_queries_per_s=1000.0, slo__spares=2.0))
    text = "\n".join(plan_lines(plan))

    assert (99, 102, 107) == (plan.machines_low, plan.machines, plan.machines_high)
    assert math.hypot(0.02, 0.01) == pytest.approx(plan.u_peak_w_rel)
    assert "102 (99 .. 107, k=2): 100 and 2 spare" in text
    assert "734,400 W +/- 4.5 % (k=2) with all at work" in text


def test_a_count_that_nothing_moves_has_no_range(cost_case: ModuleType) -> None:
    """Where both ends need as many machines, there is no range to print."""
    plan = _plan(cost_case, cost_case.make_inputs(workload__peak_queries_per_s=95.0, slo__spares=0.0))

    assert (10, 10) == (plan.machines_low, plan.machines_high)
    assert "machines            10: 10 and 0 spare" in "\n".join(plan_lines(plan))


def test_whole_machines_fill_their_cap(cost_case: ModuleType) -> None:
    """Three machines' power holds three machines, whatever the last bit says."""
    fit = fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__power_w=3 * 7200.0))
    assert fit is not None

    assert (3, pytest.approx(30.0)) == (fit.machines, fit.peak_per_s)


def test_a_cap_too_small_for_one_machine_is_said(cost_case: ModuleType) -> None:
    """The error names the cap, what one machine takes, and the limit."""
    with pytest.raises(UsageError, match="Not one machine fits under power_w"):
        fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__power_w=7000.0))
    assert fit_of(cost_case.make_measured(), cost_case.make_inputs()) is None


def test_a_circuit_needs_its_machines_power(cost_case: ModuleType) -> None:
    """Without watts no circuit can be filled, and two phases are no circuit."""
    circuit = {"circuit__current_a": 16.0, "circuit__phases": 1.0, "circuit__usable_share": 0.8}
    inputs = cost_case.make_inputs(circuit__voltage_v=230.0, **circuit)
    with pytest.raises(UsageError, match="needs the machine's power"):
        fit_of(cost_case.make_measured(powers=(), no_power_reason="x"), inputs)
    with pytest.raises(UsageError, match="one phase or three"):
        fit_of(
            cost_case.make_measured(),
            cost_case.make_inputs(circuit__voltage_v=230.0, **{**circuit, "circuit__phases": 2.0}),
        )


def test_a_battery_by_hand(cost_case: ModuleType) -> None:
    """30 kWh of which 80 % are usable: 4 h at 6 kW, 6 h at half work and 2 kW at rest."""
    inputs = cost_case.make_inputs(battery__energy_wh=30_000.0, battery__usable_share=0.8)
    battery = battery_of(cost_case.make_measured(), inputs)
    assert battery is not None

    assert (4.0, 4 * 36_000) == (pytest.approx(battery.hours_at_work), pytest.approx(battery.queries_at_work))
    assert (0.01, pytest.approx(math.hypot(0.01, 0.02))) == (battery.u_hours_rel, battery.u_queries_rel)
    assert (6.0, 6 * 18_000) == (pytest.approx(battery.hours_mixed), pytest.approx(battery.queries_mixed))
    assert 0.01 * 6000 * 0.5 / 4000 == pytest.approx(battery.u_hours_mixed_rel)
    assert math.hypot(0.02, 0.0075) == pytest.approx(battery.u_queries_mixed_rel)


def test_a_battery_without_rest_says_why(cost_case: ModuleType) -> None:
    """Hours with rest need a utilisation and a power at rest; each missing one is the reason."""
    inputs = cost_case.make_inputs(battery__energy_wh=30_000.0, battery__usable_share=0.8, use__utilisation=None)
    battery = battery_of(cost_case.make_measured(), inputs)
    assert battery is not None

    assert (None, "use.utilisation is not given") == (battery.hours_mixed, battery.words)
    assert battery_of(cost_case.make_measured(), cost_case.make_inputs()) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workload__peak_queries_per_s": 1e9, "slo__spares": 0.0}, "million machines"),
        ({**USERS, "slo__spares": 1.5}, "whole machines"),
        ({"workload__peak_queries_per_s": 1.0, "workload__queries_per_day": 1e9, "slo__spares": 0.0}, "above its peak"),
        (USERS, r"slo\.spares"),
        ({**USERS, "workload__queries_per_day": 1e6}, "given twice"),
        ({**USERS, "workload__peak_queries_per_s": 10.0}, "given twice"),
    ],
)
def test_a_load_that_cannot_be_is_refused(cost_case: ModuleType, changes: dict[str, float], words: str) -> None:
    """Too many machines, half a spare, a mean above its peak, and spares that were not given."""
    with pytest.raises(UsageError, match=words):
        _plan(cost_case, cost_case.make_inputs(**changes))


def test_a_battery_without_a_power_at_rest_says_so(cost_case: ModuleType) -> None:
    """Where rest is neither measured nor declared there are no hours with rest."""
    blind = cost_case.make_measured(powers=(), no_power_reason="x")
    inputs = cost_case.make_inputs(power__active_w=100.0, battery__energy_wh=50.0, battery__usable_share=1.0)
    battery = battery_of(blind, inputs)
    assert battery is not None

    assert battery.hours_mixed is None
    assert "power.idle_w" in battery.words


def test_the_schedule_gives_the_users_of_a_cap(cost_case: ModuleType) -> None:
    """The busiest hour's share of the day's work stands for the peak share; without watts there is no megawatt."""
    day = [0.2] * 12 + [0.6] * 12
    given = {"hardware.price_usd": 1000.0, "cap.capital_usd": 5000.0, "workload.queries_per_user_day": 10.0}
    blind = cost_case.make_measured(powers=(), no_power_reason="x")
    fit = fit_of(blind, parse_inputs(None, given, schedule=day))
    assert fit is not None

    assert 50 * 3600 / (10 * 0.6 / 9.6) == pytest.approx(fit.users)
    assert fit.queries_per_s_per_mw is None


def test_a_million_machines_are_a_slip(cost_case: ModuleType) -> None:
    """A cap that holds more, or a promise that needs more, is in another unit."""
    with pytest.raises(UsageError, match="million machines would fit"):
        fit_of(cost_case.make_measured(), cost_case.make_inputs(cap__power_w=1e11))
    with pytest.raises(ValueError, match="million instances"):
        fleet.instances_for_wait(arrivals_per_s=1e6 - 0.5, served_per_s=1.0, wait_s=0.0, probability=1e-9)
