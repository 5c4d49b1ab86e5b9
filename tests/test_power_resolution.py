"""A sensor's least step in the budget: stated or shown, of power and of counters, never counted twice."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import PLAIN_POWER

from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.resolution import DISTINCT_MIN, resolution_share, shown_step
from wattbench.harness.power.series import make_series
from wattbench.results.energy import BudgetTerm, ChannelEnergy, ChannelRecord, Polls
from wattbench.results.measurement import Window

SECOND = 1_000_000_000
TIMES = tuple(n * SECOND // 20 for n in range(-40, 26 * 20))
WINDOW = Window(start_ns=0, end_ns=20 * SECOND)

PLUG = replace(
    PLAIN_POWER, id="plug:power", sampler="tasmota", group="plug", scope="wall",
    resolution=1.0, update_period_s=0.1, lag_s=0.0, seen_share=1.0,
)  # fmt: skip
COUNTER = replace(PLUG, id="plug:energy", kind="counter", unit="J", resolution=3600.0, update_period_s=1.0)


def energy_of(channel: ChannelRecord, values: list[float], *, window: Window = WINDOW, every: int = 1) -> ChannelEnergy:
    """Return the energy of a channel that showed these values at 20 Hz, or at every n-th of those polls."""
    times = TIMES[: len(values) * every : every]
    polls = Polls(channel=channel.id, before_ns=times, after_ns=times, value=tuple(values), sensor_ns=None, errors={})
    return channel_energy([channel], [polls], window, rate_hz=20 / every)


def line(found: ChannelEnergy) -> BudgetTerm | None:
    """Return the line of the resolution."""
    return next((term for term in found.budget if term.name == "resolution"), None)


def steady(watts: float) -> list[float]:
    """Return what a power field shows of a constant power."""
    return [watts] * len(TIMES)


def test_a_plug_of_whole_watts_says_what_its_step_is_worth() -> None:
    """1 W steps at 6 W are 4.8 %, in comparisons too, and a longer window does not help."""
    found = energy_of(PLUG, steady(6.0))
    short = energy_of(PLUG, steady(6.0), window=Window(start_ns=0, end_ns=SECOND))
    term = line(found)

    assert term is not None
    assert ("B", pytest.approx(1 / math.sqrt(12) / 6)) == (term.kind, term.u_rel)
    assert term.u_rel == term.compared_rel == pytest.approx(getattr(line(short), "u_rel", None))
    assert (found.u_comparison_rel or 0) > 0.048
    assert "steps of 1 W (stated) at 6 W" in term.basis


@given(watts=st.floats(2.0, 60.0), sway=st.floats(0.0, 0.2), step_w=st.sampled_from([0.1, 0.5, 1.0, 2.0]))
def test_the_truth_lies_within_the_step(watts: float, sway: float, step_w: float) -> None:
    """However a near-constant power rounds, the truth lies within the rectangle that the budget states."""
    truth = [watts + sway * step_w * math.sin(n / 7) for n in range(len(TIMES))]
    shown = [round(w / step_w) * step_w for w in truth]
    found = energy_of(replace(PLUG, resolution=step_w), shown)
    true_j = energy_of(replace(PLUG, resolution=1e-6), truth).energy_j
    if found.energy_j is None or true_j is None:  # it rounds to nothing
        return

    assert abs(found.energy_j - true_j) <= math.sqrt(3) * (found.u_comparison_rel or 0) * found.energy_j


def test_an_unstated_step_is_the_least_that_the_log_shows() -> None:
    """Values on a grid of 1/4 W, of which many were seen, differ by 1/4 W at least."""
    wandering = [50 + 0.25 * (n * 7 % 31) for n in range(len(TIMES))]
    term = line(energy_of(replace(PLUG, resolution=None), wandering))

    assert 0.25 == shown_step(wandering)
    assert term is not None
    assert "steps of 0.25 W (the least difference in its log)" in term.basis


def test_a_driver_s_unit_is_not_believed_to_be_the_step() -> None:
    """A field in mW that moves by half watts has steps of half a watt."""
    wandering = [50 + 0.5 * (n * 7 % 31) for n in range(len(TIMES))]
    term = line(energy_of(replace(PLUG, resolution=0.001), wandering))

    assert term is not None
    assert "steps of 0.5 W (the least difference" in term.basis


@pytest.mark.parametrize(("watts", "step"), [(6.0, "1"), (300.0, "1"), (6.25, "0.01"), (0.1 + 0.2 + 5, "0.1")])
def test_of_few_values_the_last_digit_speaks(watts: float, step: str) -> None:
    """A log of one value shows no difference: its last digit is the step, and zeros before the point may be digits."""
    term = line(energy_of(replace(PLUG, resolution=None), steady(watts)))

    assert term is not None
    assert f"steps of {step} W (the last digit" in term.basis


@given(step=st.sampled_from([0.001, 0.1, 0.25, 1.0, 5.0]), grid=st.sets(st.integers(1, 4000), min_size=DISTINCT_MIN))
def test_a_shown_step_is_never_too_small(step: float, grid: set[int]) -> None:
    """Whatever values of a grid were seen, the shown step is one of it or more; not finite ones say nothing."""
    found = shown_step([n * step for n in grid] + [math.nan, math.inf])

    assert found is not None
    assert found >= step * (1 - 1e-6)


def test_few_values_show_no_step() -> None:
    """Two powers far apart are no grid."""
    assert shown_step([100.0, 300.0] * 50) is None


def test_a_model_has_no_step() -> None:
    """What is computed is not rounded."""
    assert line(energy_of(replace(PLUG, kind="model", resolution=None), steady(40.0))) is None


def counted(watts: float, step_j: float, *, update_s: float, count: int) -> list[float]:
    """Return a counter that is updated every so often, in steps, polled once a second."""
    return [watts * (t // update_s * update_s) // step_j * step_j for t in range(count)]


def test_a_coarse_counter_is_unsure_by_a_step_at_both_edges() -> None:
    """A counter of watt-hours at 100 W counts one every 36 s; over 2000 s its steps are worth 0.7 %."""
    window = Window(start_ns=200 * SECOND, end_ns=2200 * SECOND)
    times = tuple(n * SECOND for n in range(2400))
    polls = Polls(
        channel=COUNTER.id,
        before_ns=times,
        after_ns=times,
        value=tuple(counted(100.0, 3600.0, update_s=1.0, count=2400)),
        sensor_ns=None,
        errors={},
    )
    slow = replace(COUNTER, update_period_s=12.0)  # so that ticks 36 s apart bracket an edge
    found = channel_energy([slow], [polls], window, rate_hz=1)
    term = line(found)

    assert term is not None
    assert 3600 / math.sqrt(6) / 200_000 == pytest.approx(term.u_rel, rel=0.01)
    assert "steps of 3600 J (stated) at 2 edges" in term.basis


def series_share(channel: ChannelRecord, values: list[float], *, edge_s: float, windows: int = 1) -> float:
    """Return the share of a counter that was polled once a second, at 100 W over 100 s."""
    series = make_series(channel, tuple(n * SECOND for n in range(len(values))), tuple(values))
    found = resolution_share(series, energy_j=10_000.0, duration_s=100.0, windows=windows, edge_s=edge_s)
    return found.u_rel if found else 0.0


def test_an_observed_period_is_the_time_of_a_step_already() -> None:
    """Without a stated period the edges are unsure by the time between steps: the step is not counted again."""
    unknown = replace(COUNTER, update_period_s=None)
    values = counted(100.0, 3600.0, update_s=1.0, count=200)

    assert 0.0 == series_share(unknown, values, edge_s=36.0)
    assert math.sqrt(3600**2 - 1800**2) / math.sqrt(6) / 10_000 == pytest.approx(
        series_share(unknown, values, edge_s=18.0)
    )


def test_a_fine_counter_s_updates_are_no_steps() -> None:
    """What a millijoule counter gains per update lies in its edges; its own step is a millijoule."""
    fine = replace(COUNTER, resolution=0.001)
    values = counted(100.0, 0.001, update_s=1.0, count=200)

    assert 0.001 / math.sqrt(6) / 10_000 == pytest.approx(series_share(fine, values, edge_s=1.0))
    assert 0.0 == series_share(replace(fine, resolution=None), values, edge_s=1.0)


def test_a_counter_coarser_than_stated_shows_it() -> None:
    """A counter that says microjoules and moves by 500 J is unsure by what its edges do not hold of that."""
    values = counted(100.0, 500.0, update_s=1.0, count=200)
    found = series_share(replace(COUNTER, resolution=1e-6), values, edge_s=1.0)

    assert math.sqrt(500**2 - 100**2) / math.sqrt(6) / 10_000 == pytest.approx(found)


def test_each_window_has_edges_of_its_own() -> None:
    """Four windows of a phase have eight edges, which err apart; a power's rounding is the same in all of them."""
    values = counted(100.0, 3600.0, update_s=1.0, count=200)
    power = replace(PLUG, resolution=1.0)

    assert 2 * series_share(COUNTER, values, edge_s=1.0) == pytest.approx(
        series_share(COUNTER, values, edge_s=1.0, windows=4)
    )
    assert series_share(power, [100.0] * 50, edge_s=1.0) == series_share(power, [100.0] * 50, edge_s=1.0, windows=4)
