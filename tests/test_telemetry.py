"""A device's own monitoring: AWS's and Google's tools by files of their shape and fake executables; none has watts."""

import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from wattbench.harness import accelerator_facts
from wattbench.harness import surroundings as surroundings_module
from wattbench.harness.surroundings import Surroundings
from wattbench.harness.telemetry.neuron import collect_neuron, parse_neuron_ls, parse_neuron_monitor
from wattbench.harness.telemetry.sample import Sample
from wattbench.harness.telemetry.tpu import parse_tpu
from wattbench.harness.telemetry.watch import Watch, watch_of
from wattbench.results.telemetry import TelemetryRecord

DATA = Path(__file__).parent / "data" / "telemetry"
REPORTS = (DATA / "neuron-monitor.jsonl").read_bytes().splitlines()
BUSY = Sample(utilisation=0.9, memory_used_bytes=10_818_224_128)

LIBTPU = """
import os
print("libtpu says hello")

class Metric:
    def __init__(self, values): self.values = values
    def data(self): return self.values

class tpumonitoring:
    told = {"duty_cycle_pct": ["80.0", "60.0"], "hbm_capacity_usage": ["1000", "3000"]}
    told["tpu_throttle_score"] = ["0", "2"]
    @classmethod
    def list_supported_metrics(cls):
        assert os.environ["TPU_SKIP_MDS_QUERY"] == "1", "it would hang"
        return [*cls.told, "tensorcore_util"]
    @classmethod
    def get_metric(cls, name): return Metric(cls.told[name])
"""


def executable(folder: Path, name: str, script: str) -> None:
    """Put a shell script into a folder of the path."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that comes first on the path."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def wait_for(watch: Watch, samples: int = 1) -> TelemetryRecord:
    """Return what a running watch saw once it has so many samples."""
    deadline = time.monotonic() + 30
    while (found := watch.record(0, time.perf_counter_ns())).samples < samples:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


def test_a_report_of_neuron_monitor() -> None:
    """The mean over the cores in use and the device's memory; a report in which nothing runs has no figure."""
    assert [None, BUSY] == [parse_neuron_monitor(line) for line in REPORTS]


def test_processes_are_added() -> None:
    """Two processes on one machine: their memory is added, their cores are averaged together."""
    report = json.loads(REPORTS[1])
    other = json.loads(REPORTS[1])["neuron_runtime_data"][0]
    other["report"]["neuroncore_counters"]["neuroncores_in_use"] = {"2": {"neuroncore_utilization": 30.0}}
    report["neuron_runtime_data"].append(other)

    found = parse_neuron_monitor(json.dumps(report).encode())

    assert found is not None
    assert (pytest.approx(0.7), 2 * 10_818_224_128) == (found.utilisation, found.memory_used_bytes)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"neuron_runtime_data": 3}',
        b'{"neuron_runtime_data": [{"report": null}]}',
        b'{"duty_cycle_pct": 3, "hbm_capacity_usage": [1' + b"0" * 400 + b', "nan", -1]}',
    ],
    ids=["nothing", "cut", "list", "null", "deep", "no list", "no report", "no numbers"],
)
def test_what_is_no_report_has_no_figure(line: bytes) -> None:
    """A broken line, or one of another shape, is passed over."""
    assert None is parse_neuron_monitor(line)
    assert None is parse_tpu(line)


def test_the_list_of_neuron_ls() -> None:
    """Each device with its memory, its cores and its processes."""
    found = parse_neuron_ls((DATA / "neuron-ls.json").read_text())

    assert [("AWS", 0, 103_079_215_104, 1), ("AWS", 1, 103_079_215_104, 0)] == [
        (f.vendor, f.index, f.memory_bytes, f.other_processes) for f in found
    ]
    assert ("neuron:0", "Neuron device, 8 cores", None) == (found[0].uuid, found[0].name, found[0].power_limit_w)


def test_a_utilisation_above_all_is_none() -> None:
    """Beyond what rounding does, more than 100 % is in another unit, and no utilisation."""
    cores = {"0": {"neuroncore_utilization": 100.2}, "1": {"neuroncore_utilization": 5e5}}
    report = {"neuron_runtime_data": [{"report": {"neuroncore_counters": {"neuroncores_in_use": cores}}}]}

    assert Sample(utilisation=1.0) == parse_neuron_monitor(json.dumps(report).encode())
    assert None is parse_tpu(b'{"tensorcore_util": ["101"]}')


@pytest.mark.parametrize(
    "text",
    [
        *("", "no devices found", "{}", "[]", '[{"bdf": "00:1f.0"}]', "[3]", '{"neuron_devices": 5}'),
        *('[{"neuron_device": true}]', '[{"neuron_device": -1}]', "[" * 100_000),
    ],
    ids=lambda text: text[:30],
)
def test_another_list_names_no_device(text: str) -> None:
    """What is not AWS's list is no device."""
    assert () == parse_neuron_ls(text)


