"""A result with attached meters computed again: their clocks and rates are applied, an edit is found."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer
from command_line import SOON, run_with_joules

from wattbench.harness.cli.group import bench
from wattbench.harness.recompute import Recomputation, recompute
from wattbench.results.document import Result
from wattbench.results.energy import ChannelEnergy, PowerRecord
from wattbench.results.errors import DocumentError, TamperedError
from wattbench.results.files import read_result, write_result
from wattbench.results.metrics import Metric
from wattbench.results.sidecar import read_polls, with_polls, write_with_polls

RUN = "run --backend mock --load tiny-decoder --window 2.2 --repeats 2 --warm-up-min 0.1 --warm-up-max 0.5 --idle 0.4"
FACTS = "# update_period_s: 0.05\n# lag_s: 0.0\n# seen_share: 1.0\n# accuracy_rel: 0.02\n# accuracy_basis: a test\n"
WAVE = "".join(f"{n / 20},{200 + 50 * (n % 7)},node\n" for n in range(400))


def recording(result: Result, watts: Callable[[float], float], step_s: float) -> str:
    """Return a CSV of a meter that saw a run from 2 s before its first phase to 2 s after its last window."""
    origin = datetime.fromisoformat(result.run.clock.origin_utc)
    start_s = result.idle[0].window.start_ns / 1e9 - 2
    count = int((result.repeats[-1].window.end_ns / 1e9 + 2 - start_s) / step_s)
    times = [start_s + n * step_s for n in range(count)]
    rows = (f"{(origin + timedelta(seconds=t)).isoformat()},{watts(t):.3f}" for t in times)
    return "time,power_w\n" + "\n".join(rows) + "\n"


def call(*words: str | Path) -> Answer:
    """Call `bench` in this process."""
    return CliRunner().invoke(bench, [str(word) for word in words], standalone_mode=False)


def attach(original: Path, name: str, watts: Callable[[float], float], *flags: str, step_s: float = 0.25) -> Path:
    """Attach a made-up meter to a result and return the new document's path."""
    csv = original.parent / f"{name}.csv"
    csv.write_text(recording(read_result(original), watts, step_s))
    target = original.parent / f"with-{name}.json"
    ended = call("attach-power", original, "--csv", csv, "--name", name, "--out", target, *flags)
    if ended.exception is not None:
        raise ended.exception
    return target


def ramp_w(at_s: float) -> float:
    """Return a power that grows, so that a clock that is off changes an energy."""
    return 200 + 5 * at_s


def again(path: Path) -> Recomputation:
    """Return what the recomputation of a file finds."""
    result = read_result(path)
    return recompute(result, read_polls(result, path))


def found_in(path: Path) -> list[str]:
    """Return the paths of all differences."""
    return [difference.path for difference in again(path).differences]


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the mock backend beside a recorded sensor of the node, once for all tests here."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "trace.csv").write_text(f"{FACTS}time_s,power_w,scope\n{WAVE}")
    flags = ("--power", f"replay:{folder / 'trace.csv'}", "--quiet", "--out", str(folder / "r.json"))
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *RUN.split(), *SOON, *flags]
    own = {"WATTBENCH_DATA": str(folder), "WATTBENCH_CACHE": str(folder)}
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False, "env": {**os.environ, **own}}
    ended = run_with_joules(lambda: subprocess.run(command, **options), folder / "r.json")
    assert 3 == ended.returncode, ended.stderr  # measured but invalid: a mock, and replayed watts
    return folder / "r.json"


@pytest.fixture(name="run")
def _run(measured: Path, tmp_path: Path) -> Path:
    """Return a copy of the run with its polls."""
    shutil.copytree(measured.parent, tmp_path / "copy")
    return tmp_path / "copy" / "r.json"


@pytest.fixture(name="both")
def _both(run: Path) -> Path:
    """Return the run with a wall meter attached, whose clock is known to 0.46 s."""
    return attach(run, "meter", ramp_w)


def test_an_attached_meter_is_the_same(run: Path, both: Path) -> None:
    """Each energy follows from its own polls, at its own rate and with its own clock."""
    result, found = read_result(both), again(both)
    budget = {term.name for term in result.repeats[0].energy[-1].budget}

    assert () == found.differences
    assert again(run).polls + len(read_polls(result, both)[-1].value) == found.polls
    assert "clock_offset" in budget
    assert ["node", "wall"] == [m.scope for m in result.summary.metrics if m.name == "energy.total"]  # type: ignore[union-attr]


def test_the_answer_of_the_command(both: Path) -> None:
    """`bench recompute` says that all is the same and returns 0."""
    answer = call("recompute", both)

    assert (0, True) == (answer.return_value, "polls: all the same." in answer.output)


def test_each_document_has_its_own_file_of_polls(run: Path, both: Path) -> None:
    """The new document's polls are the run's and the meter's; the run's own file stays beside its document."""
    before, after = read_result(run), read_result(both)

    assert before.power.polls_file is not None
    assert after.power.polls_file is not None
    assert () == after.power.polls
    assert [log.channel for log in (*read_polls(before, run), read_polls(after, both)[-1])] == [
        log.channel for log in read_polls(after, both)
    ]
    assert "meter:wall" == read_polls(after, both)[-1].channel


