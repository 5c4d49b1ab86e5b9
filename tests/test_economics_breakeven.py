"""When owning pays: against a price list, a rent, an old machine."""

import math
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.cli.cost.breakeven import rent_lines
from wattbench.results.economics.breakeven import against_api, against_rent, hour_parts
from wattbench.results.economics.cash import payback_months
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.replacing import replacement_of
from wattbench.results.errors import UsageError

PRICES = st.floats(min_value=1e-4, max_value=1.0)


@given(price=PRICES)
def test_at_break_even_both_cost_the_same(cost_case: ModuleType, price: float) -> None:
    """At the utilisation found, the reservation cost of a query is the price list's."""
    measured = cost_case.make_measured()
    api = against_api(measured, cost_case.make_inputs(api__usd_per_query=price))
    assert api is not None

    if api.queries_per_day is None:
        assert api.own_usd_per_query_full > price * (1 - 1e-9)
        return
    assert api.utilisation is not None
    if api.utilisation < 0.001:  # below what an input may be
        return
    at = query_cost(measured, cost_case.make_inputs(use__utilisation=api.utilisation)).reservation
    assert at is not None
    assert price == pytest.approx(at.usd, rel=1e-9)
    assert api.utilisation * 864_000 == pytest.approx(api.queries_per_day)


def test_a_price_list_of_tokens(cost_case: ModuleType) -> None:
    """A query's price is that of its measured tokens; half of the input cached pays half the cached price."""
    tokens = {"api__usd_per_million_input": 1.0, "api__usd_per_million_output": 4.0}
    plain = against_api(cost_case.make_measured(), cost_case.make_inputs(**tokens))
    cached = against_api(
        cost_case.make_measured(),
        cost_case.make_inputs(**tokens, api__usd_per_million_cached=0.1, workload__cached_share=0.5),
    )
    assert plain is not None
    assert cached is not None

    assert (500 + 400) / 1e6 == pytest.approx(plain.api_usd_per_query)
    assert (500 * 0.55 + 400) / 1e6 == pytest.approx(cached.api_usd_per_query)


def test_no_price_is_no_comparison(cost_case: ModuleType) -> None:
    """Without a list there is nothing to compare with, and one of tokens needs both of its prices."""
    assert against_api(cost_case.make_measured(), cost_case.make_inputs()) is None
    with pytest.raises(UsageError, match="usd_per_million_output"):
        against_api(cost_case.make_measured(), cost_case.make_inputs(api__usd_per_million_input=1.0))
    with pytest.raises(UsageError, match="need tokens"):
        against_api(
            cost_case.make_measured(input_tokens=None, output_tokens=None),
            cost_case.make_inputs(api__usd_per_million_input=1.0),
        )


def test_a_list_below_the_works_energy_is_never_beaten(cost_case: ModuleType) -> None:
    """Where the energy of the work alone costs more than the list, no utilisation helps."""
    dear = cost_case.make_inputs(power__usd_per_kwh=2.0, api__usd_per_query=1e-4)
    api = against_api(cost_case.make_measured(), dear)
    assert api is not None

    assert (None, None) == (api.utilisation, api.queries_per_day)


def test_payback_of_a_stream_by_hand(cost_case: ModuleType) -> None:
    """432,000 queries a day at 0.01 USD, one machine of ten a second at half its hours, cash costs of energy alone."""
    api = against_api(
        cost_case.make_measured(),
        cost_case.make_inputs(api__usd_per_query=0.01, workload__queries_per_day=432_000.0),
    )
    assert api is not None
    assert api.payback is not None
    own = 730 * 4 * 1.2 * 0.1

    assert 1 == api.payback.machines
    assert 432_000 * 0.01 * 365 / 12 - own == pytest.approx(api.payback.saved_usd_per_month)
    assert 300_000 / api.payback.saved_usd_per_month == pytest.approx(api.payback.months)


