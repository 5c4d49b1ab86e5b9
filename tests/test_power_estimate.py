"""What one channel says of the energy between two instants, and which powers it showed."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.power.estimate import estimate, powers_w
from wattbench.harness.power.series import Series, make_series

SECOND = 1_000_000_000
TIMES = tuple(n * SECOND // 10 for n in range(200))
RISING = tuple(1000.0 + 30.0 * n for n in range(200))


def counted(factories: ModuleType, values: tuple[float, ...]) -> Series:
    """Return a counter's log of 20 s at 10 Hz."""
    return make_series(factories.make_power().channels[0], TIMES, values)


def test_a_counter_gives_joules_and_powers(factories: ModuleType) -> None:
    """30 J every 100 ms are 300 W, as energy and tick by tick."""
    series = counted(factories, RISING)

    assert 3000.0 == pytest.approx(estimate(series, 2 * SECOND, 12 * SECOND, 10).joules)
    assert {300.0} == {round(w, 6) for w in powers_w(series, 2 * SECOND, 12 * SECOND, 10)}


def test_a_power_channel_shows_its_samples(factories: ModuleType) -> None:
    """Samples within the window, end excluded."""
    power = replace(factories.make_power().channels[0], kind="power", unit="W")
    series = make_series(power, (0, SECOND, 2 * SECOND), (1.0, 2.0, 3.0))

    assert (1.0, 2.0) == powers_w(series, 0, 2 * SECOND, 10)


def test_a_counter_that_reset_has_no_powers(factories: ModuleType) -> None:
    """Steps across a reset cannot be told apart; a window without it keeps its energy."""
    series = counted(factories, (*RISING[:20], *RISING[:180]))

    assert () == powers_w(series, 0, 20 * SECOND, 10)
    assert 1500.0 == pytest.approx(estimate(series, 8 * SECOND, 13 * SECOND, 10).joules)
    assert "went backwards" in str(estimate(series, SECOND, 5 * SECOND, 10).reason)
