"""AWS's devices by the command line: absent, by a placeholder, by AWS's tools, and by software without hardware."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import SOON

pytest.importorskip("torch", reason="this is the torch backend")

import computing_device
from fake_packages import PLACEHOLDER, install

from wattbench.results.document import Result
from wattbench.results.files import read_result

DATA = Path(__file__).parent / "data" / "telemetry"
REPOSITORY = "pip install --extra-index-url https://pip.repos.neuron.amazonaws.com torch-neuronx"
UNKNOWN = "an unknown device: no AWS Trainium is in this machine"

BENCH = """
import os, sys
from pathlib import Path
from wattbench.harness.cli.main import main
from wattbench.harness.power.sensors import neuron
neuron.NeuronSampler.__init__.__kwdefaults__["root"] = Path(sys.argv.pop(1))
neuron._PERIOD_S = float(os.environ.get("NEURON_PERIOD_S", neuron._PERIOD_S))
main()
"""
"""The command line with another place for what the driver shows, and for some tests a driver of short minutes."""

RUN = ("run", "--device", "neuron", "--load", "tiny-encoder/tiny-encode", "--precision", "float32", "--batch", "2")
SHORT = ("--window", "1.5", "--repeats", "2", "--warm-up-max", "0.5", "--idle", "0", "--ceilings", "none", *SOON)


class Machine:
    """A pretended machine: its tools, its installed packages, what its kernel shows; `bench` runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tools, self.site, self.kernel = (folder / name for name in ("bin", "site", "sys"))
        self.lost = folder / "lost"
        for place in (self.tools, self.site, self.kernel):
            place.mkdir()

    def has_tool(self, name: str, script: str) -> None:
        """Put a shell script into the path."""
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def has_aws_tools(self) -> None:
        """Put tools there that print what AWS documents; the monitor reports ten times a second, and goes on."""
        self.has_tool("neuron-ls", f'test "$1" = -j && cat {DATA}/neuron-ls.json')
        self.has_tool("neuron-monitor", f"while :; do cat {DATA}/neuron-monitor.jsonl; sleep 0.1; done")

    def has_power_file(self, number: int) -> None:
        """Let the driver show one device's last minute."""
        file = self.kernel / f"devices/virtual/neuron_device/neuron{number}/stats/power/utilization"
        file.parent.mkdir(parents=True)
        file.write_text(f"POWER_STATUS_VALID,{int(time.time())},1.50,73.50,42.25\n")

    @contextmanager
    def shows_power(self, period_s: float) -> Iterator[None]:
        """Let the driver of one device renew its figure so often, half of the maximum, with the wall clock's stamp."""
        self.has_power_file(0)
        (file,) = self.kernel.rglob("utilization")
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(period_s / 4):
                fresh = file.with_suffix(".new")
                fresh.write_text(f"POWER_STATUS_VALID,{int(time.time())},1.50,73.50,50.00\n")
                fresh.replace(file)

        thread = threading.Thread(target=renew)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            shutil.rmtree(self.kernel)
            self.kernel.mkdir()

    def bench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line there to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command line there."""
        folders = {"WATTBENCH_DATA": str(self.folder / "data"), "WATTBENCH_CACHE": str(self.folder / "cache")}
        path = {"PATH": f"{self.tools}:{os.environ['PATH']}", "PYTHONPATH": str(self.site)}
        command = [sys.executable, "-P", "-c", BENCH, str(self.kernel), *arguments]
        environment = os.environ | folders | path | {computing_device.FAILS_IN: str(self.lost)}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def doctor(self) -> dict[str, Any]:
        """Return what `bench doctor` says to machines."""
        done = self.bench("doctor", "--json")
        assert (0, False) == (done.returncode, "Traceback" in done.stderr), done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine without anything of AWS's."""
    return Machine(tmp_path)


