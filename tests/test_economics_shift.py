"""A fleet's shift from training to inference, and which machines meet a required cost."""

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.economics.inputs import parse_inputs
from wattbench.results.economics.offers import HardwareOffer, StatedMachines
from wattbench.results.economics.shift import Suitability, fleet_shift, suitable
from wattbench.results.errors import UsageError

FLEET = {
    "shift.years": 4.0,
    "shift.training_usd_per_year": 100.0,
    "shift.inference_usd_per_year": 50.0,
    "shift.training_growth": 0.0,
    "shift.inference_growth": 1.0,
    "shift.price_fall": 0.0,
}
OWNED = {
    "hardware.residual_usd": 0.0,
    "hardware.life_years": 4.0,
    "hardware.interest_rate": 0.0,
    "power.usd_per_kwh": 0.1,
    "power.pue": 1.2,
}


def _entry(**changes: object) -> dict[str, object]:
    return {"name": "box", "class": "server", "source": "a quotation", "price_usd": 35_040.0, **changes}


def _one(entry: dict[str, object], **inputs: float) -> Suitability:
    given = {**OWNED, **{key.replace("__", "."): value for key, value in inputs.items()}}
    (row,) = suitable(StatedMachines(entries=(entry,), name="x").offers(), parse_inputs(None, given))
    return row


def test_doubling_inference_overtakes() -> None:
    """From a third of the money it is half after one year, two thirds after two."""
    years = fleet_shift(parse_inputs(None, FLEET))

    assert [50, 100, 200, 400] == [year.inference_usd for year in years]
    shares = [1 / 3, 1 / 2, 2 / 3, 4 / 5]
    assert shares == [pytest.approx(year.inference_share_usd) for year in years]
    assert all(year.inference_kwh is None for year in years)


def test_energy_has_its_own_fall() -> None:
    """Energy shifts by its own start and by the fall of its unit energy."""
    energy = {
        "shift.training_kwh_per_year": 10.0,
        "shift.inference_kwh_per_year": 10.0,
        "shift.energy_fall": 0.5,
        "shift.years": 2.0,
        "shift.training_growth": 0.0,
        "shift.inference_growth": 1.0,
    }
    years = fleet_shift(parse_inputs(None, energy))

    assert (5.0, 10.0) == (years[1].training_kwh, years[1].inference_kwh)
    assert years[1].training_usd is None


def test_half_of_the_figures_is_asked_for() -> None:
    """One side alone, no side at all, and half a year are errors."""
    with pytest.raises(UsageError, match=r"shift\.inference_usd_per_year"):
        fleet_shift(parse_inputs(None, {"shift.years": 2.0, "shift.training_usd_per_year": 1.0}))
    with pytest.raises(UsageError, match=r"shift\.training_kwh_per_year"):
        fleet_shift(parse_inputs(None, {"shift.years": 2.0}))
    with pytest.raises(UsageError, match="whole"):
        fleet_shift(parse_inputs(None, {**FLEET, "shift.years": 1.5}))


def test_a_machine_by_hand() -> None:
    """A dollar an hour of capital and 3600 queries an hour: half a mill a query needs every second hour... of two."""
    row = _one(_entry(queries_per_s=1.0), shift__usd_per_query=1 / 1800)

    assert 0.5 == pytest.approx(row.utilisation)
    assert 1 / 3600 == pytest.approx(row.usd_per_query_full)
    assert ("stated", True) == (row.rate_basis, "no energy" in row.notes[0])


@given(goal=st.floats(min_value=1e-5, max_value=0.1), active=st.floats(min_value=100, max_value=5000))
def test_at_the_utilisation_found_the_cost_is_met(goal: float, active: float) -> None:
    """There the hour's cost over its queries is the required one; where never, even a full hour costs more."""
    row = _one(_entry(queries_per_s=2.0, active_w=active, idle_w=50.0), shift__usd_per_query=goal)

    if row.utilisation is None:
        assert row.usd_per_query_full is not None
        assert row.usd_per_query_full >= goal * (1 - 1e-9)
        return
    u = row.utilisation
    hour = 1.0 + 0.12 * (50 + (active - 50) * u) / 1000
    assert goal == pytest.approx(hour / (7200 * u))


def test_rates_follow_from_peaks() -> None:
    """1 TFLOP at a tenth of 100 TFLOP/s and 10 GB at half of 100 GB/s: 0.1 s and 0.2 s."""
    row = _one(
        _entry(peak_flops=1e14, bandwidth_bytes_per_s=1e11),
        shift__usd_per_query=0.01,
        shift__flops_per_query=1e12,
        shift__bytes_per_query=1e10,
        shift__attained_flops=0.1,
        shift__attained_bandwidth=0.5,
    )

    assert (1 / 0.3, "from peaks") == (pytest.approx(row.queries_per_s), row.rate_basis)


def test_a_rented_machine_pays_all_hours() -> None:
    """A rent has its electricity in it."""
    row = _one(_entry(price_usd=None, usd_per_h=1.0, queries_per_s=1.0, active_w=500.0), shift__usd_per_query=1 / 1800)

    assert 0.5 == pytest.approx(row.utilisation)


def test_what_a_machine_does_not_state_is_not_guessed() -> None:
    """Without a rate, or without a price, there is a reason and no figure; known ones come first."""
    entries = (
        _entry(name="a"),
        _entry(name="b", price_usd=None, queries_per_s=1.0),
        _entry(name="c", queries_per_s=1.0),
    )
    given = {**OWNED, "shift.usd_per_query": 0.01}
    rows = suitable(StatedMachines(entries=entries, name="x").offers(), parse_inputs(None, given))

    assert ["c", "a", "b"] == [row.offer.name for row in rows]
    assert ["no rate" in (row.reason or "") or "neither" in (row.reason or "") for row in rows] == [False, True, True]


def test_any_catalogue_can_be_asked() -> None:
    """Whatever gives offers is a catalogue: the model knows no database."""

    class Database:
        def offers(self) -> list[HardwareOffer]:
            return list(StatedMachines(entries=(_entry(queries_per_s=1.0),), name="x").offers())

    inputs = parse_inputs(None, {**OWNED, "shift.usd_per_query": 0.01})

    assert "box" == suitable(Database().offers(), inputs)[0].offer.name


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (_entry(tdp_w=700), "'tdp_w'"),
        ({"name": "x", "class": "y"}, "source"),
        (_entry(active_w=0.1), "another unit"),
        (_entry(price_usd="cheap"), "cheap"),
        (_entry(price_usd=float("nan")), "nan"),
        (_entry(price_usd=True), "True"),
        (_entry(queries_per_s=-1), "-1"),
    ],
)
def test_a_wrong_entry_is_refused(entry: dict[str, object], words: str) -> None:
    """Unknown fields, missing texts, and numbers that cannot be are refused by name."""
    with pytest.raises(UsageError) as caught:
        list(StatedMachines(entries=(entry,), name="mine.yaml").offers())

    assert words in str(caught.value)


def test_a_residual_above_the_price_is_refused(cost_case: ModuleType) -> None:
    """What cannot be depreciated is no input."""
    with pytest.raises(UsageError, match="worth more at its end"):
        _one(_entry(queries_per_s=1.0), hardware__residual_usd=50_000.0, shift__usd_per_query=0.01)


def test_an_unknown_rest_is_noted() -> None:
    """A machine whose power at rest is not stated counts its idle hours without energy, and says so."""
    row = _one(_entry(queries_per_s=1.0, active_w=1000.0), shift__usd_per_query=0.01)

    assert any("no power at rest" in note for note in row.notes)
