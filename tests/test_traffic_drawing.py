"""Schedules are drawn whole from a seed: each scenario has its law."""

import math
from dataclasses import replace
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic_case import SHAPE, drawn

from wattbench.backends.traffic import NONE, Schedule
from wattbench.harness.traffic.drawing import SCENARIOS
from wattbench.results.errors import UsageError

CASES: dict[str, dict[str, Any]] = {  # any: fields of a plan have their own types
    "offline": {"input_lengths": "uniform:5-50"},
    "single-stream": {"output_lengths": "lognormal:20/0.7:1-64"},
    "multi-stream": {"calls": 30},
    "server": {"rate": 40.0, "arrival": "gamma", "arrival_shape": 0.5},
    "concurrency": {"concurrency": 4, "input_lengths": "uniform:5-50"},
    "ramp": {"ramp": "10/s,40/s,5/s"},
    "agentic": {"sessions": 3, "session": "calls=uniform:2-6,new=uniform:1-9,system=40,groups=3,pause=uniform:0s-2s"},
}
SEEDS = st.integers(0, 2**63)
RATES = st.floats(5, 500)


@pytest.mark.parametrize("scenario", CASES)
def test_a_seed_gives_one_schedule(scenario: str) -> None:
    """The same seed gives the same digest, another seed another one where anything is drawn."""
    one, again, other = (drawn(scenario, seed=seed, **CASES[scenario]) for seed in (7, 7, 8))

    assert one.digest == again.digest
    assert (scenario == "multi-stream") == (one.digest == other.digest)


def test_every_scenario_is_a_case() -> None:
    """No scenario goes untested: a trace has tests of its own."""
    assert {*CASES, "trace"} == set(SCENARIOS)


@given(seed=SEEDS, scenario=st.sampled_from(sorted(CASES)))
@settings(max_examples=60, deadline=None)
def test_order(seed: int, scenario: str) -> None:
    """Calls are in the order of due_ns within the window, predecessors before their followers, prefixes within."""
    schedule = drawn(scenario, seed=seed, **CASES[scenario])
    after = schedule.after[schedule.after != NONE]

    assert bool(numpy.all(numpy.diff(schedule.due_ns) >= 0))
    assert 0 <= int(schedule.due_ns[0]) <= int(schedule.due_ns[-1]) < 10e9
    assert bool(numpy.all(after < numpy.flatnonzero(schedule.after != NONE)))
    assert len(set(after.tolist())) == len(after)
    assert bool(numpy.all(schedule.prefix_tokens <= schedule.input_tokens))


@given(seed=SEEDS, rate=RATES, shape=st.sampled_from([None, 0.25, 4.0]))
@settings(max_examples=60, deadline=None)
def test_rate_of_an_open_loop(seed: int, rate: float, shape: float | None) -> None:
    """As many calls come as the rate says, give or take six standard deviations of the count and the first gap."""
    arrival = "poisson" if shape is None else "gamma"
    schedule = drawn("server", rate=rate, seed=seed, window_s=20.0, arrival=arrival, arrival_shape=shape)
    k = shape or 1.0
    spread = 6 * math.sqrt(20 * rate / k) + 6 / k

    assert abs(len(schedule) - 20 * rate) <= spread
    assert (True, None) == (schedule.open_loop, schedule.issue_until_ns)


def test_gaps_have_the_shape_that_was_asked_for() -> None:
    """The coefficient of variation of the gaps is 1/sqrt(shape): 1 for Poisson, 0 for constant arrivals."""
    asked: list[tuple[dict[str, Any], float]] = [  # any: fields of a plan have their own types
        ({"arrival": "poisson"}, 1.0),
        ({"arrival": "gamma", "arrival_shape": 0.25}, 2.0),
        ({"arrival": "gamma", "arrival_shape": 4.0}, 0.5),
        ({"arrival": "constant"}, 0.0),
    ]
    for plan, variation in asked:
        gaps = numpy.diff(drawn("server", rate=1000.0, window_s=50.0, **plan).due_ns)

        assert variation == pytest.approx(float(gaps.std() / gaps.mean()), abs=0.05)
        assert pytest.approx(1e6, rel=0.03) == float(gaps.mean())


@given(rate=st.floats(0.2, 1000), window_s=st.floats(5.01, 20))
@settings(max_examples=60, deadline=None)
def test_constant_arrivals(rate: float, window_s: float) -> None:
    """The first call is due at once, the others 1/rate apart, up to the window's end."""
    due = drawn("server", rate=rate, window_s=window_s, arrival="constant").due_ns

    assert due[0] == 0
    assert abs(len(due) - rate * window_s) <= 1
    assert bool(numpy.all(numpy.abs(due - numpy.arange(len(due)) * 1e9 / rate) <= 2))


