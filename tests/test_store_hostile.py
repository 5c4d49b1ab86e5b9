"""What somebody who may write into a store's folder can put there, and what it does to those who read it: nothing."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from index_case import make_gpu_result, make_store, push

from wattbench.harness.cli.group import bench
from wattbench.harness.trust.stored import inspect_stored
from wattbench.results.errors import TamperedError
from wattbench.results.index.place import open_index
from wattbench.results.index.refresh import refresh
from wattbench.results.store import local
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import BLOBS, entry_key, object_key
from wattbench.results.store.local import LocalStore
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.open import init_store
from wattbench.results.store.records import BlobRef, LogEntry, from_bytes, to_bytes
from wattbench.results.trust.signers import Expectation

KINDS: dict[str, Callable[[Path], None]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
    "a link to a folder": lambda path: path.symlink_to("/"),
    "a huge file": lambda path: path.write_bytes(b" " * 2000),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a store with two results, one of which may be replaced; state and cache are the test's."""
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))
    make_store(tmp_path / "store", [make_gpu_result(day=day) for day in (1, 2)])
    return tmp_path / "store"


def run(*words: str) -> Result:
    """Return what `bench` answers; its errors rise."""
    return CliRunner().invoke(bench, list(words), standalone_mode=False, catch_exceptions=False)


def some_object(folder: Path) -> str:
    """Return the id of the first document of a store."""
    digits = min((folder / "v1/objects/sha256").glob("*/*.json")).stem
    return f"sha256:{digits}"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_under_a_key_ends_no_reader(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, device, folder or huge file in a document's place is named by every reader, and the rest goes on."""
    gone = some_object(folder)
    place = folder / object_key(gone)
    size = max(path.stat().st_size for path in (folder / "v1/objects").rglob("*.json"))
    monkeypatch.setattr(local, "GET_MAX_BYTES", size)
    place.unlink()
    KINDS[kind](place)
    if kind == "a huge file":
        place.write_bytes(b" " * (size + 1))
    rows = json.loads(run("query", "--store", str(folder), "--list", "--all", "--json").stdout)
    pulled = json.loads(run("pull", "--all", "--from", str(folder), "-o", str(tmp_path / "out"), "--json").stdout)
    found = json.loads(run("store", "check", str(folder), "--json").stdout)
    copy, _ = init_store(str(tmp_path / "copy"))

    assert [gone] == [row["id"] for row in rows if row["problem"] is not None]
    assert 2 == len(rows)
    assert {gone: "refused"} == {each["id"]: each["standing"] for each in pulled if each["standing"] != "new"}
    assert object_key(gone) in {each["key"] for each in found["findings"]}
    assert 1 == run("sync", str(folder), copy.uri).return_value


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a link to a folder"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    """A key under which lies no file is never waited for or read into the memory."""
    KINDS[kind](tmp_path / "key")

    with pytest.raises(TamperedError, match="is no file"):
        LocalStore(tmp_path).get("key")


@pytest.mark.parametrize("name", ["index.sqlite", "index.sqlite-wal", "rows.lock", "rows"])
def test_nothing_is_written_through_a_link_in_the_index_s_place(name: str, folder: Path, tmp_path: Path) -> None:
    """Where somebody linked a part of the index elsewhere, readers use one of their own and his file stays."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (folder / "v1/index").mkdir()
    (folder / "v1/index" / name).symlink_to(victim)
    run("store", "reindex", str(folder))
    place = open_index(LocalStore(folder), tmp_path / "cache")

    assert "mine" == victim.read_text()
    assert 2 == place.index.count()
    assert (tmp_path / "cache") in place.folder.parents
    place.index.close()


def test_a_linked_folder_of_the_index_is_not_written_to(folder: Path, tmp_path: Path) -> None:
    """An index folder that leads elsewhere gets no file."""
    (tmp_path / "elsewhere").mkdir()
    (folder / "v1/index").symlink_to(tmp_path / "elsewhere")
    run("store", "reindex", str(folder))

    assert [] == os.listdir(tmp_path / "elsewhere")


class Counting(MemoryStore):
    """A store that remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, key: str) -> bytes:
        """Return what is stored under a key."""
        self.asked.append(key)
        return super().get(key)


def test_a_log_entry_cannot_have_other_files_read() -> None:
    """Verification reads the files that a document names; a forged entry may name as many as it likes."""
    store = Counting()
    result_id = push(store, make_gpu_result())
    entry = from_bytes(store.get(entry_key(result_id, 0)), LogEntry)
    names = [f"{n:064x}.polls.parquet" for n in range(50)]
    forged = replace(entry, blobs=tuple(BlobRef(name=name, size_bytes=1) for name in names))
    copy = Counting()
    copy.create(object_key(result_id), store.get(object_key(result_id)))
    copy.create(entry_key(result_id, 0), to_bytes(forged))
    inspect_stored(copy, result_id, Expectation())

    assert [] == [key for key in copy.asked if key.startswith(BLOBS)]


def test_a_pipe_in_a_note_s_place_hides_no_result(folder: Path) -> None:
    """A note that cannot be read says nothing, whatever lies there."""
    noted = some_object(folder)
    notes = folder / "v1/notes" / noted.removeprefix("sha256:")
    notes.mkdir(parents=True)
    os.mkfifo(notes / "note.json")
    store: ObjectStore = LocalStore(folder)
    place = open_index(store, folder)

    assert 2 == refresh(store, place.index).read
    assert 0 == run("log", str(folder)).return_value
    place.index.close()
