"""MLPerf's LoadGen and our generator drive the same device: the same definitions, and the same figures."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from loadgen_device import TOKENS, Device
from served_case import make_served
from traffic_case import drawn

from wattbench.backends.contract import Completion
from wattbench.backends.execution import Executed
from wattbench.backends.traffic import Schedule
from wattbench.harness.traffic.inprocess import serve_calls
from wattbench.harness.traffic.judging import request_times
from wattbench.harness.traffic.trace_file import Trace
from wattbench.harness.traffic.trace_formats import Row
from wattbench.results.goodput import RequestTimes
from wattbench.results.stats import early_stopping_bound, quantile

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlperf_loadgen") is None, reason="needs the extra mlperf: pip install 'wattbench[mlperf]'"
)

EVENTS = ('{"name":"Sample"', '{"name":"Token"', '{"name":"Token_Latency"')
RELATIVE, ABSOLUTE_S = 0.02, 0.2e-3
"""Two generators agree when a figure differs by no more than one of these."""

ROUNDS = 3
DISTURBED_NS = 200_000
"""A round in which the device itself ever woke up later than this says nothing of the generators, and is repeated."""

PROGRAM = """
import queue, sys, threading
sys.path.insert(0, sys.argv[1])
import mlperf_loadgen as lg
from loadgen_device import TOKENS, Device

folder, scenario = sys.argv[2], sys.argv[3]
count, rate, base_ns = int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
waiting = queue.SimpleQueue()

def device():
    paced = Device(base_ns, queue=scenario != "SingleStream")
    for _ in range(count):
        sample = waiting.get()
        first, end = paced.begin()
        paced.wait_until(first)
        lg.FirstTokenComplete([lg.QuerySampleResponse(sample.id, 0, 0)])
        paced.wait_until(end)
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0, TOKENS)])
    print("late_ns", paced.late_ns)

def issue(samples):
    for sample in samples:
        waiting.put(sample)

settings = lg.TestSettings()
settings.scenario = getattr(lg.TestScenario, scenario)
settings.mode = lg.TestMode.PerformanceOnly
settings.min_duration_ms = 0
settings.min_query_count = settings.max_query_count = count
settings.offline_expected_qps = count
settings.server_target_qps = rate
settings.server_target_latency_ns = settings.ttft_latency = settings.tpot_latency = 10**10
settings.use_token_latencies = True
logs, output = lg.LogSettings(), lg.LogOutputSettings()
logs.enable_trace = True
output.outdir = folder
logs.log_output = output
worker = threading.Thread(target=device)
worker.start()
sut = lg.ConstructSUT(issue, lambda: None)
qsl = lg.ConstructQSL(count, count, lambda _: None, lambda _: None)
lg.StartTestWithLogSettings(sut, qsl, settings, logs, "")
worker.join()
"""
"""LoadGen in its own process; the device is a thread that takes one query at a time."""


@dataclass(frozen=True)
class Driven:
    """What LoadGen said in its summary, and its own stamps: when each query was scheduled, and its times.

    `device_late_ns` is how late the device itself ever was.
    """

    summary: str
    scheduled_ns: list[int]
    times: list[RequestTimes]
    device_late_ns: int

    def stated_s(self, label: str) -> float:
        """Return the seconds that the summary has after a label."""
        match = re.search(rf"^{re.escape(label)}\s*: *(\d+)", self.summary, re.MULTILINE)
        assert match is not None, label
        return int(match[1]) / 1e9


def drive_loadgen(folder: Path, scenario: str, *, count: int, rate: float, base_ns: int) -> Driven:
    """Run LoadGen into a folder, and read its summary and its trace."""
    words = [sys.executable, "-c", PROGRAM, *map(str, (Path(__file__).parent, folder, scenario, count, rate, base_ns))]
    said = subprocess.run(words, capture_output=True, timeout=120, check=True, text=True).stdout
    late = re.search(r"late_ns (\d+)", said)
    assert late is not None
    text = (folder / "mlperf_log_trace.json").read_text()  # as a whole no JSON: its lines of threads are not
    events = [json.loads(line.rstrip(",")) for line in text.splitlines() if line.startswith(EVENTS)]
    events = [event for event in events if event["ph"] != "e"]
    samples = [event for event in events if event["name"] == "Sample"]
    firsts = [event for event in events if event["name"] != "Sample"]
    assert count == len(samples) == len(firsts)
    samples.sort(key=lambda event: (event["ts"], event["args"]["complete_ns"]))
    firsts.sort(key=lambda event: (event["ts"], _after_ns(event["args"])))
    scheduled = [round(1000 * (event["ts"] - samples[0]["ts"])) for event in samples]
    ends = [event["args"]["complete_ns"] for event in samples]
    first = [_after_ns(event["args"]) for event in firsts]
    served = make_served(
        planned_ns=scheduled,
        start_ns=scheduled,
        tokens_ns=[[s + f, *[s + e] * (TOKENS - 1)] for s, f, e in zip(scheduled, first, ends, strict=True)],
        end_ns=[s + e for s, e in zip(scheduled, ends, strict=True)],
        errors=[None] * count,
    )
    return Driven((folder / "mlperf_log_summary.txt").read_text(), scheduled, list(request_times(served)), int(late[1]))


def _after_ns(said: dict[str, int]) -> int:
    """Return how long after its schedule a first token came; server has words of its own for it."""
    return said["complete_ns"] if "complete_ns" in said else said["issue_delay"] + said["issue_to_done"]


def execute_on(device: Device, requests: int) -> Executed:
    """Take one query's time on the device, driven by us."""
    before = time.perf_counter_ns()
    first, end = device.begin()
    first, end = device.wait_until(first), device.wait_until(end)
    done = Completion(
        start_ns=before,
        first_output_ns=first,
        step_end_ns=(end,) * (TOKENS - 1),
        end_ns=end,
        requests=requests,
        input_tokens=100,
        output_tokens=TOKENS,
    )
    return Executed(before_ns=before, completion=done, after_ns=time.perf_counter_ns())


