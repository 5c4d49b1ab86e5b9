"""The index: one row a document and scope, built from the log, the same whoever is killed and whoever helps."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import factories
import index_case
import pytest
from index_case import make_gpu_result, make_row, make_store, note, push
from jsonschema import Draft202012Validator

from wattbench.results.codec import to_builtins
from wattbench.results.document import Result
from wattbench.results.errors import StoreAccessError, StoreUnreachableError, TamperedError
from wattbench.results.files import canonical_bytes, read_document
from wattbench.results.identity.comparability import comparability_fields, scopes_of
from wattbench.results.identity.facts import hardware_facts
from wattbench.results.index import refresh as refreshing
from wattbench.results.index.build import REASONS, Facts, Logged, row_of, rows_of
from wattbench.results.index.checkpoint import PREFIX, covered, log_keys_of, write_checkpoint
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.place import open_index
from wattbench.results.index.refresh import refresh
from wattbench.results.index.row import BINARY, COLUMNS, IndexRow
from wattbench.results.index.schema import index_schema, index_schema_text
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import LOG, log_key, note_key, object_key
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.records import LogEntry, to_bytes

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples/results/bert-base-classify-128_cpu_bfloat16.json"
LOGGED = Logged(id="sha256:" + "a" * 64, at="2026-03-01T12:00:00.000Z", uploader="ann", size_bytes=10)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexDatabase]:
    """Give an empty index."""
    database = IndexDatabase(tmp_path / "index.sqlite")
    yield database
    database.close()


def content(database: IndexDatabase) -> set[IndexRow]:
    """Return every row of an index."""
    ids = database.ids("", 10_000)
    return {row for result_id in ids for row in database.rows(result_id)}


def reasons(result: Result, facts: Facts | None = None) -> str:
    """Return why a result is in no ranking."""
    return row_of(result, LOGGED, facts or Facts()).reasons


def test_a_row_says_what_the_document_says() -> None:
    """Figures, intervals and quantiles of a row are those of the document's summary."""
    result = make_gpu_result()
    row = row_of(result, LOGGED, Facts(tier="signed", standing="consistent"))
    assert result.summary is not None
    throughput = result.summary.metric("throughput.output_tokens")
    efficiency = result.summary.metric("efficiency.tokens_per_j", "board")
    ttft = next(each for each in result.summary.latencies if each.name == "latency.ttft")
    assert throughput is not None
    assert throughput.interval is not None
    assert efficiency is not None

    assert (throughput.value, throughput.interval.low, throughput.interval.high) == (
        row.tokens_per_s,
        row.tokens_per_s_low,
        row.tokens_per_s_high,
    )
    assert (efficiency.value, efficiency.u_absolute_rel) == (row.tokens_per_j, row.u_tokens_per_j_rel)
    assert [ttft.quantiles[0].value, ttft.quantiles[2].value] == [row.ttft_p50_s, row.ttft_p99_s]
    assert row.ttft_p50_s_low is not None
    assert ("output", "board", factories.BOUNDARY, 5) == (row.tokens, row.scope, row.boundary, row.repeats)
    assert ("nvidia/h100-sxm5", "nvidia/h100-sxm5 x1", 1) == (row.class_id, row.hardware, row.devices)
    assert ("signed", "consistent", "valid", True, "") == (
        row.tier,
        row.standing,
        row.verdict,
        row.rankable,
        row.reasons,
    )
    assert datetime.fromisoformat(result.run.started_at).timestamp() * 1e6 == row.time_us


def test_what_is_not_known_is_none() -> None:
    """A run without a sensor has no energy, no scope and no boundary, and is still a row."""
    document = read_document(EXAMPLE)
    row = row_of(document, LOGGED, Facts())

    assert ("none", None, None, None) == (row.scope, row.tokens_per_j, row.power_w, row.boundary)
    assert "input" == row.tokens
    assert "unmapped" == row.reasons


