"""The polls of a shared recorder that belong to one run."""

from dataclasses import replace
from types import ModuleType

from wattbench.harness.turns import polls_within
from wattbench.results.energy import Polls, PowerRecord
from wattbench.results.measurement import Window

MS = 1_000_000


def record(factories: ModuleType) -> PowerRecord:
    """Return ten polls, one every 100 ms, each taking 10 ms; the fifth failed."""
    polls = Polls(
        channel="a",
        before_ns=tuple(100 * MS * i for i in range(10)),
        after_ns=tuple(100 * MS * i + 10 * MS for i in range(10)),
        value=tuple(None if i == 4 else float(i) for i in range(10)),
        sensor_ns=tuple(range(10)),
        errors={"4": "no answer"},
    )
    power = factories.make_power()
    return PowerRecord(
        samplers=power.samplers, channels=power.channels, health=power.health, polls=(polls,), unavailable_reason=None
    )


def test_only_polls_within_the_windows_are_kept(factories: ModuleType) -> None:
    """Windows [150, 310) and [400, 500) ms hold the polls at 200, 300 and 400 ms; errors keep to their rows."""
    windows = [Window(start_ns=150 * MS, end_ns=310 * MS), Window(start_ns=400 * MS, end_ns=500 * MS)]
    (kept,) = polls_within(record(factories), windows).polls

    assert (2.0, 3.0, None) == kept.value
    assert (2, 3, 4) == kept.sensor_ns
    assert {"2": "no answer"} == kept.errors


def test_a_poll_that_overlaps_an_edge_is_kept_once(factories: ModuleType) -> None:
    """The read from 200 to 210 ms belongs to both of two windows that meet within it."""
    windows = [Window(start_ns=150 * MS, end_ns=205 * MS), Window(start_ns=205 * MS, end_ns=250 * MS)]
    (kept,) = polls_within(record(factories), windows).polls

    assert (2.0,) == kept.value


def test_without_windows_nothing_is_kept_but_the_channels(factories: ModuleType) -> None:
    """A run that has not begun has no polls; what the recorder is stays known."""
    whole = record(factories)
    none = polls_within(whole, [])

    assert () == none.polls[0].value
    assert (whole.channels, whole.health) == (none.channels, none.health)


def test_a_value_taken_within_a_turn_is_its_own_though_it_was_read_after(factories: ModuleType) -> None:
    """A buffered source's values are kept by when they were taken; the next turn's are not."""
    power = factories.make_power()
    polls = Polls(
        channel=power.channels[0].id,
        before_ns=(100, 200, 200),
        after_ns=(110, 210, 210),
        value=(1.0, 2.0, 3.0),
        sensor_ns=None,
        errors={},
        taken_ns=(90, 140, 160),
    )
    kept = polls_within(replace(power, polls=(polls,)), [Window(start_ns=50, end_ns=150)]).polls[0]

    assert ((1.0, 2.0), (90, 140)) == (kept.value, kept.taken_ns)
