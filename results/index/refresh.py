"""Bringing the index up to the store: new log entries, new notes; or all of them anew, and on from where it stopped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Protocol

from wattbench.results.errors import DocumentError, MissingKeyError
from wattbench.results.imported import Document
from wattbench.results.index.build import Facts, Logged, rows_of, unreadable_row
from wattbench.results.index.checkpoint import OVERLAP, covered, log_keys_of
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.facts import facts_of
from wattbench.results.index.row import IndexRow
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import (
    LOG,
    NOTES,
    SIGNATURES,
    id_of_log_key,
    id_of_side_key,
    log_day_prefix,
    object_key,
    time_of_log_key,
)
from wattbench.results.store.read import log_keys, read_entry, read_stored

__all__ = ["Refreshed", "refresh"]

CHUNK = 64
"""How many documents one transaction takes: what a killed refresh has to do again."""

READERS = 8
"""Documents that are fetched at once: a bucket's answer takes far longer than its bytes."""


class FactsOf(Protocol):
    """What finds out what is known about a document beside itself."""

    def __call__(
        self, store: ObjectStore, logged: Logged, document: Document | None, *, noted: bool, signed: bool
    ) -> Facts:
        """Return the facts."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh did: documents read, those of them that cannot be read, and documents whose notes were new."""

    read: int
    unreadable: int
    noted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A log entry with its document, or why it cannot be read."""

    log_key: str
    logged: Logged
    document: Document | None
    problem: str | None


def refresh(
    store: ObjectStore,
    index: IndexDatabase,
    *,
    full: bool = False,
    facts: FactsOf = facts_of,
    report: Callable[[int], None] = lambda documents: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Refreshed:
    """Read what the index has not yet read; with `full` everything, from the log itself and not its checkpoints.

    May be ended at any point: what was read stays, and the next one goes on from there. `report` is told how many
    documents were read so far. Raises StoreAccessError and StoreUnreachableError; a document that cannot be read,
    because it is newer, altered or missing, becomes a row that says so.
    """
    generation = index.begin_build() if full else index.writing_generation()
    noted = {key: id_of_side_key(key) for key in store.keys(NOTES)}
    signed = _signed(store) if full or index.meta("watermark") is None else None
    keys = _unfinished(store, index) if full else _new(store, index, now())
    reader = _Reader(store=store, facts=facts, noted=frozenset(noted.values()), signed=signed)
    read = unreadable = 0
    newest = index.meta("watermark") or ""
    for portion in _portions(keys, CHUNK):
        found = reader.rows(_unread(index, portion, generation))
        index.put(found.items(), generation, progress=portion[-1] if full else None)
        newest = max(newest, portion[-1])
        read += len(found)
        unreadable += sum(rows[0].problem is not None for rows in found.values())
        report(read)
    if full:
        index.end_build(generation)
    if newest:
        index.set_watermark(newest, log_day_prefix(_until(newest, now()) - 2 * OVERLAP))
    changed = _take_notes(reader, index, noted)
    return Refreshed(read=read, unreadable=unreadable, noted=changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads documents and makes their rows; `signed` are the documents with a signature, None: ask for each."""

    store: ObjectStore
    facts: FactsOf
    noted: frozenset[str | None]
    signed: frozenset[str] | None

    def rows(self, log_keys: Sequence[str]) -> dict[str, tuple[IndexRow, ...]]:
        """Return the rows of the documents of some log entries, by the entries' keys."""
        fetched = _fetched(self.store, log_keys)
        return {key: self._rows(_read(fetched, key)) for key in log_keys}

    def _rows(self, found: _Found) -> tuple[IndexRow, ...]:
        result_id = found.logged.id
        signed = self.signed is None or result_id in self.signed
        facts = self.facts(self.store, found.logged, found.document, noted=result_id in self.noted, signed=signed)
        if found.document is None:
            return (unreadable_row(found.logged, facts, found.problem or "unknown"),)
        return rows_of(found.document, found.logged, facts)


class _Fetched:
    """A store whose bytes were fetched before, many at a time; what was not is asked for."""

    def __init__(self, store: ObjectStore, found: Mapping[str, bytes | MissingKeyError | DocumentError]) -> None:
        self.uri = store.uri
        self.create, self.stamp, self.keys, self.close = store.create, store.stamp, store.keys, store.close
        self._store, self._found = store, found

    def get(self, key: str) -> bytes:
        """Return what was fetched. Raises MissingKeyError, DocumentError."""
        found = self._found.get(key)
        if isinstance(found, MissingKeyError | DocumentError):
            raise found
        return self._store.get(key) if found is None else found