@pytest.mark.parametrize(
    ("code", "overrides"),
    [
        ("unmapped", {"name": "Some Board"}),
        ("unfinished", {"status": "partial"}),
        ("derived", {"kind": "derived"}),
    ],
)
def test_reasons_are_named(code: str, overrides: dict[str, str]) -> None:
    """Whatever keeps a result out of rankings stands in its row by code."""
    found = reasons(make_gpu_result(**overrides)).split(",")  # type: ignore[arg-type]  # names of fields

    assert code in found


def test_a_mock_is_ranked_nowhere() -> None:
    """A mock's severe doubt makes it invalid and a mock."""
    assert "invalid,mock" == reasons(replace(factories.make_result(), backend=make_gpu_result().backend))


def test_facts_of_the_store_keep_a_result_out() -> None:
    """A withdrawal, an inconsistency, and any code of the verification keep a row out of rankings."""
    facts = Facts(standing="inconsistent", withdrawn=True, reasons=("gate.power",))

    assert "inconsistent,withdrawn,gate.power" == reasons(make_gpu_result(), facts)
    assert {"inconsistent", "withdrawn"} <= set(REASONS)


def test_each_scope_has_its_row() -> None:
    """A document with power at two scopes has two rows, unlike in key and energy, and alike in what ran."""
    result = make_gpu_result()
    assert result.summary is not None
    wall = [
        replace(m, scope="wall", value=None if m.value is None else 2 * m.value)
        for m in result.summary.metrics
        if m.scope == "board"
    ]
    both = replace(result, summary=replace(result.summary, metrics=(*result.summary.metrics, *wall)))
    own, other = rows_of(both, LOGGED, Facts())

    assert ("board", "wall") == scopes_of(both) == (own.scope, other.scope)
    assert (True, False) == (own.primary_scope, other.primary_scope)
    assert own.power_w is not None
    assert 2 * own.power_w == other.power_w
    assert own.comparability_key != other.comparability_key
    assert own.fingerprint == other.fingerprint


def test_the_schema_holds_and_is_published() -> None:
    """Rows, facts and fields are valid by the published schema, which is the one in the repository."""
    result = make_gpu_result()
    schema = index_schema()
    row, document = asdict(make_row(result)), to_builtins(hardware_facts(result))

    Draft202012Validator(schema).validate(row)
    for name, value in (
        ("hardware_facts", {"version": 1, "facts": document}),
        ("comparability_fields", comparability_fields(result)),
    ):
        Draft202012Validator(schema["$defs"][name]).validate(value)  # type: ignore[index]  # a mapping
    assert index_schema_text() == (ROOT / "results/index/index.schema.json").read_text()


def test_every_column_is_documented() -> None:
    """docs/query.md explains each column and each reason."""
    text = (ROOT / "docs/query.md").read_text()

    assert [] == [name for name in (*COLUMNS, *REASONS) if f"`{name}`" not in text]
    assert list(COLUMNS) == [field.name for field in fields(IndexRow)]


def test_rows_come_out_as_they_went_in(index: IndexDatabase) -> None:
    """What the file keeps as bytes or as 0 and 1 comes back as digests and truths."""
    row = make_row()
    index.put([("k", [row])], 0, progress=None)

    assert (row,) == index.rows(row.id)
    assert [row.id] == list(index.ids(row.id[7:15], 2))
    values = index.select(f"SELECT {', '.join(BINARY)} FROM rows")[0]
    assert [32] * len(BINARY) == [len(value) for value in values if isinstance(value, bytes)]


def test_a_refresh_reads_what_is_new(tmp_path: Path, index: IndexDatabase) -> None:
    """The first refresh reads everything, the next nothing, and one after a push the pushed document."""
    store = make_store(tmp_path / "store", [make_gpu_result(day=n) for n in range(3)])
    first, second = refresh(store, index), refresh(store, index)
    push(store, make_gpu_result(day=9), uploader="bob")
    third = refresh(store, index)

    assert [3, 0, 1] == [each.read for each in (first, second, third)]
    assert 4 == index.count()
    assert {"ann", "bob"} == {row.uploader for row in content(index)}


