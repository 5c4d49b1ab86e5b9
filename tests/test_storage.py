"""Results go where they were asked to go, never over another file."""

from pathlib import Path
from types import ModuleType

import pytest
from traffic_rows import make_traffic_repeat

from wattbench.harness.storage import Destination, cache_directory, choose_path, data_directory
from wattbench.results import sidecar
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.files import read_result


def test_the_default_is_the_users_data_folder(
    factories: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without --out a result lies in the data folder, never in the working directory."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path))
    path = choose_path(None, factories.make_plan(), "0123456789", "20261122T000000Z")

    assert tmp_path / "results" / "20261122T000000Z_tiny-decoder-tiny_mock-cpu_float32_01234567.json" == path
    assert tmp_path == data_directory()


def test_a_folder_gets_a_named_file(factories: ModuleType, tmp_path: Path) -> None:
    """--out FOLDER puts a file of the usual name there."""
    path = choose_path(tmp_path, factories.make_plan(), "0123456789", "20261122T000000Z")

    assert tmp_path == path.parent


def test_a_json_file_is_taken_as_it_is(factories: ModuleType, tmp_path: Path) -> None:
    """--out FILE.json is that file."""
    wanted = tmp_path / "mine.json"

    assert wanted == choose_path(wanted, factories.make_plan(), "01234567", "x")


@pytest.mark.parametrize("name", ["there.json", "file"])
def test_nothing_is_overwritten(factories: ModuleType, tmp_path: Path, name: str) -> None:
    """An existing file is refused, be it the result or in a folder's place."""
    (tmp_path / name).write_text("")

    with pytest.raises(UsageError):
        choose_path(tmp_path / name, factories.make_plan(), "01234567", "x")


def test_a_place_that_stops_working_is_left_for_the_temporary_folder(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a rewrite fails, the result goes on elsewhere and says why; the first content stays."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = factories.make_result()
    file = Destination(wanted=tmp_path / "place" / "result.json")
    file.create(result)
    old = file.wanted.rename(tmp_path / "kept.json")
    file.wanted.parent.rmdir()
    file.wanted.parent.write_text("a file where the folder was")
    file.rewrite(result)

    assert file.path != file.wanted
    assert file.moved_because
    assert result == read_result(file.path) == read_result(old)


def test_a_place_that_never_worked_is_an_error(factories: ModuleType, tmp_path: Path) -> None:
    """A run whose first file cannot be written is not started."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StorageError):
        Destination(wanted=tmp_path / "file" / "result.json").create(factories.make_result())


@pytest.mark.parametrize("name", ["n" * 300, "n" * 300 + ".json", "\udcff.json", "a\0b.json"])
def test_a_name_that_no_file_can_have_is_refused(factories: ModuleType, tmp_path: Path, name: str) -> None:
    """A name too long, not UTF-8 or with a null character is a UsageError."""
    with pytest.raises(UsageError, match="No result can lie"):
        choose_path(tmp_path / name, factories.make_plan(), "01234567", "x")


def test_a_folder_that_may_not_be_entered_is_refused(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that cannot be looked at is a UsageError."""

    def forbidden(path: Path, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(UsageError, match="Permission denied"):
        choose_path(tmp_path / "a.json", factories.make_plan(), "01234567", "x")


def test_without_a_home_folder_the_variables_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whom the system does not know is told which variables give the folders."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("WATTBENCH_DATA", "WATTBENCH_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="Set WATTBENCH_DATA"):
        data_directory()
    with pytest.raises(UsageError, match="Set WATTBENCH_CACHE"):
        cache_directory()


def test_many_requests_lie_beside_a_document_that_still_grows(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every time the newest document has all of its rows, and the file of the one before is gone."""
    monkeypatch.setattr("wattbench.results.sidecar.MANY_STAMPS", 500)
    file, repeats = Destination(wanted=tmp_path / "result.json"), [make_traffic_repeat(i) for i in range(3)]
    file.create(factories.make_result(repeats=()))
    beside = []
    for count in (1, 2, 3):
        result = factories.make_result(repeats=tuple(repeats[:count]))
        file.rewrite(result)
        beside.append({path.name for path in tmp_path.glob("*.requests.parquet")})
        assert result == read_result(file.path)
    written = file.conclude(result)

    assert [0, 1, 1] == [len(names) for names in beside]  # 300 stamps, 600, 900
    assert beside[1] != beside[2] == {path.name for path in tmp_path.glob("*.requests.parquet")}
    assert written == read_result(file.path)


def test_what_stays_in_a_full_place_keeps_its_requests(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run goes on elsewhere, the last content of the wanted place is still whole, its requests beside it."""
    monkeypatch.setattr("wattbench.results.sidecar.MANY_STAMPS", 500)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = tmp_path / "place"
    file, repeats = Destination(wanted=place / "result.json"), [make_traffic_repeat(i) for i in range(3)]
    before, after = (factories.make_result(repeats=tuple(repeats[:count])) for count in (2, 3))
    file.create(factories.make_result(repeats=()))
    file.rewrite(before)
    put = sidecar.put_file

    def full(path: Path, data: bytes) -> None:
        if path.parent == place:
            raise StorageError("Cannot write", "no space left on device", "Free some.")
        put(path, data)

    monkeypatch.setattr(sidecar, "put_file", full)
    file.rewrite(after)
    written = file.conclude(after)

    assert place != file.path.parent
    assert written == read_result(file.path)
    assert after.repeats == written.repeats
    assert before == read_result(file.wanted)
