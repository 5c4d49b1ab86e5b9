"""Every fault of a run, done for real, ends in a valid result file that says what happened."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from command_line import SOON, own_environment, run_here

from wattbench.results.document import Result
from wattbench.results.files import read_result

PLUGINS = Path(__file__).parent / "plugins"
TIMES = ("--window", "0.4", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "0.1")
SHORT = ("--load", "tiny-decoder/tiny", *TIMES, *SOON)
LIMIT_S = 90


class Bench:
    """Runs `bench run` as a user would, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        places = {"WATTBENCH_DATA": str(folder / "data"), "WATTBENCH_CACHE": str(folder / "cache")}
        self.environment = own_environment(PYTHONPATH=str(PLUGINS), **places)

    def start(
        self, *flags: str, fault: str = "", prefix: tuple[str, ...] = (), backend: str = "faulty"
    ) -> subprocess.Popen[str]:
        """Start a short run on a backend that fails on purpose."""
        self.environment["WATTBENCH_FAULT"] = fault
        bench = (*prefix, sys.executable, "-P", "-m", "wattbench.harness.cli.main")
        return subprocess.Popen(
            (*bench, *self._words(flags, backend)),
            env=self.environment,
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *flags: str, fault: str = "", prefix: tuple[str, ...] = (), backend: str = "faulty") -> "Ended":
        """Run to the end, in a process of its own, and return what happened."""
        return self.end(self.start(*flags, fault=fault, prefix=prefix, backend=backend))

    def run_here(self, *flags: str, fault: str = "", backend: str = "faulty") -> "Ended":
        """Run to the end, with the measuring process in this one, and return what happened."""
        self.environment["WATTBENCH_FAULT"] = fault
        ended = run_here(*self._words(flags, backend), environment=self.environment)
        return Ended(ended.returncode, ended.stdout, ended.stderr, self.out)

    def end(self, process: subprocess.Popen[str]) -> "Ended":
        """Wait for a run that was started and return what happened."""
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        return Ended(process.returncode, stdout, stderr, self.out)

    def _words(self, flags: tuple[str, ...], backend: str) -> tuple[str, ...]:
        return ("run", "--backend", backend, *SHORT, "--out", str(self.out), *flags)

    def wait_for_file(self, process: subprocess.Popen[str], repeats: int) -> Path:
        """Wait until the result file holds that many repeats."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and process.poll() is None:
            for path in self.out.glob("*.json"):
                if len(json.loads(path.read_bytes())["repeats"]) >= repeats:
                    return path
            time.sleep(0.05)
        raise AssertionError("the run wrote no such file")


class Ended:
    """A finished command: its exit code, what it printed, and the result that it left."""

    def __init__(self, code: int, stdout: str, stderr: str, out: Path) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr
        self.text = stdout + stderr
        self._out = out

    @property
    def result(self) -> Result:
        """Read the only result file, through every check."""
        (path,) = self._out.glob("*.json")
        return read_result(path)

    def doubt_codes(self) -> set[str]:
        """Return the codes of the result's doubts."""
        return {doubt.code for doubt in self.result.doubts}


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the living worker processes of a run."""
    return [p for p in psutil.Process(process.pid).children(recursive=True) if "worker" in " ".join(p.cmdline())]


def assert_gone(workers: list[psutil.Process]) -> None:
    """Assert that no worker outlived its run by more than a moment."""
    _, alive = psutil.wait_procs(workers, timeout=10)

    assert [] == alive


def test_a_run_without_fault_is_complete(bench: Bench) -> None:
    """Without a fault the plan is done, and the mock makes the verdict invalid."""
    ended = bench.run("--power", "none")

    assert (3, "complete", 2) == (ended.code, ended.result.status, len(ended.result.repeats))
    assert "mock" in ended.doubt_codes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_partial_result_and_no_worker(bench: Bench, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM keep what was measured, say so, and leave no orphan and no traceback."""
    process = bench.start("--power", "none", "--repeats", "50")
    bench.wait_for_file(process, repeats=1)
    workers = workers_of(process)
    process.send_signal(number)
    ended = bench.end(process)

    assert (1, "partial") == (ended.code, ended.result.status)
    assert number.name in ended.result.error.why
    assert 1 <= len(ended.result.repeats) < 50
    assert ended.result.summary is not None
    assert "Traceback" not in ended.text
    assert len(workers) == 1
    assert_gone(workers)


def test_a_killed_harness_leaves_a_valid_file_and_no_worker(bench: Bench) -> None:
    """Killing the measuring process with -9 leaves the last rewritten file valid and no orphan behind."""
    process = bench.start("--power", "steady", "--idle", "0", "--repeats", "50")
    path = bench.wait_for_file(process, repeats=1)
    workers = workers_of(process)
    process.kill()
    process.communicate(timeout=LIMIT_S)
    left = read_result(path)

    assert ("started", None) == (left.status, left.power.polls_file)
    assert len(left.power.polls[0].value) > 10  # a crash loses no poll: they are inside until the end
    assert_gone(workers)


