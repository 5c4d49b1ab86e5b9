"""The index as a Delta table, by columns, for millions of rows: the only file that knows deltalake."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wattbench.results.errors import StoreAccessError, UsageError
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.row import BINARY, COLUMNS, ROW_VERSION

if TYPE_CHECKING:
    import pyarrow
    from deltalake import DeltaTable

__all__ = ["Mirrored", "arrow_schema", "has_lake", "lake_files", "mirror", "require_lake"]

ORDER = "load, precision, scope, hardware, time_us, id"
"""Rows lie by model, accelerator and time: a leaderboard of one load then reads a few row groups of each file."""

BATCH = 50_000
"""Rows that are in the memory at once."""

ROW_GROUP = 100_000
INSTALL = "pip install 'wattbench[lake]'"

Mirrored = Literal["unchanged", "appended", "merged", "rewritten"]


def has_lake() -> bool:
    """Return whether the extra `lake` is installed; nothing is imported."""
    return find_spec("deltalake") is not None and find_spec("duckdb") is not None


def require_lake() -> None:
    """Raise UsageError with the pip command when the extra `lake` is not installed."""
    if not has_lake():
        raise UsageError("The index has no Delta table", "the extra `lake` is not installed", INSTALL)


def lake_files(folder: Path, index: IndexDatabase) -> tuple[str, ...] | None:
    """Return the Parquet files of the table; None where it is not there or does not have all that the index has."""
    if not has_lake() or not (folder / "_delta_log").is_dir():
        return None
    with _errors(folder):
        table = _table(folder)
        complete = table.transaction_version(_app(index)) == index.number("seq")
        return tuple(table.file_uris()) if complete else None


def mirror(folder: Path, index: IndexDatabase, *, rewrite: bool = False) -> Mirrored:
    """Bring the table up to the index in one commit, and say how.

    New rows are appended, changed ones merged; after a build, or with `rewrite`, all are written anew in order, which
    leaves few files. The commit itself carries how far it reaches: ended at any point, it is done or never was, and of
    two at once one wins. Raises UsageError without the extra, StoreAccessError.
    """
    require_lake()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _errors(folder), _alone(folder), index.reading():
        seq, app = index.number("seq"), _app(index)
        table = _table(folder) if (folder / "_delta_log").is_dir() else None
        done = table.transaction_version(app) if table is not None else None
        if done == seq and not rewrite:
            return "unchanged"
        if table is None or done is None or rewrite:
            _write(folder, _reader(index, 0, ordered=True), app, seq, overwrite=True)
            return "rewritten"
        if index.select("SELECT 1 FROM rows WHERE seq > ? AND first_seq <= ? LIMIT 1", (done, done)):
            _merge(table, _reader(index, done, ordered=False), app, seq)
            return "merged"
        _write(folder, _reader(index, done, ordered=True), app, seq, overwrite=False)
        return "appended"


def _write(folder: Path, rows: pyarrow.RecordBatchReader, app: str, seq: int, *, overwrite: bool) -> None:
    from deltalake import CommitProperties, Transaction, WriterProperties, write_deltalake

    commit = CommitProperties(app_transactions=[Transaction(app, seq)])
    layout = WriterProperties(compression="ZSTD", max_row_group_size=ROW_GROUP)
    if overwrite:
        write_deltalake(
            folder,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=commit,
            writer_properties=layout,
        )
    else:
        write_deltalake(folder, rows, mode="append", commit_properties=commit, writer_properties=layout)


def _merge(table: DeltaTable, rows: pyarrow.RecordBatchReader, app: str, seq: int) -> None:
    from deltalake import CommitProperties, Transaction

    merger = table.merge(
        source=rows,
        predicate="t.id = s.id AND t.scope = s.scope",
        source_alias="s",
        target_alias="t",
        commit_properties=CommitProperties(app_transactions=[Transaction(app, seq)]),
    )
    merger.when_matched_update_all().when_not_matched_insert_all().execute()


def _reader(index: IndexDatabase, after: int, *, ordered: bool) -> pyarrow.RecordBatchReader:
    """Return the rows that were written after some point, as a stream of record batches."""
    import pyarrow

    schema = arrow_schema()
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    order = f" ORDER BY {ORDER}" if ordered else ""
    chunks = index.stream(f"SELECT {columns} FROM rows WHERE seq > ?{order}", (after,), BATCH)
    return pyarrow.RecordBatchReader.from_batches(schema, (_batch(chunk, schema) for chunk in chunks))


def _batch(chunk: Sequence[Sequence[object]], schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    import pyarrow

    arrays = []
    for values, field in zip(zip(*chunk, strict=True), schema, strict=True):
        plain = [None if value is None else bool(value) for value in values] if field.type == "bool" else values
        arrays.append(pyarrow.array(plain, type=field.type))
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def arrow_schema() -> pyarrow.Schema:
    """Return the table's schema: the row's columns, digests as bytes."""
    import pyarrow

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    return pyarrow.schema(
        [(name, pyarrow.binary() if name in BINARY else types[kind]) for name, kind in COLUMNS.items()]
    )


def _table(folder: Path) -> DeltaTable:
    from deltalake import DeltaTable

    return DeltaTable(folder)


def _app(index: IndexDatabase) -> str:
    """Return the name under which commits say how far they reach: of one index, one build, one kind of rows."""
    return f"wattbench.index.{ROW_VERSION}.{index.identity()}.{index.number('generation')}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time write the table, where the system has locks on files."""
    try:
        import fcntl
    except ImportError:  # Windows: the table's own commits still exclude each other
        yield
        return
    lock = os.open(folder.parent / f"{folder.name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, ValueError) as exc:
        remedy = "Delete it: the next `bench store compact` writes it anew."
        raise StoreAccessError(f"The Delta table {folder} cannot be used", str(exc), remedy) from exc