def test_an_entry_that_appears_late_is_found(index: IndexDatabase) -> None:
    """An entry whose time lies before the newest one read, within the overlap of a day, is not missed."""
    store = MemoryStore()
    now = datetime.now(UTC)
    add(store, make_gpu_result(day=1), now)
    refresh(store, index)
    add(store, make_gpu_result(day=2), now - timedelta(hours=20))

    assert 1 == refresh(store, index).read
    assert 2 == index.count()


def test_an_entry_of_the_future_hides_nothing(index: IndexDatabase) -> None:
    """An entry that is dated far ahead is read, and does not keep later pushes from being seen."""
    store = MemoryStore()
    now = datetime.now(UTC)
    add(store, make_gpu_result(day=1), now + timedelta(days=4000))
    refresh(store, index)
    add(store, make_gpu_result(day=2), now)

    assert 1 == refresh(store, index).read
    assert 2 == index.count()


def add(store: ObjectStore, result: Result, at: datetime) -> str:
    """Put a document and a log entry of some time into a store; return the entry's key."""
    result_id, data = index_case.id_of(result), canonical_bytes(to_builtins(result))
    entry = LogEntry(
        id=result_id,
        size_bytes=len(data),
        schema=result.schema,
        kind=result.kind,
        blobs=(),
        pushed_at=at.isoformat(),
        uploader="ann",
        wattbench="0.1.0",
    )
    store.create(object_key(result_id), data)
    store.create(log_key(result_id, at), to_bytes(entry))
    return log_key(result_id, at)


def test_what_cannot_be_read_is_a_row_with_its_reason(index: IndexDatabase) -> None:
    """A newer, an altered and a missing document stay visible; those that can be read are not held up."""
    store = MemoryStore()
    now = datetime.now(UTC)
    add(store, make_gpu_result(), now)
    newer = canonical_bytes({"schema": "wattbench.result/99", "kind": "measured"})
    for n, (name, data) in enumerate((("newer", newer), ("altered", b"{}"), ("missing", None))):
        digits = hashlib.sha256(newer).hexdigest() if name == "newer" else str(n) * 64
        entry = LogEntry(
            id=f"sha256:{digits}",
            size_bytes=2,
            schema="wattbench.result/99",
            kind="measured",
            blobs=(),
            pushed_at="",
            uploader=name,
            wattbench="9.0",
        )
        if data is not None:
            store.create(object_key(entry.id), data)
        store.create(log_key(entry.id, now), to_bytes(entry))
    done = refresh(store, index)
    problems = {row.uploader: row.problem for row in content(index) if row.problem is not None}

    assert (4, 3) == (done.read, done.unreadable)
    assert {"newer", "altered", "missing"} == set(problems)
    assert "newer wattbench" in str(problems["newer"])
    assert "altered" in str(problems["altered"])
    assert {"unreadable"} == {row.reasons for row in content(index) if row.problem}


def test_notes_reach_the_rows_that_are_there(tmp_path: Path, index: IndexDatabase) -> None:
    """A note about a document that was indexed before changes its row at the next refresh."""
    store = make_store(tmp_path / "store", [make_gpu_result(day=n) for n in range(2)])
    refresh(store, index)
    withdrawn, disputed = sorted(row.id for row in content(index))
    note(store, withdrawn)
    note(store, disputed, kind="disputed")
    done = refresh(store, index)
    rows = {row.id: row for row in content(index)}

    assert 2 == done.noted
    assert ("withdrawn", False) == (rows[withdrawn].reasons, rows[withdrawn].rankable)
    assert (True, True) == (rows[disputed].disputed, rows[disputed].rankable)
    assert 0 == refresh(store, index).noted


