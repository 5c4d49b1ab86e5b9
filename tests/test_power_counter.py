"""The energy that a counter tells: ticks, wrap-around, resets."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.counter import CounterRules, Ticks, counter_delta_j, find_ticks, tick_powers_w
from wattbench.results.errors import SamplingGapError, SensorError

MS = 1_000_000
SECOND = 1000 * MS
RANGE_J = 262_143.328850

FAST = CounterRules(max_gap_ns=SECOND / 2, period_ns=MS, wraps_at_j=RANGE_J, plausible_w=4000.0)


def polled(
    power_w: float, *, seconds: int = 14, first_j: float = 1000.0, tick_ms: int = 1
) -> tuple[list[int], list[float]]:
    """Return the polls at 20 Hz of a counter that is updated every `tick_ms`, from 2 s before 0 on."""
    times = [n * 50 * MS for n in range(-40, seconds * 20 - 40)]
    ticks_s = [(t // (tick_ms * MS)) * tick_ms / 1000 + 2 for t in times]
    return times, [first_j + power_w * s for s in ticks_s]


def test_a_constant_power_gives_power_times_time() -> None:
    """300 W over 10 s are 3000 J."""
    times, joules = polled(300.0)

    assert 3000.0 == pytest.approx(counter_delta_j(times, joules, 0, 10 * SECOND, FAST), rel=1e-9)


@pytest.mark.parametrize("start_ms", [0, 13, 49, 77, 99])
def test_steps_do_not_fall_into_or_out_of_the_window(start_ms: int) -> None:
    """A counter in steps of 100 ms gives the right energy wherever the window lies between its steps."""
    times, joules = polled(300.0, tick_ms=100)
    rules = CounterRules(max_gap_ns=SECOND / 2, period_ns=100 * MS)
    start = start_ms * MS

    assert 300.0 == pytest.approx(counter_delta_j(times, joules, start, start + SECOND, rules), rel=0.001)


@given(offset=st.floats(0, RANGE_J, exclude_max=True), power=st.floats(1, 3000))
def test_wrap_around_changes_nothing(offset: float, power: float) -> None:
    """The energy is the same wherever in its range the counter starts."""
    times, joules = polled(power)
    wrapped = [(j + offset) % RANGE_J for j in joules]

    straight = counter_delta_j(times, joules, 0, 10 * SECOND, FAST)

    assert straight == pytest.approx(counter_delta_j(times, wrapped, 0, 10 * SECOND, FAST), rel=1e-6, abs=1e-6)


@given(at=st.integers(39, 239), first=st.floats(10_000, RANGE_J - 20_000), power=st.floats(1, 1000))
def test_a_reset_never_gives_a_number(at: int, first: float, power: float) -> None:
    """A counter that starts again at zero within the window is refused, whether it could wrap or not."""
    times, joules = polled(power, first_j=first)
    reset = [j if n < at else j - joules[at] for n, j in enumerate(joules)]
    unwrapping = CounterRules(max_gap_ns=SECOND / 2, period_ns=MS)

    for rules in (FAST, unwrapping):
        with pytest.raises(SensorError, match="went backwards"):
            counter_delta_j(times, reset, 0, 10 * SECOND, rules)


def test_a_reset_outside_the_window_costs_nothing() -> None:
    """A driver that was reloaded long before the window does not spoil it."""
    times, joules = polled(100.0)
    joules[0] = 1e9

    assert 500.0 == pytest.approx(counter_delta_j(times, joules, 5 * SECOND, 10 * SECOND, FAST))


def test_a_jump_is_refused() -> None:
    """A gain far above ten times the limit cannot be true."""
    times, joules = polled(300.0)
    jumped = [j + (1e6 if n > 100 else 0) for n, j in enumerate(joules)]

    with pytest.raises(SensorError, match="jumped"):
        counter_delta_j(times, jumped, 0, 10 * SECOND, FAST)


def test_a_jump_of_a_gigajoule_is_refused_without_a_limit_too() -> None:
    """A meter states no limit, and one broken row would be all of the energy."""
    times, joules = polled(300.0)
    jumped = [j + (1e9 if n > 100 else 0) for n, j in enumerate(joules)]

    with pytest.raises(SensorError, match="jumped"):
        counter_delta_j(times, jumped, 0, 10 * SECOND, replace(FAST, plausible_w=None))


def test_a_frozen_counter_is_not_zero_energy() -> None:
    """A counter that never moves is refused: its energy is unknown, not 0."""
    times, joules = polled(0.0)

    with pytest.raises(SensorError, match="did not advance"):
        counter_delta_j(times, joules, 0, 10 * SECOND, FAST)


def test_a_gap_in_which_the_counter_could_wrap_is_refused() -> None:
    """At 20 kW a range of 262 kJ lasts 13 s: a longer silence may hide a wrap."""
    rules = CounterRules(max_gap_ns=SECOND / 2, period_ns=MS, wraps_at_j=RANGE_J)

    with pytest.raises(SensorError, match="wrapped unseen"):
        find_ticks([0, 20 * SECOND], [0.0, 10.0], rules)


@pytest.mark.parametrize(("start", "end", "name"), [(-3, 5, "start"), (5, 13, "end")])
def test_an_edge_without_updates_around_it_is_refused(start: int, end: int, name: str) -> None:
    """A window that reaches beyond the log has no energy."""
    times, joules = polled(300.0)

    with pytest.raises(SamplingGapError, match=f"window's {name}"):
        counter_delta_j(times, joules, start * SECOND, end * SECOND, FAST)


def test_an_edge_within_a_gap_is_refused() -> None:
    """Updates too far apart around an edge leave its energy unknown; a gap elsewhere does not matter."""
    times, joules = polled(300.0)
    hole = [(t, j) for t, j in zip(times, joules, strict=True) if not 2 * SECOND < t < 14 * SECOND // 5]
    holed_t, holed_j = [t for t, _ in hole], [j for _, j in hole]

    with pytest.raises(SamplingGapError, match="apart"):
        counter_delta_j(holed_t, holed_j, 12 * SECOND // 5, 10 * SECOND, FAST)
    assert 3000.0 == pytest.approx(counter_delta_j(holed_t, holed_j, 0, 10 * SECOND, FAST))


def test_polls_of_another_time_do_not_spoil_a_window() -> None:
    """Where only a run's own phases are kept, the long pause before a window is no unseen wrap-around."""
    times, joules = polled(300.0)
    rules = CounterRules(max_gap_ns=FAST.max_gap_ns, period_ns=FAST.period_ns, wraps_at_j=262_143.0)
    earlier = [t - 3600 * SECOND for t in times]

    assert 1500.0 == pytest.approx(
        counter_delta_j(
            [*earlier, *times], [*joules, *joules], times[0] + SECOND // 2, times[0] + 11 * SECOND // 2, rules
        )
    )


def test_ticks_lie_between_the_polls_around_them() -> None:
    """An update is placed in the middle of where it can have been, no longer ago than one period."""
    rules = CounterRules(max_gap_ns=100, period_ns=4)

    assert Ticks(times_ns=(18, 48), joules=(1.0, 3.0)) == find_ticks([0, 20, 40, 50], [5.0, 6.0, 6.0, 8.0], rules)


def test_powers_between_ticks() -> None:
    """Neighbouring ticks give the mean power between them."""
    assert (2.0,) == tick_powers_w(Ticks(times_ns=(0, SECOND, SECOND), joules=(1.0, 3.0, 4.0)))
