"""How well a net energy is known: shared errors cancel in part, the others add, the idle window's included."""

import math
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.budget import combined
from wattbench.harness.power.net import with_net_uncertainty
from wattbench.results.energy import BudgetTerm, ChannelEnergy


def energy(factories: ModuleType, watts: float, *terms: BudgetTerm, net_w: float | None = None) -> ChannelEnergy:
    """Return the energy of 10 s at a power with this budget."""
    u = combined(terms)
    return replace(
        factories.make_channel_energy(watts * 10),
        energy_net_j=None if net_w is None else net_w * 10,
        budget=terms,
        u_absolute_rel=u.absolute_rel,
        u_comparison_rel=u.comparison_rel,
        u_net_absolute_j=None,
        u_net_comparison_j=None,
    )


def term(name: str, u_rel: float, *, absolute_only: bool = False) -> BudgetTerm:
    """Return one line."""
    return BudgetTerm(name=name, kind="B", u_rel=u_rel, absolute_only=absolute_only, basis="")


GAIN = term("gain", 0.05, absolute_only=True)


def test_a_shared_gain_is_off_by_its_share_of_the_difference(factories: ModuleType) -> None:
    """300 W and 100 W, both 5 % off by one gain: the 200 W between them are 5 % off, and comparisons nothing."""
    found = with_net_uncertainty(energy(factories, 300, GAIN, net_w=200), energy(factories, 100, GAIN), None, 10.0)

    assert (pytest.approx(0.05 * 2000), 0.0) == (found.u_net_absolute_j, found.u_net_comparison_j)


def test_what_each_window_errs_by_adds_as_squares(factories: ModuleType) -> None:
    """Edges of 1 % at 300 W and of 4 % at 100 W are 30 J and 40 J of a difference: 50 J."""
    gross = energy(factories, 300, GAIN, term("edges", 0.01), net_w=200)
    idle = energy(factories, 100, GAIN, term("edges", 0.04))
    found = with_net_uncertainty(gross, idle, None, 10.0)

    assert 50.0 == pytest.approx(found.u_net_comparison_j)
    assert math.hypot(50.0, 100.0) == pytest.approx(found.u_net_absolute_j)


@pytest.mark.parametrize("name", ["offset", "calibration"])
def test_one_line_at_two_powers_takes_the_worse(factories: ModuleType, name: str) -> None:
    """A line may be too high at one power and too low at the other: both errors add in full."""
    gross = energy(factories, 300, GAIN, term(name, 0.01), net_w=200)
    found = with_net_uncertainty(gross, energy(factories, 100, GAIN, term(name, 0.04)), None, 10.0)

    assert 70.0 == pytest.approx(found.u_net_comparison_j)


def test_a_line_of_one_window_alone_counts(factories: ModuleType) -> None:
    """A residual that only the load's window has is not lost."""
    gross = energy(factories, 300, term("residual", 0.02), net_w=200)
    found = with_net_uncertainty(gross, energy(factories, 100), None, 10.0)

    assert 60.0 == pytest.approx(found.u_net_comparison_j)


def test_idle_that_moved_counts(factories: ModuleType) -> None:
    """Idle power of 100 W before and 130 W after may have been anything between them."""
    gross, idle, after = energy(factories, 300, net_w=200), energy(factories, 100), energy(factories, 130)
    found = with_net_uncertainty(gross, idle, after, 10.0)
    silent = with_net_uncertainty(gross, idle, factories.make_channel_energy(None), 10.0)

    assert 300 / math.sqrt(3) == pytest.approx(found.u_net_comparison_j)
    assert 0.0 == silent.u_net_comparison_j


def test_an_unknown_gain_leaves_the_net_unknown(factories: ModuleType) -> None:
    """Without a stated accuracy nothing is said of the truth; comparisons are still known."""
    edges = term("edges", 0.01)
    gross = energy(factories, 300, edges, net_w=200)
    found = with_net_uncertainty(gross, energy(factories, 100, edges, GAIN), None, 10.0)

    assert (None, pytest.approx(math.hypot(30, 10))) == (found.u_net_absolute_j, found.u_net_comparison_j)


def test_without_net_energy_there_is_none(factories: ModuleType) -> None:
    """No idle window, an idle window without energy, and no energy at all state nothing."""
    gross = energy(factories, 300, GAIN, net_w=200)
    unknown = factories.make_channel_energy(None)

    assert gross == with_net_uncertainty(gross, None, None, 10.0)
    assert gross == with_net_uncertainty(gross, unknown, None, 10.0)
    assert unknown == with_net_uncertainty(unknown, gross, None, 10.0)


@given(
    gain=st.floats(0.8, 1.2), offset_w=st.floats(-20.0, 20.0), load_w=st.floats(50.0, 900.0), share=st.floats(0.1, 0.9)
)
def test_the_net_of_a_sensor_with_gain_and_offset_lies_within(
    factories: ModuleType, gain: float, offset_w: float, load_w: float, share: float
) -> None:
    """Whatever gain and offset a sensor has, budgets of that size hold what its net energy is off by."""
    idle_w = share * load_w
    off = abs(gain - 1)
    lines = [(term("gain", off, absolute_only=True), term("offset", abs(offset_w) / w)) for w in (load_w, idle_w)]
    gross = energy(factories, load_w, *lines[0], net_w=load_w - idle_w)
    found = with_net_uncertainty(gross, energy(factories, idle_w, *lines[1]), None, 10.0)
    shown_j = 10 * (gain * load_w + offset_w - gain * idle_w - offset_w)

    assert abs(shown_j - 10 * (load_w - idle_w)) <= (found.u_net_absolute_j or 0) + 1e-6