def test_nobody_withdraws_the_result_of_another(tmp_path: Path, index: IndexDatabase) -> None:
    """A withdrawal by somebody else than the uploader is a dispute: it is shown, and the rank stays."""
    store = make_store(tmp_path / "store", [make_gpu_result()])
    note(store, index_case.id_of(make_gpu_result()), by="mallory")
    refresh(store, index)
    (row,) = content(index)

    assert (False, True, True) == (row.withdrawn, row.disputed, row.rankable)


def test_a_note_that_cannot_be_read_hides_nothing(tmp_path: Path, index: IndexDatabase) -> None:
    """Rubbish among the notes of a result, which any writer can leave there, stops no reader of the store."""
    store = make_store(tmp_path / "store", [make_gpu_result(day=n) for n in range(2)])
    about = index_case.id_of(make_gpu_result())
    note(store, about)
    store.create(note_key(about, "rubbish"), b"{")
    refresh(store, index)

    assert ["", "withdrawn"] == sorted(row.reasons or "" for row in content(index))


class FailingStore(MemoryStore):
    """A store that stops answering after some reads."""

    left = 10**9

    def get(self, key: str) -> bytes:
        """Fail when the reads are used up."""
        self.left -= 1
        if self.left < 0:
            raise StoreUnreachableError("The store does not answer", "it is a test")
        return super().get(key)