def torch_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return what a report says of the backend torch."""
    found: dict[str, Any] = next(row for row in report["backends"] if row["name"] == "torch")
    return found


def neuron_of(report: dict[str, Any]) -> dict[str, Any]:
    """Return the availability of AWS's devices in a report."""
    rows = torch_of(report)["findings"]
    found: dict[str, Any] = next(row["availability"] for row in rows if row["name"] == "neuron")
    return found


def test_without_the_sdk(machine: Machine) -> None:
    """The run ends with code 1 and the way to get the software, even where AWS's tools are; nothing is written."""
    machine.has_aws_tools()
    done = machine.bench(*RUN, *SHORT)

    assert (1, "") == (done.returncode, done.stdout)
    assert "torch-neuronx is not installed" in done.stderr
    assert REPOSITORY in done.stderr
    assert "Traceback" not in done.stderr
    assert [] == list(machine.folder.glob("data/**/*.json"))


def test_with_the_placeholder(machine: Machine) -> None:
    """Both commands name the empty package, what to uninstall and where the real one is."""
    install(machine.site, "torch-neuronx", "1.0", "raise ImportError('WRONG PACKAGE')", text=PLACEHOLDER)
    done = machine.bench(*RUN, *SHORT)
    report = machine.bench("doctor")

    for code, ended in ((1, done), (0, report)):
        text = ended.stdout + ended.stderr
        assert code == ended.returncode
        assert "torch-neuronx 1.0 is an empty placeholder, not the vendor's software" in text
        assert "pip uninstall torch-neuronx" in text
        assert REPOSITORY in text
        assert "Traceback" not in text


def test_the_doctor_lists_what_aws_tools_and_driver_show(machine: Machine) -> None:
    """Devices by neuron-ls, the driver's power files by the sampler; a percentage alone is no power."""
    machine.has_aws_tools()
    machine.has_power_file(0)
    machine.has_power_file(1)
    report = machine.doctor()
    sampler = next(row["availability"] for row in report["samplers"] if row["name"] == "neuron")
    listed = [row for row in report["environment"]["accelerators"] if row["vendor"] == "AWS"]

    assert [("neuron:0", "Neuron device, 8 cores"), ("neuron:1", "Neuron device, 8 cores")] == [
        (row["uuid"], row["name"]) for row in listed
    ]
    assert "absent" == sampler["state"]
    assert "2 Neuron devices give a percentage of an unpublished maximum, no watts" == sampler["reason"]
    assert "--power neuron:MAX_W" in sampler["remedy"]
    assert ("absent", "torch-neuronx is not installed") == (neuron_of(report)["state"], neuron_of(report)["reason"])


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """Return a machine with software of AWS's name that computes on the processor, and AWS's tools, but no device."""
    machine = Machine(tmp_path_factory.mktemp("emulated"))
    code = Path(computing_device.__file__).read_text()
    install(machine.site, "torch-neuronx", "2.13.3", code, extension="torch_neuronx")
    machine.has_aws_tools()
    return machine


def loses(machine: Machine, place: str) -> None:
    """Let the device be lost in one of wattbench's functions from now on."""
    waiting = machine.lost.with_suffix(".new")
    waiting.write_text(place)
    waiting.replace(machine.lost)


@pytest.fixture
def losing(emulated: Machine) -> Iterator[Machine]:
    """Return the machine with software of AWS's name; its device works again afterwards."""
    yield emulated
    emulated.lost.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def ran(emulated: Machine) -> Result:
    """Return the result of a short run there, at whose end the device is lost."""
    out = emulated.folder / "result.json"
    loses(emulated, "close")
    done = emulated.bench(*RUN, *SHORT, "--power", "none", "--tuning", "eager", "--out", str(out))
    assert out.exists(), done.stderr
    assert 3 == done.returncode, done.stderr
    emulated.lost.unlink()
    return read_result(out)


