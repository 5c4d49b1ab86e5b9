"""The logs of the real LoadGen are read: each scenario's own figures, as its summary states them."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.exchange.exported import exported_of
from wattbench.results.exchange.mlperf_summary import mlperf_summary_bytes

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mlperf_loadgen") is None, reason="needs the extra mlperf: pip install 'wattbench[mlperf]'"
)

PROGRAM = """
import sys
import mlperf_loadgen as lg

def issue(samples):
    if tokens:
        lg.FirstTokenComplete([lg.QuerySampleResponse(s.id, 0, 0) for s in samples])
    count = (5,) if tokens else ()
    lg.QuerySamplesComplete([lg.QuerySampleResponse(s.id, 0, 0, *count) for s in samples])

scenario, folder, tokens = sys.argv[1], sys.argv[2], sys.argv[3] == "tokens"
settings = lg.TestSettings()
settings.scenario = getattr(lg.TestScenario, scenario)
settings.mode = lg.TestMode.PerformanceOnly
settings.min_duration_ms = 200
settings.min_query_count = 100
settings.offline_expected_qps = 1000
settings.server_target_qps = 200
settings.server_target_latency_ns = 10**9
settings.use_token_latencies = tokens
if tokens:
    settings.ttft_latency = settings.tpot_latency = 10**9
logs, output = lg.LogSettings(), lg.LogOutputSettings()
logs.enable_trace = False
output.outdir = folder
logs.log_output = output
sut = lg.ConstructSUT(issue, lambda: None)
qsl = lg.ConstructQSL(100, 100, lambda _: None, lambda _: None)
lg.StartTestWithLogSettings(sut, qsl, settings, logs, "")
"""
"""A system under test that answers at once: LoadGen's own process, since it may not be left in good order."""


def summary_of(scenario: str, folder: Path, *, tokens: bool = False) -> str:
    """Run LoadGen into a folder and return its summary."""
    words = [sys.executable, "-c", PROGRAM, scenario, str(folder), "tokens" if tokens else "-"]
    subprocess.run(words, capture_output=True, timeout=60, check=True)
    return (folder / "mlperf_log_summary.txt").read_text()


def stated(summary: str, label: str) -> float:
    """Return the number that the summary has after a label."""
    match = re.search(rf"^{re.escape(label)}\s*: *([\d.e+]+)", summary, re.MULTILINE)
    assert match is not None
    return float(match[1])


@pytest.mark.parametrize(
    ("scenario", "label", "name"),
    [
        ("Offline", "Samples per second", "throughput.requests"),
        ("Server", "Completed samples per second", "throughput.requests"),
        ("SingleStream", "QPS w/o loadgen overhead", "throughput.requests"),
    ],
)
def test_throughput(tmp_path: Path, scenario: str, label: str, name: str) -> None:
    """The throughput is the one that LoadGen's summary states."""
    summary = summary_of(scenario, tmp_path)
    result = import_mlperf(tmp_path)

    assert stated(summary, label) == pytest.approx(result.metric(name).value, rel=1e-2)
    assert (scenario, "complete") == (result.work.scenario, result.status)


@pytest.mark.parametrize("scenario", ["SingleStream", "Server"])
def test_latencies(tmp_path: Path, scenario: str) -> None:
    """Quantiles are the summary's, in seconds."""
    summary = summary_of(scenario, tmp_path)
    (latency,) = import_mlperf(tmp_path).latencies
    p90 = next(q.value for q in latency.quantiles if q.q == 0.9)

    assert stated(summary, "90.00 percentile latency (ns)") == pytest.approx(1e9 * p90)
    assert stated(summary, "Mean latency (ns)") == pytest.approx(1e9 * latency.mean)


def test_tokens(tmp_path: Path) -> None:
    """A language model's run has tokens per second: five for each sample here."""
    summary_of("Offline", tmp_path, tokens=True)
    result = import_mlperf(tmp_path)

    assert 5 == pytest.approx(
        result.metric("throughput.output_tokens").value / result.metric("throughput.requests").value, rel=1e-3
    )


def test_multistream(tmp_path: Path) -> None:
    """A query of eight samples counts as eight requests."""
    summary_of("MultiStream", tmp_path)
    work = import_mlperf(tmp_path).work

    assert (8, 8 * work.queries) == (work.samples_per_query, work.requests)


def test_our_summary_has_loadgens_lines(tmp_path: Path, factories: ModuleType) -> None:
    """The summary that a run of ours is exported as has LoadGen's own lines, and four that say what it is."""
    official = {line.partition(":")[0].strip() for line in summary_of("Offline", tmp_path, tokens=True).splitlines()}
    run = exported_of(factories.make_result(), "sha256:" + "0" * 64, "run", allow_invalid=True)
    ours = [line for line in mlperf_summary_bytes(run).decode().splitlines() if " : " in line or "): " in line]

    assert {"load", "weights", "windows", "wattbench_result"} == {x.partition(":")[0].strip() for x in ours} - official
