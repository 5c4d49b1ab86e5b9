"""Vendors' extensions of torch that abort, hang, exit, print or are empty: each is named, none reaches the user."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import psutil
import torch
from fake_packages import EXTENSIONS, HEADER_LIKE, PLACEHOLDER, TPU, install, install_mtia

from wattbench.backends.torch import probing
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.vendors import VENDORS
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.results.errors import DeviceError

TIMEOUT_S = 60.0
"""Long enough for a busy machine to import torch in six processes at once; none of them takes it."""

PROBE = """
import json, os, sys
from wattbench.backends.torch.probing import probe_vendors
from wattbench.results.codec import to_builtins
found = to_builtins(probe_vendors(timeout_s=float(sys.argv[1])))
mine = [name for name in ("torch", "torch_tpu", "chatters", "aborts") if name in sys.modules]
print(json.dumps({"found": found, "modules": mine, "left": os.environ.get("TPU_LEFT_BEHIND")}))
"""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which the packages of a folder are installed."""
    return os.environ | {"PYTHONPATH": str(folder)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with bad extensions that end, a device that answers without hardware, and AWS's placeholder."""
    folder = tmp_path_factory.mktemp("site")
    for name, code in EXTENSIONS.items():
        if name != "hangs":
            install(folder, name, "1.0", code, extension=name)
    install(folder, "torch-tpu", "0.2.0", TPU, extension="torch_tpu", text=HEADER_LIKE)
    install(folder, "torch-neuronx", "1.0", "raise ImportError('WRONG PACKAGE')", text=PLACEHOLDER)
    install(folder, "torch-npu", "2.1.0", "raise ImportError('built for another torch')", extension="torch_npu")
    return folder


@pytest.fixture(scope="module")
def probed(site: Path) -> dict[str, Any]:
    """Return what a process of its own finds and prints among them, asked once."""
    command = [sys.executable, "-P", "-c", PROBE, str(TIMEOUT_S)]
    done = subprocess.run(command, env=environment(site), capture_output=True, text=True, timeout=120, check=True)
    return {"stdout": done.stdout, "stderr": done.stderr, **json.loads(done.stdout)}


def answer_of(probed: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the availability of one device or extension."""
    (found,) = [row["finding"]["availability"] for row in probed["found"] if row["finding"]["name"] == name]
    answer: dict[str, Any] = found
    return answer


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("aborts", "ends the process that asks it with SIGABRT; its last words: CHECK failed: no device"),
        ("exits", "ends the process that asks it with exit code 0"),
        ("raises", "libvendor.so.7: cannot open shared object file"),
        ("neuron", "torch-neuronx 1.0 is an empty placeholder, not the vendor's software"),
        ("npu", "torch-npu 2.1.0 is older than 2.8"),
    ],
)
def test_a_broken_extension_is_named(probed: dict[str, Any], name: str, says: str) -> None:
    """Whatever the vendor's code does, the finding says it is broken, why, and what to do."""
    found = answer_of(probed, name)

    assert "broken" == found["state"]
    assert says in found["reason"]
    assert found["remedy"]


def test_an_extension_without_devices_is_absent(probed: dict[str, Any]) -> None:
    """One that loads, prints and brings no device is absent with a reason."""
    assert ("absent", True) == (answer_of(probed, "chatters")["state"], "finds no device" in str(probed["found"]))


def test_a_device_that_answers_is_present(probed: dict[str, Any]) -> None:
    """Name and memory come from the vendor; without its hardware in the machine it is emulated, and says so."""
    (info,) = [info for row in probed["found"] for info in row["devices"]]

    assert ("tpu:0", "TPU v6e", 32 * 2**30) == (info["name"], info["description"], info["memory_bytes"])
    assert ["float32", "bfloat16"] == info["precisions"]
    assert "no Google TPU is in this machine" in info["emulated_on"]
    assert "EMULATED" in answer_of(probed, "tpu")["reason"]


def test_nothing_of_it_reaches_the_asking_process(probed: dict[str, Any]) -> None:
    """No output, no module, no variable: only the answer."""
    assert (1, "", [], None) == (
        len(probed["stdout"].splitlines()),
        probed["stderr"],
        probed["modules"],
        probed["left"],
    )


def test_an_extension_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline, which a clock turned by hand brings as soon as it hangs; what it had started ends with it."""
    install(tmp_path, "hangs", "1.0", EXTENSIONS["hangs"], extension="hangs")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    grandchild = tmp_path / "hangs.pid"

    def turned() -> float:
        """Stand at the start until the extension hangs, at the deadline then; first it says when the probe began."""
        if not asked:
            asked.append("when it began")
            return 0.0
        wait_for(lambda: grandchild.exists() and grandchild.read_text(), "the extension was not loaded")
        return TIMEOUT_S

    asked: list[str] = []
    monkeypatch.setattr(probing, "time", SimpleNamespace(monotonic=turned))
    (found,) = [row.finding.availability for row in probing.probe_vendors(TIMEOUT_S) if row.finding.name == "hangs"]
    pid = int(grandchild.read_text())

    assert "broken" == found.state
    assert f"gives no answer within {TIMEOUT_S:g} s" in found.reason
    assert found.remedy
    wait_for(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        "the grandchild is still there",
    )


def wait_for(happened: Callable[[], object], otherwise: str) -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + TIMEOUT_S
    while not happened():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def test_a_package_that_hangs_when_it_is_imported(tmp_path: Path) -> None:
    """It is given up after the limit, and both its reason and its facts state that."""
    install(tmp_path, "torch-neuronx", "2.13.3", "import time\ntime.sleep(600)", extension="torch_neuronx")
    command = [sys.executable, "-P", "-c", PROBE, "2"]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=90, check=True)
    found = answer_of(json.loads(done.stdout), "neuron")

    assert ("broken", "its software gives no answer within 2 s") == (found["state"], found["reason"])
    assert "2 s" == found["facts"][probing.GIVES_UP]
    assert "Ask once more, since the first time is the slowest. Reinstall or remove torch-neuronx." == found["remedy"]


@pytest.mark.parametrize(
    ("code", "state", "says"),
    [
        (None, "present", "1 found"),
        ("import os\nos.abort()", "broken", "SIGABRT"),
        ("raise OSError('libmtia.so: cannot open shared object file')", "broken", "libmtia.so: cannot open"),
    ],
    ids=["works", "aborts", "raises"],
)
def test_a_runtime_that_has_to_be_imported(tmp_path: Path, code: str | None, state: str, says: str) -> None:
    """Meta's runtime is imported and initialised, in the child; what it does wrong is told. No mark: not emulated."""
    install_mtia(tmp_path) if code is None else install_mtia(tmp_path, code)
    command = [sys.executable, "-P", "-c", PROBE, str(TIMEOUT_S)]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)
    devices = [
        (info["name"], info["description"], info["emulated_on"]) for row in found["found"] for info in row["devices"]
    ]

    assert state == answer_of(found, "mtia")["state"]
    assert says in answer_of(found, "mtia")["reason"]
    assert ([("mtia:0", "MTIA v2", None)] if code is None else []) == devices


@pytest.mark.parametrize("kind", [vendor.kind for vendor in VENDORS if vendor.kind != "mps"])
def test_a_missing_device_says_how_to_get_it(kind: str) -> None:
    """Asking for a device whose software is not here is an error of the device, with the vendor's own way to get it."""
    (vendor,) = [vendor for vendor in VENDORS if vendor.kind == kind]
    findings = {finding.name: finding for finding in TorchBackend().findings()}
    if findings[kind].availability.usable:
        pytest.skip(f"there is a {kind} here")
    with pytest.raises(DeviceError) as caught:
        resolve(RunRequest(device=f"{kind}:0"))

    assert vendor.label in caught.value.what
    assert vendor.remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("version", "reason", "remedy"),
    [(None, "is not built for GPUs", "pytorch.org"), ("13.0", "sees no GPU", "nvidia-smi")],
)
def test_a_missing_gpu_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, version: str | None, reason: str, remedy: str
) -> None:
    """Asking for `cuda` is no unknown name: torch's build for it, or its driver, is what lacks."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.version, "hip", None)
    with pytest.raises(DeviceError) as caught:
        resolve(RunRequest(device="cuda:1"))

    assert "'cuda:1' (NVIDIA or AMD GPU)" in caught.value.what
    assert (True, True) == (reason in caught.value.why, remedy in caught.value.remedy)


def test_a_machine_without_extensions_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing installed the answer comes from the names of packages alone."""
    monkeypatch.setattr(probing, "_refusal", lambda vendor: probing.Availability(state="absent", reason="not here"))
    monkeypatch.setattr(probing, "extension_names", tuple)
    monkeypatch.setattr(probing, "_child", lambda kind, _limit: pytest.fail(f"{kind} was asked"))

    assert ["absent"] * len(VENDORS) == [f.finding.availability.state for f in probing.probe_vendors()]