@given(
    capital=st.floats(min_value=1, max_value=1e7),
    saved=st.floats(min_value=1, max_value=1e6),
    rate=st.floats(min_value=0.001, max_value=0.5),
)
def test_interest_makes_it_later(capital: float, saved: float, rate: float) -> None:
    """The discounted time is longer, and the discounted savings until then are the capital."""
    found = payback_months(machines=1, capital_usd=capital, saved_usd_per_month=saved, rate=rate)
    assert found.months is not None
    monthly = (1 + rate) ** (1 / 12) - 1

    if found.months_discounted is None:
        assert capital * monthly >= saved * (1 - 1e-9)
        return
    assert found.months <= found.months_discounted * (1 + 1e-9)
    worth = saved * (1 - math.pow(1 + monthly, -found.months_discounted)) / monthly
    assert capital == pytest.approx(worth, rel=1e-6)


def test_no_savings_never_pay() -> None:
    """What saves nothing pays nothing back."""
    found = payback_months(machines=1, capital_usd=1.0, saved_usd_per_month=0.0, rate=0.1)

    assert (None, None) == (found.months, found.months_discounted)


def test_buying_against_renting(cost_case: ModuleType) -> None:
    """At the utilisation found an hour of the calendar costs the same; the purchase is paid by the rent saved."""
    inputs = cost_case.make_inputs(cloud__usd_per_h=30.0)
    rent = against_rent(cost_case.make_measured(), inputs)
    parts = hour_parts(cost_case.make_measured(), cost_case.make_inputs())
    assert rent is not None
    assert rent.utilisation is not None
    assert rent.hours is not None

    assert 30 * rent.utilisation == pytest.approx(parts.fixed_usd + parts.work_usd * rent.utilisation)
    assert 300_000 == pytest.approx(rent.hours * (30 - parts.work_usd - parts.cash_usd / 0.5))
    assert against_rent(cost_case.make_measured(), cost_case.make_inputs()) is None


def test_a_purchase_at_break_even_is_paid_at_its_lifes_end(cost_case: ModuleType) -> None:
    """At the utilisation of break-even a purchase is paid just at its life's end."""
    even = against_rent(cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=30.0))
    assert even is not None
    inputs = cost_case.make_inputs(cloud__usd_per_h=30.0, use__utilisation=even.utilisation)
    paid = against_rent(cost_case.make_measured(), inputs)
    assert paid is not None

    assert 1 == pytest.approx(paid.hours_share)


def test_a_purchase_that_rent_never_pays(cost_case: ModuleType) -> None:
    """A rent below what the machine costs while it stands there pays nothing back, and the text says so."""
    cheap = against_rent(cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=0.6))
    late = against_rent(cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=2.0))
    unknown = against_rent(
        cost_case.make_measured(), cost_case.make_inputs(cloud__usd_per_h=30.0, use__utilisation=None)
    )
    assert cheap is not None
    assert late is not None
    assert unknown is not None

    assert cheap.hours is None
    assert "purchase paid       never, 50.0% of the hours at work" in "\n".join(rent_lines(cheap))
    assert "of its life: not within it" in "\n".join(rent_lines(late))
    assert "(never idle)" in "\n".join(rent_lines(unknown))


def test_replacing_by_hand(cost_case: ModuleType) -> None:
    """Twice the rate at half the watts: one new machine for two old ones, the energy saved pays it."""
    old = cost_case.make_measured(device="old", queries_per_s=cost_case.make_measured().queries_per_s)
    new = cost_case.make_measured(
        device="new",
        queries_per_s=type(old.queries_per_s)(value=20.0, u_rel=0.02),
        powers=(),
        no_power_reason="no sensor",
    )
    inputs = cost_case.make_inputs(
        workload__queries_per_day=864_000.0,
        power__active_w=3000.0,
        power__idle_w=1000.0,
        old__resale_usd=1000.0,
        old__opex_usd_per_year=500.0,
    )
    found = replacement_of(new, old, inputs)

    assert (2, 1) == (found.old.machines, found.new.machines)
    assert (8000, 2000) == (pytest.approx(found.old.mean_w), pytest.approx(found.new.mean_w))
    assert 6 * 1.2 * 8760 == pytest.approx(found.saved_kwh_per_year)
    by_old = 2 * math.hypot(6000 * 0.5 * 0.01, 4000 * 0.5 * 0.02)
    by_new = 2000 * 0.5 * 0.02
    assert math.hypot(by_old, by_new) / 1000 * 1.2 * 8760 == pytest.approx(found.u_saved_kwh)
    assert 300_000 - 2000 == found.payback.capital_usd
    assert (6 * 1.2 * 8760 * 0.1 + 1000) / 12 == pytest.approx(found.payback.saved_usd_per_month)


