"""What is known of the channels: facts that were contradicted once stay replaced."""

import random
from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.power.curves import curve_of, powers_within
from wattbench.harness.power.knowledge import RECENT, Knowledge
from wattbench.harness.power.probe_file import PROBE_AGE, keep_response, recall_responses
from wattbench.harness.power.series import series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.measurement import Window
from wattbench.results.observed import StepResponse

MS = 1_000_000
RESPONSE = StepResponse(
    kind="linear",
    averaging_window_s=1.0,
    u_averaging_window_s=0.02,
    time_constant_s=None,
    lag_s=0.6,
    u_lag_s=0.03,
    edges=6,
    misfit_rel=0.01,
    poll_spacing_s=0.02,
    time_resolution_s=1.0,
    probed_at="2026-01-02T03:04:05Z",
    driver=None,
)


@pytest.fixture(name="channel")
def _channel(factories: ModuleType) -> ChannelRecord:
    """Give a power field that is stated to update every 100 ms."""
    counter: ChannelRecord = factories.make_power().channels[0]
    return replace(counter, id="p", kind="power", unit="W", update_period_s=0.1, averaging_window_s=0.1, lag_s=0.1)


def polls_every(period_s: float, count: int = 1200) -> Polls:
    """Return polls at 20 Hz of a field that is updated every `period_s`."""
    times = tuple(i * 50 * MS for i in range(count))
    values = tuple(100.0 + random.Random(int(t / 1e9 / period_s)).random() for t in times)
    return Polls(channel="p", before_ns=times, after_ns=times, value=values, sensor_ns=None, errors={})


def test_a_probe_is_known_from_the_start(channel: ChannelRecord) -> None:
    """What was probed earlier replaces the table before anything is polled."""
    used = Knowledge([channel], {"p": RESPONSE}).channels[0]

    assert (1.0, 0.6, 0.03) == (used.averaging_window_s, used.lag_s, used.lag_u_s)


def test_a_contradicted_period_stays_replaced(channel: ChannelRecord) -> None:
    """Once the polls have shown 500 ms, later ones change the figure no more."""
    knowledge = Knowledge([channel])
    first = knowledge.learn([polls_every(0.5)])
    later = knowledge.learn([polls_every(0.8)])

    assert first[0].update_period_s == pytest.approx(0.5, abs=0.02)
    assert first == later


def test_a_sensor_as_stated_keeps_its_facts(channel: ChannelRecord) -> None:
    """Nothing is replaced that is not contradicted."""
    knowledge = Knowledge([channel])

    assert (channel,) == knowledge.learn([polls_every(0.1)])
    assert () == knowledge.observed([polls_every(0.1)])[0].contradictions


def test_only_recent_polls_are_looked_at(channel: ChannelRecord) -> None:
    """A log of hours costs no more than its last five minutes."""
    seen = Knowledge([channel]).observed([polls_every(0.1, RECENT + 500)])[0]

    assert RECENT == seen.polls


def test_probes_are_remembered_for_their_driver_and_time(
    channel: ChannelRecord, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """A probe comes back for the same device and driver until it is too old; a broken file is none."""
    from datetime import datetime
    from pathlib import Path

    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path))
    keep_response(channel, replace(RESPONSE, driver="550"))
    made = datetime.fromisoformat(RESPONSE.probed_at)
    boards = {"00000000": ("board", "550")}

    assert ["p"] == list(recall_responses([channel], boards, made + PROBE_AGE))
    assert {} == recall_responses([channel], boards, made + 2 * PROBE_AGE)
    assert {} == recall_responses([channel], {"00000000": ("board", "560")}, made)
    for file in Path(str(tmp_path)).rglob("*.json"):
        file.write_text("{}")
    assert {} == recall_responses([channel], boards, made)


def test_a_cache_that_cannot_be_written_costs_only_the_probe(
    channel: ChannelRecord, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """Remembering is a convenience."""
    from pathlib import Path

    blocked = Path(str(tmp_path)) / "file"
    blocked.write_text("")
    monkeypatch.setenv("WATTBENCH_CACHE", str(blocked))
    keep_response(channel, RESPONSE)

    assert {} == recall_responses([channel], {})


def test_a_counters_curve_is_made_of_its_ticks(channel: ChannelRecord) -> None:
    """Where there is no power field, the mean powers between a counter's ticks are the curve."""
    counter = replace(channel, id="c", kind="counter", unit="J", lag_s=None)
    times = tuple(i * 50 * MS for i in range(100))
    joules = tuple(30.0 * (t // (100 * MS)) for t in times)
    polls = Polls(channel="c", before_ns=times, after_ns=times, value=joules, sensor_ns=None, errors={})
    window = Window(start_ns=0, end_ns=4 * 10**9)
    _, watts = powers_within([counter], [polls], window)

    assert {300.0} == {round(w, 6) for w in watts}
    assert ((), ()) == powers_within([], [polls], window)
    falling = replace(polls, value=tuple(-j for j in joules))
    assert ((), ()) == curve_of(series_of(counter, [falling]))


def test_a_power_field_comes_before_a_counter(channel: ChannelRecord) -> None:
    """The field shows more of the curve."""
    counter = replace(channel, id="c", kind="counter", unit="J")
    _, watts = powers_within([counter, channel], [polls_every(0.1)], Window(start_ns=0, end_ns=2 * 10**9))

    assert 40 == len(watts)
