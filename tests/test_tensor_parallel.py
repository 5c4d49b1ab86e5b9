"""`bench run --tensor-parallel`: one result of several real ranks, and every way in which it is refused or ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from command_line import SOON

pytest.importorskip("torch", reason="ranks are the torch backend's")

from wattbench.backends.contract import DeviceInfo
from wattbench.harness.candidates import candidates
from wattbench.harness.cli.device_lines import device_lines
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.results.document import Result
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result

LIMIT_S = 180
PLAIN = {"load": "tiny-decoder/tiny", "backend": "torch", "device": "cpu", "precision": "float32", "tuning": "eager"}
SHORT = ("--window", "0.4", "--warm-up-max", "0.5", "--idle", "0.1", "--power", "none", "--ceilings", "none")

needs_two_processors = pytest.mark.skipif(
    len(psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else [0, 1]) < 2,
    reason="two ranks on a CPU need two processors",
)


def start(folder: Path, *flags: str) -> subprocess.Popen[str]:
    """Start a run of the tiny decoder on two ranks, as a user would."""
    knobs = [word for name, value in PLAIN.items() for word in (f"--{name}", value)]
    call = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "run", *knobs, "--tensor-parallel", "2"]
    environment = {**os.environ, "WATTBENCH_DATA": str(folder / "data"), "WATTBENCH_CACHE": str(folder / "cache")}
    return subprocess.Popen(
        [*call, *SHORT, "--out", str(folder / "out"), *flags],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def result_in(folder: Path) -> Result:
    """Read the only result, through every check."""
    (path,) = (folder / "out").glob("*.json")
    return read_result(path)


def wait_for_repeat(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a window has been measured."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        if any(b'"index":0' in path.read_bytes() for path in (folder / "out").glob("*.json")):
            return
        time.sleep(0.1)
    raise AssertionError(f"no window was measured: {process.communicate(timeout=10)}")


def rank_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Return the process of rank 1."""
    (rank,) = [p for p in psutil.Process(process.pid).children(recursive=True) if "follower" in " ".join(p.cmdline())]
    return rank


@needs_two_processors
def test_two_ranks_give_one_result(tmp_path: Path) -> None:
    """Plan and record say that the load was shared, the gate has passed, and the text names the ranks."""
    process = start(tmp_path, "--repeats", "3", *SOON)
    stdout, stderr = process.communicate(timeout=LIMIT_S)
    result = result_in(tmp_path)

    assert "complete" == result.status, stderr
    assert (2, ("cpu", "cpu")) == (result.plan.tensor_parallel, result.plan.devices)
    assert result.backend is not None
    assert [0, 1] == [rank.rank for rank in result.backend.ranks]
    assert result.quality is not None
    assert result.quality.passed
    assert 3 == len(result.repeats)
    assert "torch/eager on 2 ranks, cpu" in stdout


@needs_two_processors
def test_a_killed_rank_ends_the_run_and_is_named(tmp_path: Path) -> None:
    """The result keeps the windows that were measured, says which rank died and how, and no process is left."""
    process = start(tmp_path, "--repeats", "200")
    wait_for_repeat(tmp_path, process)
    family = psutil.Process(process.pid).children(recursive=True)
    rank_of(process).kill()
    stdout, stderr = process.communicate(timeout=60)
    result = result_in(tmp_path)
    _, alive = psutil.wait_procs(family, timeout=10)

    assert (1, "error") == (process.returncode, result.status)
    assert result.error is not None
    assert "rank 1 of 2 (cpu)" in f"{result.error.what} {result.error.why}"
    assert "SIGKILL" in f"{result.error.what} {result.error.why}"
    assert len(result.repeats) >= 1
    assert "Traceback" not in stdout + stderr
    assert [] == alive


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"tensor_parallel": 0}, "--tensor-parallel is out of range"),
        ({"backend": "mock", "device": None}, "mock has no --tensor-parallel 2"),
        ({"tensor_parallel": 3}, "3 does not divide its 4 heads"),
        ({"load": "gpt2/chat"}, "gpt2 cannot be shared out over 2 ranks"),
        ({"threads": 1}, "more ranks than the CPU has room for"),
        ({"load": "qwen3-0.6b/chat", "slots": 1, "tuning": None}, "--tensor-parallel 2 contradicts --slots"),
        ({"load": "qwen3-0.6b/chat", "tuning": "continuous"}, "--tensor-parallel contradicts --tuning"),
    ],
    ids=["range", "backend", "heads", "model", "threads", "slots", "continuous"],
)
def test_what_cannot_be_shared_is_refused_before_anything_starts(knobs: dict[str, object], says: str) -> None:
    """What, why and what to do, for each reason."""
    request = RunRequest(**{**PLAIN, "tensor_parallel": 2, **knobs})  # type: ignore[arg-type] # knobs of any type
    with pytest.raises(UsageError) as caught:
        resolve(request)

    assert says in str(caught.value)
    assert caught.value.why
    assert caught.value.remedy


@needs_two_processors
def test_every_level_is_a_candidate_with_its_ranks() -> None:
    """The search tries the levels with the same ranks, and none that batches continuously."""
    found = candidates(RunRequest(**{**PLAIN, "tuning": None}, tensor_parallel=2)).resolved  # type: ignore[arg-type]

    assert "eager" == found[0].plan.tuning
    assert all(r.plan.devices == ("cpu", "cpu") and len(r.ranks) == 2 for r in found)
    assert "continuous" not in [r.plan.tuning for r in found]


def test_one_rank_is_no_rank() -> None:
    """--tensor-parallel 1 is a run on one device."""
    resolved = resolve(RunRequest(**PLAIN, tensor_parallel=1))  # type: ignore[arg-type]

    assert (1, (), ()) == (resolved.plan.tensor_parallel, resolved.plan.devices, resolved.ranks)


class TwoBoards:
    """Stands in for a backend on two GPUs, as far as planning asks it."""

    @staticmethod
    def info(index: int) -> DeviceInfo:
        """Return one of its devices."""
        return DeviceInfo(
            name=f"cuda:{index}",
            description="a board",
            memory_bytes=80_000_000_000,
            precisions=("float32",),
            precision_default="float32",
            power_covers=f"GPU-{index}",
            computes=False,
        )


def test_the_power_of_every_rank_s_device_is_asked_for() -> None:
    """Samplers, temperatures and limits follow all devices of the ranks; a shared CPU is one."""
    from dataclasses import replace

    resolved = resolve(RunRequest(**PLAIN))  # type: ignore[arg-type]
    boards = (TwoBoards.info(0), TwoBoards.info(1))

    assert "GPU-0+GPU-1" == replace(resolved, ranks=boards).covers
    assert "cpu" == replace(resolved, ranks=(resolved.device, resolved.device)).covers
    assert replace(resolved, ranks=(boards[0], replace(boards[1], power_covers=None))).covers is None


def test_a_result_of_one_device_has_no_lines_per_device(factories: object) -> None:
    """What one device drew stands in its figures already."""
    assert [] == list(device_lines(factories.make_result()))  # type: ignore[attr-defined]
