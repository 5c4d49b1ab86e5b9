"""TorchTPU's real software on XLA for the processor: what it shows is that the path works, and that it calls itself so.

`make test-tpu` installs what these tests need; they say nothing about a TPU.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from wattbench.results.document import Result
from wattbench.results.files import read_result

pytestmark = [
    pytest.mark.torchtpu,
    pytest.mark.skipif(find_spec("lammps_jax_pjrt_cpu") is None, reason="needs what `make test-tpu` installs"),
]

HERE = Path(__file__).parent
SHORT = ("--quick", "--ceilings", "none", "--batch", "2", "--precision", "float32")
RUN = ("run", "--device", "tpu", "--load", "bert-base/classify-128", *SHORT)
PLUGIN = "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"

QUEUE = """
import json, time
from wattbench.backends.torch.device import synchroniser
from wattbench.backends.torch.extensions import load_extension
load_extension("tpu")
import torch
device = torch.device("tpu:0")
wait, matrix = synchroniser(device), torch.randn(1024, 1024).to(device) / 32
(matrix @ matrix).cpu()
start = time.perf_counter()
product = matrix
for _ in range(50):
    product = product @ matrix
queued = time.perf_counter()
wait()
waited = time.perf_counter()
product.cpu()
print(json.dumps([queued - start, waited - queued, time.perf_counter() - waited]))
"""
"""Prints how long queueing fifty products took, waiting for them, and reading one back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run on the emulation: its file and what it says."""

    path: Path
    document: Result


@pytest.fixture(scope="module")
def emulation(
    tmp_path_factory: pytest.TempPathFactory, compile_library: Callable[[Path, Path], Path]
) -> dict[str, str]:
    """Return an environment in which TorchTPU finds one device, which is XLA's plug-in for the processor."""
    shim = compile_library(HERE / "native" / "pjrt_shim.c", tmp_path_factory.mktemp("shim") / "pjrt_shim.so")
    spec = find_spec("lammps_jax_pjrt_cpu")
    assert spec is not None
    assert spec.origin is not None
    return os.environ | {
        "PYTHONPATH": str(HERE / "torchtpu"),
        "TPU_LIBRARY_PATH": str(shim),
        "PJRT_SHIM_REAL": str(Path(spec.origin).parent.parent / PLUGIN),
        "TPU_SKIP_MDS_QUERY": "1",
    }


def bench(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command line in a process of its own."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(scope="module", params=["eager", "compiled"])
def ran(request: pytest.FixtureRequest, emulation: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Return BERT-base's run at a level."""
    path = tmp_path_factory.mktemp("results") / f"{request.param}.json"
    done = bench(emulation, *RUN, "--tuning", request.param, "--out", str(path))
    assert path.exists(), done.stderr
    document = read_result(path)
    assert document.error is None, document.error
    assert document.backend is not None
    assert request.param == document.backend.engine, document.backend.tuning_fallback
    return Ran(path=path, document=document)


def test_numbers_agree_with_float32(ran: Ran) -> None:
    """The gate compared with the processor's own float32, and passed."""
    assert ran.document.quality is not None
    assert ran.document.quality.passed


def test_the_run_is_emulated_and_invalid(ran: Ran) -> None:
    """It names what really computed, and no figure of it counts."""
    backend = ran.document.backend
    assert backend is not None

    assert ("tpu:0", True) == (backend.device, backend.emulated)
    assert "XLA:CPU: no Google TPU is in this machine" == backend.true_device
    assert "emulated" in [doubt.code for doubt in ran.document.doubts if doubt.severity == "severe"]
    assert ran.document.verdict is not None
    assert "invalid" == ran.document.verdict.standing


def test_synchronise_waits(emulation: dict[str, str]) -> None:
    """Queued products return before they are done; after torch's own synchronise little is left to wait for."""
    command = [sys.executable, "-P", "-c", QUEUE]
    done = subprocess.run(command, env=emulation, capture_output=True, text=True, timeout=300, check=True)
    queued, waited, read = json.loads(done.stdout.splitlines()[-1])

    assert waited > queued
    assert read < waited / 2


def test_show_marks_it(ran: Ran, emulation: dict[str, str]) -> None:
    """`bench show` calls the figures emulated."""
    assert "EMULATED" in bench(emulation, "show", str(ran.path)).stdout


@pytest.mark.parametrize("command", [("compare", "{}", "{}"), ("cost", "query", "{}")], ids=["compare", "cost"])
def test_figures_are_not_used(ran: Ran, emulation: dict[str, str], command: tuple[str, ...]) -> None:
    """`bench compare` and `bench cost` refuse it, and say why."""
    done = bench(emulation, *(part.format(ran.path) for part in command))

    assert done.returncode != 0
    assert "emulated" in done.stderr


def test_a_store_does_not_rank_it(ran: Ran, emulation: dict[str, str]) -> None:
    """`bench push` says that it will not be ranked, and why."""
    done = bench(emulation, "push", "--dry-run", "--to", str(ran.path.parent / "store"), str(ran.path))

    assert "it will not be ranked: emulated" in done.stdout + done.stderr
