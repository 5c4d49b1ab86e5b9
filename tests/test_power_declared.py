"""Declared watts: labelled declared wherever they are shown, without a source refused, never ranked beside measured."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from command_line import SOON

from wattbench.harness.cli.figures import result_lines
from wattbench.harness.plan import resolve
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.declared import DeclaredSampler
from wattbench.harness.request import RunRequest
from wattbench.results.compare import ComparisonOptions, compare
from wattbench.results.compare_sides import side_of
from wattbench.results.document import Result
from wattbench.results.economics.measured import measured_of
from wattbench.results.energy import provenance_by_scope
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result
from wattbench.testing import check_sampler

SHORT = ("--window", "0.3", "--repeats", "2", "--warm-up-max", "0.1", "--idle", "5", *SOON)
WATTS, SOURCE = "350", "data sheet, page 3"


@pytest.fixture(name="declared", scope="module")
def _declared(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return the result of a run with declared watts."""
    folder = tmp_path_factory.mktemp("declared")
    path = folder / "result.json"
    run = ["run", "--backend", "mock", "--load", "tiny-decoder/tiny", *SHORT, "--out", str(path), "--quiet"]
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *run]
    command += ["--declared-watts", WATTS, "--source", SOURCE]
    environment = {"WATTBENCH_CACHE": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert 3 == done.returncode, done.stderr  # a mock is invalid
    return read_result(path)


def sampler(argument: str | None, covers: str | None = None) -> DeclaredSampler:
    """Return the sampler for an argument."""
    return DeclaredSampler(SamplerOptions(argument=argument, covers=covers))


def test_the_sampler_keeps_the_contract() -> None:
    """The same watts at every read, by a channel that says that it is declared and by whom."""
    assert 4 == len(check_sampler(lambda: sampler("350:data sheet")))
    found = sampler("350:data sheet: page 3")
    found.probe()

    assert [350.0] == [reading.value for reading in found.read()]
    assert ("declared", "board", None) == (
        found.channels[0].provenance,
        found.channels[0].scope,
        found.channels[0].accuracy_rel,
    )
    assert "350 W at work, by data sheet: page 3" in found.channels[0].accuracy_basis


def test_the_processor_has_a_scope_of_its_own() -> None:
    """Watts declared for a run on the CPU are the package's."""
    found = sampler("65:data sheet", covers="cpu")
    found.probe()

    assert ("package", "cpu") == (found.channels[0].scope, found.channels[0].covers)


@pytest.mark.parametrize("argument", ["", "350", "350:", "350: ", "x:y", "0:y", "-5:y", "nan:y", "inf:y"])
def test_watts_without_a_number_or_a_source_are_refused(argument: str) -> None:
    """A power above zero and a name, or nothing."""
    found = sampler(argument).probe()

    assert "broken" == found.state
    assert "--source" in found.remedy


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"declared_watts": 350.0}, "needs a source"),
        ({"declared_watts": 350.0, "source": " "}, "--source is empty"),
        ({"source": "data sheet"}, "--source says nothing"),
        ({"declared_watts": 0.0, "source": "data sheet"}, "out of range"),
        ({"declared_watts": 350.0, "source": "data sheet", "power": ("auto",)}, "contradicts --power"),
    ],
)
def test_an_unsound_declaration_is_refused(changes: dict[str, Any], says: str) -> None:
    """Without a source, without watts, or beside a sensor nothing is started."""
    with pytest.raises(UsageError, match=says):
        resolve(replace(RunRequest(backend="mock", load="tiny-decoder/tiny"), **changes))


def test_the_result_says_declared(declared: Result) -> None:
    """Channel, energies, boundary and doubt name watts and source; there is no idle power and no net energy."""
    assert declared.summary is not None
    mean, net = declared.summary.metric("power.mean"), declared.summary.metric("power.net")
    assert mean is not None
    assert mean.boundary is not None
    assert mean.value == pytest.approx(350.0)
    assert mean.boundary.endswith("watts declared, not measured")
    assert "by its own sensor" not in mean.boundary
    assert net is None or net.value is None
    assert {"declared"} == {e.provenance for repeat in declared.repeats for e in repeat.energy}
    doubt = next(d for d in declared.doubts if d.code == "declared_power")
    assert f"declared, not measured: 350 W at work, by {SOURCE}" == doubt.facts
    assert [] == [window for window in declared.idle if window.energy]


def test_show_says_declared(declared: Result) -> None:
    """People read it beside the watts, and in the verdict."""
    text = "\n".join(result_lines(declared))

    assert "watts declared, not measured" in text
    assert "declared_power: declared, not measured: 350 W" in text


def test_cost_says_declared(declared: Result) -> None:
    """The rung of the ladder is declared, not measured."""
    (power,) = measured_of(declared, "id", allow_invalid=True).powers

    assert ("declared", 350.0) == (power.provenance, pytest.approx(power.active.value))


def test_it_is_not_ranked_beside_measured_watts(declared: Result) -> None:
    """Both figures are shown, no ratio is formed; throughput still is, and two declared ones are compared."""
    mine = side_of(declared, "a", "A", allow_invalid=True)
    other = replace(mine, result_id="b", name="B", provenances={})
    rows = compare([mine, other], ComparisonOptions(force=True)).rows
    by_name = {row.metric: row for row in rows}
    both = compare([mine, replace(other, provenances=mine.provenances)], ComparisonOptions(force=True)).rows

    assert (None, None) == (by_name["power.mean"].ratio, by_name["efficiency.tokens_per_j"].outcome)
    assert "the watts of A are declared, those of B measured: not ranked" == by_name["power.mean"].reason
    assert by_name["power.mean"].first == pytest.approx(350.0)
    assert None is not by_name["throughput.requests"].ratio
    assert 1.0 == pytest.approx(next(row.ratio for row in both if row.metric == "power.mean"))


def test_a_scope_that_was_measured_too_is_measured(factories: ModuleType, declared: Result) -> None:
    """A meter attached to a run with declared watts makes that scope measured, and no other."""
    (channel,) = declared.power.channels
    metered = replace(channel, id="meter:wall", provenance="measured")

    assert {"board": "measured"} == provenance_by_scope([channel, metered])
    assert {"board": "declared", "wall": "measured"} == provenance_by_scope([replace(metered, scope="wall"), channel])


def test_a_plan_file_may_declare(tmp_path: Path) -> None:
    """The knobs have names of their own there."""
    from wattbench.harness.request import read_request

    path = tmp_path / "plan.toml"
    path.write_text('declared_watts = 700.0\nsource = "vendor page"\nbackend = "mock"\nload = "tiny-decoder/tiny"\n')
    plan = resolve(read_request(path)).plan

    assert (("declared:700.0:vendor page",), 0.0) == (plan.power, plan.idle_s)
    assert json.dumps(plan.power)
