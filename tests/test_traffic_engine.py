"""The worker's part in traffic: how many calls a window has, and a window that no result could hold is refused."""

import numpy
import pytest
from served_case import make_served

from wattbench.backends.traffic import Schedule, Served
from wattbench.harness.messages import Serve, WarmUp
from wattbench.harness.traffic_engine import TrafficEngine
from wattbench.models.find import find_load
from wattbench.results.errors import DeviceError
from wattbench.results.traffic_plan import TrafficPlan

MS = 1_000_000
CALLS, PIECES = 100, 50


class Server:
    """Serves whatever it is asked in a tenth of a second of made-up time: a hundred answers of `pieces` pieces."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces
        self.windows = 0

    def serve(self, schedule: Schedule) -> Served:
        """Return the same answers, of the calls that there are."""
        self.windows += 1
        at = [i * MS for i in range(min(CALLS, len(schedule)))]
        stamps = [[t + k for k in range(1, self.pieces + 1)] for t in at]
        return make_served(
            planned_ns=at, start_ns=at, tokens_ns=stamps, end_ns=[t + MS for t in at], errors=[None] * len(at)
        )


def engine_of(server: Server, traffic: TrafficPlan) -> TrafficEngine:
    """Return a warm engine of what this server serves, in a closed loop or at a rate that is searched."""
    scenario = "concurrency" if traffic.concurrency is not None else "server"
    load = find_load("tiny-decoder/tiny")
    engine = TrafficEngine(server.serve, load, scenario, traffic, give_up_s=5.0, origin_ns=0)
    engine.warm_up(WarmUp(min_s=0.0, max_s=0.01), 0)
    return engine


def window(seconds: float, rate_per_s: float | None = None) -> Serve:
    """Return the command of a window."""
    return Serve(window_s=seconds, seed=1, rate_per_s=rate_per_s, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0)


def test_a_window_that_would_bring_too_much_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 50,000 pieces a second ten seconds bring half a million; nothing is sent for a window that cannot be kept."""
    monkeypatch.setattr("wattbench.harness.traffic_engine.STAMPS_MAX", 300_000)
    server = Server(PIECES)
    engine = engine_of(server, TrafficPlan(concurrency=50))
    sent = server.windows
    with pytest.raises(DeviceError, match="at the speed of the warm-up it would bring") as caught:
        engine.measure(window(10.0))

    assert sent == server.windows
    assert "a result holds 300,000 a window" in caught.value.why
    assert "shorter --window" in caught.value.remedy


def test_a_window_that_holds_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is one of a window, not of a run: five windows of 5,000 pieces have 25,000."""
    monkeypatch.setattr("wattbench.harness.traffic_engine.STAMPS_MAX", 5_000)
    engine = engine_of(Server(PIECES), TrafficPlan(concurrency=50))
    pieces = [sum(map(len, engine.measure(window(0.1)).completions.step_end_ns)) for _ in range(5)]

    assert [CALLS * (PIECES - 1)] * 5 == pieces


def test_a_window_that_brought_more_than_expected_is_refused_with_its_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up of short answers says too little of what came."""
    server = Server(1)
    engine = engine_of(server, TrafficPlan(concurrency=50))
    server.pieces = PIECES
    monkeypatch.setattr("wattbench.harness.traffic_engine.STAMPS_MAX", 4_999)
    with pytest.raises(DeviceError, match="it brought 5,000 pieces of output"):
        engine.measure(window(0.1))


def test_a_rate_that_is_searched_is_not_foretold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its warm-up sends one request at a time, which says nothing of lower rates or higher ones."""
    server = Server(PIECES)
    engine = engine_of(server, TrafficPlan(rate_auto=True, arrival="constant", slo="ttft.p99=1s"))
    monkeypatch.setattr("wattbench.harness.traffic_engine.STAMPS_MAX", CALLS * PIECES)
    measured = engine.measure(window(10.0, rate_per_s=10.0))

    assert CALLS == len(measured.completions)
    assert numpy.isfinite(measured.worker_cpu_s)


@pytest.mark.parametrize(("ramp", "scales"), [("1,2,4", True), ("1..8", True), ("1,16", True), ("1,16", False)])
def test_no_place_of_a_ramp_runs_out_of_calls(ramp: str, scales: bool) -> None:
    """A place that opens makes calls until the window's end, on a server that scales and on one that does not."""
    drawn: list[Schedule] = []

    def serve(schedule: Schedule) -> Served:
        drawn.append(schedule)
        chains, starts, ends = _chains(schedule), [], []
        opens = sorted(int(schedule.due_ns[first]) for first in chains)
        for first, calls in chains.items():
            at = int(schedule.due_ns[first])
            for _ in range(calls):
                if at >= (schedule.issue_until_ns or 0):
                    break
                starts.append(at)
                at += 10 * MS * (1 if scales else sum(open_ns <= at for open_ns in opens))
                ends.append(at)
        return make_served(
            planned_ns=starts,
            start_ns=starts,
            tokens_ns=[[end] for end in ends],
            end_ns=ends,
            errors=[None] * len(starts),
        )

    load = find_load("tiny-decoder/tiny")
    engine = TrafficEngine(serve, load, "ramp", TrafficPlan(ramp=ramp), give_up_s=5.0, origin_ns=0)
    engine.warm_up(WarmUp(min_s=0.0, max_s=0.01), 0)
    while len(drawn) < 2:
        engine.warm_up(WarmUp(min_s=0.0, max_s=0.01), 0)
    engine.measure(window(2.0))
    chains = _chains(drawn[-1])
    opens = sorted(int(drawn[-1].due_ns[first]) for first in chains)
    for first, calls in chains.items():
        at, needed = int(drawn[-1].due_ns[first]), 0
        while at < 2000 * MS:
            at += 10 * MS * (1 if scales else sum(open_ns <= at for open_ns in opens))
            needed += 1

        assert calls >= needed


def _chains(schedule: Schedule) -> dict[int, int]:
    """Return how many calls each place has, by its first call."""
    first: dict[int, int] = {}
    for i, after in enumerate(schedule.after.tolist()):
        first[i] = i if after < 0 else first[after]
    places = list(first.values())
    return {place: places.count(place) for place in dict.fromkeys(places)}