def test_the_runs_own_figures_stay(run: Path, both: Path) -> None:
    """Every figure of the run's own rung, prefill and decode among them, is the one that the run had."""

    def own(path: Path) -> list[Metric]:
        summary = read_result(path).summary
        assert summary is not None
        return [m for m in summary.metrics if m.scope in (None, "node")]

    assert own(run) == own(both)


def test_two_meters_are_the_same(both: Path) -> None:
    """A second meter, slower and with a clock that is known better, is computed by its own facts."""
    second = attach(both, "bmc", lambda _: 90.0, "--scope", "node", "--clock-uncertainty", "0.1", step_s=0.5)

    assert [] == found_in(second)
    assert 2 == len(read_result(second).attachments)


def test_a_run_without_a_sensor_is_the_same(factories: ModuleType, tmp_path: Path) -> None:
    """Where the meter is all that the run has, it leads, and prefill and decode have a reason instead of an energy."""
    result = factories.make_result()
    nothing = PowerRecord(samplers=(), channels=(), health=(), polls=(), unavailable_reason="no sensor was found")
    repeats = tuple(replace(r, energy=()) for r in result.repeats)
    bare = replace(result, power=nothing, repeats=repeats, idle=tuple(replace(i, energy=()) for i in result.idle))
    write_result(bare, tmp_path / "bare.json")
    path = attach(tmp_path / "bare.json", "meter", ramp_w, step_s=0.5)
    summary = read_result(path).summary
    assert summary is not None
    prefill = summary.metric("energy.prefill")
    assert prefill is not None

    assert [] == found_in(path)
    assert "meter:wall was attached after the run, on a clock known to 0.462 s" in str(prefill.reason)


def energy(result: Result, change: Callable[[ChannelEnergy], ChannelEnergy]) -> Result:
    """Change the attached energy of the first window."""
    first, *rest = result.repeats
    edited = replace(first, energy=(*first.energy[:-1], change(first.energy[-1])))
    return replace(result, repeats=(edited, *rest))


def lower(result: Result) -> Result:
    """Lower an attached energy by a percent."""
    return energy(result, lambda e: replace(e, energy_j=0.99 * (e.energy_j or 0.0)))


def without_clock(result: Result) -> Result:
    """Take the clock out of an attached energy's budget."""
    return energy(result, lambda e: replace(e, budget=e.budget[:-1]))


def better_clock(result: Result) -> Result:
    """State that the clock was known better than it was."""
    return replace(result, attachments=(replace(result.attachments[0], clock_uncertainty_s=0.01),))


def own_channel(result: Result) -> Result:
    """Pass the attached meter off as a sensor of the run."""
    return replace(result, attachments=())


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (lower, "repeats[0].energy[1].energy_j"),
        (without_clock, "repeats[0].energy[1].budget[5]"),
        (better_clock, "repeats[1].energy[1].u_comparison_rel"),
        (own_channel, "repeats[0].energy[1].u_comparison_rel"),
    ],
)
def test_an_edit_is_found(both: Path, edit: Callable[[Result], Result], path: str) -> None:
    """An edited attached energy, budget, clock or origin is named although the file's digest fits."""
    write_result(edit(read_result(both)), both)
    answer = call("recompute", both)

    assert path in found_in(both)
    assert 1 == answer.return_value


def test_an_edited_poll_of_the_meter_is_found(both: Path) -> None:
    """One sample of the meter within a window doubled, all files signed anew: that window's energy does not follow."""
    result = with_polls(read_result(both), both)
    window = result.repeats[0].window
    *own, log = result.power.polls
    row = next(n for n, t in enumerate(log.before_ns) if t > (window.start_ns + window.end_ns) // 2)
    values = [2 * (v or 0.0) if n == row else v for n, v in enumerate(log.value)]
    edited = replace(result, power=replace(result.power, polls=(*own, replace(log, value=tuple(values)))))
    write_with_polls(edited, both)
    found = found_in(both)

    assert "repeats[0].energy[1].energy_j" in found
    assert "summary.energy.total@wall.samples[0]" in found
    assert not [path for path in found if path.startswith("repeats[1]") or "@node" in path]


def test_nothing_is_attached_to_a_run_whose_polls_are_missing(run: Path) -> None:
    """Without the run's polls its figures would no longer follow: the missing file is named, nothing is written."""
    (polls,) = run.parent.glob("*.polls.parquet")
    polls.unlink()

    with pytest.raises(DocumentError, match=r"\.polls\.parquet: The raw polls are missing"):
        attach(run, "meter", ramp_w)
    assert not (run.parent / "with-meter.json").exists()


def test_nothing_is_attached_to_a_run_whose_polls_are_foreign(run: Path) -> None:
    """Polls with other bytes than the run named are refused."""
    (polls,) = run.parent.glob("*.polls.parquet")
    data = bytearray(polls.read_bytes())
    data[100] ^= 1
    polls.write_bytes(data)

    with pytest.raises(TamperedError, match="not those of this result"):
        attach(run, "meter", ramp_w)
