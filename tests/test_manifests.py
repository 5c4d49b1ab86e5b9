"""A sweep's manifest among the files that a command is given: left out and named, and refused where it is alone."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.folder import MANIFEST, Folder
from wattbench.harness.sweep.manifest import SweepPlan
from wattbench.harness.sweep.points import Axes, Point
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.files import write_result

POINTS = tuple(Point(load="a/x", batch=batch) for batch in (1, 2))
PLAN = SweepPlan(axes=Axes(load=("a/x",), batch=(1, 2)), request=RunRequest(), together=1)


def of_batch(factories: ModuleType, batch: int | None) -> Result:
    """Return a made-up result of a batch."""
    made: Result = factories.make_result()
    assert batch is not None
    return replace(made, plan=replace(made.plan, batch=batch))


@pytest.fixture(name="folder")
def _folder(factories: ModuleType, tmp_path: Path) -> Path:
    """Return the folder of a sweep with two results."""
    sweep = Folder.create(tmp_path / "my sweep", PLAN, POINTS)
    for point in POINTS:
        write_result(of_batch(factories, point.batch), sweep.file_of(point.name))
    return sweep.path


@pytest.mark.parametrize(
    "command", [("compare", "--allow-invalid"), ("report", "--allow-invalid", "--out", "page.html")]
)
def test_all_files_of_a_sweep_can_be_given(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """The manifest is left out, with a word on standard error of what it is; the results are taken."""
    monkeypatch.chdir(tmp_path)
    files = sorted(map(str, folder.glob("*.json")))
    found = CliRunner().invoke(bench, [*command, *files], standalone_mode=False, catch_exceptions=False)

    assert 3 == len(files)
    assert f"Left out: {folder / MANIFEST} is the manifest of a sweep" in found.stderr
    assert f"bench sweep --show '{folder}'" in found.stderr
    assert 0 == found.return_value


@pytest.mark.parametrize("command", [("compare",), ("show",), ("report", "--out", "page.html")])
def test_a_manifest_alone_is_refused(folder: Path, command: tuple[str, ...]) -> None:
    """Where nothing else is given the message says what it is, and what to give."""
    with pytest.raises(DocumentError, match="This is the manifest of a sweep") as caught:
        CliRunner().invoke(bench, [*command, str(folder / MANIFEST)], standalone_mode=False, catch_exceptions=False)

    assert "bench sweep --show" in caught.value.remedy


def test_a_result_of_that_name_is_a_result(folder: Path, factories: ModuleType) -> None:
    """What a manifest is, is told by its content."""
    write_result(of_batch(factories, 4), folder / MANIFEST)
    files = sorted(map(str, folder.glob("*.json")))
    found = CliRunner().invoke(
        bench, ["compare", "--allow-invalid", *files], standalone_mode=False, catch_exceptions=False
    )

    assert "Left out" not in found.stderr
    assert "sweep" in found.stdout
