"""The ceilings of a run: measured once a day, told to the reporter, never the end of the run."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_line import SOON

from wattbench.harness.ceilings import ceilings_for
from wattbench.harness.ceilings_cache import keep
from wattbench.harness.ceilings_target import LOOKS, target_of
from wattbench.harness.clock import RunClock
from wattbench.harness.plan import Resolved, open_backend, resolve
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.runner import execute
from wattbench.harness.watts import PowerSession
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.files import read_result

PLUGINS = Path(__file__).parent / "plugins_ceilings"
LIMIT_S = 90


class Notes(SilentReporter):
    """A reporter that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


class Runs:
    """Asks for the ceilings of a plan on the made-up prober, and counts how often they were measured."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.notes = Notes()

    @property
    def measured(self) -> float:
        """Return how often ceilings were measured, each time with several looks."""
        return len(self._log.read_text().splitlines()) / LOOKS if self._log.exists() else 0

    def ask(
        self,
        backend: str = "probing",
        ceilings: str = "auto",
        batch: int = 1,
        so_far: CeilingsRecord | None = None,
        quick: bool = False,
    ) -> CeilingsRecord | None:
        """Return the ceilings of a plan of the tiny encoder."""
        request = RunRequest(
            load="tiny-encoder/tiny-encode",
            backend=backend,
            ceilings=ceilings,
            batch=batch,
            power=("none",),
            quick=quick,
        )
        resolved = resolve(request)
        return ceilings_for(resolved, session(resolved), RunClock(), self.notes, so_far=so_far)


def session(resolved: Resolved) -> PowerSession:
    """Return a power session without a sensor."""
    return PowerSession.open(resolved.plan, resolved.device.power_covers)


@pytest.fixture(name="runs")
def _runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WATTBENCH_CEILINGS", str(tmp_path / "log"))
    monkeypatch.setattr(
        "wattbench.harness.ceilings.target_of",
        lambda resolved: replace(target_of(resolved), window_s=0.01, windows=2),
    )
    return Runs(tmp_path / "log")


def test_ceilings_are_measured_once(runs: Runs) -> None:
    """The second run of the day takes them from the cache, and each says where they come from."""
    first, second = runs.ask(), runs.ask()

    assert 1 == runs.measured
    assert first is not None
    assert replace(first, cached=True) == second
    assert [
        f"ceilings measured in {first.duration_s:.0f} s",
        f"ceilings remembered from {first.measured_at}",
    ] == runs.notes.lines


def test_a_quick_run_looks_once(runs: Runs) -> None:
    """A first number comes sooner; a run by the full protocol does not rest on it."""
    runs.ask(quick=True)
    once = runs.measured
    runs.ask()

    assert (1 / LOOKS, 1 + 1 / LOOKS) == (once, runs.measured)


def test_fresh_ceilings_are_measured_and_remembered(runs: Runs) -> None:
    """`fresh` measures whatever the cache holds; `auto` then finds the newer ones."""
    runs.ask()
    fresh = runs.ask(ceilings="fresh")
    again = runs.ask()

    assert 2 == runs.measured
    assert fresh is not None
    assert replace(fresh, cached=True) == again


def test_exceeded_ceilings_are_measured_once_more(runs: Runs) -> None:
    """The entries of one more look follow the first ones, in the cache too; the date stays that of the first."""
    first = runs.ask()
    assert first is not None
    both = runs.ask(so_far=first)
    assert both is not None

    assert 2 == runs.measured
    assert first.entries == both.entries[: len(first.entries)]
    assert len(both.entries) == 2 * len(first.entries)
    assert (first.measured_at, first.skipped) == (both.measured_at, both.skipped)
    assert both.duration_s > first.duration_s
    assert replace(both, cached=True) == runs.ask()
    assert "the load was faster than a ceiling: they are measured once more" in runs.notes.lines


def test_a_second_look_that_fails_leaves_the_first(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is lost afterwards takes nothing away from what was measured."""
    first = runs.ask()
    monkeypatch.setenv("WATTBENCH_CEILINGS", "lost")

    assert first == runs.ask(so_far=first)
    assert "no ceilings: The device was lost: it fell off the bus" in runs.notes.lines


def test_another_batch_has_other_shapes(runs: Runs) -> None:
    """The products of a load depend on its batch, so that its ceilings are measured anew."""
    runs.ask(batch=1)
    runs.ask(batch=2)

    assert 2 == runs.measured


