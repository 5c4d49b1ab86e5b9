"""The energy of one source over a window: both methods, their residual, gross and net."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import BOARD_POWER

from wattbench.harness.power.energy import alias_rel, channel_energy, groups_of
from wattbench.harness.power.series import is_absurd, max_gap_s, series_of, settle_s
from wattbench.results.energy import ChannelEnergy, ChannelRecord, Polls
from wattbench.results.measurement import Window

MS = 1_000_000
SECOND = 1000 * MS
WINDOW = Window(start_ns=0, end_ns=10 * SECOND)
TIMES = [n * 50 * MS for n in range(-40, 260)]

POWER = replace(BOARD_POWER, accuracy_rel=0.046, accuracy_basis="meter")
COUNTER = replace(
    POWER, id="nvml:a:counter", kind="counter", unit="J", averaging_window_s=None, seen_share=None, lag_s=None
)


def polls_of(channel: ChannelRecord, values: list[float | None], times: list[int] = TIMES) -> Polls:
    """Return a log in which every read took no time."""
    return Polls(
        channel=channel.id,
        before_ns=tuple(times),
        after_ns=tuple(times),
        value=tuple(values),
        sensor_ns=None,
        errors={},
    )


def constant(watts: float) -> list[float | None]:
    """Return what a power field shows of a constant power."""
    return [watts] * len(TIMES)


def counted(watts: float) -> list[float | None]:
    """Return what a counter with 100 ms steps shows of a constant power."""
    return [5000 + watts * (t // (100 * MS) * 0.1 + 2) for t in TIMES]


def energy_of(channels: list[ChannelRecord], *logs: Polls, idle_power_w: float | None = None) -> ChannelEnergy:
    """Return the energy of the test's window at 20 Hz."""
    return channel_energy(channels, logs, WINDOW, rate_hz=20, idle_power_w=idle_power_w)


def test_a_constant_power_is_not_zero() -> None:
    """300 W over 10 s are 3000 J; equal samples are not thrown away."""
    found = energy_of([POWER], polls_of(POWER, constant(300.0)))

    assert (3000.0, 300.0, "integral") == (found.energy_j, found.mean_power_w, found.method)
    assert (1.0, 0, 200) == (found.coverage, found.updates, found.polls)


def test_a_window_shorter_than_two_averages_has_no_integral() -> None:
    """A sensor that shows means of 6 s tells nothing of 10 s alone; its counter, where there is one, still does."""
    slow = replace(POWER, averaging_window_s=6.0)
    alone = energy_of([slow], polls_of(slow, constant(300.0)))
    both = energy_of([COUNTER, slow], polls_of(COUNTER, counted(300.0)), polls_of(slow, constant(300.0)))

    assert alone.energy_j is None
    assert "shows means of 6 s: a window of 10 s is too short, 12 s do" in str(alone.reason)
    assert ("counter", 3000.0) == (both.method, pytest.approx(both.energy_j))
    assert any("too short" in note for note in both.notes)


def test_the_counter_is_primary_where_both_agree() -> None:
    """Counter and integral are both given, with their residual; the counter is the energy."""
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, counted(300.0)), polls_of(POWER, constant(300.0)))

    assert ("counter", COUNTER.id) == (found.method, found.channel)
    assert 3000.0 == pytest.approx(found.energy_j)
    assert 0.0 == pytest.approx(found.residual, abs=1e-9)
    assert () == found.notes


@pytest.mark.parametrize(("shown", "method", "taken"), [(309.0, "integral", "integral"), (291.0, "counter", "counter")])
def test_a_residual_decides_what_is_primary(shown: float, method: str, taken: str) -> None:
    """Within 5 % the counter stays primary, beyond it the integral is taken; above 2 % the difference is noted."""
    counter = 300.0 if method == "counter" else 330.0
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, counted(counter)), polls_of(POWER, constant(shown)))

    assert method == found.method
    assert f"the {taken} is taken" in found.notes[0]


def test_net_energy_may_be_negative() -> None:
    """Net is gross minus idle power times duration, and is not clamped at zero."""
    found = energy_of([POWER], polls_of(POWER, constant(100.0)), idle_power_w=120.0)

    assert -200.0 == found.energy_net_j


def test_the_lag_shifts_the_window() -> None:
    """A sensor that is 500 ms late is read 500 ms later."""
    late = replace(POWER, lag_s=0.5)
    step: list[float | None] = [100.0 if t < 500 * MS else 300.0 for t in TIMES]

    assert 3000.0 == pytest.approx(energy_of([late], polls_of(late, step)).energy_j, rel=0.01)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, 4001.0])
