"""A sensor's answer to steps of load tells instant, averaged and exponential apart, with window and lag."""

import math
import random
from collections.abc import Callable

import pytest

from wattbench.harness.power.step_fit import Answer, Edge, fit_steps
from wattbench.results.errors import SensorError

STEP_MS = 3300
DOWN_W, UP_W = 100.0, 300.0


def load_w(t_ms: int) -> float:
    """Return the true power: three loads of 3.3 s, 3.3 s apart."""
    return UP_W if 0 <= t_ms < 6 * STEP_MS and (t_ms // STEP_MS) % 2 == 1 else DOWN_W


def edges() -> list[Edge]:
    """Return the six steps of the load."""
    span_s = STEP_MS / 1000
    return [Edge(at_ns=k * STEP_MS * 10**6, rising=k % 2 == 1, before_s=span_s, after_s=span_s) for k in range(1, 7)]


def averaged(window_ms: int) -> Callable[[int], float]:
    """Return the mean of the trailing window, by 5 ms steps."""
    return lambda t: math.fsum(load_w(t - k) for k in range(0, window_ms, 5)) / len(range(0, window_ms, 5))


def approaching(constant_ms: int) -> list[float]:
    """Return an exponential approach to the power, one value a ms."""
    shown, values = DOWN_W, []
    for t in range(8 * STEP_MS):
        shown += (load_w(t) - shown) / constant_ms
        values.append(shown)
    return values


def answer_of(
    sensor: Callable[[int], float], *, period_ms: int = 100, poll_ms: int = 20, delay_ms: int = 50, noise_w: float = 0.5
) -> Answer:
    """Return the fit of a sensor that shows, every period, what it held `delay_ms` ago."""
    drawn = random.Random(7)
    times = range(0, 8 * STEP_MS - 200, poll_ms)
    shown: dict[int, float] = {}
    for t in times:
        tick = (t - 37) // period_ms
        if tick not in shown:
            shown[tick] = sensor(max(tick * period_ms + 37 - delay_ms, 0)) + drawn.gauss(0, noise_w)
    watts = [shown[(t - 37) // period_ms] for t in times]
    return fit_steps([t * 10**6 for t in times], watts, edges(), period_s=period_ms / 1000, spacing_s=poll_ms / 1000)


@pytest.mark.parametrize("window_ms", [500, 1000])
def test_an_average_shows_as_a_ramp(window_ms: int) -> None:
    """A trailing mean is found with its window and a lag of half of it, the delay and half an update."""
    found = answer_of(averaged(window_ms))

    assert "linear" == found.kind
    assert found.averaging_window_s == pytest.approx(window_ms / 1000, abs=0.06)
    assert abs(found.lag_s - (window_ms / 2000 + 0.05 + 0.05)) <= 3 * found.u_lag_s
    assert 6 == found.edges


def test_an_instant_sensor_shows_no_window() -> None:
    """A look of 25 ms every 100 ms is an instant rise: the window is no longer than what could be seen."""
    found = answer_of(averaged(25))

    assert "instant" == found.kind
    assert (0.15, None) == (pytest.approx(found.averaging_window_s), found.u_averaging_window_s)
    assert abs(found.lag_s - 0.1125) <= 3 * found.u_lag_s


def test_a_capacitor_shows_as_an_exponential_approach() -> None:
    """A logarithmic sensor is told from an average by its curve, with its time constant."""
    values = approaching(400)
    found = answer_of(lambda t: values[t])

    assert "logarithmic" == found.kind
    assert (None, 0.4) == (found.averaging_window_s, pytest.approx(found.time_constant_s, abs=0.03))


def test_steps_in_the_noise_are_refused() -> None:
    """A load that the sensor hardly sees tells nothing, and says so."""
    with pytest.raises(SensorError, match="cannot be told"):
        answer_of(averaged(100), noise_w=150.0)


def test_steps_without_polls_are_refused() -> None:
    """Two polls on each side of two steps are the least."""
    with pytest.raises(SensorError, match="0 of 6 steps"):
        fit_steps([0, 10**9], [100.0, 300.0], edges(), period_s=0.1, spacing_s=0.02)


def test_a_curve_that_answers_the_wrong_way_is_refused() -> None:
    """A sensor that falls when the load begins does not see this device."""
    with pytest.raises(SensorError, match="0 of 6 steps"):
        answer_of(lambda t: 400.0 - load_w(t))
