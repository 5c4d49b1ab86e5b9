"""Raw polls as the bytes of a Parquet file and back; pyarrow is imported when it is needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wattbench.results.arrow_columns import number_array, text_array
from wattbench.results.energy import Polls
from wattbench.results.errors import DocumentError

if TYPE_CHECKING:
    import pyarrow

__all__ = ["decode_polls", "encode_polls"]

FORMAT = "wattbench.polls/1"
METADATA = b"wattbench.polls"
COLUMNS = ("channel", "before_ns", "after_ns", "value", "sensor_ns", "taken_ns", "error")
DELTAS = dict.fromkeys(("before_ns", "after_ns", "sensor_ns", "taken_ns"), "DELTA_BINARY_PACKED")
"""Time stamps differ by nearly the same from poll to poll."""

NOTHING = Polls(channel="", before_ns=(), after_ns=(), value=(), sensor_ns=None, errors={})
"""What a file without any channel is made of: no rows (`Schema.empty_table` would import pandas)."""

REMEDY = "Take the original file; without it the energies of the result cannot be computed again."


def encode_polls(polls: Sequence[Polls]) -> bytes:
    """Return a Parquet file (zstd) with one row a poll, channel after channel.

    Columns: `channel`, `before_ns`, `after_ns`, `value` (W or J, null for a failed read), `sensor_ns` and
    `taken_ns` (null without a stamp), `error` (null without one). The file's metadata lists the channels in order,
    those without a poll too, with which stamps they have and where the sensor's clock starts.
    """
    import pyarrow
    import pyarrow.parquet

    named = [
        {
            "channel": log.channel,
            "stamped": log.sensor_ns is not None,
            "taken": log.taken_ns is not None,
            "sensor_origin_us": log.sensor_origin_us,
        }
        for log in polls
    ]
    facts = {METADATA: json.dumps({"format": FORMAT, "channels": named}).encode()}
    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    whole = pyarrow.int64()
    kinds = (text, whole, whole, pyarrow.float64(), whole, whole, text)
    schema = pyarrow.schema(list(zip(COLUMNS, kinds, strict=True)), metadata=facts)
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.concat_tables([_table(log, schema) for log in polls or (NOTHING,)])
    pyarrow.parquet.write_table(
        table.unify_dictionaries(),
        sink,
        compression="zstd",
        use_dictionary=["channel", "value", "error"],  # pyright: ignore[reportArgumentType]  # a list of columns is documented
        column_encoding=DELTAS,
    )
    return bytes(sink.getvalue())


def decode_polls(data: bytes, rows: int) -> tuple[Polls, ...]:
    """Return the polls in a Parquet file that `encode_polls` made.

    Raises DocumentError when it is none, or does not hold `rows` polls.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(pyarrow.BufferReader(data))
        if file.metadata.num_rows != rows:
            raise _foreign(f"it holds {file.metadata.num_rows} polls, the result says {rows}")
        table = file.read()
        facts = json.loads((table.schema.metadata or {})[METADATA])
        if facts["format"] != FORMAT:
            raise _foreign(f"its format is {facts['format']!r}, this version reads {FORMAT}")
        columns = {name: table.column(name).to_pylist() for name in COLUMNS}
        return _split(columns, facts["channels"])
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
        raise _foreign(f"{type(exc).__name__}: {exc}") from exc


def _table(log: Polls, schema: pyarrow.Schema) -> pyarrow.Table:
    import pyarrow

    count = len(log.value)
    errors = [log.errors.get(str(row)) for row in range(count)]
    sensor_ns = log.sensor_ns or [None] * count
    taken_ns = log.taken_ns or [None] * count
    texts: dict[str, Sequence[str | None]] = {"channel": [log.channel] * count, "error": errors}
    numbers: dict[str, Sequence[float | None]] = {
        "before_ns": log.before_ns,
        "after_ns": log.after_ns,
        "value": log.value,
        "sensor_ns": sensor_ns,
        "taken_ns": taken_ns,
    }
    arrays: dict[str, pyarrow.Array] = {name: text_array(values) for name, values in texts.items()}
    arrays |= {name: number_array(values, schema.field(name).type) for name, values in numbers.items()}
    return pyarrow.Table.from_arrays([arrays[name] for name in COLUMNS], schema=schema)


def _split(columns: dict[str, list[object]], channels: Sequence[dict[str, Any]]) -> tuple[Polls, ...]:
    """Return one record per channel. Raises ValueError when rows belong to no channel or are out of order."""
    found, start = [], 0
    for facts in channels:
        end = start
        while end < len(columns["channel"]) and columns["channel"][end] == facts["channel"]:
            end += 1
        part = {key: column[start:end] for key, column in columns.items()}
        errors = {str(row): error for row, error in enumerate(part["error"]) if error is not None}
        found.append(
            Polls(
                channel=facts["channel"],
                before_ns=tuple(part["before_ns"]),  # type: ignore[arg-type]  # the schema has been checked
                after_ns=tuple(part["after_ns"]),  # type: ignore[arg-type]  # the same
                value=tuple(part["value"]),  # type: ignore[arg-type]  # the same
                sensor_ns=tuple(part["sensor_ns"]) if facts["stamped"] else None,  # type: ignore[arg-type]  # the same
                taken_ns=tuple(part["taken_ns"]) if facts["taken"] else None,  # type: ignore[arg-type]  # the same
                sensor_origin_us=facts["sensor_origin_us"],
                errors=errors,  # type: ignore[arg-type]  # the same
            )
        )
        start = end
    if start != len(columns["channel"]):
        raise ValueError(f"row {start} belongs to no channel of the file")
    return tuple(found)


def _foreign(why: str) -> DocumentError:
    return DocumentError("This is not a file of polls", why, REMEDY)
