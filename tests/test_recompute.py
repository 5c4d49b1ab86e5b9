"""A result computed again from its raw data: an honest one is the same, whatever is edited by hand is found."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer
from command_line import SOON, run_with_joules

from wattbench.harness.cli.group import bench
from wattbench.harness.recompute import recomputation_lines, recompute
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError, TamperedError
from wattbench.results.files import read_result, write_result
from wattbench.results.metrics import Metric
from wattbench.results.sidecar import read_polls, with_polls, write_with_polls

RUN = (
    "run",
    "--backend",
    "mock",
    "--load",
    "tiny-decoder",
    "--window",
    "2.2",
    "--repeats",
    "2",
    "--warm-up-min",
    "0.1",
    *SOON,
)
WAVE = "\n".join(f"{n / 20},{200 + 50 * (n % 7)}" for n in range(400))
FACTS = "# update_period_s: 0.05\n# lag_s: 0.0\n# seen_share: 1.0\n# accuracy_rel: 0.02\n# accuracy_basis: a test\n"


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the mock backend beside a recorded sensor, once for all tests here; return the result's path."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "trace.csv").write_text(f"{FACTS}time_s,power_w,scope\n{WAVE.replace(chr(10), ',node' + chr(10))},node\n")
    flags = (
        "--warm-up-min",
        "0.1",
        "--warm-up-max",
        "0.5",
        "--idle",
        "0.4",
        "--power",
        f"replay:{folder / 'trace.csv'}",
        "--quiet",
    )
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *RUN, *flags, "--out", str(folder / "r.json")]
    own = {"WATTBENCH_DATA": str(folder), "WATTBENCH_CACHE": str(folder)}
    ended = run_with_joules(lambda: spoken(command, {**os.environ, **own}), folder / "r.json")
    assert 3 == ended.returncode, ended.stderr  # measured but invalid: a mock, and replayed watts
    return folder / "r.json"


def spoken(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


@pytest.fixture(name="copy")
def _copy(measured: Path, tmp_path: Path) -> Path:
    """Return a copy of the measured result with its polls, to be spoilt."""
    shutil.copytree(measured.parent, tmp_path / "copy")
    return tmp_path / "copy" / "r.json"


def asked(path: Path, *flags: str) -> Answer:
    """Return what `bench recompute` answers."""
    return CliRunner().invoke(bench, ["recompute", str(path), *flags], standalone_mode=True)


def answer_code(path: Path) -> int:
    """Return the exit code of `bench recompute` as the shell sees it."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "recompute", str(path)]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def found_in(path: Path) -> list[str]:
    """Return the paths of all differences."""
    result = read_result(path)
    return [difference.path for difference in recompute(result, read_polls(result, path)).differences]


def metric(result: Result, name: str, change: Callable[[Metric], Metric]) -> Result:
    """Return the result with one metric of its summary changed."""
    assert result.summary is not None
    metrics = tuple(change(m) if m.name == name else m for m in result.summary.metrics)
    return replace(result, summary=replace(result.summary, metrics=metrics))


def test_an_honest_result_is_the_same(measured: Path) -> None:
    """Every figure of a run follows from its own polls and completions; the exit code is 0."""
    lines = recomputation_lines(recompute(read_result(measured), read_polls(read_result(measured), measured)))

    assert [True] == [line.endswith("polls: all the same.") for line in lines]
    assert 0 == answer_code(measured)


def test_machines_get_every_difference(copy: Path) -> None:
    """--json says what was compared and what differs."""
    result = read_result(copy)
    write_result(metric(result, "throughput.requests", lambda m: replace(m, value=1e9)), copy)
    document = json.loads(asked(copy, "--json").stdout)

    assert ["summary.throughput.requests.value"] == [d["path"] for d in document["differences"]]
    assert document["polls"] > 100
    assert 1 == answer_code(copy)


def test_the_phases_of_the_run_are_figures_or_have_reasons(measured: Path) -> None:
    """The mock's executions are too short for a sensor of 50 ms, and the result says so."""
    summary = read_result(measured).summary
    assert summary is not None
    prefill = summary.metric("energy.prefill")
    assert prefill is not None

    assert (None, True) == (prefill.value, "needs windows of" in str(prefill.reason))


def energy(result: Result) -> Result:
    """Lower one window's energy by a percent."""
    first, *rest = result.repeats
    edited = replace(first.energy[0], energy_j=(first.energy[0].energy_j or 0.0) * 0.99)
    return replace(result, repeats=(replace(first, energy=(edited,)), *rest))


def idle(result: Result) -> Result:
    """Raise the idle power."""
    first, *rest = result.idle
    return replace(result, idle=(replace(first, energy=(replace(first.energy[0], mean_power_w=999.0),)), *rest))


def uncertainty(result: Result) -> Result:
    """Make a budget smaller than it is."""
    first, *rest = result.repeats
    edited = replace(first.energy[0], u_absolute_rel=0.001)
    return replace(result, repeats=(replace(first, energy=(edited,)), *rest))


def of_old(result: Result) -> Result:
    """Have budgets by the rules of version 1: what the later ones added is not there."""
    power = replace(result.power, budget_version=1)
    repeats = []
    for repeat in result.repeats:
        terms = tuple(t for t in repeat.energy[0].budget if t.name != "resolution")
        older = replace(repeat.energy[0], budget=terms, u_absolute_rel=0.02, u_net_absolute_j=None)
        repeats.append(replace(repeat, energy=(older,)))
    return replace(result, power=power, repeats=tuple(repeats))


def throughput(result: Result) -> Result:
    """Raise a throughput with its samples and interval."""
    return metric(
        result, "throughput.output_tokens", lambda m: replace(m, value=(m.value or 0.0) * 1.02, samples=(9.0, 9.0))
    )