@pytest.mark.parametrize(
    ("ramp", "shares"),
    [
        ("10/s,40/s,5/s", (10, 40, 5)),
        ("100/s,300/s", (100, 300)),
        ("10/s..190/s", (40, 100, 160)),
        ("50/s..50/s", (1, 1)),
    ],
)
def test_ramp_of_rates(ramp: str, shares: tuple[float, ...]) -> None:
    """Each part of the window gets its share of the calls, by steps or evenly."""
    due = drawn("ramp", ramp=ramp, arrival="constant", window_s=30.0).due_ns
    counts, _ = numpy.histogram(due, bins=len(shares), range=(0, 30e9))

    assert pytest.approx(numpy.array(shares) / sum(shares), abs=0.01) == counts / counts.sum()


def test_ramp_of_places() -> None:
    """A place opens when its level begins, and its calls follow each other."""
    steps = drawn("ramp", ramp="1,2,4", window_s=9.0, calls=40)
    first = steps.after == NONE

    assert [0, 3e9, 6e9, 6e9] == steps.due_ns[first].tolist()
    assert (False, 4) == (steps.open_loop, steps.in_flight_max)
    assert bool(numpy.all(steps.due_ns[~first] == steps.due_ns[steps.after[~first]]))
    assert [0, 2.5e9, 5e9, 7.5e9] == drawn("ramp", ramp="1..4").due_ns[
        drawn("ramp", ramp="1..4").after == NONE
    ].tolist()


def test_closed_loops() -> None:
    """All calls of a closed loop are due at once; places hold them back, and whole queries go together."""
    single, multi, eight = drawn("single-stream"), drawn("multi-stream", calls=30), drawn("concurrency", concurrency=8)

    assert [(False, 1, 1), (False, 8, 8), (False, 8, 1)] == [
        (s.open_loop, s.in_flight_max, s.query_size) for s in (single, multi, eight)
    ]
    assert (32, 10_000_000_000) == (len(multi), multi.issue_until_ns)


def test_offline() -> None:
    """Offline calls are all due at the start, and count from there."""
    offline = drawn("offline", calls=50)

    assert (50, True, 0) == (len(offline), offline.open_loop, int(offline.due_ns.max()))


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_drawn_lengths(seed: int) -> None:
    """Lengths lie within their clip, and those of one quantity do not shift those of another."""
    asked: dict[str, Any] = {
        "input_lengths": "lognormal:100/0.5:10-300",
        "output_lengths": "uniform:3-5",
    }  # any: its fields
    both = drawn("offline", calls=500, seed=seed, **asked)
    alone = drawn("offline", calls=500, seed=seed, output_lengths="uniform:3-5")

    assert 10 <= int(both.input_tokens.min()) <= int(both.input_tokens.max()) <= 300
    assert {3, 4, 5} == set(both.output_tokens.tolist())
    assert both.output_tokens.tolist() == alone.output_tokens.tolist()
    assert {100} == set(alone.input_tokens.tolist())


def test_median_of_a_lognormal() -> None:
    """What stands before the slash is the median."""
    lengths = drawn("offline", calls=20_000, input_lengths="lognormal:100/0.5:1-9999").input_tokens

    assert pytest.approx(100, rel=0.02) == float(numpy.median(lengths))
    assert pytest.approx(0.5, rel=0.03) == float(numpy.log(lengths).std())


def chains(schedule: Schedule) -> dict[int, list[int]]:
    """Return the rows of each session, in their order."""
    rows: dict[int, list[int]] = {}
    for i, session in enumerate(schedule.session.tolist()):
        rows.setdefault(session, []).append(i)
    return rows


@given(seed=SEEDS, arriving=st.booleans())
@settings(max_examples=60, deadline=None)
def test_sessions_grow(seed: int, arriving: bool) -> None:
    """Each call of a session has the whole of what came before as its prefix, and waits for it and its pause."""
    words = "calls=uniform:2-6,new=uniform:1-9,answer=uniform:2-4,system=40,groups=3,pause=uniform:1s-2s"
    how: dict[str, Any] = {"rate": 2.0} if arriving else {"sessions": 3}  # any: a rate or a number
    schedule = drawn("agentic", seed=seed, session=words, **how)
    for rows in chains(schedule).values():
        first, later = rows[0], rows[1:]

        assert 2 <= len(rows) <= 6
        assert (40, 100) == (int(schedule.prefix_tokens[first]), int(schedule.input_tokens[first]))
        assert 0 <= int(schedule.prefix_group[first]) < 3
        assert 1 == len({int(schedule.prefix_group[row]) for row in rows})
        for before, row in zip(rows, later, strict=False):
            whole = int(schedule.input_tokens[before] + schedule.output_tokens[before])

            assert before == schedule.after[row]
            assert whole == schedule.prefix_tokens[row]
            assert 1 <= int(schedule.input_tokens[row]) - whole <= 9
            assert 1e9 <= int(schedule.pause_ns[row]) <= 2e9
    assert arriving == schedule.open_loop


