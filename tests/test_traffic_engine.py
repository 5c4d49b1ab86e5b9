"""The worker's part in traffic: a window that no result could hold is refused before it is measured."""

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