def test_absurd_power_is_refused_with_reason(value: float) -> None:
    """A negative, not finite, or tenfold value gives no energy at all, not one without it."""
    spoilt = constant(300.0)
    spoilt[100] = value
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, counted(300.0)), polls_of(POWER, spoilt))

    assert found.energy_j is None
    assert is_absurd(str(found.reason))
    assert POWER.id in str(found.reason)


def test_a_gigawatt_is_absurd_without_a_limit_too() -> None:
    """An attached meter states no limit, and one broken row would be all of the energy."""
    unlimited = replace(POWER, limit_w=None)
    spoilt = constant(300.0)
    spoilt[100] = 1e9
    found = energy_of([unlimited], polls_of(unlimited, spoilt))

    assert found.energy_j is None
    assert is_absurd(str(found.reason))


def test_an_absurd_value_far_from_the_window_costs_nothing() -> None:
    """Only the window and the samples next to it have to be true."""
    spoilt = constant(300.0)
    spoilt[0] = -5.0

    assert 3000.0 == energy_of([POWER], polls_of(POWER, spoilt)).energy_j


def test_a_sensor_that_shows_zero_is_not_believed() -> None:
    """No powered device draws nothing: zero joules are unknown joules."""
    found = energy_of([POWER], polls_of(POWER, constant(0.0)))

    assert found.energy_j is None
    assert "draws nothing" in str(found.reason)
    assert is_absurd(str(found.reason))


def test_a_gap_gives_no_integral() -> None:
    """A second without samples leaves the energy unknown, coverage says how much is missing."""
    holed: list[float | None] = [None if 2 * SECOND < t < 3 * SECOND else 300.0 for t in TIMES]
    found = energy_of([POWER], polls_of(POWER, holed))

    assert found.energy_j is None
    assert "gap" in str(found.reason)
    assert (0.9, 1.0) == (found.coverage, found.max_gap_s)


def test_a_counter_bridges_a_gap_of_the_power_field() -> None:
    """The counter's energy stands where the power field failed, with a note."""
    holed: list[float | None] = [None if 2 * SECOND < t < 3 * SECOND else 300.0 for t in TIMES]
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, counted(300.0)), polls_of(POWER, holed))

    assert 3000.0 == pytest.approx(found.energy_j)
    assert "gap" in found.notes[0]
    assert found.residual is None


def test_a_counter_that_reset_gives_way_to_the_integral() -> None:
    """A counter that starts again at zero is no energy; the power field still is one."""
    reset = [j if t < 5 * SECOND else (j or 0.0) - 6000 for t, j in zip(TIMES, counted(300.0), strict=True)]
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, reset), polls_of(POWER, constant(300.0)))

    assert ("integral", 3000.0, None) == (found.method, found.energy_j, found.counter_j)
    assert "went backwards" in found.notes[0]


def test_both_reasons_are_told_when_nothing_is_left() -> None:
    """A source whose two views both fail says why of each."""
    found = energy_of([COUNTER, POWER], polls_of(COUNTER, constant(7.0)), polls_of(POWER, constant(0.0)))

    assert found.energy_j is None
    assert "did not advance" in str(found.reason)
    assert "draws nothing" in str(found.reason)


def test_without_polls_there_is_no_energy() -> None:
    """A channel that was never read has a reason, not 0 J."""
    found = energy_of([POWER])

    assert (None, 0.0, 0) == (found.energy_j, found.coverage, found.polls)
    assert "no sample" in str(found.reason)


def test_rapl_needs_no_power_field() -> None:
    """A counter alone is the energy; there is no residual."""
    rapl = replace(COUNTER, id="rapl:package-0", update_period_s=0.001, seen_share=1.0, lag_s=0.0, wraps_at_j=262143.0)
    values: list[float | None] = [(262_000 + 100 * t / SECOND) % 262_143 for t in TIMES]
    found = energy_of([rapl], polls_of(rapl, values))

    assert 1000.0 == pytest.approx(found.energy_j, rel=1e-6)
    assert (None, "counter") == (found.residual, found.method)
    assert "part_time" not in [t.name for t in found.budget]


def test_both_uncertainties_follow_from_the_budget() -> None:
    """The gain counts against the truth and cancels on the same board."""
    found = energy_of([POWER], polls_of(POWER, constant(300.0)))

    assert 0.046 == pytest.approx(found.u_absolute_rel, rel=0.01)
    assert 0.1 / math.sqrt(6) / 10 == pytest.approx(found.u_comparison_rel)