@pytest.mark.parametrize("full", [False, True])
def test_an_index_is_the_same_wherever_it_was_stopped(
    tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after any number of reads and run again, it ends with the rows of an unbroken one."""
    monkeypatch.setattr(refreshing, "CHUNK", 8)
    store = FailingStore()
    now = datetime.now(UTC)
    for n in range(40):
        add(store, make_gpu_result(day=n), now - timedelta(minutes=5 * n))
    whole = IndexDatabase(tmp_path / "whole.sqlite")
    refresh(store, whole, full=full)
    broken = IndexDatabase(tmp_path / "broken.sqlite")
    stops = 0
    for budget in (10, 40, 25, 10**6):
        store.left = budget
        try:
            refresh(store, broken, full=full)
        except StoreUnreachableError:
            stops += 1
    assert 3 == stops
    assert content(whole) == content(broken)
    whole.close()
    broken.close()


def test_a_build_drops_what_the_log_has_not(tmp_path: Path, index: IndexDatabase) -> None:
    """Rows that no log entry stands behind are gone after a full build; until then they answer."""
    store = make_store(tmp_path / "store", [make_gpu_result()])
    foreign = make_row(make_gpu_result(day=5))
    index.put([(f"{LOG}foreign", [foreign])], 0, progress=None)
    refresh(store, index)
    before = index.count()
    refresh(store, index, full=True)

    assert (2, 1) == (before, index.count())
    assert () == index.rows(foreign.id)


def test_several_processes_build_one_index(tmp_path: Path) -> None:
    """Three processes that refresh at once leave each document once."""
    store = make_store(tmp_path / "store", [make_gpu_result(day=n) for n in range(20)])
    code = (
        "import sys, pathlib\n"
        "from wattbench.results.index.place import open_index\n"
        "from wattbench.results.index.refresh import refresh\n"
        "from wattbench.results.store.open import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "refresh(store, open_index(store, pathlib.Path(sys.argv[2])).index, full=sys.argv[3] == 'full')\n"
    )
    command = [sys.executable, "-c", code, store.uri, str(tmp_path / "cache")]
    running = [subprocess.Popen([*command, how]) for how in ("full", "new", "full")]

    assert [0] * 3 == [each.wait(timeout=120) for each in running]
    place = open_index(store, tmp_path / "cache")
    assert 20 == place.index.count() == len(content(place.index))
    place.index.close()


def test_a_store_that_is_only_read_has_its_index_in_the_cache(tmp_path: Path) -> None:
    """Where nothing can be written beside the store the index is the reader's own; of two stores each has one."""
    stores = [make_store(tmp_path / name, [make_gpu_result()]) for name in ("a", "b")]
    for name in ("a", "b"):
        (tmp_path / name / "v1/index").write_text("in the way")
    places = [open_index(store, tmp_path / "cache") for store in stores]

    assert [1, 1] == [refresh(store, place.index).read for store, place in zip(stores, places, strict=True)]
    assert 2 == len({place.folder for place in places})
    assert {tmp_path / "cache/index"} == {place.folder.parent for place in places}
    for place in places:
        place.index.close()


def test_an_index_of_other_rows_is_built_anew(tmp_path: Path) -> None:
    """A file that an older or newer wattbench made is emptied, since its rows mean something else."""
    path = tmp_path / "index.sqlite"
    first = IndexDatabase(path)
    first.put([("k", [make_row()])], 0, progress=None)
    first.select("PRAGMA user_version = 99")
    first.close()
    second = IndexDatabase(path)

    assert 0 == second.count()
    second.close()


def test_a_file_that_is_no_index_is_refused(tmp_path: Path) -> None:
    """Something else under the index's name is reported with what to do."""
    path = tmp_path / "index.sqlite"
    path.write_text("not a database, " * 100)

    with pytest.raises(StoreAccessError, match="may be deleted"):
        IndexDatabase(path)


def test_checkpoints_stand_for_the_log(tmp_path: Path) -> None:
    """An index from checkpoints and the last days is that of the whole log; the days before are not listed."""
    store, now = ListedStore(), datetime.now(UTC)
    for n in range(12):
        add(store, make_gpu_result(day=n), now - timedelta(days=12 - n, seconds=5))
    plain = IndexDatabase(tmp_path / "plain.sqlite")
    refresh(store, plain)
    names = write_checkpoint(store, now)
    again = write_checkpoint(store, now)
    store.listed.clear()
    quick = IndexDatabase(tmp_path / "quick.sqlite")
    refresh(store, quick)

    assert (1, 0) == (len(names), len(again))
    assert 11 == len(list(log_keys_of(store, names[0])))
    assert content(plain) == content(quick)
    assert LOG not in store.listed
    plain.close()
    quick.close()


class ListedStore(MemoryStore):
    """A store that remembers which prefixes were listed."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    def keys(self, prefix: str) -> Iterator[str]:
        """List, and remember it."""
        self.listed.append(prefix)
        return super().keys(prefix)


def test_checkpoints_follow_each_other() -> None:
    """Each one starts where the last one ended, and together they have every settled entry once."""
    store, now = MemoryStore(), datetime.now(UTC)
    keys = [add(store, make_gpu_result(day=n), now - timedelta(days=20 - n)) for n in range(20)]
    write_checkpoint(store, now - timedelta(days=9))
    write_checkpoint(store, now)
    chain = covered(store)
    found = [key for name in chain.names for key in log_keys_of(store, name)]

    assert 2 == len(chain.names)
    assert sorted(keys)[: len(found)] == found
    assert 18 <= len(found) <= 19
    assert len(keys) == len(list(store.keys(LOG)))


def test_an_altered_checkpoint_is_refused() -> None:
    """A checkpoint is what its name says, or an error that says how to do without."""
    store = MemoryStore()
    store.create(f"{PREFIX}00010101T000000Z-20260101T000000Z-{'0' * 16}.gz", b"nonsense")

    with pytest.raises(TamperedError, match="--full"):
        list(log_keys_of(store, covered(store).names[0]))


def test_hostile_text_stays_text(tmp_path: Path, index: IndexDatabase) -> None:
    """SQL, escapes and zero bytes in a document are values like others."""
    name = "x'); DROP TABLE rows;-- \x1b[31m \x00 <script>"
    store = make_store(tmp_path / "store", [make_gpu_result(name)])
    refresh(store, index)
    (row,) = content(index)

    assert name == row.device
    assert json.loads(json.dumps(asdict(row)))["device"] == name
