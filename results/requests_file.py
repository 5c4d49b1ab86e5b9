"""The requests of a run as the bytes of a Parquet file and back; pyarrow is imported when it is needed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from wattbench.results.arrow_columns import array_of
from wattbench.results.calls import Calls
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.measurement import Completions, Repeat, RequestsFile

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

__all__ = ["encode_requests", "named_requests", "with_requests", "without_requests"]

FORMAT = "wattbench.requests/1"
METADATA = b"wattbench.requests"
REPEAT, STEPS = "repeat", "step_end_ns"

COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        REPEAT: "whole",
        **dict.fromkeys(("planned_start_ns", "start_ns"), "whole"),
        "first_output_ns": "whole or none",
        STEPS: "list",
        **dict.fromkeys(("end_ns", "requests", "input_tokens", "output_tokens"), "whole"),
        "error": "text or none",
        "call": "whole",
        "session": "whole or none",
        "error_kind": "text or none",
        **dict.fromkeys(("first_answer_ns", "cached_tokens", "own_output_tokens"), "whole or none"),
        "fresh": "flag",
        **dict.fromkeys(("server_queue_s", "server_prompt_s", "server_output_s", "server_total_s"), "seconds or none"),
    }
)
"""What each column holds: the place of the repeat, then the columns of Completions and of Calls in their order."""

TIMES = ("planned_start_ns", "start_ns", "first_output_ns", "end_ns", "first_answer_ns", f"{STEPS}.list.element")
"""Columns of which neighbours differ by little."""

REMEDY = "Take the original file; without it the figures of the result cannot be computed again."


def without_requests(result: Result, named: RequestsFile) -> Result:
    """Return a result that names the file of its requests, and has none of them itself."""
    return replace(result, repeats=tuple(_with_rows(repeat, {}) for repeat in result.repeats), requests_file=named)


def with_requests(result: Result, data: bytes) -> Result:
    """Return a result with the rows of the file that it names, whose bytes are `data`; other results as they are.

    Whether the bytes are those of the digest is the caller's to check. Raises DocumentError when they are no file of
    requests, or not those of these repeats.
    """
    if result.requests_file is None:
        return result
    repeats = _decoded(data, result.requests_file, result.repeats)
    return replace(result, repeats=repeats, requests_file=None)


def named_requests(data: bytes, repeats: Sequence[Repeat]) -> RequestsFile:
    """Return the record of the file that holds the rows of some repeats in these bytes."""
    return RequestsFile(
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        rows=sum(len(repeat.completions) for repeat in repeats),
        stamps=sum(len(steps) for repeat in repeats for steps in repeat.completions.step_end_ns),
    )


def encode_requests(repeats: Sequence[Repeat]) -> bytes:
    """Return a Parquet file (zstd) with one row a request, repeat after repeat, in the order of the starts.

    Columns: `repeat` (its place among the repeats), then those of `Completions` and of `Calls` under their names and in
    their units; null is unknown. Raises ValueError for a repeat that served no traffic.
    """
    import pyarrow
    import pyarrow.parquet

    sink = pyarrow.BufferOutputStream()
    schema = _schema()
    columns: dict[str, list[object]] = {name: [] for name in COLUMNS}
    for place, repeat in enumerate(repeats):
        for name, values in _rows(place, repeat):
            columns[name] += values
    arrays = [array_of(columns[field.name], field.type) for field in schema]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_arrays(arrays, schema=schema),
        sink,
        compression="zstd",
        use_dictionary=[name for name in COLUMNS if name not in TIMES and name != STEPS],  # pyright: ignore[reportArgumentType]  # a list of columns is documented
        column_encoding=dict.fromkeys(TIMES, "DELTA_BINARY_PACKED"),
    )
    return bytes(sink.getvalue())


def _rows(place: int, repeat: Repeat) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield the columns of one repeat. Raises ValueError for one that served no traffic."""
    if repeat.traffic is None:
        raise ValueError(f"{repeat.name} served no traffic")
    yield REPEAT, [place] * len(repeat.completions)
    yield from ((field.name, getattr(repeat.completions, field.name)) for field in fields(Completions))
    yield from ((field.name, getattr(repeat.traffic.calls, field.name)) for field in fields(Calls))