def per_joule(result: Result) -> Result:
    """Raise the tokens per joule."""
    return metric(result, "efficiency.tokens_per_j", lambda m: replace(m, value=(m.value or 0.0) * 1.02))


def tokens(result: Result) -> Result:
    """Add a token to an execution."""
    first, *rest = result.repeats
    done = first.completions
    edited = replace(done, output_tokens=(done.output_tokens[0] + 1, *done.output_tokens[1:]))
    return replace(result, repeats=(replace(first, completions=edited), *rest))


def gone(result: Result) -> Result:
    """Take an energy metric out of the summary."""
    assert result.summary is not None
    kept = tuple(m for m in result.summary.metrics if m.name != "energy.per_request")
    return replace(result, summary=replace(result.summary, metrics=kept))


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (energy, "repeats[0].energy[0].energy_j"),
        (idle, "idle[0].energy[0].mean_power_w"),
        (uncertainty, "repeats[0].energy[0].u_absolute_rel"),
        (throughput, "summary.throughput.output_tokens.value"),
        (per_joule, "summary.efficiency.tokens_per_j@node.value"),
        (tokens, "summary.energy.per_output_token@node.samples[0]"),
        (gone, "summary.energy.per_request@node"),
    ],
)
def test_an_edit_with_a_new_digest_is_found(copy: Path, edit: Callable[[Result], Result], path: str) -> None:
    """An edited energy, uncertainty, throughput, ratio, token or list is named although the file's digest fits."""
    write_result(edit(read_result(copy)), copy)

    assert path in found_in(copy)


def test_budgets_by_older_rules_are_not_held_against_newer_ones(copy: Path) -> None:
    """Of a file with budgets of version 1 the energies are compared and the uncertainties are not, as it says."""
    result = of_old(read_result(copy))
    found = recompute(result, read_polls(result, copy))

    assert () == found.differences
    assert recomputation_lines(found)[1:] == [
        "Uncertainties were not compared: its budgets are of version 1, this wattbench's of version 2 "
        "(docs/uncertainty.md#versions)."
    ]


def test_an_older_file_s_energy_is_still_held_against_its_polls(copy: Path) -> None:
    """Older rules for uncertainties are no cover for other joules."""
    result = energy(of_old(read_result(copy)))

    assert "repeats[0].energy[0].energy_j" in [d.path for d in recompute(result, read_polls(result, copy)).differences]


def test_an_edited_poll_with_new_digests_is_found(copy: Path) -> None:
    """One poll of a window 50 % higher, the file of polls and the result signed anew: the energies do not follow."""
    result = with_polls(read_result(copy), copy)
    log = result.power.polls[0]
    middle = (result.repeats[0].window.start_ns + result.repeats[0].window.end_ns) // 2
    row = next(n for n, t in enumerate(log.before_ns) if t > middle)
    values = [v if n != row or v is None else 1.5 * v for n, v in enumerate(log.value)]
    edited = replace(result, power=replace(result.power, polls=(replace(log, value=tuple(values)),)))
    write_with_polls(edited, copy)
    found = found_in(copy)

    assert "repeats[0].energy[0].energy_j" in found
    assert "summary.energy.total@node.samples[0]" in found
    assert not [path for path in found if path.startswith("repeats[1]")]


def test_an_edit_by_hand_is_refused_at_once(copy: Path) -> None:
    """An energy changed in a text editor does not fit the digest."""
    joules = read_result(copy).repeats[0].energy[0].energy_j
    assert joules is not None
    copy.write_text(copy.read_text().replace(str(joules), str(joules + 1)))

    assert isinstance(asked(copy).exception, TamperedError)
    assert 1 == answer_code(copy)


def test_a_missing_file_of_polls_is_named(copy: Path) -> None:
    """Without its polls nothing is computed again, and the message names the file."""
    (polls,) = copy.parent.glob("*.polls.parquet")
    polls.unlink()
    answer = asked(copy)

    assert isinstance(answer.exception, DocumentError)
    assert str(polls) in str(answer.exception)


def test_polls_inside_the_document_do_as_well(copy: Path) -> None:
    """An older result carries its polls itself."""
    write_result(with_polls(read_result(copy), copy), copy)
    next(copy.parent.glob("*.polls.parquet")).unlink()

    assert [] == found_in(copy)


def test_energies_without_a_poll_cannot_be_checked(factories: ModuleType) -> None:
    """A result that has energies and no polls anywhere is refused, not passed."""
    result = factories.make_result()
    bare = replace(result, power=replace(result.power, polls=()))

    with pytest.raises(DocumentError, match="neither polls nor a file of them"):
        recompute(bare, ())


def test_a_run_without_a_sensor_has_its_rates_checked(factories: ModuleType) -> None:
    """Throughput and latency follow from the completions alone, and the outcome says why there is no energy."""
    repeats = tuple(replace(r, energy=()) for r in factories.make_result().repeats)
    whole = factories.make_result()
    power = replace(whole.power, channels=(), polls=(), unavailable_reason="no sensor")
    summary = factories.summarise(
        whole.load,
        repeats,
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=123_456_789,
        no_energy_reason="no sensor",
    )
    result = replace(whole, power=power, repeats=repeats, idle=(), summary=summary)
    found = recompute(result, ())

    assert ((), "No energy was measured: no sensor.") == (found.differences, found.note)


def test_a_run_that_has_not_ended_says_so(factories: ModuleType) -> None:
    """What a killed run left is compared too, with a word of caution."""
    started = factories.make_result(status="started", summary=None, repeats=(), idle=())

    assert "The run did not end" in recomputation_lines(recompute(started, started.power.polls))[-1]
