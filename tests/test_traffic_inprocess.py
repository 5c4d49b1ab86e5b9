"""A backend in this process serves schedules: exact on a hand-turned clock, and for real with the mock."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traffic_case import drawn

from wattbench.backends.contract import Completion, Preparation
from wattbench.backends.execution import Executed
from wattbench.backends.mock import MockBackend
from wattbench.backends.traffic import NONE, Schedule, Served, TrafficServer
from wattbench.harness.traffic.inprocess import InProcessServer, serve_calls
from wattbench.harness.traffic.judging import query_latencies_s
from wattbench.harness.traffic.trace_file import Trace
from wattbench.harness.traffic.trace_formats import Row
from wattbench.models.find import find_load
from wattbench.results.errors import UsageError

MS = 1_000_000


@dataclass
class Device:
    """A device on a clock that is turned by hand: every execution takes the same, waiting ends `oversleep_ns` late."""

    service_ns: Callable[[int], int]
    oversleep_ns: int = 0
    time_ns: int = 1000
    sizes: list[int] = field(default_factory=list)
    failing: tuple[int, ...] = ()
    apart: bool = False

    def now_ns(self) -> int:
        """Return its time."""
        return self.time_ns

    def wait_until(self, at_ns: int) -> None:
        """Turn the clock."""
        self.time_ns = max(self.time_ns, at_ns) + self.oversleep_ns

    def execute(self, requests: int) -> Executed:
        """Take the service time; three tokens a request, evenly."""
        start = self.time_ns
        self.time_ns += self.service_ns(requests)
        failed = len(self.sizes) in self.failing
        self.sizes.append(requests)
        whole = self._completion(start, self.time_ns, requests, failed)
        if self.apart:
            step = (self.time_ns - start) // requests
            parts = tuple(
                self._completion(start + i * step, start + (i + 1) * step, 1, failed) for i in range(requests)
            )
            whole = Completion(
                start_ns=start, first_output_ns=None, step_end_ns=(), end_ns=self.time_ns, requests=requests,
                input_tokens=100 * requests, output_tokens=3 * requests, parts=parts,
            )  # fmt: skip
        return Executed(before_ns=start, completion=whole, after_ns=self.time_ns)

    def serve(self, schedule: Schedule, batch: int = 1) -> Served:
        """Serve a schedule on its clock."""
        return serve_calls(schedule, self.execute, batch, self)

    def _completion(self, start: int, end: int, requests: int, failed: bool) -> Completion:
        third = (end - start) // 3
        return Completion(
            start_ns=start, first_output_ns=start + third, step_end_ns=(start + 2 * third, end), end_ns=end,
            requests=requests, input_tokens=100 * requests, output_tokens=3 * requests,
            error="the device is on fire" if failed else None,
        )  # fmt: skip


def at(*due_ms: float, session: str | None = None, pause_s: float = 0.0, **limits: Any) -> Schedule:  # any: own types
    """Return the open-loop schedule of calls that are due at these milliseconds."""
    rows = tuple(
        Row(at_s=ms / 1e3, input_tokens=100, output_tokens=3, session=session, pause_s=pause_s) for ms in due_ms
    )
    trace = Trace(name="t", digest="sha256:0", format="wattbench", rows=rows, notes=())
    return drawn("trace", trace=trace, **limits)


def latencies_ms(served: Served) -> list[float]:
    """Return the latencies from the planned start."""
    return [float(x) for x in (served.end_ns - served.planned_ns) / MS]


def test_a_slow_backend_cannot_hide_its_queue() -> None:
    """In an open loop latency counts from when a call was due, through the wait behind those before it."""
    served = Device(lambda n: 25 * MS).serve(at(0, 10, 20))

    assert [25, 40, 55] == latencies_ms(served)
    assert [0, 15, 30] == ((served.start_ns - served.planned_ns) / MS).tolist()
    assert (0, 1) == (served.health.send_late_max_s, served.health.in_flight_peak)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=80), st.integers(1, 200))
@settings(deadline=None)
def test_the_queue_is_lindleys(due_ms: list[int], service_ms: int) -> None:
    """One server, first come first served: a call starts at the later of its due time and the end before it."""
    schedule = at(*sorted(due_ms))
    served = Device(lambda n: service_ms * MS).serve(schedule)
    free = 0
    for due, latency in zip(schedule.due_ns.tolist(), latencies_ms(served), strict=True):
        free = max(free, due) + service_ms * MS

        assert pytest.approx((free - due) / MS) == latency
    assert len(due_ms) == len(served)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=80), st.integers(1, 9), st.integers(1, 5))
@settings(deadline=None)
def test_every_call_is_served_once(due_ms: list[int], batch: int, places: int) -> None:
    """No call is lost, none starts before it is due, no execution holds more than the batch or the limit."""
    device = Device(lambda n: 7 * n * MS)
    schedule = at(*sorted(due_ms), in_flight_max=places)
    served = device.serve(schedule, batch)

    assert list(range(len(due_ms))) == sorted(served.call.tolist())
    assert bool(numpy.all(served.planned_ns - 1000 == schedule.due_ns[served.call]))
    assert bool(numpy.all(served.start_ns >= served.planned_ns))
    assert max(device.sizes) <= min(batch, places)
    assert max(device.sizes) == served.health.in_flight_peak


def test_an_execution_takes_all_that_waits() -> None:
    """Calls that came during an execution go together in the next one."""
    device = Device(lambda n: 25 * MS)

    assert [25, 40, 30, 35] == latencies_ms(device.serve(at(0, 10, 20, 40), batch=4))
    assert [1, 2, 1] == device.sizes


def test_lateness_is_the_generators_own() -> None:
    """Waking up late is the generator's fault; waiting behind an execution is not."""
    late = Device(lambda n: 5 * MS, oversleep_ns=300_000).serve(at(0, 10, 20)).health
    busy = Device(lambda n: 50 * MS).serve(at(0, 10, 20)).health

    assert (0.0003, 0.0003) == (late.send_late_p50_s, late.send_late_max_s)
    assert (0.0, 0) == (busy.send_late_max_s, busy.connections_opened)