def test_neuron_ls_among_the_accelerators(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a result lists what the tool lists; a tool that fails lists nothing."""
    monkeypatch.setattr(accelerator_facts, "_started_nvml", lambda: None)
    executable(tools, "neuron-ls", f'test "$1" = -j && cat {DATA}/neuron-ls.json')
    listed = accelerator_facts.collect_accelerators(tools)
    executable(tools, "neuron-ls", "echo 'nrt is not loaded' >&2; exit 1")

    assert ["neuron:0", "neuron:1"] == [facts.uuid for facts in listed]
    assert () == collect_neuron()


def test_neuron_monitor_is_watched(tools: Path) -> None:
    """A report a second by the configuration that it is given; what it started is ended with it."""
    script = f"cp $2 {tools}/seen.json; cat {DATA}/neuron-monitor.jsonl; sleep 600 & echo $! > {tools}/pid; wait"
    executable(tools, "neuron-monitor", script)
    watch = watch_of("neuron:0")
    assert watch is not None
    with watch.running():
        found = wait_for(watch)
        while not (tools / "pid").exists() or not (tools / "pid").read_text().strip():
            time.sleep(0.02)
    sleeper = int((tools / "pid").read_text())

    assert (0.9, 10_818_224_128, None) == (
        found.utilisation_mean,
        found.memory_used_max_bytes,
        found.throttle_score_max,
    )
    assert "1s" == json.loads((tools / "seen.json").read_text())["period"]
    deadline = time.monotonic() + 10
    while psutil.pid_exists(sleeper) and psutil.Process(sleeper).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.02)


def test_a_tool_that_ends_says_so(tools: Path) -> None:
    """Without a figure the record has the reason."""
    executable(tools, "neuron-monitor", "exit 3")
    watch = watch_of("neuron")
    assert watch is not None
    with watch.running():
        deadline = time.monotonic() + 30
        while "code 3" not in str(watch.record(0, 1).reason):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    assert "it ended with code 3" == watch.record(0, 1).reason


def test_a_missing_tool_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A device without its tool has no figures, and a reason; a CPU has no tool at all."""
    monkeypatch.setenv("PATH", str(tmp_path))
    watch = watch_of("neuron:3")
    assert watch is not None
    with watch.running():
        found = watch.record(0, 1)

    assert (0, "neuron-monitor is not on the PATH") == (found.samples, found.reason)
    assert (None, None) == (watch_of("cpu"), watch_of("cuda:0"))


def test_tpu_metrics() -> None:
    """The chips' mean, their memory together, and the worst throttle score, from texts or numbers."""
    line = b'{"tensorcore_util": null, "duty_cycle_pct": ["80.0", 60], "hbm_capacity_usage": [1e3, "3000"],'
    found = parse_tpu(line + b' "tpu_throttle_score": ["chip 0: 0", "chip 1: 2"]}')

    assert Sample(utilisation=0.7, memory_used_bytes=4000, throttle_score=2.0) == found


def test_tpu_monitoring_is_asked_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that prints, and whose metric fails, still gives the others; this process never imports it."""
    package = tmp_path / "libtpu" / "sdk"
    package.mkdir(parents=True)
    (tmp_path / "libtpu" / "__init__.py").write_text("")
    (package / "__init__.py").write_text(LIBTPU)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    watch = watch_of("tpu:0")
    assert watch is not None
    with watch.running():
        found = wait_for(watch)

    assert (0.7, 4000, 2.0) == (found.utilisation_mean, found.memory_used_max_bytes, found.throttle_score_max)
    assert "libtpu.sdk" not in sys.modules


def test_a_throttle_score_is_a_cause_of_slowness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of ours says that the device slowed itself down, and by which score."""
    script = "while :; do echo 2; sleep 0.02; done"
    watch = Watch("the monitor", ["/bin/sh", "-c", script], lambda line: Sample(throttle_score=float(line)))
    monkeypatch.setattr(surroundings_module, "watch_of", lambda device: watch)
    found = Surroundings(None, "tpu:0")
    with found.watching():
        first = found.moment()
        wait_for(watch, watch.record(0, first.at_ns).samples + 2)
        (record,) = found.telemetry(first, found.moment())

    assert 2.0 == record.throttle_score_max
    assert ("the monitor: throttle score 2",) == found.throttle_reasons


def test_a_device_without_monitoring_has_no_record(factories: ModuleType) -> None:
    """Where no tool of ours knows the device there is nothing, not an empty figure."""
    found = Surroundings("cpu", "cpu")
    with found.watching():
        first = found.moment()

    assert () == found.telemetry(first, found.moment())
    assert () == factories.make_result().repeats[0].telemetry
