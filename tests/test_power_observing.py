"""How a channel was seen to behave: its update period, and what contradicts the stated figures."""

import random
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import PLAIN_POWER

from wattbench.harness.power.observing import observe, observed_period, used_channel
from wattbench.harness.power.series import series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.observed import StepResponse

MS = 1_000_000


@pytest.fixture(name="channel")
def _channel(factories: ModuleType) -> ChannelRecord:
    """Give a board's power field that is stated to update every 100 ms, to average over that, and to lag by 100 ms."""
    return channel_of(factories)


def channel_of(factories: ModuleType) -> ChannelRecord:
    """Return the power field of the tests."""
    counter: ChannelRecord = factories.make_power().channels[0]
    return replace(counter, id="p", kind="power", unit="W", update_period_s=0.1, averaging_window_s=0.1, lag_s=0.1)


def polls_at(value: Callable[[float], float], *, seconds: float = 20.0, spacing_s: float = 0.05) -> Polls:
    """Return the polls of a value that depends on time, evenly spaced."""
    times = tuple(round(i * spacing_s * 1e9) for i in range(int(seconds / spacing_s)))
    return Polls(
        channel="p",
        before_ns=times,
        after_ns=times,
        value=tuple(value(t / 1e9) for t in times),
        sensor_ns=None,
        errors={},
    )


def updated(period_s: float, phase_s: float = 0.013, noise_w: float = 1.0) -> Callable[[float], float]:
    """Return a sensor that draws a new value every `period_s`."""

    def value(t: float) -> float:
        return 100.0 + noise_w * random.Random(int((t + phase_s) / period_s)).gauss(0, 1)

    return value


def answer(**changes: object) -> StepResponse:
    """Return a probe that saw a ramp of 1 s and a lag of 0.55 s."""
    found = StepResponse(
        kind="linear",
        averaging_window_s=1.0,
        u_averaging_window_s=0.02,
        time_constant_s=None,
        lag_s=0.55,
        u_lag_s=0.02,
        edges=6,
        misfit_rel=0.01,
        poll_spacing_s=0.02,
        time_resolution_s=1.0,
        probed_at="2026-01-02T03:04:05Z",
        driver="550.0",
    )
    return replace(found, **changes)  # type: ignore[arg-type]  # a test's shorthand


@given(period_s=st.floats(0.12, 2.0), phase_s=st.floats(0.0, 1.0))
def test_the_period_is_seen_to_a_polls_spacing(period_s: float, phase_s: float) -> None:
    """Whatever period above two polls a sensor has, its polls show it to within a poll."""
    channel = replace(PLAIN_POWER, id="p")
    polls = polls_at(updated(period_s, phase_s), seconds=60 * period_s)
    seen = observed_period(series_of(channel, [polls]))

    assert seen.period_s == pytest.approx(period_s, abs=0.05)
    assert not seen.at_most


def test_a_sensor_as_stated_is_not_contradicted(channel: ChannelRecord) -> None:
    """A field that updates every 100 ms as the table says raises nothing, and the stated figure stays."""
    seen = observe(channel, [polls_at(updated(0.1))], None)

    assert (0.1, ()) == (pytest.approx(seen.update_period_s, abs=0.01), seen.contradictions)
    assert channel == used_channel(channel, seen)


def test_a_slower_sensor_contradicts_and_its_period_is_used(channel: ChannelRecord) -> None:
    """A field that is stated at 100 ms and updates every 500 ms is named, and 500 ms are counted with."""
    seen = observe(channel, [polls_at(updated(0.5))], None)

    assert ("update period 0.5 s, stated is 0.1 s",) == seen.contradictions
    assert used_channel(channel, seen).update_period_s == pytest.approx(0.5, abs=0.02)


def test_rare_polls_tell_only_a_bound(channel: ChannelRecord) -> None:
    """Polled every 300 ms, a field of 100 ms changes at every poll: no longer than that, and no contradiction."""
    seen = observe(channel, [polls_at(updated(0.1), spacing_s=0.3)], None)

    assert seen.at_most
    assert () == seen.contradictions


def test_a_faster_sensor_contradicts_too(channel: ChannelRecord) -> None:
    """Stated at 1 s and seen to change with every poll of 50 ms, the statement is wrong."""
    slow = replace(channel, update_period_s=1.0)
    seen = observe(slow, [polls_at(updated(0.05, 0.0))], None)

    assert 1 == len(seen.contradictions)


def test_a_value_that_stands_still_has_no_period(channel: ChannelRecord) -> None:
    """A constant reading says nothing of updates, with that as the reason."""
    seen = observe(channel, [polls_at(lambda _: 100.0)], None)

    assert (None, 0) == (seen.update_period_s, seen.changes)
    assert "changed 0 times" in (seen.reason or "")


def test_irregular_changes_have_no_period(channel: ChannelRecord) -> None:
    """A coarse field at steady power changes at random: no period is made up of that."""
    drawn = random.Random(3)
    steps = [float(drawn.random() < 0.08) for _ in range(400)]
    level = [sum(steps[: i + 1]) for i in range(400)]
    seen = observe(channel, [polls_at(lambda t: level[min(int(t / 0.05 + 0.5), 399)])], None)

    assert seen.update_period_s is None
    assert "irregular" in (seen.reason or "")


def test_a_probe_as_stated_changes_nothing(channel: ChannelRecord) -> None:
    """An instant answer whose lag is the stated one confirms the table."""
    probe = answer(kind="instant", averaging_window_s=0.15, u_averaging_window_s=None, lag_s=0.11)
    seen = observe(channel, [], probe)

    assert () == seen.contradictions
    assert channel == used_channel(channel, seen)


def test_a_probe_that_contradicts_is_used_with_its_uncertainty(channel: ChannelRecord) -> None:
    """A field that is stated to be instant and averages over a second: window, lag and the lag's k=1 are replaced."""
    seen = observe(channel, [], answer())
    used = used_channel(channel, seen)

    assert ["averaging window 1 s, stated is 0.1 s", "lag 0.55 +- 0.02 s, stated is 0.1 s"] == list(seen.contradictions)
    assert (1.0, 0.55, 0.02) == (used.averaging_window_s, used.lag_s, used.lag_u_s)


def test_an_exponential_approach_contradicts_any_window(channel: ChannelRecord) -> None:
    """A capacitor has no averaging window."""
    probe = answer(kind="logarithmic", averaging_window_s=None, u_averaging_window_s=None, time_constant_s=0.4)
    seen = observe(channel, [], probe)

    assert "exponential approach" in seen.contradictions[0]
    assert used_channel(channel, seen).averaging_window_s is None


def test_an_instant_answer_contradicts_a_long_window(channel: ChannelRecord) -> None:
    """A second that is stated and not seen is no second."""
    probe = answer(kind="instant", averaging_window_s=0.15, u_averaging_window_s=None, lag_s=0.1)
    seen = observe(replace(channel, averaging_window_s=1.0), [], probe)

    assert ("averaging window 0.15 s, stated is 1 s",) == seen.contradictions


def test_what_nobody_states_is_taken_from_the_probe_without_a_word(channel: ChannelRecord) -> None:
    """An unknown lag and window are filled in; there is nothing to contradict."""
    unknown = replace(channel, averaging_window_s=None, lag_s=None)
    seen = observe(unknown, [], answer())
    used = used_channel(unknown, seen)

    assert ((), 1.0, 0.55) == (seen.contradictions, used.averaging_window_s, used.lag_s)