def test_single_stream() -> None:
    """The next call is planned when the one before it has ended."""
    served = Device(lambda n: 25 * MS).serve(drawn("single-stream", calls=100, window_s=0.1))

    assert [25] * 4 == latencies_ms(served)
    assert [0, 25, 50, 75] == ((served.planned_ns - 1000) / MS).tolist()


def test_concurrency() -> None:
    """Of four calls in progress two are executed at a time; the others' wait is in their latency."""
    device = Device(lambda n: 10 * MS)
    served = device.serve(drawn("concurrency", concurrency=4, calls=100, window_s=0.05), batch=2)

    assert [10, 10, 20, 20, 20, 20, 20, 20, 20, 20] == latencies_ms(served)
    assert [2] * 5 == device.sizes


def test_offline() -> None:
    """Everything is due at once, and counts from the start."""
    served = Device(lambda n: 10 * MS).serve(drawn("offline", calls=6), batch=2)

    assert [10, 10, 20, 20, 30, 30] == latencies_ms(served)


def test_multi_stream() -> None:
    """A query's calls are planned together, and the next one when all of them have ended."""
    served = Device(lambda n: 10 * MS).serve(drawn("multi-stream", calls=16, samples=4, window_s=0.06), batch=3)

    assert [0] * 4 + [20] * 4 + [40] * 4 == ((served.planned_ns - 1000) / MS).tolist()
    assert [0.02] * 3 == query_latencies_s(served, 4).tolist()
    assert [10, 10, 10, 20] * 3 == latencies_ms(served)


def test_a_session_waits_for_its_calls_and_tools() -> None:
    """A call of a session is planned when the one before it has ended and its pause is over."""
    served = Device(lambda n: 25 * MS).serve(at(0, 10, 500, session="a", pause_s=0.1), batch=8)

    assert [0, 125, 500] == ((served.planned_ns - 1000) / MS).tolist()
    assert [25, 25, 25] == latencies_ms(served)


def test_places_open_by_and_by() -> None:
    """A ramp of places: one call at a time, then two."""
    device = Device(lambda n: 10 * MS)
    device.serve(drawn("ramp", ramp="1,2", calls=100, window_s=0.08), batch=8)

    assert [1, 1, 1, 1, 2, 2, 2, 2] == device.sizes


