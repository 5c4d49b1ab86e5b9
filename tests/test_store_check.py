"""`bench store check` names what is lost, altered, unfinished or foreign; `--repair` completes, nothing deletes."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_results import result_files

from wattbench.results.errors import StoreUnreachableError
from wattbench.results.files import canonical_bytes
from wattbench.results.store.check import check_store
from wattbench.results.store.digests import Digests
from wattbench.results.store.findings import FINDINGS, KEPT_MAX, Findings
from wattbench.results.store.layout import blob_key, entry_key, log_key, note_key, object_key, signature_key
from wattbench.results.store.memory import MemoryStore, open_memory
from wattbench.results.store.open import init_store
from wattbench.results.store.publish import Package, package_of, publish
from wattbench.results.store.read import log_keys
from wattbench.results.store.records import LogEntry, Note, Signature, from_bytes, to_bytes

NOW = datetime(2026, 11, 28, 22, 15, tzinfo=UTC)
OTHER = "sha256:" + "ab" * 32


@pytest.fixture(name="package")
def _package(tmp_path: Path, factories: ModuleType) -> Package:
    return package_of(result_files(tmp_path, factories, 1)[0])


@pytest.fixture(name="store")
def _store(package: Package) -> MemoryStore:
    store = open_memory("memory://")
    publish(store, package, uploader="a", wattbench="0.1.0")
    return store


def altered(store: MemoryStore, key: str, data: bytes | None) -> None:
    """Change what lies under a key behind the store's back, or take it away."""
    if data is None:
        del store._data[key]
    else:
        store._data[key] = (data, store._data[key][1])


def found(store: MemoryStore) -> dict[str, int]:
    """Return what a check finds, by code."""
    return check_store(store, wattbench="0.1.0").counts


def note(about: str) -> bytes:
    """Return a note's bytes."""
    return to_bytes(Note(about=about, kind="comment", text="x", other=None, at="2026-11-28T22:15:00Z", by=None))


def test_a_sound_store_has_no_findings(store: MemoryStore) -> None:
    """One result with its polls, pushed once, is one of each and nothing else."""
    report = check_store(store, wattbench="0.1.0")

    assert report.sound
    assert (1, 1, 1, {}) == (report.documents, report.entries, report.blobs, report.counts)


def test_a_log_entry_without_its_document_is_damage(store: MemoryStore, package: Package) -> None:
    """A document that was logged and is gone is named by its key."""
    altered(store, object_key(package.id), None)
    report = check_store(store, wattbench="0.1.0")

    assert not report.sound
    assert [("object_missing", object_key(package.id))] == [(each.code, each.key) for each in report.findings]


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data.replace(b"a", b"b", 1), lambda data: b""])
def test_an_altered_document_is_damage(store: MemoryStore, package: Package, change: object) -> None:
    """Truncated, edited or emptied bytes are named."""
    assert callable(change)
    altered(store, object_key(package.id), change(package.data))

    assert {"object_altered": 1} == found(store)


def test_a_lost_or_altered_file_is_damage(store: MemoryStore, package: Package) -> None:
    """The raw polls of a document are looked at like itself."""
    key = blob_key(package.blobs[0].ref.name)
    altered(store, key, package.blobs[0].data[:-1])
    assert {"blob_altered": 1} == found(store)

    altered(store, key, None)

    assert {"blob_missing": 1} == found(store)


def test_a_false_log_entry_is_damage(store: MemoryStore, package: Package) -> None:
    """An entry that is none, is about another document, or says another size, is named; nothing else is then wrong."""
    (key,) = log_keys(store)
    entry = from_bytes(store.get(key), LogEntry)
    altered(store, key, b"{}")
    assert {"entry_altered": 1} == found(store)

    altered(store, key, store.get(entry_key(package.id, 0)).replace(package.id.encode(), OTHER.encode()))
    assert {"entry_altered": 1} == found(store)

    altered(store, key, to_bytes(entry).replace(b'"size_bytes":', b'"size_bytes":1', 1))

    assert {"entry_differs": 1} == found(store)


def test_bytes_that_are_no_document_are_damage() -> None:
    """What was logged and cannot be read by anybody is named, however right its digest is."""
    store = open_memory("memory://")
    for number, data in enumerate([b"{}", b"[" * 100_000, b'{"schema":1e999}', b"\xff", b'{"schema":"other/1"}']):
        logged(store, data, NOW + timedelta(seconds=number))

    assert {"object_unreadable": 5} == found(store)