def test_a_worker_killed_from_within_is_named(bench: Bench) -> None:
    """A worker that dies by SIGKILL in a window ends the run in a valid result with status error."""
    ended = bench.run_here("--power", "none", fault="kill")

    assert (1, "error", "WorkerError") == (ended.code, ended.result.status, ended.result.error.kind)
    assert "SIGKILL" in ended.result.error.why
    assert "Traceback" not in ended.text


def test_a_worker_killed_from_outside_is_named(bench: Bench) -> None:
    """A worker killed with -9 by somebody else ends the run in a valid result that keeps the repeats so far."""
    process = bench.start("--power", "none", "--repeats", "50")
    bench.wait_for_file(process, repeats=1)
    (worker,) = workers_of(process)
    worker.kill()
    ended = bench.end(process)

    assert (1, "error") == (ended.code, ended.result.status)
    assert "SIGKILL" in ended.result.error.why
    assert len(ended.result.repeats) >= 1


def test_a_worker_out_of_memory_is_named(bench: Bench) -> None:
    """A worker that really runs out of memory (an address space of 3 GB) is reported as such."""
    limited = ("bash", "-c", 'ulimit -v 3000000; exec "$@"', "bash")
    ended = bench.run("--power", "none", fault="memory", prefix=limited)

    assert (1, "OutOfMemoryError") == (ended.code, ended.result.error.kind)
    assert "Traceback" not in ended.text


def test_a_lost_device_is_named_with_its_remedy(bench: Bench) -> None:
    """A device that fails in a window ends the run with its error and remedy."""
    ended = bench.run_here("--power", "none", fault="device")

    assert (1, "DeviceError", "Reset it.") == (ended.code, ended.result.error.kind, ended.result.error.remedy)
    assert "measure" == ended.result.error.phase
    assert "it fell off the bus" in ended.text


def test_a_device_that_fails_to_prepare_is_named(bench: Bench) -> None:
    """A failure before anything was measured ends in a valid file without repeats."""
    ended = bench.run_here("--power", "none", fault="prepare")

    assert (1, "error", "prepare", 0) == (
        ended.code,
        ended.result.status,
        ended.result.error.phase,
        len(ended.result.repeats),
    )


def test_a_bug_in_a_backend_keeps_its_traceback_and_the_file(bench: Bench) -> None:
    """An unforeseen exception is a bug: it shows its traceback, and the result file is valid all the same."""
    ended = bench.run("--power", "none", fault="bug")

    assert ("error", "Bug") == (ended.result.status, ended.result.error.kind)
    assert "KeyError: 'a bug in the backend'" in ended.stderr


def test_a_library_that_prints_cannot_break_the_protocol(bench: Bench) -> None:
    """Text on the worker's standard output goes nowhere near the answers."""
    ended = bench.run_here("--power", "none", "--json", fault="chatty")

    assert "complete" == json.loads(ended.stdout)["status"]


def test_a_sampler_that_starts_to_fail_leaves_energy_unknown(bench: Bench) -> None:
    """Reads that fail from some moment on are doubts; the windows after it have no energy but a reason."""
    ended = bench.run_here("--power", "fading", "--idle", "0", "--repeats", "3")
    last = ended.result.repeats[-1].energy[0]

    assert "complete" == ended.result.status
    assert "sensor_failed" in ended.doubt_codes()
    assert last.energy_j is None
    assert last.reason


def test_a_sampler_that_goes_silent_does_not_hold_the_run_up(bench: Bench) -> None:
    """A read that never returns is a doubt; the run ends in time, its later energy unknown."""
    ended = bench.run("--power", "silent", "--idle", "0", "--repeats", "3")

    assert "complete" == ended.result.status
    assert "sensor_failed" in ended.doubt_codes()
    assert any(health.silent for health in ended.result.power.health)
    assert ended.result.repeats[-1].energy[0].energy_j is None


def test_a_steady_sampler_gives_its_joules(bench: Bench) -> None:
    """A constant 100 W gives 100 J a second in every window."""
    ended = bench.run_here("--power", "steady", "--idle", "0", "--repeats", "3")
    energies = [(repeat.energy[0], repeat.window.duration_s) for repeat in ended.result.repeats]
    joules_per_s = [energy.energy_j / length_s for energy, length_s in energies if energy.energy_j is not None]

    assert joules_per_s
    assert [100.0] * len(joules_per_s) == pytest.approx(joules_per_s, rel=1e-6)
    assert all(energy.reason for energy, _ in energies if energy.energy_j is None)  # where the machine was too busy


