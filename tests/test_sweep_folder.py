"""The folder of a sweep: manifest, what is kept on going on, and that nothing is ever lost."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.folder import MANIFEST, Folder
from wattbench.harness.sweep.manifest import SweepPlan, plan_differences
from wattbench.harness.sweep.points import Axes, Point
from wattbench.results.errors import DocumentError, StorageError, UsageError
from wattbench.results.files import write_result

POINTS = tuple(Point(load="a/x", batch=batch) for batch in (1, 2, 4))
PLAN = SweepPlan(axes=Axes(load=("a/x",), batch=(1, 2, 4)), request=RunRequest(seed=1), together=6)
NAMES = tuple(point.name for point in POINTS)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Folder:
    return Folder.create(tmp_path / "sweep", PLAN, POINTS)


def statuses(folder: Folder) -> list[str]:
    """Return the points' statuses, as a fresh look at the file tells them."""
    return [record.status for record in Folder.open(folder.path).manifest.points]


def test_a_manifest_is_read_as_it_was_written(folder: Folder) -> None:
    """Plan and points survive the file."""
    assert folder.manifest == Folder.open(folder.path).manifest
    assert ["a-x_batch-1.json", "a-x_batch-2.json", "a-x_batch-4.json"] == [r.file for r in folder.manifest.points]


def test_a_second_sweep_in_a_folder_is_refused(folder: Folder) -> None:
    """Without --resume nothing of an earlier sweep is touched."""
    with pytest.raises(UsageError, match="holds a sweep already"):
        Folder.create(folder.path, PLAN, POINTS)


def test_a_result_that_stands_in_the_way_is_refused(tmp_path: Path) -> None:
    """A file of a point's name is never overwritten, and no manifest is left behind."""
    (tmp_path / "a-x_batch-2.json").write_text("mine")
    with pytest.raises(UsageError, match=r"a-x_batch-2\.json exists already"):
        Folder.create(tmp_path, PLAN, POINTS)

    assert not (tmp_path / MANIFEST).exists()


@pytest.mark.parametrize("place", ["file/sweep", "nul\0l"])
def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path: Path, place: str) -> None:
    """A path below a file, and one that no system takes, are named."""
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageError, UsageError)):
        Folder.create(tmp_path / place, PLAN, POINTS)


@pytest.mark.parametrize("content", [None, "", "[]", '{"schema": "wattbench.sweep/2"}', '{"schema": 1'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str | None) -> None:
    """A missing, empty, foreign, newer or cut manifest is refused by name."""
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(DocumentError, match="sweep"):
        Folder.open(tmp_path)


def test_going_on_keeps_complete_results_and_puts_the_others_aside(folder: Folder, factories: ModuleType) -> None:
    """A complete file that verifies stays; a partial one is renamed, and its point is pending again."""
    write_result(factories.make_result(), folder.file_of(NAMES[0]))
    write_result(factories.make_result(status="partial", summary=None), folder.file_of(NAMES[1]))
    folder.mark(NAMES[0], "started")  # the harness was killed between the result and the manifest
    folder.mark(NAMES[1], "partial", "interrupted")
    folder.take_up(PLAN)

    assert ["complete", "pending", "pending"] == statuses(folder)
    assert ["a-x_batch-1.json", "a-x_batch-2.old1.json", MANIFEST] == sorted(p.name for p in folder.path.iterdir())
    assert ("a-x_batch-2.old1.json",) == folder.record(NAMES[1]).aside


def test_a_complete_result_that_was_altered_is_measured_again(folder: Folder, factories: ModuleType) -> None:
    """What does not verify is put aside, whatever the manifest says."""
    path = folder.file_of(NAMES[0])
    write_result(factories.make_result(), path)
    path.write_bytes(path.read_bytes().replace(b'"batch":2', b'"batch":3'))
    folder.mark(NAMES[0], "complete")
    folder.take_up(None)

    assert "pending" == statuses(folder)[0]
    assert not path.exists()


def test_a_second_attempt_is_put_beside_the_first(folder: Folder) -> None:
    """Aside names are counted up."""
    for _ in range(2):
        folder.file_of(NAMES[0]).write_text("an attempt")
        folder.put_aside(NAMES[0])

    assert ("a-x_batch-1.old1.json", "a-x_batch-1.old2.json") == folder.record(NAMES[0]).aside


def test_going_on_leaves_answers_alone(folder: Folder) -> None:
    """What was too big, larger than that, or impossible is not tried again; what failed is."""
    for name, status in zip(NAMES, ("out_of_memory", "skipped", "error"), strict=True):
        folder.mark(name, status, "why")
    folder.take_up(PLAN)

    assert ["out_of_memory", "skipped", "pending"] == statuses(folder)


def test_another_plan_is_refused_with_its_differences(folder: Folder) -> None:
    """Each knob that differs is named with both values; how many are open at once may change."""
    axes = replace(PLAN.axes, batch=(1, 2, 8))
    other = SweepPlan(axes=axes, request=replace(PLAN.request, window_s=5.0), together=2)
    with pytest.raises(UsageError, match=r"batch was 1,2,4 and is now 1,2,8; window_s was not given and is now 5\.0"):
        folder.take_up(other)

    assert () == plan_differences(PLAN, replace(PLAN, together=1))


def test_the_number_of_open_points_may_change(folder: Folder) -> None:
    """--together is no part of what is measured."""
    folder.take_up(None, together=1)

    assert 1 == Folder.open(folder.path).manifest.plan.together


def test_one_sweep_at_a_time_works_in_a_folder(folder: Folder) -> None:
    """While one process holds the folder another one is refused; afterwards it is free."""
    code = (
        "import sys; from pathlib import Path; from wattbench.harness.sweep.folder import Folder\n"
        "try:\n    with Folder.open(Path(sys.argv[1])).locked(): print('free')\n"
        "except Exception as error: print(error.what)"
    )
    call = [sys.executable, "-P", "-c", code, str(folder.path)]
    with folder.locked():
        during = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60).stdout
    after = subprocess.run(call, capture_output=True, text=True, check=True, timeout=60).stdout

    assert during.startswith("A sweep is at work in")
    assert "free\n" == after


def test_the_manifest_is_plain_json(folder: Folder) -> None:
    """Other tools can read it: a schema's name, the plan, and a row a point."""
    plain = json.loads((folder.path / MANIFEST).read_text())

    assert "wattbench.sweep/1" == plain["schema"]
    assert [1, 2, 4] == plain["plan"]["axes"]["batch"]
    assert "pending" == plain["points"][0]["status"]