def test_only_equal_work_replaces(cost_case: ModuleType) -> None:
    """Two loads, or a machine without power, are not compared."""
    inputs = cost_case.make_inputs(workload__queries_per_day=1.0, old__resale_usd=0.0, old__opex_usd_per_year=0.0)
    with pytest.raises(UsageError, match="equal work"):
        replacement_of(cost_case.make_measured(load="a"), cost_case.make_measured(load="b"), inputs)
    with pytest.raises(UsageError, match="power of both"):
        replacement_of(cost_case.make_measured(), cost_case.make_measured(powers=(), no_power_reason="x"), inputs)


def test_the_uncertainty_of_break_even(cost_case: ModuleType) -> None:
    """Moving the rate and the watts by one standard uncertainty moves the utilisation by what is stated."""
    inputs = cost_case.make_inputs(api__usd_per_query=0.001, cloud__usd_per_h=30.0)
    plain = cost_case.make_measured()
    faster = cost_case.make_measured(queries_per_s=type(plain.queries_per_s)(value=10.2, u_rel=0.02))
    base, moved, rent = against_api(plain, inputs), against_api(faster, inputs), against_rent(plain, inputs)
    assert base is not None
    assert moved is not None
    assert rent is not None
    assert base.utilisation is not None
    assert moved.utilisation is not None

    assert 1 - moved.utilisation / base.utilisation == pytest.approx(base.u_rel, rel=0.05)
    assert 0.72 * 0.01 / (30 - 0.48) == pytest.approx(rent.u_rel)


def test_a_rented_hour_is_all_fixed(cost_case: ModuleType) -> None:
    """A rent runs on whether it works or not, so break-even is the rent over the list's price of an hour's queries."""
    api = against_api(cost_case.make_measured(), cost_case.make_rented(api__usd_per_query=0.0002))
    assert api is not None

    assert 3.6 / (0.0002 * 36_000) == pytest.approx(api.utilisation)
    assert api.payback is None


def test_an_unknown_rest_is_said(cost_case: ModuleType) -> None:
    """Without power at rest an idle hour counts without energy, and the note says so."""
    blind = cost_case.make_measured(powers=(), no_power_reason="x")
    parts = hour_parts(blind, cost_case.make_inputs(power__active_w=6000.0))

    assert any("an idle hour is counted without energy" in note for note in parts.notes)
    assert (cost_case.CAPITAL_H, 0.72) == (pytest.approx(parts.fixed_usd), pytest.approx(parts.work_usd))


def test_the_old_machine_has_its_own_declared_watts(cost_case: ModuleType) -> None:
    """`old.*` watts are the old machine's; without a stated uncertainty of a rate the saving has none."""
    blind = cost_case.make_measured(
        powers=(),
        no_power_reason="x",
        queries_per_s=type(cost_case.make_measured().queries_per_s)(value=10.0, u_rel=None),
    )
    inputs = cost_case.make_inputs(
        workload__queries_per_day=432_000.0,
        power__active_w=1000.0,
        power__idle_w=100.0,
        old__active_w=3000.0,
        old__idle_w=500.0,
        old__resale_usd=0.0,
        old__opex_usd_per_year=0.0,
    )
    found = replacement_of(blind, blind, inputs)

    assert (1750, 550) == (pytest.approx(found.old.mean_w), pytest.approx(found.new.mean_w))
    assert found.u_saved_kwh is None
