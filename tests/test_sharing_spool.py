"""The spool and its uploads: nothing is lost by an end at any moment, and what passes is tried again in time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.sharing.owner import KEY_BYTES, key_path, read_owner
from wattbench.harness.sharing.prepare import prepare
from wattbench.harness.sharing.sending import spool_item, store_name
from wattbench.harness.sharing.spool import Spool, SpoolItem
from wattbench.harness.sharing.upload import FIRST_S, LONGEST_S, Retry, backoff_s, upload_all
from wattbench.results.errors import (
    DocumentError,
    StorageError,
    StoreAccessError,
    StoreUnreachableError,
    TamperedError,
    UsageError,
)
from wattbench.results.files import document_of, write_result
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.open import init_store
from wattbench.results.store.read import entries, read_object


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the key of these tests out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "state"))


@pytest.fixture(name="spool")
def _spool(tmp_path: Path) -> Spool:
    """Return an empty spool."""
    return Spool(tmp_path / "spool")


@pytest.fixture(name="result")
def _result(factories: ModuleType, tmp_path: Path) -> Path:
    """Return the path of a result."""
    write_result(factories.make_result(), tmp_path / "r.json")
    return tmp_path / "r.json"


@pytest.fixture(name="item")
def _item(spool: Spool, result: Path) -> SpoolItem:
    """Return a result's item in the spool, on its way to a store that is named alone."""
    return spool_item(spool, prepare(result, read_owner()), "s3://nowhere", None)


class Clock:
    """A clock that is turned by sleeping."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.pauses: list[float] = []

    def now_s(self) -> float:
        """Return the time."""
        return self.time_s

    def sleep(self, seconds: float) -> None:
        """Turn the clock."""
        self.pauses.append(seconds)
        self.time_s += seconds

    def retry(self, timeout_s: float) -> Retry:
        """Return how to try by this clock, always with the longest pause."""
        return Retry(timeout_s=timeout_s, now_s=self.now_s, sleep=self.sleep, chance=lambda: 1.0)


class Opener:
    """Opens a store that fails some times first."""

    def __init__(self, store: ObjectStore, *errors: Exception) -> None:
        self.store = store
        self.errors: Iterator[Exception] = iter(errors)
        self.opened: list[str] = []

    def __call__(self, name: str) -> ObjectStore:
        """Open it, or fail."""
        self.opened.append(name)
        for error in self.errors:
            raise error
        return self.store


def test_what_is_spooled_is_uploaded_and_gone(spool: Spool, item: SpoolItem, result: Path) -> None:
    """An upload puts the spooled bytes into the store, keeps a receipt, and leaves the result where it was."""
    store = MemoryStore()
    (done,) = upload_all(spool, [item], Clock().retry(1), opener=Opener(store))

    assert ("new", 1, None) == (done.standing, done.tries, done.error)
    assert [item.id] == [entry.id for entry in entries(store)]
    assert document_of(read_object(store, item.id)).privacy is not None
    assert () == spool.contents().items
    assert [f"{item.name}.json"] == os.listdir(spool.folder / "done")
    assert result.is_file()


def test_a_result_is_spooled_once(spool: Spool, item: SpoolItem, result: Path) -> None:
    """Spooling the same result for the same store again changes nothing; another store is another item."""
    again = spool_item(spool, prepare(result, read_owner()), "s3://nowhere", None)
    other = spool_item(spool, prepare(result, read_owner()), "s3://elsewhere", None)

    assert item.name == again.name != other.name
    assert {item.name, other.name} == {found.name for found in spool.contents().items}
    assert {item.name, other.name} == set(os.listdir(spool.folder / "pending"))


def test_failures_that_pass_are_tried_again(spool: Spool, item: SpoolItem) -> None:
    """A store that does not answer is asked again after pauses that double."""
    gone, clock = StoreUnreachableError("gone"), Clock()
    (done,) = upload_all(spool, [item], clock.retry(60), opener=Opener(MemoryStore(), gone, gone, gone))

    assert ("new", 4) == (done.standing, done.tries)
    assert [FIRST_S, 2 * FIRST_S, 4 * FIRST_S] == clock.pauses


def test_pauses_are_drawn_below_a_span_that_doubles() -> None:
    """Many clients that failed together come back apart, and no pause grows without end."""
    assert [0.0, FIRST_S / 2, FIRST_S] == [backoff_s(0, chance) for chance in (0.0, 0.5, 1.0)]
    assert LONGEST_S == backoff_s(1000, 1.0)


def test_trying_ends_in_time(spool: Spool, item: SpoolItem) -> None:
    """When the time is over the item stays in the spool with the last error, and never later than asked."""
    gone, clock = StoreUnreachableError("gone"), Clock()
    (done,) = upload_all(spool, [item], clock.retry(10), opener=Opener(MemoryStore(), *[gone] * 99))

    assert ("pending", gone) == (done.standing, done.error)
    assert clock.time_s < 10
    assert (item,) == spool.contents().items


@pytest.mark.parametrize("error", [StoreAccessError("denied"), TamperedError("altered"), UsageError("unknown")])
def test_failures_that_stay_are_not_tried_again(spool: Spool, item: SpoolItem, error: Exception) -> None:
    """Denied access, a wrong bucket and damage do not get better by asking again; the item stays."""
    clock, opener = Clock(), Opener(MemoryStore(), error)
    (done,) = upload_all(spool, [item], clock.retry(60), opener=opener)

    assert ("pending", 1, error) == (done.standing, done.tries, done.error)
    assert [] == clock.pauses
    assert (item,) == spool.contents().items


def test_a_silent_store_is_not_asked_for_each_item(spool: Spool, item: SpoolItem, result: Path) -> None:
    """One store that is gone costs the time once, and another store's items still go."""
    prepared = prepare(result, None)
    second = spool_item(spool, prepared, "s3://nowhere", None)
    other = spool_item(spool, prepared, "s3://elsewhere", None)
    store, clock = MemoryStore(), Clock()

    def opener(name: str) -> ObjectStore:
        if name == "s3://nowhere":
            raise StoreUnreachableError("gone")
        return store

    found = {
        done.item.name: done.standing
        for done in upload_all(spool, [item, second, other], clock.retry(10), opener=opener)
    }

    assert {item.name: "pending", second.name: "pending", other.name: "new"} == found
    assert clock.time_s < 10


