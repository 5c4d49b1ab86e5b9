"""The index as a SQLite file: safe with several processes, rebuilt from the log whenever that is wanted."""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path

from wattbench.results.errors import StoreAccessError
from wattbench.results.index.row import BINARY, COLUMNS, ROW_VERSION, IndexRow

__all__ = ["IndexDatabase", "packed", "unpacked"]

BUSY_TIMEOUT_S = 60.0
"""How long a writer waits for another one."""

TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", bool: "INTEGER"}
PREFIX = "sha256:"
OWN = ("log_key", "generation", "seq", "first_seq")
"""The columns of the table that are no part of a row: its log entry, the build that wrote it, the order of writing."""

COLUMN_LINES = ", ".join(f'"{name}" {"BLOB" if name in BINARY else TYPES[kind]}' for name, kind in COLUMNS.items())
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (log_key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS noted (note_key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows ({COLUMN_LINES},
  log_key TEXT, generation INTEGER, seq INTEGER, first_seq INTEGER, UNIQUE (id, scope));
CREATE INDEX IF NOT EXISTS rows_load ON rows (load, precision, scope, rankable);
CREATE INDEX IF NOT EXISTS rows_machine ON rows (fingerprint, time_us);
CREATE INDEX IF NOT EXISTS rows_seq ON rows (seq);
"""
TABLES = ("meta", "recent", "noted", "rows")


class IndexDatabase:
    """Rows by id and scope, and how far the log was read.

    Many processes may read and write at once (WAL). A build (`begin_build` to `end_build`) writes rows of a new
    generation beside the old ones and goes on where a killed one stopped; rows that it did not write go at its end.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._connection = _connected(path, read_only)
        self._connection.create_aggregate("middle", 1, _Middle)  # type: ignore[arg-type]  # typeshed asks for int
        if not read_only:
            self._prepare()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def meta(self, name: str) -> str | None:
        """Return a remembered value."""
        found = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def number(self, name: str) -> int:
        """Return a remembered number, 0 for one that was never set."""
        return int(self.meta(name) or 0)

    def set_meta(self, name: str, value: str | int | None) -> None:
        """Remember a value; None forgets it."""
        with self._writing():
            self._set(name, value)

    def begin_build(self) -> int:
        """Return the generation that is being built, a new one unless a build was left unfinished."""
        with self._writing():
            building = self.number("building")
            if not building:
                building = self.number("generation") + 1
                self._set("building", building)
                self._set("progress", None)
                self._connection.execute("DELETE FROM recent")
                self._connection.execute("DELETE FROM noted")
        return building

    def end_build(self, generation: int) -> None:
        """Let go of the rows that a build has not written."""
        with self._writing():
            self._connection.execute("DELETE FROM rows WHERE generation < ?", (generation,))
            self._set("generation", max(generation, self.number("generation")))
            if self.number("building") <= generation:
                self._set("building", None)
                self._set("progress", None)

    def writing_generation(self) -> int:
        """Return the generation that new rows belong to: that of a build under way, if there is one."""
        return self.number("building") or self.number("generation")

    def has(self, result_id: str, generation: int, log_key: str) -> bool:
        """Return whether a document has a row of a generation, from this log entry or an older one."""
        found = self._connection.execute(
            "SELECT 1 FROM rows WHERE id = ? AND generation >= ? AND log_key <= ? LIMIT 1",
            (packed(result_id), generation, log_key),
        )
        return found.fetchone() is not None

    def is_recent(self, log_key: str) -> bool:
        """Return whether a log entry within the overlap was read before."""
        return self._known("recent", "log_key", log_key)

    def is_noted(self, note_key: str) -> bool:
        """Return whether a note was taken into the rows before."""
        return self._known("noted", "note_key", note_key)

    def put(self, rows: Iterable[tuple[str, Sequence[IndexRow]]], generation: int, *, progress: str | None) -> int:
        """Write documents' rows in one transaction, each with its log entry's key; return how many rows.

        A document that has rows already keeps its older log entry's uploader and time: whoever logged it first.
        """
        documents = list(rows)
        with self._writing():
            start = self.number("seq")
            flat = ((row, log_key) for log_key, found in documents for row in found)
            lines = [
                (*_values(row), log_key, generation, seq, seq) for seq, (row, log_key) in enumerate(flat, start + 1)
            ]
            self._connection.executemany(UPSERT, lines)
            self._connection.executemany("INSERT OR IGNORE INTO recent VALUES (?)", ((key,) for key, _ in documents))
            self._set("seq", start + len(lines))
            if progress is not None and progress > (self.meta("progress") or ""):
                self._set("progress", progress)
        return len(lines)

    def put_noted(self, note_keys: Iterable[str]) -> None:
        """Remember which notes the rows know."""
        with self._writing():
            self._connection.executemany("INSERT OR IGNORE INTO noted VALUES (?)", ((key,) for key in note_keys))

    def set_watermark(self, log_key: str, keep_from: str) -> None:
        """Remember the newest log entry, and forget those before `keep_from`, which are not read again."""
        with self._writing():
            if log_key > (self.meta("watermark") or ""):
                self._set("watermark", log_key)
            self._connection.execute("DELETE FROM recent WHERE log_key < ?", (keep_from,))

    def rows(self, result_id: str) -> tuple[IndexRow, ...]:
        """Return a document's rows, its own scope first."""
        columns = ", ".join(f'"{name}"' for name in COLUMNS)
        query = f"SELECT {columns} FROM rows WHERE id = ? ORDER BY primary_scope DESC, scope"
        return tuple(unpacked(values) for values in self._connection.execute(query, (packed(result_id),)))

    def ids(self, prefix: str, limit: int) -> tuple[str, ...]:
        """Return the ids that begin with some hexadecimal digits."""
        low = bytes.fromhex(prefix + "0" * (64 - len(prefix)))
        high = bytes.fromhex(prefix + "f" * (64 - len(prefix)))
        query = "SELECT DISTINCT id FROM rows WHERE id BETWEEN ? AND ? LIMIT ?"
        return tuple(PREFIX + found[0].hex() for found in self._connection.execute(query, (low, high, limit)))

    def log_key(self, result_id: str) -> str | None:
        """Return the key of the log entry that a document's rows came from."""
        found = self._connection.execute("SELECT log_key FROM rows WHERE id = ? LIMIT 1", (packed(result_id),))
        row = found.fetchone()
        return None if row is None else str(row[0])

    def count(self) -> int:
        """Return how many documents there are."""
        return int(self._connection.execute("SELECT count(*) FROM rows WHERE primary_scope").fetchone()[0])

    def count_rows(self) -> int:
        """Return how many rows there are: documents that have power at several scopes have several."""
        return int(self._connection.execute("SELECT count(*) FROM rows").fetchone()[0])

    def identity(self) -> str:
        """Return a name of this very index, drawn when it was made."""
        found = self.meta("identity")
        assert found is not None, "an index is given its identity when it is made"
        return found

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Let everything that is read meanwhile be of one moment."""
        with _errors(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def select(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return what a query over the table `rows` finds."""
        return self._connection.execute(query, tuple(values)).fetchall()

    def stream(self, query: str, values: Sequence[object], size: int) -> Iterator[list[tuple[object, ...]]]:
        """Yield what a query finds, some rows at a time."""
        cursor = self._connection.execute(query, tuple(values))
        while chunk := cursor.fetchmany(size):
            yield chunk

    def _prepare(self) -> None:
        with _errors(self.path):
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            with self._writing():
                stated = self._connection.execute("PRAGMA user_version").fetchone()[0]
                if stated not in (0, ROW_VERSION):
                    for table in TABLES:
                        self._connection.execute(f"DROP TABLE IF EXISTS {table}")
                for statement in SCHEMA.split(";"):
                    self._connection.execute(statement)
                if self.meta("identity") is None:
                    self._set("identity", uuid.uuid4().hex)
                self._connection.execute(f"PRAGMA user_version = {ROW_VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _set(self, name: str, value: str | int | None) -> None:
        if value is None:
            self._connection.execute("DELETE FROM meta WHERE name = ?", (name,))
        else:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def _known(self, table: str, column: str, key: str) -> bool:
        found = self._connection.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (key,))
        return found.fetchone() is not None


class _Middle:
    """The aggregate `middle` of a group's figures: the middle one, the smaller of two."""

    def __init__(self) -> None:
        self._figures: list[float] = []

    def step(self, figure: float) -> None:
        """Take a figure."""
        self._figures.append(figure)

    def finalize(self) -> float | None:
        """Return the middle one."""
        ordered = sorted(self._figures)
        return ordered[(len(ordered) - 1) // 2] if ordered else None


def _upsert() -> str:
    """Return the statement that writes a row, or writes it anew over the same id and scope."""
    names = (*COLUMNS, *OWN)
    quoted = ", ".join(f'"{name}"' for name in names)
    kept = ("id", "scope", "first_seq", "log_key", "logged_at", "uploader")
    fresh = [f'"{name}" = excluded."{name}"' for name in names if name not in kept]
    older = [
        f'"{name}" = CASE WHEN excluded.log_key < rows.log_key THEN excluded."{name}" ELSE rows."{name}" END'
        for name in ("logged_at", "uploader", "log_key")
    ]
    holes = ", ".join("?" * len(names))
    return (
        f"INSERT INTO rows ({quoted}) VALUES ({holes}) ON CONFLICT (id, scope) DO UPDATE SET {', '.join(fresh + older)}"
    )


UPSERT = _upsert()
IN_ORDER = attrgetter(*COLUMNS)
DIGESTS = tuple(place for place, name in enumerate(COLUMNS) if name in BINARY)


def packed(digest: str | None) -> bytes | None:
    """Return "sha256:<hex>" as 32 bytes."""
    return None if digest is None else bytes.fromhex(digest.removeprefix(PREFIX))


def _values(row: IndexRow) -> list[object]:
    """Return what a table keeps of a row, in the order of `COLUMNS`."""
    values: list[object] = list(IN_ORDER(row))
    for place in DIGESTS:
        digest = values[place]
        values[place] = packed(digest) if isinstance(digest, str) else None
    return values


def unpacked(values: Sequence[object]) -> IndexRow:
    """Return the row of a table's values, in the order of `COLUMNS`."""
    found: dict[str, object] = {}
    for (name, kind), value in zip(COLUMNS.items(), values, strict=True):
        if isinstance(value, bytes | bytearray | memoryview):
            found[name] = PREFIX + bytes(value).hex()
        else:
            found[name] = bool(value) if kind is bool else value
    return IndexRow(**found)  # type: ignore[arg-type]  # the table has the columns of the record


def _connected(path: Path, read_only: bool) -> sqlite3.Connection:
    with _errors(path):
        if read_only:
            return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        path.parent.mkdir(parents=True, exist_ok=True)
        # the Delta writer takes rows in a thread of its own while ours waits
        return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Say in our words that an index cannot be used."""
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        remedy = "Check the folder; an index holds nothing of its own, so it may be deleted and built anew."
        raise StoreAccessError(f"The index {path} cannot be used", str(exc), remedy) from exc