def logged(store: MemoryStore, data: bytes, at: datetime = NOW, schema: str = "wattbench.result/1") -> str:
    """Put bytes into a store as a document with a log entry; return their id."""
    result_id = "sha256:" + hashlib.sha256(data).hexdigest()
    entry = LogEntry(
        id=result_id,
        size_bytes=len(data),
        schema=schema,
        kind="measured",
        blobs=(),
        pushed_at="2026-11-28T22:15:00Z",
        uploader=None,
        wattbench="0.1.0",
    )
    store.create(object_key(result_id), data)
    store.create(entry_key(result_id, 0), to_bytes(entry))
    store.create(log_key(result_id, at), to_bytes(entry))
    return result_id


def test_a_document_that_is_not_canonical_is_damage(package: Package) -> None:
    """Other JSON of the same content has a digest of its own, which no file made of it would keep."""
    store = open_memory("memory://")
    logged(store, json.dumps(json.loads(package.data), indent=1).encode())

    assert 1 == found(store)["object_unreadable"]


def test_a_newer_schema_is_a_notice(package: Package) -> None:
    """A document that only a newer wattbench can read is none of our business to call damaged."""
    store = open_memory("memory://")
    logged(store, newer(package), schema="wattbench.result/99")
    report = check_store(store, wattbench="0.1.0")

    assert (True, {"schema_newer": 1}) == (report.sound, report.counts)


def newer(package: Package) -> bytes:
    """Return a document as a later wattbench might write it."""
    return canonical_bytes(json.loads(package.data) | {"schema": "wattbench.result/99", "novel": [1, 2]})


def test_an_unfinished_push_is_a_notice_and_repaired(package: Package) -> None:
    """A document without a log entry is no damage, for nobody was told of it; a repair brings it into the log."""
    store = open_memory("memory://")
    for blob in package.blobs:
        store.create(blob_key(blob.ref.name), blob.data)
    store.create(object_key(package.id), package.data)
    assert {"push_unfinished": 1} == found(store)

    repaired = check_store(store, wattbench="0.1.0", repair=True)

    assert (1, {}) == (repaired.repaired, repaired.counts)
    assert ({}, 1) == (found(store), len(list(log_keys(store))))


def test_what_is_incomplete_is_not_repaired(package: Package) -> None:
    """A document whose polls are not there, or whose bytes are wrong, stays out of the log."""
    store = open_memory("memory://")
    store.create(object_key(package.id), package.data)
    store.create(object_key(OTHER), b"{}")
    report = check_store(store, wattbench="0.1.0", repair=True)

    assert (0, {"push_unfinished": 2}) == (report.repaired, report.counts)
    assert [] == list(log_keys(store))
    assert all("cannot be completed" in each.why for each in report.findings)


def test_a_document_logged_twice_is_a_notice(store: MemoryStore, package: Package) -> None:
    """Two entries of one document are named; readers take one."""
    store.create(log_key(package.id, NOW), store.get(entry_key(package.id, 0)))

    assert {"logged_twice": 1} == found(store)


def test_signatures_and_notes_are_looked_at(store: MemoryStore, package: Package) -> None:
    """A note about a document that is not there, one that cannot be read, one under another's name: each is named."""
    signature = Signature(
        about=package.id, method="ssh", public_key="k", signer=None, signature="s", at="2026-11-28T22:15:00Z"
    )
    store.create(signature_key(package.id, "k1"), to_bytes(signature))
    store.create(note_key(package.id, "n1"), note(package.id))
    assert {} == found(store)

    store.create(note_key(package.id, "n2"), b"{}")
    store.create(note_key(package.id, "n3"), note(OTHER))
    store.create(note_key(OTHER, "n1"), note(OTHER))
    store.create(signature_key(OTHER, "k1"), to_bytes(signature))
    store.create(note_key(package.id, "n4"), b"[" * 300_000)

    assert {"record_unreadable": 4, "record_stray": 1} == found(store)


HOSTILE = (
    "v1/log/2026-11-28/../../../x.json",
    "v1/log/2026-11-28/20261128T221500.000Z-" + "ab" * 32 + ".json.bak",
    "v1/log/2026-01-01/20261128T221500.000Z-" + "ab" * 32 + ".json",
    "v1/log/2026-11-28/20269928T221500.000Z-" + "ab" * 32 + ".json",
    "v1/log/٢٠٢٦-11-28/20261128T221500.000Z-" + "ab" * 32 + ".json",
    "v1/objects/sha256/zz/\x1b[2J.json",
    "v1/objects/sha256/00/" + "ab" * 32 + ".json",
    "v1/objects/sha256/ab/" + "AB" * 32 + ".json",
    "v1/blobs/sha256/ab/" + "ab" * 32 + ".<script>",
    "v1/blobs/sha256/ab/=cmd|' /C calc'!A0",
    "v1/entries/ab/" + "ab" * 32 + "/00.json",
    "v1/notes/" + "ab" * 32 + "/../x.json",
    "v1/signatures/" + "ab" * 32 + "/a/b.json",
)