def _decoded(data: bytes, named: RequestsFile, repeats: Sequence[Repeat]) -> tuple[Repeat, ...]:
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        _require_size(file, named)
        table = file.read()
        facts = json.loads((table.schema.metadata or {})[METADATA])
        if facts["format"] != FORMAT:
            raise _foreign(f"its format is {facts['format']!r}, this version reads {FORMAT}")
        _require_columns(table)
        return tuple(_split(table, repeats))
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
        raise _foreign(f"{type(exc).__name__}: {exc}") from exc


def _require_size(file: pyarrow.parquet.ParquetFile, named: RequestsFile) -> None:
    """Raise DocumentError, before it is read, for a file that holds another number of rows or stamps than is said."""
    found = file.metadata
    if found.num_rows != named.rows:
        raise _foreign(f"it holds {found.num_rows} requests, the result says {named.rows}")
    for group in range(found.num_row_groups):
        for place in range(found.num_columns):
            column = found.row_group(group).column(place)
            if column.num_values > named.rows + named.stamps:
                raise _foreign(f"its column {column.path_in_schema} holds more values than the result says")


def _require_columns(table: pyarrow.Table) -> None:
    """Raise ValueError for a table of other columns or types, and for an absent value where there must be one."""
    for field in _schema():
        column = table.column(field.name)
        if not column.type.equals(field.type):
            raise ValueError(f"the column {field.name} is of {column.type}, not of {field.type}")
        if column.null_count and not COLUMNS[field.name].endswith("or none"):
            raise ValueError(f"the column {field.name} lacks a value")
        if COLUMNS[field.name].startswith("seconds"):
            known = [value for value in column.to_pylist() if value is not None]
            if not all(map(math.isfinite, known)):
                raise ValueError(f"the column {field.name} holds a value that is not finite")
    if table.column(STEPS).combine_chunks().flatten().null_count:
        raise ValueError(f"the column {STEPS} lacks a value")


def _split(table: pyarrow.Table, repeats: Sequence[Repeat]) -> Iterator[Repeat]:
    """Yield the repeats with their rows. Raises ValueError when rows belong to none or are out of order."""
    columns = {name: table.column(name).to_pylist() for name in COLUMNS}
    places, start = columns[REPEAT], 0
    for place, repeat in enumerate(repeats):
        end = start
        while end < len(places) and places[end] == place:
            end += 1
        yield _with_rows(repeat, {name: values[start:end] for name, values in columns.items()})
        start = end
    if start != len(places):
        raise ValueError(f"row {start} belongs to no repeat of the result")


def _with_rows(repeat: Repeat, columns: Mapping[str, Sequence[Any]]) -> Repeat:  # any: the columns of a checked schema
    """Return a repeat with these rows; none where there are no columns. Raises ValueError for one without traffic."""
    if repeat.traffic is None:
        raise ValueError(f"{repeat.name} served no traffic")
    done: dict[str, Any] = {
        field.name: tuple(columns.get(field.name, ())) for field in fields(Completions)
    }  # any: the same
    done[STEPS] = tuple(map(tuple, done[STEPS]))
    calls = Calls(**{field.name: tuple(columns.get(field.name, ())) for field in fields(Calls)})
    return replace(repeat, completions=Completions(**done), traffic=replace(repeat.traffic, calls=calls))


def _schema() -> pyarrow.Schema:
    import pyarrow

    whole, text = pyarrow.int64(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types: Mapping[str, pyarrow.DataType] = {
        "whole": whole,
        "whole or none": whole,
        "text or none": text,
        "seconds or none": pyarrow.float64(),
        "flag": pyarrow.bool_(),
        "list": pyarrow.list_(whole),
    }
    named = [(name, types[kind]) for name, kind in COLUMNS.items()]
    return pyarrow.schema(named, metadata={METADATA: json.dumps({"format": FORMAT}).encode()})


def _foreign(why: str) -> DocumentError:
    return DocumentError("This is not a file of requests", why, REMEDY)
