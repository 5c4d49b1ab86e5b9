"""A sync makes one store have what another has: checked on the way, resumed at will, without a second log entry."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from store_results import result_files

from wattbench.results.errors import StoreAccessError, StoreUnreachableError
from wattbench.results.files import canonical_bytes
from wattbench.results.store.check import check_store
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import blob_key, note_key, object_key, signature_key
from wattbench.results.store.local import LocalStore
from wattbench.results.store.memory import MemoryStore, open_memory
from wattbench.results.store.open import init_store
from wattbench.results.store.publish import Package, package_of, package_of_bytes, publish
from wattbench.results.store.read import entries, log_keys, notes, read_object, read_stored, signatures
from wattbench.results.store.records import Note, Signature, to_bytes
from wattbench.results.store.sync import Moved, Synced, sync

AT = "2026-11-28T22:15:00Z"


@pytest.fixture(name="packages", scope="module")
def _packages(tmp_path_factory: pytest.TempPathFactory, factories: ModuleType) -> list[Package]:
    return [package_of(path) for path in result_files(tmp_path_factory.mktemp("results"), factories, 20)]


@pytest.fixture(name="source")
def _source(packages: list[Package]) -> MemoryStore:
    store = open_memory("memory://source")
    for package in packages:
        publish(store, package, uploader="a", wattbench="0.1.0")
    about = packages[0].id
    note = Note(about=about, kind="disputed", text="why", other=None, at=AT, by="b")
    signed = Signature(about=about, method="ssh", public_key="k", signer="a", signature="s", at=AT)
    store.create(note_key(about, "n1"), to_bytes(note))
    store.create(signature_key(about, "k1"), to_bytes(signed))
    return store


@pytest.fixture(name="target", params=["folder", "memory"])
def _target(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_memory("memory://target") if request.param == "memory" else init_store(str(tmp_path / "target"))[0]


def counts(done: Synced) -> tuple[int, int, int, int, int]:
    """Return what a sync counted."""
    return done.copied, done.present, done.signatures, done.notes, done.refused


def test_a_sync_copies_everything(source: MemoryStore, target: ObjectStore, packages: list[Package]) -> None:
    """Documents, their polls, signatures and notes are in the other store, the same bytes; who uploaded stays."""
    assert (20, 0, 1, 1, 0) == counts(sync(source, target))
    assert {} == check_store(target, wattbench="0.1.0").counts
    assert {package.data for package in packages} == {read_object(target, entry.id) for entry in entries(target)}
    assert packages[3].blobs[0].data == target.get(blob_key(packages[3].blobs[0].ref.name))
    assert {"a"} == {entry.uploader for entry in entries(target)}
    assert (1, 1) == (len(notes(target, packages[0].id)), len(signatures(target, packages[0].id)))


def test_a_second_sync_changes_nothing(source: MemoryStore, target: ObjectStore) -> None:
    """What is there is not sent again, and neither store's log grows, in whichever direction."""
    sync(source, target)
    log = list(log_keys(target))

    assert (0, 20, 0, 0, 0) == counts(sync(source, target))
    assert (0, 20, 0, 0, 0) == counts(sync(target, source))
    assert log == list(log_keys(target))
    assert 20 == len(list(log_keys(source)))