def test_hostile_names_are_named_and_nothing_else(store: MemoryStore) -> None:
    """Names that lead elsewhere, or are none of the layout's, are counted as foreign and never followed."""
    for key in HOSTILE:
        store.create(key, b"x")
    report = check_store(store, wattbench="0.1.0", repair=True)

    assert report.sound
    assert set(HOSTILE) == {each.key for each in report.findings if each.code == "foreign_key"}
    assert {"foreign_key"} == set(report.counts)


def test_a_file_that_nobody_names_is_a_notice_when_it_is_old(package: Package) -> None:
    """A push that died before its document leaves files; while a push may still be under way they are not named."""
    times = [datetime.now(UTC) - timedelta(days=2), datetime.now(UTC)]
    store = MemoryStore(clock=lambda: times.pop(0))
    store.create(blob_key(package.blobs[0].ref.name), package.blobs[0].data)
    store.create(blob_key("ab" * 32 + ".polls.parquet"), b"")

    assert {"blob_unused": 1} == found(store)


def test_a_store_that_stops_answering_ends_the_check(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be asked is not called lost."""

    def gone(key: str) -> bytes:
        raise StoreUnreachableError("gone")

    monkeypatch.setattr(store, "get", gone)
    with pytest.raises(StoreUnreachableError):
        check_store(store, wattbench="0.1.0")


def test_findings_are_bounded() -> None:
    """However much is wrong, all is counted and a part is kept; what is no text is shown as escapes."""
    findings = Findings()
    for number in range(KEPT_MAX + 5):
        findings.add("foreign_key", f"v1/\udcff{number}", "x")

    assert ({"foreign_key": KEPT_MAX + 5}, KEPT_MAX) == (findings.counts, len(findings.kept))
    assert "v1/\\udcff0" == findings.kept[0].key


@given(st.lists(st.binary(min_size=32, max_size=32).map(lambda d: d[:-2] + bytes(2) if d[0] % 2 else d), max_size=30))
def test_digests_are_a_bag_of_ids(some: list[bytes]) -> None:
    """Ids are found, counted, given once and named when repeated, those that end with zeros too."""
    ids = [f"sha256:{each.hex()}" for each in [*some, *some[:3], bytes(32)]]
    bag = Digests(ids)

    assert sorted(set(ids)) == list(bag)
    assert sorted({each for each in ids if ids.count(each) > 1}) == list(bag.repeated())
    assert len(ids) == len(bag)
    assert all(each in bag for each in ids)
    assert "sha256:" + "01" * 32 not in Digests(())


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    code = "from wattbench.harness.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_the_commands_make_and_check_a_store(tmp_path: Path, package: Package) -> None:
    """`init` makes a folder a store once; `check` prints what there is, exit 0 when it is sound, 1 when it is not."""
    name = str(tmp_path / "store")
    first, second = bench("store", "init", name), bench("store", "init", name, "--json")
    assert (0, f"{name} is a store of results now.\n") == (first.returncode, first.stdout)
    assert {"store": name, "new": False} == json.loads(second.stdout)

    store = init_store(name)[0]
    publish(store, package, uploader=None, wattbench="0.1.0")
    sound = bench("store", "check", name)
    assert (0, "Sound") == (sound.returncode, sound.stdout.splitlines()[-1][:5])

    (tmp_path / "store" / object_key(package.id)).write_bytes(b"{}")
    (tmp_path / "store/v1/log/\x1b[2J").write_bytes(b"")
    broken, machine = bench("store", "check", name), bench("store", "check", name, "--json")

    assert 1 == broken.returncode == machine.returncode
    assert "damage  object_altered" in broken.stdout
    assert "\x1b" not in broken.stdout
    assert (False, {"foreign_key": 1, "object_altered": 1}) == tuple(
        json.loads(machine.stdout)[key] for key in ("sound", "counts")
    )


def test_every_kind_of_finding_is_documented() -> None:
    """docs/store.md names each code."""
    text = (Path(__file__).parents[1] / "docs/store.md").read_text()

    assert [] == [code for code in FINDINGS if f"`{code}`" not in text]