def test_the_doctor_calls_it_emulated(emulated: Machine) -> None:
    """A device that answers without hardware is present, and marked."""
    report = emulated.doctor()
    (device,) = [row for row in torch_of(report)["devices"] if row["name"] == "neuron:0"]

    assert ("present", f"1 found, EMULATED on {UNKNOWN}") == (neuron_of(report)["state"], neuron_of(report)["reason"])
    assert ("Trainium2", UNKNOWN) == (device["description"], device["emulated_on"])


def test_its_run_is_emulated_and_invalid(ran: Result) -> None:
    """The way is gone to its end with right numbers, and no figure of it counts."""
    assert ran.backend is not None
    assert ran.quality is not None
    assert ran.verdict is not None

    assert ("complete", True) == (ran.status, ran.quality.passed)
    assert ("neuron:0", True, UNKNOWN) == (ran.backend.device, ran.backend.emulated, ran.backend.true_device)
    assert "invalid" == ran.verdict.standing
    assert "emulated" in [doubt.code for doubt in ran.doubts if doubt.severity == "severe"]


def test_its_run_has_what_aws_tools_say(ran: Result) -> None:
    """The environment has the devices of neuron-ls, each repeat the figures of neuron-monitor; there are no watts."""
    telemetry = [row for repeat in ran.repeats for row in repeat.telemetry]

    assert ["neuron:0", "neuron:1"] == [row.uuid for row in ran.environment.accelerators if row.vendor == "AWS"]
    assert ["neuron-monitor"] * len(ran.repeats) == [row.source for row in telemetry]
    assert [pytest.approx(0.9)] * len(telemetry) == [row.utilisation_mean for row in telemetry]
    assert {10_818_224_128} == {row.memory_used_max_bytes for row in telemetry}
    assert () == ran.repeats[0].energy


@pytest.mark.parametrize("command", ["show {}", "compare {} {}", "cost query {}"])
def test_its_figures_are_marked_or_refused(emulated: Machine, ran: Result, command: str) -> None:
    """`bench show` marks them; what would use them refuses, and says why."""
    assert ran.backend is not None
    path = str(emulated.folder / "result.json")
    done = emulated.bench(*(path if part == "{}" else part for part in command.split()))

    assert command.startswith("show") == (0 == done.returncode)
    assert "emulated" in (done.stdout + done.stderr).lower()


def test_a_compiler_that_fails_ends_the_run(emulated: Machine) -> None:
    """Its compiler fails at the first call: code 1, its first line, the advice, and a valid file that says so."""
    out = emulated.folder / "failed.json"
    done = emulated.bench(*RUN, *SHORT, "--power", "none", "--tuning", "compiled", "--out", str(out))
    document = read_result(out)

    said = done.stdout + done.stderr

    assert (1, False) == (done.returncode, "Traceback" in said)
    assert "AWS Trainium could not prepare tiny-encoder/tiny-encode on neuron:0 at the level compiled" in said
    assert computing_device.COMPILER_SAYS in said
    assert "--tuning eager" in said
    assert document.error is not None
    assert ("error", "DeviceError", "prepare") == (document.status, document.error.kind, document.error.phase)
    assert "in model.hlo, line 3" in str(document.error.worker_log_tail)


EAGERLY = (*RUN, *SHORT, "--power", "none", "--tuning", "eager")


@pytest.mark.parametrize(("place", "phase"), [("gate", "prepare"), ("warm_up", "warm-up")])
def test_a_device_that_is_lost_before_a_window(losing: Machine, place: str, phase: str) -> None:
    """In the output check or the warm-up too: code 1, the vendor's first line, no traceback, a file that says so."""
    out = losing.folder / f"{place}.json"
    loses(losing, place)
    done = losing.bench(*EAGERLY, "--out", str(out))
    document, said = read_result(out), done.stdout + done.stderr

    assert (1, False) == (done.returncode, "Traceback" in said), said
    assert "AWS Trainium could not run tiny-encoder/tiny-encode on neuron:0 at the level eager" in said
    assert f"DeviceIsLostError: {computing_device.DEVICE_SAYS}" in said
    assert document.error is not None
    assert ("error", "DeviceError", phase) == (document.status, document.error.kind, document.error.phase)
    assert "on core 3 of 8" in str(document.error.worker_log_tail)