def _fetched(store: ObjectStore, log_keys: Sequence[str]) -> _Fetched:
    """Fetch log entries and their documents at the same time, as bytes: they are decoded in one thread alone, since
    msgspec crashes when several threads decode a record's type for the first time.
    """

    def get(key: str) -> bytes | MissingKeyError | DocumentError:
        try:
            return store.get(key)
        except (MissingKeyError, DocumentError) as exc:
            return exc

    wanted = [each for key in log_keys for each in (key, object_key(id_of_log_key(key) or ""))]
    with ThreadPoolExecutor(READERS) as pool:
        return _Fetched(store, dict(zip(wanted, pool.map(get, wanted), strict=True)))


def _read(store: ObjectStore, log_key: str) -> _Found:
    result_id = id_of_log_key(log_key) or ""
    logged = Logged(id=result_id, at=_iso(log_key))
    try:
        entry = read_entry(store, log_key)
        logged = Logged(
            id=result_id,
            at=logged.at,
            uploader=entry.uploader,
            size_bytes=entry.size_bytes,
            schema=entry.schema,
            kind=entry.kind,
            withdrawal=entry.withdrawal,
        )
        document = read_stored(store, result_id)
    except (DocumentError, MissingKeyError) as exc:
        return _Found(log_key=log_key, logged=logged, document=None, problem=f"{exc.what}: {exc.why}".rstrip(": "))
    return _Found(log_key=log_key, logged=logged, document=document, problem=None)


def _take_notes(reader: _Reader, index: IndexDatabase, noted: dict[str, str | None]) -> int:
    """Make the rows of documents anew whose notes are new; return how many."""
    fresh = [key for key in noted if not index.is_noted(key)]
    ids = dict.fromkeys(result_id for key in fresh if (result_id := noted[key]) is not None)
    log_keys = [key for result_id in ids if (key := index.log_key(result_id)) is not None]
    for portion in _portions(iter(log_keys), CHUNK):
        index.put(reader.rows(portion).items(), index.writing_generation(), progress=None)
    index.put_noted(key for key in fresh if noted[key] is None or index.log_key(str(noted[key])) is not None)
    return len(log_keys)


def _unread(index: IndexDatabase, log_keys: Sequence[str], generation: int) -> list[str]:
    """Return the entries of documents that have no row of a generation, each document once."""
    first = {id_of_log_key(key): key for key in reversed(log_keys)}
    return [key for result_id, key in first.items() if not index.has(result_id or "", generation, key)][::-1]


def _unfinished(store: ObjectStore, index: IndexDatabase) -> Iterator[str]:
    """Yield the log's keys after those that a build has done."""
    progress = index.meta("progress") or ""
    yield from (key for key in store.keys(LOG) if key > progress and id_of_log_key(key) is not None)


def _new(store: ObjectStore, index: IndexDatabase, now: datetime) -> Iterator[str]:
    """Yield the log's keys that were not read before: all of them at first, then those of the last days."""
    watermark = index.meta("watermark")
    if watermark is not None:
        keys = log_keys(store, _until(watermark, now) - OVERLAP)
    else:
        known = covered(store)
        listed = log_keys(store, known.to - OVERLAP if known.to is not None else None)
        keys = chain(chain.from_iterable(log_keys_of(store, name) for name in known.names), listed)
    yield from (key for key in keys if not index.is_recent(key))


def _until(log_key: str, now: datetime) -> datetime:
    """Return up to when the log was read; an entry that says it is of the future does not hide those to come."""
    return min(time_of_log_key(log_key) or now, now)


def _signed(store: ObjectStore) -> frozenset[str]:
    found = (id_of_side_key(key) for key in store.keys(SIGNATURES))
    return frozenset(result_id for result_id in found if result_id is not None)


def _portions(items: Iterable[str], size: int) -> Iterator[list[str]]:
    left = iter(items)
    while portion := list(islice(left, size)):
        yield portion


def _iso(log_key: str) -> str:
    at = time_of_log_key(log_key)
    return "" if at is None else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