@given(seed=SEEDS, places=st.integers(1, 9), calls=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_sessions_in_places(seed: int, places: int, calls: int) -> None:
    """As many chains begin as there are places; each place's sessions follow one another without a pause."""
    words = "calls=uniform:1-5,new=3,pause=1s"
    schedule = drawn("agentic", seed=seed, calls=calls, sessions=places, session=words)
    firsts = [rows[0] for rows in chains(schedule).values()]
    beginning = [row for row in firsts if schedule.after[row] == NONE]

    assert places == len(beginning) == schedule.in_flight_max
    assert list(range(places)) == sorted(beginning)
    assert len(schedule) >= calls
    assert 0 == sum(int(schedule.pause_ns[row]) for row in firsts)


def test_sessions_end_before_the_context_does() -> None:
    """No call passes the context; a session has the calls that fit."""
    schedule = drawn("agentic", sessions=2, session="calls=50,new=20,context=200")

    assert 200 >= int((schedule.input_tokens + schedule.output_tokens).max())
    assert {4} == {len(rows) for rows in chains(schedule).values()}


def test_a_load_of_turns_is_a_session() -> None:
    """A load of several turns says itself what a session is."""
    shape = replace(SHAPE, turns=3, turn_input_tokens=7)
    schedule = drawn("agentic", sessions=1, calls=3, shape=shape)

    assert [100, 117, 134] == schedule.input_tokens.tolist()


@pytest.mark.parametrize(
    ("scenario", "plan", "words"),
    [
        ("server", {"rate": 0.001, "arrival": "poisson"}, "window is empty"),
        ("server", {"rate": 1e6, "arrival": "constant"}, "too long"),
        ("server", {"rate": 1e6, "arrival": "gamma", "arrival_shape": 1e-300}, "too long"),
        ("server", {}, "--rate"),
        ("concurrency", {}, "--concurrency"),
        ("trace", {}, "--trace"),
        ("sideways", {}, "Unknown scenario"),
        ("offline", {"calls": 3_000_000}, "too long"),
        ("offline", {"input_lengths": "uniform:0-5"}, "at least one token"),
        ("offline", {"input_lengths": "uniform:9-5"}, "no range"),
        ("offline", {"input_lengths": "zipf:9-5"}, "Unknown distribution"),
        ("offline", {"input_lengths": "uniform:1-99999999999999999999999"}, "no number of tokens"),
        ("offline", {"input_lengths": "uniform:7:1-9"}, "no centre"),
        ("offline", {"input_lengths": "lognormal:9:1-9"}, "sigma"),
        ("offline", {"input_lengths": "lognormal:9/99:1-9"}, "sigma"),
        ("offline", {"output_lengths": "-4"}, "no number of tokens"),
        ("ramp", {"ramp": "4,2,1"}, "only rise"),
        ("ramp", {"ramp": "1,2/s"}, "no ramp"),
        ("ramp", {"ramp": "1..2..3"}, "one level to another"),
        ("ramp", {"ramp": "0/s,1/s"}, "levels lie within"),
        ("ramp", {"ramp": ""}, "no ramp"),
        ("ramp", {"ramp": ",".join(["1"] * 101)}, "levels"),
        ("agentic", {"sessions": 2}, "calls=N,new=N"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=1,colour=3"}, "not one of"),
        ("agentic", {"sessions": 2, "session": "calls=2,calls=3"}, "twice"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=1,context=50"}, "does not fit"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=0"}, "new token"),
        (
            "agentic",
            {"sessions": 2, "session": "calls=0"},
            "value for calls: got '0', it must be a whole number from 1",
        ),
        ("agentic", {"sessions": 2, "session": "calls=uniform:0-2,new=1"}, "value for calls: got '0'"),
        ("agentic", {"sessions": 2, "session": "calls=-2,new=1"}, "value for calls: got '-2'"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=few"}, "value for new: got 'few'"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=1,groups=0"}, "value for groups: got '0'"),
        ("agentic", {"sessions": 2, "session": "calls=2"}, "Add new=N, or"),
        ("agentic", {"sessions": 2, "session": "calls=10000,new=10000"}, "too long"),
        ("agentic", {"sessions": 2, "session": "calls=2,new=1,system=100"}, "first=N"),
        (
            "agentic",
            {"sessions": 2, "session": "calls=2,new=1,pause=5"},
            "value for pause: got '5', it must be a number with us",
        ),
        ("agentic", {"session": "calls=2,new=1"}, "--rate"),
    ],
)
def test_refuses(scenario: str, plan: dict[str, Any], words: str) -> None:  # any: fields have their own types
    """What cannot be drawn is refused in words that say why."""
    with pytest.raises(UsageError, match=words):
        drawn(scenario, **plan)