def test_what_waits_at_the_deadline_is_given_up() -> None:
    """An overload loses nothing: calls that never came to be executed are rows, and failures."""
    served = Device(lambda n: 4000 * MS).serve(at(0, 10, 20, 30, 9000))

    assert [None, None, None, None, "gave_up"] == list(served.error_kind)
    served = Device(lambda n: 9000 * MS).serve(at(0, 10, 20, 30))

    assert [None, None, "gave_up", "gave_up"] == list(served.error_kind)
    assert [0, 1, 2, 3] == served.call.tolist()
    assert 0 < len(served.error[3] or "")


def test_nothing_is_sent_after_the_window_of_a_closed_loop() -> None:
    """What is in progress at the end goes on; nothing else is begun, and that is no failure."""
    served = Device(lambda n: 40 * MS).serve(drawn("concurrency", concurrency=2, calls=50, window_s=0.1))

    assert (3, [None] * 3) == (len(served), list(served.error))
    assert 120 * MS == served.window_end_ns - served.window_start_ns


def test_a_failed_execution_is_a_row_for_each_call() -> None:
    """The run goes on after it."""
    served = Device(lambda n: 10 * MS, failing=(0,)).serve(at(0, 0, 20), batch=2)

    assert ["engine", "engine", None] == list(served.error_kind)
    assert "the device is on fire" == served.error[0]


def test_requests_that_do_not_go_in_step() -> None:
    """Where a backend says when each request started and ended, these are its call's times."""
    served = Device(lambda n: 30 * MS, apart=True).serve(at(0, 0, 0), batch=3)

    assert [10, 20, 30] == latencies_ms(served)
    assert [3, 3, 3] == served.output_tokens.tolist()
    assert [3, 3, 3] == [len(stamps) for stamps in served.token_ns]


def prepared(**shape: Any) -> tuple[InProcessServer, MockBackend, Any]:  # any: fields of a shape; a load
    """Return the mock's server of a small load, and both."""
    tiny = find_load("tiny-decoder/tiny")
    load = replace(tiny, shape=replace(tiny.shape, **shape))
    backend = MockBackend()
    backend.prepare(
        Preparation(
            load=load, weights="synthetic", seed=1, precision="float32", device="mock", batch=4, threads=None,
            affinity=None,
        )
    )  # fmt: skip
    return InProcessServer(backend, load, 4, 1), backend, load


def test_the_mock_serves() -> None:
    """A real clock and a real backend: every call has its tokens, and the generator its health."""
    server, backend, load = prepared(input_tokens=8, output_tokens=4)
    served = server.serve(drawn("server", rate=100.0, arrival="poisson", window_s=0.5, shape=load.shape))
    backend.close()

    assert isinstance(server, TrafficServer)
    assert {8} == set(served.input_tokens.tolist())
    assert {4} == set(served.output_tokens.tolist())
    assert {None} == set(served.error)
    assert {NONE} == set(served.cached_tokens.tolist())
    assert bool(numpy.all(served.first_output_ns <= served.end_ns))
    assert served.health.cpu_s > 0
    assert served.health.send_late_p50_s is not None


@pytest.mark.parametrize(
    ("scenario", "plan", "words"),
    [
        ("offline", {"input_lengths": "uniform:7-9"}, "prepared for 8 tokens in and 4 out"),
        ("offline", {"output_lengths": "5"}, "a call has 8 and 5"),
        ("agentic", {"sessions": 1, "session": "calls=3,new=2"}, "need --endpoint"),
    ],
)
def test_other_shapes_are_refused(scenario: str, plan: dict[str, Any], words: str) -> None:  # any: own types
    """A load has one shape in this process; what asks for others is told so before anything runs."""
    server, _, load = prepared(input_tokens=8, output_tokens=4)
    with pytest.raises(UsageError, match=words):
        server.serve(drawn(scenario, shape=load.shape, **plan))


def test_a_load_of_turns_is_refused() -> None:
    """Its turns are one execution here, and cannot arrive one by one."""
    server, _, load = prepared(input_tokens=8, output_tokens=4, turns=2, turn_input_tokens=3)
    with pytest.raises(UsageError, match="turns"):
        server.serve(drawn("offline", shape=load.shape))