def test_an_item_is_in_one_hand(spool: Spool, item: SpoolItem) -> None:
    """While a process uploads an item others leave it, wait for it last, and take it over when that one gives up."""
    clock = Clock()
    with spool.locked(item) as ours:
        (done,) = upload_all(spool, [item], clock.retry(1), opener=Opener(MemoryStore()))

        assert ours
        assert ("busy", None) == (done.standing, done.error)
    (done,) = upload_all(spool, [item], clock.retry(1), opener=Opener(MemoryStore()))

    assert "new" == done.standing


def test_an_item_that_another_finished_is_done(spool: Spool, item: SpoolItem) -> None:
    """An item that is gone when its turn comes counts as uploaded: its receipt was written before it went."""
    list(upload_all(spool, [item], Clock().retry(1), opener=Opener(MemoryStore())))
    (done,) = upload_all(spool, [item], Clock().retry(1), opener=Opener(MemoryStore()))

    assert "present" == done.standing


def test_a_damaged_item_is_named_and_the_others_go(spool: Spool, item: SpoolItem, result: Path) -> None:
    """Bytes that changed on the disk are never uploaded; what cannot be read at all is a problem of its own."""
    other = spool_item(spool, prepare(result, None), "s3://nowhere", None)
    (spool.folder / "pending" / item.name / "document.json").write_bytes(b"{}")
    lost = spool.folder / "pending" / "nonsense"
    lost.mkdir()
    contents = spool.contents()
    store = MemoryStore()
    found = {
        done.item.name: done.error for done in upload_all(spool, contents.items, Clock().retry(1), opener=Opener(store))
    }

    assert isinstance(found[item.name], TamperedError)
    assert None is found[other.name]
    assert [True] == [
        isinstance(problem, DocumentError) and "nonsense" in problem.what for problem in contents.problems
    ]