def test_none_measures_nothing(runs: Runs) -> None:
    """`none` gives none and says nothing."""
    assert (None, 0, []) == (runs.ask(ceilings="none"), runs.measured, runs.notes.lines)


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ("lost", "no ceilings: The device was lost: it fell off the bus"),
        ("bug", "no ceilings: KeyError: 'a bug in the backend'"),
        ("nothing", "no ceilings: No ceiling of mock could be measured: probing: memory_read: made up"),
    ],
)
def test_a_failure_is_a_note(runs: Runs, monkeypatch: pytest.MonkeyPatch, wish: str, line: str) -> None:
    """A lost device, a bug in a worker and an empty answer leave the run without ceilings, with the reason."""
    monkeypatch.setenv("WATTBENCH_CEILINGS", wish)

    assert runs.ask() is None
    assert [line] == runs.notes.lines


def test_a_backend_without_micro_benchmarks_is_a_note(runs: Runs) -> None:
    """A run on the mock goes on without ceilings."""
    assert runs.ask(backend="mock") is None
    assert ["no ceilings: The backend 'mock' has no micro-benchmarks"] == runs.notes.lines


def start(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    """Start a short run on the made-up prober as a user would."""
    environment = {**os.environ, "WATTBENCH_DATA": str(folder / "data")}
    times = ("--window", "0.2", "--repeats", "1", "--warm-up-max", "0.1", "--idle", "0", "--power", "none", *SOON)
    bench = (sys.executable, "-P", "-m", "wattbench.harness.cli.main", "run", "--backend", "probing")
    call = (*bench, "--load", "tiny-encoder/tiny-encode", *times, "--out", str(folder / "result.json"), *flags)
    return subprocess.Popen(call, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_a_result_holds_its_ceilings(runs: Runs, tmp_path: Path) -> None:
    """A whole run measures them before anything is prepared and writes them into its document."""
    process = start(tmp_path)
    _, stderr = process.communicate(timeout=LIMIT_S)
    result = read_result(tmp_path / "result.json")

    assert result.ceilings is not None
    assert ["bfloat16"] * LOOKS == [entry.precision for entry in result.ceilings.entries]
    assert "ceilings" == result.phases[0].name
    assert "note      ceilings measured in" in stderr


def slow_record() -> CeilingsRecord:
    """Return what a micro-benchmark that was stopped by something else would have found."""
    product = CeilingEntry(
        kind="matmul",
        precision="float32",
        shape="2x2x2",
        unit="FLOP/s",
        samples=(1.0,),
        library="stalled",
        threads=1,
    )
    return CeilingsRecord(
        device="cpu",
        device_name=None,
        measured_at=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=None,
        entries=(product,),
    )


def test_a_load_faster_than_its_ceilings_has_them_measured_again(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ceilings remembered from a slow moment do not leave a contradiction in the result of a real run."""
    pytest.importorskip("torch")
    request = RunRequest(
        load="tiny-encoder/tiny-encode",
        backend="torch",
        precision="float32",
        tuning="eager",
        power=("none",),
        window_s=0.2,
        repeats=1,
        warmup_max_s=0.1,
        idle_s=0.0,
    )
    resolved = resolve(request)
    short = replace(target_of(resolved), precisions=("float32",), window_s=0.01, windows=2, looks=1)
    monkeypatch.setattr("wattbench.harness.ceilings.target_of", lambda _: short)
    monkeypatch.setattr("wattbench.harness.ceilings_measure._others", lambda _: [])
    slow = slow_record()
    keep(short, session(resolved).unavailable_reason, slow)
    result = execute(resolved, reporter=runs.notes, out=tmp_path / "result.json").result

    assert ["ceilings", "ceilings"] == [phase.name for phase in result.phases if phase.name == "ceilings"]
    assert result.ceilings is not None
    assert slow.entries == result.ceilings.entries[: len(slow.entries)]
    assert result.summary is not None
    utilisation = result.summary.metric("utilisation.flops")
    assert utilisation is not None
    assert utilisation.value is not None
    assert 0 < utilisation.value <= 1
    assert "over_ceiling" not in {doubt.code for doubt in result.doubts}


def test_an_interruption_while_measuring_ends_the_run(runs: Runs, tmp_path: Path) -> None:
    """Ctrl-C in that phase leaves a partial result without ceilings: it is no failure to be noted and passed over."""
    process = start(tmp_path)
    deadline = time.monotonic() + LIMIT_S
    while not runs.measured and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    result = read_result(tmp_path / "result.json")

    assert ("partial", "ceilings") == (result.status, result.error.phase if result.error else None)
    assert result.ceilings is None


def test_the_made_up_prober_is_a_backend(runs: Runs) -> None:
    """The plug-in of these tests is found by its entry point, as anybody's is."""
    assert "probing" == open_backend("probing").name
