"""Power and temperature stand still, or move, whatever their noise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.steadiness import power_moves, slope_of, temperature_moves, window_drift

SECOND = 10**9


def samples(
    per_s: float, *, seconds: float = 30.0, noise: float = 0.0, level: float = 300.0
) -> tuple[list[int], list[float]]:
    """Return samples at 20 Hz of a line with noise."""
    drawn = random.Random(5)
    times = [round(i * SECOND / 20) for i in range(int(seconds * 20))]
    return times, [level + per_s * t / SECOND + drawn.gauss(0, noise) for t in times]


@given(per_s=st.floats(-5, 5), level=st.floats(10, 1000))
def test_the_slope_of_a_line_is_its_own(per_s: float, level: float) -> None:
    """Without noise the slope is exact and all of it is sure."""
    slope = slope_of(*samples(per_s, level=level))

    assert slope is not None
    assert slope.per_s == pytest.approx(per_s, abs=1e-9)
    assert abs(slope.sure_per_s) <= abs(slope.per_s)


@pytest.mark.parametrize(
    ("per_s", "noise", "moves"),
    [
        (0.0, 0.0, False),
        (0.04, 0.0, False),
        (0.06, 0.0, True),
        (-0.06, 0.0, True),
        (0.0, 20.0, False),
        (3.0, 5.0, True),
    ],
)
def test_power_moves_by_more_than_half_a_percent_in_30_s(per_s: float, noise: float, moves: bool) -> None:
    """0.05 W/s of 300 W are 0.5 % in 30 s: more is a drift, less and mere noise are none."""
    facts = power_moves(slope_of(*samples(per_s, noise=noise)))

    assert moves == (facts is not None)


def test_a_movement_is_told_with_its_sign() -> None:
    """The words say how much in 30 s, and in which direction."""
    assert "power moves by -1.0% in 30 s" == power_moves(slope_of(*samples(-0.1, level=301.5)))


@pytest.mark.parametrize(("per_s", "moves"), [(0.02, False), (0.05, True), (-0.05, True)])
def test_temperature_moves_by_more_than_a_degree_in_30_s(per_s: float, moves: bool) -> None:
    """0.033 degrees a second are one in 30 s."""
    facts = temperature_moves(slope_of(*samples(per_s, level=60.0)))

    assert moves == (facts is not None)


def test_too_few_samples_say_nothing() -> None:
    """Without samples in every eighth of the span there is no slope, and what is unknown does not move."""
    times, values = samples(1.0, seconds=30.0)
    gappy = [(t, v) for t, v in zip(times, values, strict=True) if not 10 * SECOND < t < 20 * SECOND]

    assert slope_of(times, [*values[:-1], 1e308]) is None
    assert slope_of(times[:7], values[:7]) is None
    assert slope_of([5] * 9, [1.0] * 9) is None
    assert slope_of([t for t, _ in gappy], [v for _, v in gappy]) is None
    assert power_moves(None) is None
    assert power_moves(slope_of(*samples(0.0, level=0.0))) is None
    assert temperature_moves(None) is None


@pytest.mark.parametrize(
    ("per_s", "seconds", "drifts"),
    [(0.0, 60.0, False), (0.04, 60.0, False), (0.08, 60.0, True), (0.3, 6.0, False), (0.8, 6.0, True)],
)
def test_a_window_drifts_from_a_percent_on(per_s: float, seconds: float, drifts: bool) -> None:
    """Both count: half a percent in 30 s, and one percent from end to end; a short window needs more."""
    facts = window_drift(slope_of(*samples(per_s, seconds=seconds)))

    assert drifts == (facts is not None)


def test_an_unknown_curve_does_not_drift() -> None:
    """Without samples there is nothing to say."""
    assert window_drift(None) is None