def test_an_item_never_leads_out_of_its_folder(spool: Spool, item: SpoolItem) -> None:
    """An item whose files have foreign names is refused, whatever wrote it."""
    path = spool.folder / "pending" / item.name / "item.json"
    path.write_text(path.read_text().replace('"blobs":[]', '"blobs":[{"name":"../../x","size_bytes":1}]'))
    contents = spool.contents()

    assert () == contents.items
    assert ["it is not made of a digest"] == [problem.why for problem in contents.problems]


def test_a_spool_that_cannot_be_written_leaves_nothing(result: Path, tmp_path: Path) -> None:
    """Where the spool cannot be made the error says what to do, and no part is left behind."""
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StorageError, match="bench push RESULT --to STORE"):
        spool_item(Spool(tmp_path / "file" / "spool"), prepare(result, None), "s3://nowhere", None)


def test_half_an_item_is_no_item(spool: Spool, item: SpoolItem) -> None:
    """What a process that died while spooling left is not taken for an item."""
    pending = spool.folder / "pending"
    shutil.copytree(pending / item.name, pending / ".wattbench-0123.part")

    assert (item,) == spool.contents().items
    assert () == spool.contents().problems


def test_an_item_can_be_forgotten(spool: Spool, item: SpoolItem) -> None:
    """A forgotten item is gone for good, and forgetting it twice is no error."""
    spool.forget(item)
    spool.forget(item)

    assert () == spool.contents().items
    assert [] == os.listdir(spool.folder / "pending")


def test_the_key_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    """The key of hashes is the same in every process, long enough, and readable by nobody else."""
    code = "from wattbench.harness.sharing.owner import read_owner; print(read_owner().key.hex())"
    calls = [subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    keys = {call.communicate(timeout=60)[0].strip() for call in calls}

    assert {read_owner().key.hex()} == keys
    assert KEY_BYTES == len(read_owner().key)
    assert 0o600 == key_path().stat().st_mode & 0o777
    assert ["privacy.key"] == os.listdir(tmp_path / "state")


@pytest.mark.parametrize("content", ["", "not hexadecimal", "abcd"])
def test_a_damaged_key_is_refused(content: str) -> None:
    """Another key would unlink a machine's results in silence; a damaged one is named instead."""
    read_owner()
    key_path().write_text(content)

    with pytest.raises(StorageError, match="holds no key"):
        read_owner()


def test_a_state_folder_that_is_no_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a place for the key the error names --keep-identifiers and WATTBENCH_STATE."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "file" / "state"))

    with pytest.raises(StorageError, match="--keep-identifiers"):
        read_owner()


def test_incomplete_results_are_refused_unless_asked_for(factories: ModuleType, tmp_path: Path) -> None:
    """A result that did not end well is uploaded only when that is meant, and its owner is told."""
    made = factories.make_result()
    write_result(
        replace(made, status="partial", verdict=factories.judge(made.doubts, finished=False)), tmp_path / "p.json"
    )

    with pytest.raises(DocumentError, match="--allow-incomplete"):
        prepare(tmp_path / "p.json", None)
    notes = prepare(tmp_path / "p.json", None, allow_incomplete=True).notes
    assert "it will not be ranked: its status is partial" in notes


def test_a_mock_is_uploaded_and_its_owner_told(result: Path) -> None:
    """Made-up figures may be kept in a store, where nothing ranks them."""
    doubts = prepare(result, None).notes

    assert [True] == [note.startswith("it will not be ranked: mock") for note in doubts if "mock" in note]


@pytest.mark.parametrize("name", ["s3://user:secret@bucket", "nosuch://bucket"])
def test_a_store_that_cannot_be_meant_is_refused(name: str) -> None:
    """Before anything is measured: passwords in a name, unknown kinds of store."""
    with pytest.raises(UsageError):
        store_name(name)


def test_a_folder_is_named_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The spool names a store's folder in full, so that a later process finds it."""
    init_store(str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)

    assert str(tmp_path / "store") == store_name("store") == store_name("file://store")