def columns(times: list[RequestTimes]) -> dict[str, list[float]]:
    """Return latency, TTFT and TPOT of all requests, in seconds."""
    return {
        "latency": [x.latency_s for x in times if x.latency_s is not None],
        "ttft": [x.ttft_s for x in times if x.ttft_s is not None],
        "tpot": [x.tpot_s for x in times if x.tpot_s is not None],
    }


LABELS = {
    "latency": "{:.2f} percentile latency (ns)",
    "ttft": "{:.2f} percentile first token latency (ns)",
    "tpot": "{:.2f} percentile time to output token (ns)",
}


@pytest.mark.parametrize("scenario", ["Server", "SingleStream", "Offline"])
def test_definitions(tmp_path: Path, scenario: str) -> None:
    """LoadGen's own stamps give what its summary states: quantiles within one rank, early stopping exactly."""
    # LoadGen's quantile is the sample after floor(q n) others, ours the smallest that a share q does not exceed: where
    # q n is whole, as here, LoadGen's is the next one.
    driven = drive_loadgen(tmp_path, scenario, count=700, rate=400.0, base_ns=500_000)
    for name, values in columns(driven.times).items():
        if scenario == "Offline" and name != "latency":
            continue  # LoadGen states no token latencies there
        for q in (0.5, 0.9, 0.99):
            stated = driven.stated_s(LABELS[name].format(100 * q))
            ours = quantile(values, q)
            following = min((value for value in values if value > ours), default=ours)

            assert ours - 2e-9 <= stated <= following + 2e-9
        if scenario == "SingleStream" and name != "latency":
            block = driven.summary.partition(f"{name.upper()} Early Stopping Result:")[2]
            for q in (0.9, 0.99):
                match = re.search(rf"{100 * q:.1f}th percentile estimate: (\d+)", block)

                assert match is not None
                assert early_stopping_bound(values, q) == pytest.approx(int(match[1]) / 1e9, abs=2e-9)


def replay(driven: Driven) -> Schedule:
    """Return LoadGen's own schedule as ours."""
    rows = tuple(Row(at_s=at / 1e9, input_tokens=100, output_tokens=TOKENS) for at in driven.scheduled_ns)
    trace = Trace(name="loadgen", digest="sha256:0", format="wattbench", rows=rows, notes=())
    return drawn("trace", trace=trace, window_s=120.0)


@pytest.mark.alone
@pytest.mark.parametrize("scenario", ["Server", "SingleStream", "Offline"])
def test_figures(tmp_path: Path, scenario: str) -> None:
    """At the same arrivals on the same device both see the same p50, p90, p99 and bound, in the first calm round."""
    count, base_ns = 150, 10_000_000
    late_ns: list[int] = []
    for i in range(ROUNDS):
        folder = tmp_path / str(i)
        folder.mkdir()
        theirs = drive_loadgen(folder, scenario, count=count, rate=45.0, base_ns=base_ns)
        name = {"Server": "trace", "SingleStream": "single-stream", "Offline": "offline"}[scenario]
        schedule = replay(theirs) if name == "trace" else drawn(name, calls=count, window_s=120.0)
        device = Device(base_ns, queue=scenario != "SingleStream")
        served = serve_calls(schedule, partial(execute_on, device), 1)
        late_ns.append(max(theirs.device_late_ns, device.late_ns))

        assert count == len(served)
        if late_ns[-1] <= DISTURBED_NS:
            assert [] == disagreements(columns(theirs.times), columns(list(request_times(served))))
            return
    pytest.skip(f"this machine is busy: in every round the device woke up late, by at least {min(late_ns)} ns")


def disagreements(theirs: dict[str, list[float]], ours: dict[str, list[float]]) -> list[str]:
    """Return the figures that differ by more than the tolerance, in words."""
    found: list[str] = []
    for name in theirs:
        pairs = {f"p{100 * q:g}": (quantile(theirs[name], q), quantile(ours[name], q)) for q in (0.5, 0.9, 0.99)}
        bounds = early_stopping_bound(theirs[name], 0.9), early_stopping_bound(ours[name], 0.9)
        assert bounds[0] is not None
        assert bounds[1] is not None
        pairs["p90 bound"] = (bounds[0], bounds[1])
        found += [
            f"{name} {figure}: LoadGen {a * 1e3:.3f} ms, ours {b * 1e3:.3f} ms"
            for figure, (a, b) in pairs.items()
            if abs(a - b) > max(ABSOLUTE_S, RELATIVE * a)
        ]
    return found
