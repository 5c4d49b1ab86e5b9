"""MLPerf's LoadGen and our generator have the same requests served: the same definitions, and the same figures."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from loadgen_device import TOKENS
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

ROUNDS = 5
"""Runs of LoadGen at most: two figures that differ do so in each of them; a busy machine strikes at random."""

PROGRAM = """
import json, queue, sys, threading
sys.path.insert(0, sys.argv[1])
import mlperf_loadgen as lg
from loadgen_device import TOKENS, Device

folder, scenario = sys.argv[2], sys.argv[3]
count, rate, base_ns = int(sys.argv[4]), float(sys.argv[5]), int(sys.argv[6])
waiting = queue.SimpleQueue()

def device():
    paced, stamps = Device(base_ns, queue=scenario != "SingleStream"), []
    for _ in range(count):
        sample = waiting.get()
        first, end = paced.begin()
        first_ns = paced.wait_until(first)
        lg.FirstTokenComplete([lg.QuerySampleResponse(sample.id, 0, 0)])
        end_ns = paced.wait_until(end)
        lg.QuerySamplesComplete([lg.QuerySampleResponse(sample.id, 0, 0, TOKENS)])
        stamps.append((first_ns, end_ns))
    print("stamps", json.dumps(stamps))

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

    `services_ns` is what each query really took on the device, to its first token and to its end, by the device's own
    stamps: from when it was scheduled, or from the end before it where that came later.
    """

    summary: str
    scheduled_ns: list[int]
    times: list[RequestTimes]
    services_ns: list[tuple[int, int]]

    def stated_s(self, label: str) -> float:
        """Return the seconds that the summary has after a label."""
        match = re.search(rf"^{re.escape(label)}\s*: *(\d+)", self.summary, re.MULTILINE)
        assert match is not None, label
        return int(match[1]) / 1e9


def drive_loadgen(folder: Path, scenario: str, *, count: int, rate: float, base_ns: int) -> Driven:
    """Run LoadGen into a folder, and read its summary and its trace."""
    words = [sys.executable, "-c", PROGRAM, *map(str, (Path(__file__).parent, folder, scenario, count, rate, base_ns))]
    said = subprocess.run(words, capture_output=True, timeout=120, check=True, text=True).stdout
    stamps: list[tuple[int, int]] = json.loads(said.partition("stamps ")[2].splitlines()[0])
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
    seen = [(s + f, s + e) for s, f, e in zip(scheduled, first, ends, strict=True)]
    served = make_served(
        planned_ns=scheduled,
        start_ns=scheduled,
        tokens_ns=[[first_ns, *[end_ns] * (TOKENS - 1)] for first_ns, end_ns in seen],
        end_ns=[end_ns for _, end_ns in seen],
        errors=[None] * count,
    )
    summary = (folder / "mlperf_log_summary.txt").read_text()
    return Driven(summary, scheduled, list(request_times(served)), services(scheduled, seen, stamps))


def services(
    scheduled_ns: list[int], seen_ns: list[tuple[int, int]], device_ns: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return what each query took on the device; LoadGen's clock and the device's are aligned at their closest stamps.

    LoadGen sees each answer a little after the device has stamped it: the least of these distances is the clocks' own.
    """
    pairs = [(s, d) for seen, device in zip(seen_ns, device_ns, strict=True) for s, d in zip(seen, device, strict=True)]
    offset = min(s - d for s, d in pairs)
    free, found = 0, []
    for due, (first, end) in zip(scheduled_ns, device_ns, strict=True):
        begin = max(due, free)
        free = end + offset
        found.append((first + offset - begin, free - begin))
    return found


def _after_ns(said: dict[str, int]) -> int:
    """Return how long after its schedule a first token came; server has words of its own for it."""
    return said["complete_ns"] if "complete_ns" in said else said["issue_delay"] + said["issue_to_done"]


@dataclass
class Replayed:
    """The device once more, on a clock that is turned by hand: the n-th query takes what it took under LoadGen."""

    services_ns: list[tuple[int, int]]
    time_ns: int = 0
    _left: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.services_ns[::-1]

    def now_ns(self) -> int:
        """Return its time."""
        return self.time_ns

    def wait_until(self, at_ns: int) -> None:
        """Turn the clock."""
        self.time_ns = max(self.time_ns, at_ns)

    def execute(self, requests: int) -> Executed:
        """Take the next query's time."""
        first, end = self._left.pop()
        start, self.time_ns = self.time_ns, self.time_ns + end
        done = Completion(
            start_ns=start,
            first_output_ns=start + first,
            step_end_ns=(self.time_ns,) * (TOKENS - 1),
            end_ns=self.time_ns,
            requests=requests,
            input_tokens=100,
            output_tokens=TOKENS,
        )
        return Executed(before_ns=start, completion=done, after_ns=self.time_ns)


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


def serve_again(driven: Driven, scenario: str) -> list[RequestTimes]:
    """Return the times of our generator for the arrivals and the service times that LoadGen had."""
    count = len(driven.scheduled_ns)
    name = {"Server": "trace", "SingleStream": "single-stream", "Offline": "offline"}[scenario]
    schedule = replay(driven) if name == "trace" else drawn(name, calls=count, window_s=120.0)
    device = Replayed(driven.services_ns)
    served = serve_calls(schedule, device.execute, 1, device)
    assert count == len(served)
    return list(request_times(served))


@pytest.mark.parametrize("scenario", ["Server", "SingleStream", "Offline"])
def test_figures(tmp_path: Path, scenario: str) -> None:
    """For the same arrivals and service times both see the same p50, p90, p99 and bound, however busy the machine."""
    found: list[list[str]] = []
    for i in range(ROUNDS):
        folder = tmp_path / str(i)
        folder.mkdir()
        theirs = drive_loadgen(folder, scenario, count=150, rate=45.0, base_ns=10_000_000)
        found.append(disagreements(columns(theirs.times), columns(serve_again(theirs, scenario))))
        if not found[-1]:
            break

    assert [] == min(found, key=len)


def test_figures_that_differ_are_found(tmp_path: Path) -> None:
    """Each figure that is 3 % and 0.2 ms longer is told, and so is each latency that counts from the send."""
    theirs = drive_loadgen(tmp_path, "Server", count=150, rate=45.0, base_ns=10_000_000)
    seen = columns(theirs.times)
    longer = {name: [1.03 * value + 2e-4 for value in values] for name, values in seen.items()}
    from_send = {"latency": [end / 1e9 for _, end in theirs.services_ns]}

    assert 12 == len(disagreements(seen, longer))
    assert 4 == len(disagreements({"latency": seen["latency"]}, from_send))


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