class Failing(MemoryStore):
    """A store that is gone after some writes."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.left = 10**9

    def create(self, key: str, data: bytes) -> bool:
        """Write, or be gone."""
        if self.left <= 0:
            raise StoreUnreachableError("gone")
        self.left -= 1
        return super().create(key, data)


def test_a_sync_that_was_cut_off_goes_on(source: MemoryStore) -> None:
    """After any number of cuts the next sync finishes, and the log has each document once."""
    target = Failing("memory://target")
    for writes in (1, 5, 9, 17, 30):
        target.left = writes
        with pytest.raises(StoreUnreachableError):
            sync(source, target)
    target.left = 10**9
    sync(source, target)
    report = check_store(target, wattbench="0.1.0")

    assert (20, 20, {}) == (report.documents, report.entries, report.counts)


def test_what_was_tampered_with_is_left_out(source: MemoryStore, target: ObjectStore, packages: list[Package]) -> None:
    """A wrong document, file, log entry or note is named and not spread; the rest arrives."""
    source._data[object_key(packages[1].id)] = (b"{}", source.stamp(object_key(packages[1].id)))
    del source._data[object_key(packages[2].id)]
    blob = blob_key(packages[3].blobs[0].ref.name)
    source._data[blob] = (b"x", source.stamp(blob))
    log = next(key for key in log_keys(source) if packages[4].id[7:] in key)
    source._data[log] = (b"{}", source.stamp(log))
    source.create(note_key(packages[5].id, "n9"), b"{}")
    source.create("v1/notes/../x.json", b"{}")
    told: list[Moved] = []
    done = sync(source, target, told=told.append)

    assert (16, 0, 1, 1, 6) == counts(done)
    assert 24 == len(told)
    assert 6 == len(done.problems) == len([each for each in told if each.standing == "refused"])
    assert {} == check_store(target, wattbench="0.1.0").counts


def test_a_newer_document_is_copied_as_it_is(target: ObjectStore, packages: list[Package]) -> None:
    """A document that only a later wattbench can read is copied bit by bit, with the files that its entry names."""
    source = open_memory("memory://source")
    data = canonical_bytes(json.loads(packages[0].data) | {"schema": "wattbench.result/99", "novel": {"x": [1.5]}})
    known = read_stored_of(packages[0])
    package = package_of_bytes(data, known, packages[0].blobs)
    publish(source, package, uploader=None, wattbench="9.0")

    assert 1 == sync(source, target).copied
    assert data == read_object(target, package.id)
    assert packages[0].blobs[0].data == target.get(blob_key(packages[0].blobs[0].ref.name))
    assert {"schema_newer": 1} == check_store(target, wattbench="0.1.0").counts


def read_stored_of(package: Package):  # type: ignore[no-untyped-def] # a document of any kind
    """Return what a package's document says."""
    store = open_memory("memory://")
    publish(store, package, uploader=None, wattbench="0.1.0")
    return read_stored(store, package.id)


def test_a_lie_of_the_log_is_not_spread(source: MemoryStore, target: ObjectStore, packages: list[Package]) -> None:
    """What the source's log says wrongly of a document is right in the target's."""
    key = next(key for key in log_keys(source) if packages[0].id[7:] in key)
    said = json.loads(source.get(key)) | {"size_bytes": 1, "kind": "forged", "blobs": []}
    source._data[key] = (canonical_bytes(said), source.stamp(key))
    sync(source, target)

    assert {} == check_store(target, wattbench="0.1.0").counts


def test_a_target_that_refuses_ends_the_sync(source: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the right to write there is nothing to go on with."""
    target = open_memory("memory://target")

    def refuse(key: str, data: bytes) -> bool:
        raise StoreAccessError("no")

    monkeypatch.setattr(target, "create", refuse)
    with pytest.raises(StoreAccessError):
        sync(source, target)


class Unsorted(MemoryStore):
    """A store that lists its keys as it likes."""

    def keys(self, prefix: str) -> Iterator[str]:
        """List, the last key first."""
        yield from sorted(super().keys(prefix), reverse=True)


def test_the_order_of_a_listing_does_not_matter(source: MemoryStore, packages: list[Package]) -> None:
    """Where a service sorts by rules of its own, everything arrives all the same."""
    for number in range(5):
        about = packages[number].id
        note = Note(about=about, kind="comment", text="x", other=None, at=AT, by=None)
        source.create(note_key(about, "n5"), to_bytes(note))
    target = Unsorted("memory://unsorted")
    sync(source, target)
    sync(target, back := open_memory("memory://back"))

    assert sorted(source.keys("v1/notes/")) == sorted(back.keys("v1/notes/"))
    assert 20 == len(list(log_keys(back)))


def test_two_syncs_at_once_make_one_log(source: MemoryStore, tmp_path: Path) -> None:
    """Two people who sync into one store at the same time do not log a document twice."""
    from concurrent.futures import ThreadPoolExecutor

    target = init_store(str(tmp_path / "target"))[0]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: sync(source, LocalStore(tmp_path / "target")), range(2)))
    report = check_store(target, wattbench="0.1.0")

    assert (20, 20, {}) == (report.documents, report.entries, report.counts)