def test_an_offset_counts_away_from_the_power_that_the_gain_was_found_at() -> None:
    """10 W of offset, known with the gain at 200 W: nothing there, 1.7 % more at 300 W, and 2.4 % in comparisons."""
    board = replace(POWER, offset_u_w=10.0, offset_at_w=200.0)
    there, above = (energy_of([board], polls_of(board, constant(w))) for w in (200.0, 300.0))
    term = next(t for t in above.budget if t.name == "offset")

    assert [0.0, 0.0] == [
        f(t) for t in there.budget if t.name == "offset" for f in (lambda t: t.u_rel, lambda t: t.compared_rel)
    ]
    assert (10 / 600, math.sqrt(2) * 10 / 600) == (pytest.approx(term.u_rel), pytest.approx(term.compared_rel))
    assert (above.u_comparison_rel or 0) > 0.023


def test_an_offset_that_nobody_states_is_told() -> None:
    """Without a published offset the gain's line says that it cancels between runs of like power only."""
    gain = next(t for t in energy_of([POWER], polls_of(POWER, constant(300.0))).budget if t.name == "gain")

    assert gain.basis == "meter; its offset is not known apart, and cancels between runs of like power only"


def test_an_unknown_accuracy_leaves_the_absolute_uncertainty_unknown() -> None:
    """What nobody states is not taken as small."""
    unstated = replace(POWER, accuracy_rel=None)
    found = energy_of([unstated], polls_of(unstated, constant(300.0)))

    assert found.u_absolute_rel is None
    assert found.u_comparison_rel is not None


def test_a_part_time_sensor_is_less_sure() -> None:
    """A sensor that sees a quarter of a restless load widens both figures."""
    restless: list[float | None] = [400.0 if n % 2 else 200.0 for n in range(len(TIMES))]
    part = replace(POWER, seen_share=0.25, averaging_window_s=0.025)
    term = next(t for t in energy_of([part], polls_of(part, restless)).budget if t.name == "part_time")

    assert 1 / 3 * math.sqrt(0.75 / 100) == pytest.approx(term.u_rel, rel=0.01)


def test_polls_rarer_than_the_sensor_looks_see_less() -> None:
    """A sensor that looks 10 of 20 ms and is polled every 50 ms shows a fifth of the time."""
    fast = replace(POWER, seen_share=0.5, update_period_s=0.02, averaging_window_s=0.01)
    restless: list[float | None] = [400.0 if n % 2 else 200.0 for n in range(len(TIMES))]
    term = next(t for t in energy_of([fast], polls_of(fast, restless)).budget if t.name == "part_time")

    assert "sees 20%" in term.basis


