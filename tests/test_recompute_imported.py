"""An imported result computed again: our figures follow from the meter's samples that it keeps, or it says why not."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.harness.recompute_imported import recompute_imported
from wattbench.results.files import write_result
from wattbench.results.imported import ImportedResult


def bench(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Call `bench` as the shell does."""
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ})


@pytest.fixture(name="folder")
def _folder(mlperf_run: ModuleType, tmp_path: Path) -> Path:
    """Return the session folder of the published run."""
    folder: Path = mlperf_run.unpack(tmp_path)
    return folder


@pytest.fixture(name="imported")
def _imported(folder: Path) -> ImportedResult:
    """Return the published run as a document."""
    return import_mlperf(folder)


def found_in(result: ImportedResult) -> list[str]:
    """Return the paths of all differences."""
    return [difference.path for difference in recompute_imported(result).differences]


def test_an_honest_import_is_the_same(imported: ImportedResult, tmp_path: Path) -> None:
    """Energy, mean power and efficiency follow from the samples; what only the logs say is named, and the code is 0."""
    write_result(imported, tmp_path / "i.json")
    answer = bench("recompute", tmp_path / "i.json")

    assert (0, "") == (answer.returncode, answer.stderr)
    assert f"of 1 window computed again from {len(imported.power.polls[0].value)} polls: all the same." in answer.stdout
    assert "Not computed again: what MLPerf Inference LoadGen states" in answer.stdout


def test_an_edited_energy_is_found(imported: ImportedResult, tmp_path: Path) -> None:
    """An energy lowered by a percent, and signed anew, does not follow from the samples; the code is 1."""
    assert imported.energy is not None
    edited = replace(imported, energy=replace(imported.energy, energy_j=0.99 * (imported.energy.energy_j or 0.0)))
    write_result(edited, tmp_path / "i.json")
    answer = bench("recompute", tmp_path / "i.json")

    assert ["energy.energy_j"] == found_in(edited)
    assert 1 == answer.returncode
    assert "1 figure does not follow from the raw data." in answer.stdout


def test_an_edited_ratio_is_found(imported: ImportedResult) -> None:
    """An efficiency that was raised does not follow, and neither does a sample that was lowered."""
    ratio = "efficiency.requests_per_j"
    raised = tuple(replace(m, value=2 * (m.value or 0.0)) if m.name == ratio else m for m in imported.metrics)
    (log,) = imported.power.polls
    middle = len(log.value) // 2
    values = tuple(0.5 * (v or 0.0) if n == middle else v for n, v in enumerate(log.value))
    lowered = replace(imported.power, polls=(replace(log, value=values),))

    assert [f"metrics.{ratio}.value"] == found_in(replace(imported, metrics=raised))
    assert {"energy.energy_j", "metrics.energy.total.value"} <= set(found_in(replace(imported, power=lowered)))


def test_an_import_without_power_cannot_be_computed_again(folder: Path, tmp_path: Path) -> None:
    """Without a sample there is nothing of ours: the answer says so in three parts, and the code is 1."""
    (folder / "run_1" / "spl.txt").unlink()
    write_result(import_mlperf(folder), tmp_path / "i.json")
    answer = bench("recompute", tmp_path / "i.json")

    assert (1, "") == (answer.returncode, answer.stdout)
    assert "This result cannot be computed again: it was imported without power: the folder has no spl.txt" in (
        " ".join(answer.stderr.split())
    )
    assert "Traceback" not in answer.stderr


def test_an_import_is_shown(imported: ImportedResult, tmp_path: Path) -> None:
    """`bench show` prints the official figures and ours, and returns 0."""
    write_result(imported, tmp_path / "i.json")
    answer = bench("show", tmp_path / "i.json")

    assert (0, "") == (answer.returncode, answer.stderr)
    assert "27.47261667 W" in answer.stdout
    assert "imported from MLPerf Inference LoadGen" in answer.stdout