def test_a_device_that_is_lost_in_a_window(losing: Machine) -> None:
    """What was measured before is kept, with its summary, and the reason why there is no more."""
    out = losing.folder / "window.json"
    process = losing.start(*EAGERLY, "--repeats", "40", "--out", str(out))
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        if out.exists() and read_result(out).repeats:
            loses(losing, "_measure")
            break
        time.sleep(0.05)
    said = "".join(process.communicate(timeout=200))
    document = read_result(out)

    assert (1, False) == (process.returncode, "Traceback" in said), said
    assert "What was measured before is kept." in said
    assert document.error is not None
    assert ("error", "measure") == (document.status, document.error.phase)
    assert computing_device.DEVICE_SAYS in document.error.why
    assert 1 <= len(document.repeats) < 40
    assert document.summary is not None
    assert document.summary.metric("throughput.requests") is not None


def test_a_device_that_is_lost_at_the_end_spoils_nothing(emulated: Machine, ran: Result) -> None:
    """It failed to give its memory back, when all was measured."""
    assert (emulated.folder / "lost.struck").exists()
    assert ("complete", None, 2) == (ran.status, ran.error, len(ran.repeats))


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (
            ("--power", "neuron:500", "--window", "60"),
            ("a window of 60 s is too short, 120 s do", "--window 120 or more"),
        ),
        (("--power", "neuron:500", "--quick"), ("a window of 6 s is too short", "180 s before and after each")),
        (("--power", "neuron:500", "--power", "auto"), ("cannot be used together", "Name sources of one kind")),
        (("--power", "neuron:much"), ("'much' is no positive number", "--power neuron:MAX_W")),
        (("--power", "neuron"), ("1 Neuron devices give a percentage", "--power neuron:MAX_W")),
    ],
    ids=["minute", "quick", "mixed", "words", "undeclared"],
)
def test_power_that_cannot_be_had_is_refused_at_once(
    emulated: Machine, flags: tuple[str, ...], says: tuple[str, ...]
) -> None:
    """One figure a minute is too slow for short windows; that, and a wrong maximum, is said before anything starts."""
    with emulated.shows_power(60.0):
        done = emulated.bench(*RUN, "--tuning", "eager", *flags, "--out", str(emulated.folder / "refused.json"))

    assert done.returncode in (1, 2)
    assert all(words in done.stderr for words in says), done.stderr
    assert ("", False) == (done.stdout, "Traceback" in done.stderr)
    assert not (emulated.folder / "refused.json").exists()


def test_a_percentage_of_declared_watts_end_to_end(emulated: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver whose minutes last a second: half of 500 W, for each window, declared everywhere and never ranked."""
    out = emulated.folder / "watts.json"
    monkeypatch.setenv("NEURON_PERIOD_S", "1")
    with emulated.shows_power(1.0):
        done = emulated.bench(
            *(*RUN, "--tuning", "eager", "--ceilings", "none", "--power", "neuron:500", "--out", str(out)),
            *("--window", "2.5", "--repeats", "1", "--warm-up-max", "0.5", "--idle", "0"),
        )
    document = read_result(out)
    (energy,) = document.repeats[0].energy

    assert 3 == done.returncode, done.stderr
    assert ("neuron:neuron0", 250.0) == (energy.channel, pytest.approx(energy.mean_power_w))
    assert 250.0 * document.repeats[0].window.duration_s == pytest.approx(energy.energy_j)
    assert ["declared"] == [channel.provenance for channel in document.power.channels]
    assert "500 W that the user declared" in document.power.channels[0].accuracy_basis
    assert "declared_power" in [doubt.code for doubt in document.doubts]
    assert "declared" in done.stdout
