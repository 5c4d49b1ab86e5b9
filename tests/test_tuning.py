"""Tuning: gated trials in processes of their own, the fastest wins, and the whole grid is kept."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from wattbench.harness.reporter import Reporter, SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.tuning import Choice, TrialTimes
from wattbench.harness.tuning import choose as choose_in
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.errors import DeviceError

PLUGINS = Path(__file__).parent / "plugins_sweep"
TINY = "tiny-encoder/tiny-encode"
GRID = RunRequest(load=TINY, backend="torch", device="cpu", tuning="eager", precision="fastest", batch=1)
CHEAP = RunRequest(load="tiny-decoder/tiny", backend="small", tuning="auto", batch=1)
"""The grid of a mock with two levels, for tests of what becomes of a search."""


TIMES = TrialTimes(look_s=0.05, warmup_min_s=0.1, warmup_max_s=0.3, window_s=0.1, windows=3)


def choose(request: RunRequest, reporter: Reporter) -> Choice:
    """Choose with short trials."""
    return choose_in(request, reporter, TIMES)


class Notes(SilentReporter):
    """A reporter that keeps its notes."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep the line."""
        self.lines.append(text)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache of its own."""
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the mock with two levels."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("SMALL_LEVELS", "eager,quick")


def test_the_fastest_candidate_that_passes_wins() -> None:
    """Every candidate is tried and recorded, and the one with the highest rate is the plan."""
    choice = choose(GRID, SilentReporter())

    assert choice.tuning is not None
    rates = {t.name: t.requests_per_s for t in choice.tuning.trials if t.requests_per_s is not None}
    assert len(rates) >= 2
    assert max(rates, key=lambda name: rates[name]) == choice.tuning.chosen
    assert choice.resolved.plan.precision in choice.tuning.chosen


def test_a_search_is_remembered_for_a_day(cache: Path) -> None:
    """The second choice comes from the cache and says so; a day later the search is done again."""
    first, again = (choose(CHEAP, SilentReporter()).tuning for _ in range(2))
    assert first is not None
    assert again is not None
    (file,) = (cache / "tuning").iterdir()
    old = json.loads(file.read_text())
    old["measured_at"] = (datetime.now(tz=UTC) - timedelta(days=1, minutes=1)).isoformat()
    file.write_text(json.dumps(old))
    later = choose(CHEAP, SilentReporter()).tuning

    assert (False, True) == (first.cached, again.cached)
    assert first.trials == again.trials
    assert later is not None
    assert not later.cached


def test_an_unreadable_memory_is_searched_again(cache: Path) -> None:
    """A damaged cache file costs a new search and nothing else."""
    choose(CHEAP, SilentReporter())
    (file,) = (cache / "tuning").iterdir()
    file.write_text("{")
    found = choose(CHEAP, SilentReporter()).tuning

    assert found is not None
    assert not found.cached


def test_quick_does_not_search() -> None:
    """--quick takes the cheapest candidate and says that it did not look further."""
    notes = Notes()
    choice = choose(RunRequest(load=TINY, backend="torch", device="cpu", precision="fastest", quick=True), notes)

    assert choice.tuning is None
    assert "does not search" in notes.lines[-1]


def test_one_candidate_needs_no_trial() -> None:
    """A request that leaves nothing open has no tuning record."""
    choice = choose(RunRequest(load=TINY, backend="mock"), SilentReporter())

    assert choice.tuning is None


class Watched(WorkerClient):
    """A worker that keeps the names of the commands which it was asked."""

    asked: ClassVar[list[str]] = []

    def _exchange(self, command: object, timeout_s: float) -> object | None:
        self.asked.append(type(command).__name__)
        return super()._exchange(command, timeout_s)


@pytest.fixture(name="slow_level")
def _slow_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the backend `small` two levels: in `slow` each prefill takes 0.1 s longer."""
    monkeypatch.setenv("SMALL_LEVELS", "eager,slow")
    monkeypatch.setenv("SMALL_SLOW", "slow")


@pytest.mark.usefixtures("slow_level")
def test_a_hopeless_candidate_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After two looks it is neither checked nor gated, warmed up or measured; what was seen of it is recorded."""
    monkeypatch.setattr("wattbench.harness.tuning.WorkerClient", Watched)
    Watched.asked.clear()
    found = choose(RunRequest(load=TINY, backend="small", batch=2), SilentReporter()).tuning

    assert found is not None
    assert ["measured", "too_slow"] == [t.outcome for t in found.trials]
    assert "small/eager float32 on mock" == found.chosen
    assert found.trials[1].requests_per_s is None
    assert 1 < (found.trials[1].executions_per_s or 0) <= 10
    assert "behind the fastest before it, in every rate" in found.trials[1].reason
    second = Watched.asked[Watched.asked.index("Close") + 1 :]
    assert ["Prepare", "Measure", "Measure", "Close"] == second


@pytest.mark.usefixtures("slow_level")
def test_a_candidate_that_may_win_a_phase_is_measured() -> None:
    """One that is hopeless in prefill and in requests, but not in decode, has its whole trial."""
    found = choose(RunRequest(load="tiny-decoder/tiny", backend="small"), SilentReporter()).tuning

    assert found is not None
    first, second = found.trials
    assert ["measured", "measured"] == [first.outcome, second.outcome]
    assert (first.requests_per_s or 0) > 10 * (second.requests_per_s or 0)


@pytest.mark.usefixtures("slow_level")
def test_the_first_candidate_is_never_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow candidate is measured where none before it was: it is the best so far."""
    monkeypatch.setenv("SMALL_SLOW", "eager")
    found = choose(RunRequest(load=TINY, backend="small"), SilentReporter()).tuning

    assert found is not None
    assert ["measured", "measured"] == [t.outcome for t in found.trials]
    assert "small/slow float32 on mock" == found.chosen


def test_when_all_candidates_fail_every_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A grid without a survivor is an error that names each candidate and its reason."""
    lost = tmp_path / "lost"
    lost.touch()
    monkeypatch.setenv("SMALL_LOST", str(lost))
    with pytest.raises(DeviceError, match="None of the candidates") as caught:
        choose(CHEAP, SilentReporter())

    assert "eager" in caught.value.why
    assert "quick" in caught.value.why
    assert 2 == caught.value.why.count("The device was lost")
