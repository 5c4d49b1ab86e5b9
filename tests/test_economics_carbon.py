"""Carbon and water of a query."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.carbon import carbon_of
from wattbench.results.errors import UsageError

ALL = {
    "carbon__grid_g_per_kwh": 400.0,
    "carbon__market_g_per_kwh": 50.0,
    "carbon__machine_kg": 5000.0,
    "carbon__site_l_per_kwh": 0.4,
    "carbon__grid_l_per_kwh": 5.0,
}


def test_by_hand(cost_case: ModuleType) -> None:
    """4 kW over 5 queries/s are 800 J each; 960 J at the meter, at 400 g/kWh; 5 t over four years of 5 queries/s."""
    carbon = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**ALL))
    assert carbon.location is not None
    assert carbon.market is not None
    assert carbon.sci is not None
    assert carbon.water is not None
    grid, making = 960 / 3.6e6 * 400, 5e6 / (5 * 4 * 8760 * 3600)

    assert (800, 960) == (pytest.approx(carbon.it_energy_j), pytest.approx(carbon.facility_energy_j))
    assert (grid, grid / 8) == (pytest.approx(carbon.location.value), pytest.approx(carbon.market.value))
    assert making == pytest.approx(carbon.embodied_g)
    assert grid + making == pytest.approx(carbon.sci.value)
    assert 800 / 3.6e6 * (0.4 + 1.2 * 5) == pytest.approx(carbon.water.value)
    assert () == carbon.missing


@given(pue=st.floats(min_value=1.0, max_value=3.0))
def test_the_buildings_overhead_counts_once(cost_case: ModuleType, pue: float) -> None:
    """Emissions rise in proportion to PUE, never to its square; water only in the grid's part."""
    one = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**ALL, power__pue=1.0))
    more = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**ALL, power__pue=pue))
    assert one.location is not None
    assert more.location is not None
    assert one.water is not None
    assert more.water is not None

    assert pue * one.location.value == pytest.approx(more.location.value)
    assert one.water.value / 5.4 * (0.4 + pue * 5) == pytest.approx(more.water.value)


def test_contracts_do_not_count_in_the_sci(cost_case: ModuleType) -> None:
    """ISO/IEC 21031 takes the grid's intensity; a green contract stands beside it."""
    green = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**{**ALL, "carbon__market_g_per_kwh": 0.0}))
    grey = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**ALL))

    assert grey.sci == green.sci


def test_without_watts_only_the_making_is_known(cost_case: ModuleType) -> None:
    """A result without energy has no grid emissions and no SCI, and the reasons are given."""
    carbon = carbon_of(cost_case.make_measured(powers=(), no_power_reason="no sensor"), cost_case.make_inputs(**ALL))

    assert (None, None, None) == (carbon.location, carbon.sci, carbon.water)
    assert carbon.embodied_g is not None
    assert any("energy, so no emissions" in reason for reason in carbon.missing)


def test_what_is_not_given_is_absent_with_its_name(cost_case: ModuleType) -> None:
    """Contract, water and making are each absent by name; the grid is asked for."""
    inputs = cost_case.make_inputs(carbon__grid_g_per_kwh=400.0)
    missing = " ".join(carbon_of(cost_case.make_measured(), inputs).missing)

    for path in ("carbon.market_g_per_kwh", "carbon.site_l_per_kwh", "carbon.machine_kg"):
        assert path in missing
    with pytest.raises(UsageError, match=r"carbon\.grid_g_per_kwh"):
        carbon_of(cost_case.make_measured(), cost_case.make_inputs())


def test_the_energys_uncertainty_is_carried(cost_case: ModuleType) -> None:
    """Rate and watts both make a query's energy uncertain."""
    carbon = carbon_of(cost_case.make_measured(), cost_case.make_inputs(**ALL))
    assert carbon.location is not None

    assert (0.02**2 + 0.01**2) ** 0.5 == pytest.approx(carbon.location.u_rel)