def test_a_lonely_part_time_counter_takes_the_spread_from_its_ticks() -> None:
    """Without a power field the powers between ticks tell how restless the load was."""
    values: list[float | None] = [20.0 * (n // 2) + 10.0 * (n // 2 % 2) for n in range(len(TIMES))]
    part = replace(COUNTER, seen_share=0.25)
    term = next(t for t in energy_of([part], polls_of(part, values)).budget if t.name == "part_time")

    assert 0.5 * math.sqrt(0.75 / 100) == pytest.approx(term.u_rel, rel=0.02)


def test_a_step_at_an_edge_shows_in_the_lag_term() -> None:
    """An unsure lag costs nothing while the load goes on, and shows when it stops at the edge."""
    stops: list[float | None] = [300.0 if t < 10 * SECOND else 50.0 for t in TIMES]
    steady, stopping = (
        next(t.u_rel for t in energy_of([POWER], polls_of(POWER, v)).budget if t.name == "lag")
        for v in (constant(300.0), stops)
    )

    assert 0.0 == pytest.approx(steady, abs=1e-12)
    assert stopping > 0.001


def test_another_machines_clock_costs_the_step_at_an_edge_times_its_bound() -> None:
    """0.3 s either way, rectangular, beside a step of 250 W: 43 J of 3000; nothing under a steady load, or at home."""
    stops: list[float | None] = [300.0 if t < 10 * SECOND else 50.0 for t in TIMES]
    afar = replace(POWER, clock_bound_s=0.3)
    steady, stopping = (
        next(t.u_rel for t in energy_of([afar], polls_of(afar, v)).budget if t.name == "alignment")
        for v in (constant(300.0), stops)
    )

    assert 0.0 == pytest.approx(steady, abs=1e-12)
    assert 250 * 0.3 / math.sqrt(3) / 3000 == pytest.approx(stopping, rel=0.25)
    assert "alignment" not in {t.name for t in energy_of([POWER], polls_of(POWER, stops)).budget}


def test_a_log_without_room_for_a_shift_takes_the_worst() -> None:
    """Where the window cannot be shifted over the log, the lag's uncertainty counts in full."""
    times = [n * 50 * MS for n in range(201)]
    found = channel_energy([POWER], [polls_of(POWER, [300.0] * 201, times)], WINDOW, rate_hz=20)
    term = next(t for t in found.budget if t.name == "lag")

    assert 0.1 / math.sqrt(12) / 10 == pytest.approx(term.u_rel)


def test_an_unknown_lag_is_taken_as_zero_and_told() -> None:
    """The basis of the lag's line says that the lag is not known."""
    unknown = replace(POWER, lag_s=None)
    term = next(t for t in energy_of([unknown], polls_of(unknown, constant(9.0))).budget if t.name == "lag")

    assert "lag unknown" in term.basis


def test_an_observed_lag_has_its_own_uncertainty() -> None:
    """What a probe found replaces the phase of one update."""
    probed = replace(POWER, lag_s=0.25, lag_u_s=0.03)
    term = next(t for t in energy_of([probed], polls_of(probed, constant(9.0))).budget if t.name == "lag")

    assert term.basis.startswith("lag 0.25 s +- 0.03 s")


def test_the_channel_that_sees_most_is_integrated() -> None:
    """Between a part-time field and one that sees all of the time, the latter is the integral."""
    part = replace(POWER, seen_share=0.25, averaging_window_s=0.025)
    whole = replace(POWER, id="nvml:a:average", averaging_window_s=None)
    found = energy_of([part, whole], polls_of(part, constant(200.0)), polls_of(whole, constant(300.0)))

    assert (whole.id, 3000.0) == (found.channel, found.energy_j)


def test_an_alias_shows_as_a_difference_between_views() -> None:
    """A part-time field that disagrees with the others by a fraction says that fraction."""
    part = replace(POWER, seen_share=0.25)
    whole = replace(POWER, id="nvml:a:average")
    logs = [polls_of(part, constant(330.0)), polls_of(whole, constant(300.0))]

    assert 0.1 == pytest.approx(alias_rel([part, whole], logs, WINDOW, rate_hz=20))
    assert alias_rel([whole], logs, WINDOW, rate_hz=20) is None


def test_one_lost_sample_is_bridged() -> None:
    """A failed read is bridged by its neighbours; the count of polls shows it."""
    lossy = constant(300.0)
    lossy[100] = None
    found = energy_of([POWER], polls_of(POWER, lossy))

    assert (3000.0, 199) == (found.energy_j, found.polls)


def test_channels_are_grouped_by_source() -> None:
    """Views of one source stay together, in order of appearance."""
    other = replace(POWER, id="b", group="b")

    assert ((COUNTER, POWER), (other,)) == groups_of([COUNTER, other, POWER])


def test_how_long_polling_goes_on_after_a_window() -> None:
    """The lag, and two more updates; half a second for each update that is not known."""
    slow = replace(POWER, lag_s=0.5, update_period_s=None)

    assert pytest.approx(1.5) == settle_s([POWER, slow], 20)
    assert 0.0 == settle_s([], 20)


def test_the_widest_gap_follows_the_slower_of_poll_and_sensor() -> None:
    """Three polls or three updates, and never less than half a second."""
    assert (0.5, 3.0, 30.0) == (
        max_gap_s(POWER, 20),
        max_gap_s(POWER, 1),
        max_gap_s(replace(POWER, update_period_s=10.0), 20),
    )


def test_a_read_counts_at_its_middle() -> None:
    """A read that took 4 ms is placed 2 ms after its start, less the lag."""
    log = Polls(channel=POWER.id, before_ns=(0,), after_ns=(4,), value=(1.0,), sensor_ns=None, errors={})

    assert (2 - 10,) == series_of(replace(POWER, lag_s=1e-8), [log]).times_ns
    assert 0.0 == series_of(POWER, [log]).spacing_s


@given(watts=st.floats(1, 399), split=st.integers(1, 9))
def test_energy_is_additive_over_windows(watts: float, split: int) -> None:
    """Two adjoining windows hold together what both hold as one."""
    log = polls_of(POWER, constant(watts))
    parts = [
        channel_energy([POWER], [log], Window(start_ns=a * SECOND, end_ns=b * SECOND), rate_hz=20).energy_j or 0.0
        for a, b in ((0, split), (split, 10))
    ]

    assert energy_of([POWER], log).energy_j == pytest.approx(sum(parts))