def test_a_clock_that_jumps_is_a_doubt_and_bends_no_window(bench: Bench) -> None:
    """The wall clock set forward by an hour in mid-run (libfaketime) shows as a doubt; windows keep their length."""
    faketime = pytest.importorskip("libfaketime", reason="libfaketime sets the clock of one process")
    library = next(Path(faketime.__file__).parent.rglob("libfaketime*.so.1"))
    setting = bench.folder / "faketime"
    setting.write_text("+0")
    bench.environment |= {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(setting),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    process = bench.start("--power", "none", "--repeats", "4")
    bench.wait_for_file(process, repeats=1)
    setting.write_text("+3600")
    ended = bench.end(process)

    assert "complete" == ended.result.status
    assert 3600 == pytest.approx(ended.result.run.clock.end_offset_s, abs=5)
    assert "clock_unsynchronised" in ended.doubt_codes()
    assert all(0.4 <= repeat.window.duration_s < 5 for repeat in ended.result.repeats)


def test_a_full_disk_moves_the_result_and_keeps_the_old_one(bench: Bench) -> None:
    """When the disk (64 kB) fills up, the result goes to the temporary folder and says so; the old file stays valid."""
    disk, kept, temporary = (bench.folder / name for name in ("disk", "kept", "temporary"))
    for folder in (disk, kept, temporary):
        folder.mkdir()
    bench.environment["TMPDIR"] = str(temporary)
    script = f'mount -t tmpfs -o size=64k none {disk} || exit 77; "$@"; code=$?; cp {disk}/*.json {kept}; exit $code'
    ended = bench.run(
        "--power",
        "none",
        "--repeats",
        "5",
        "--out",
        str(disk),
        prefix=("unshare", "-rm", "bash", "-c", script, "bash"),
    )
    if ended.code == 77:
        pytest.skip("this machine lets nobody mount a small file system")
    (moved,) = (read_result(path) for path in temporary.rglob("*.json"))
    (old,) = (read_result(path) for path in kept.glob("*.json"))

    assert ("complete", 5) == (moved.status, len(moved.repeats))
    assert "storage" in {doubt.code for doubt in moved.doubts}
    assert ("started", moved.run.id) == (old.status, old.run.id)
    assert len(old.repeats) < 5
    assert "Traceback" not in ended.text


def test_an_unwritable_place_is_refused_before_anything_starts(bench: Bench) -> None:
    """A result that could not be kept is not measured."""
    ended = bench.run_here("--power", "none", "--out", "/proc/results")

    assert 1 == ended.code
    assert "/proc/results" in ended.stderr
    assert "Traceback" not in ended.text


def test_an_honest_backend_is_believed(bench: Bench) -> None:
    """The liar that does not lie raises no doubt about its completions."""
    ended = bench.run_here("--power", "none", backend="liar")

    assert "complete" == ended.result.status
    assert "unproven_completion" not in ended.doubt_codes()


@pytest.mark.parametrize("lie", ["skip", "early"])
def test_a_backend_that_hides_work_is_doubted(bench: Bench, lie: str) -> None:
    """Work that is left out, or that ends after its stamp, makes the result invalid."""
    ended = bench.run_here("--power", "none", backend="liar", fault=lie)

    assert "unproven_completion" in ended.doubt_codes()
    assert "invalid" == ended.result.verdict.standing


@pytest.mark.parametrize(
    ("lie", "says"),
    [("inflate", "it was given"), ("future", "not in the order"), ("steps", "it stamped")],
)
def test_a_completion_that_cannot_be_is_refused(bench: Bench, lie: str, says: str) -> None:
    """Counts that the batch did not have, and stamps out of order, end the run by name."""
    ended = bench.run_here("--power", "none", backend="liar", fault=lie)

    assert (1, "error", "DeviceError") == (ended.code, ended.result.status, ended.result.error.kind)
    assert says in ended.result.error.why


def test_an_interrupt_at_the_very_end_loses_nothing(bench: Bench) -> None:
    """A signal that comes while the final document is written finds a run that is ending: it ends whole."""
    process = bench.start("--power", "none", "--repeats", "2")
    path = bench.wait_for_file(process, repeats=2)
    process.send_signal(signal.SIGINT)
    bench.end(process)

    assert read_result(path).status in ("complete", "partial")
    assert read_result(path).verdict is not None


def test_a_spoilt_cache_is_computed_again(bench: Bench) -> None:
    """A cached reference that is cut short, and a cache that is a file, cost time and nothing else."""
    flags = ("--load", "tiny-encoder/tiny-encode", "--repeats", "1", "--power", "none")
    flags += ("--tuning", "eager", "--ceilings", "none")
    first = bench.run_here(*flags, backend="torch")
    (kept,) = (bench.folder / "cache" / "references").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    bench.run_here(*flags, "--out", str(bench.folder / "second.json"), backend="torch")
    bench.environment["WATTBENCH_CACHE"] = str(kept)
    third = bench.run_here(*flags, "--out", str(bench.folder / "third.json"), backend="torch")
    results = [first.result, *(read_result(bench.folder / f"{name}.json") for name in ("second", "third"))]

    assert [("complete", True)] * 3 == [(result.status, result.quality.passed) for result in results]
    assert "cannot be used" in third.stderr
