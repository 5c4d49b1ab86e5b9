"""The very rows of a site as files to compute with: CSV, JSON and Parquet; this and the index's table know pyarrow."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from wattbench.results.index.database import IndexDatabase, unpacked
from wattbench.results.index.row import COLUMNS, IndexRow
from wattbench.results.report.blocks import Cell, Column, Prose, Section, Table
from wattbench.results.report.site_data import FIGURE, SiteData
from wattbench.results.report.site_names import board_name
from wattbench.results.spreadsheet import no_formula
from wattbench.results.visible import visible

if TYPE_CHECKING:
    import pyarrow

__all__ = ["DATA_FILES", "data_section", "site_files"]


BEHIND: dict[str, type] = {"n": int, "machines": int, "worst": float, "best": float, "configurations": int}
GROUP_COLUMNS: dict[str, type] = {"board": str, **COLUMNS, **BEHIND}
CHUNK = 10_000
DATA_FILES = {
    "lines.csv": "the lines of all boards, with all columns of the index",
    "lines.json": "the same",
    "lines.parquet": "the same",
    "results.csv": "every result at every scope, ranked or not, with the reasons",
    "results.parquet": "the same",
}


def site_files(index: IndexDatabase, data: SiteData) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield name and bytes of each data file; large ones come in pieces."""
    lines = list(_lines(data))
    yield "lines.csv", _csv(GROUP_COLUMNS, [lines])
    yield "lines.json", [json.dumps({"sort": FIGURE, "lines": lines}, ensure_ascii=False).encode()]
    yield "lines.parquet", [_parquet(GROUP_COLUMNS, [lines])]
    yield "results.csv", _csv(COLUMNS, _results(index))
    yield "results.parquet", [_parquet(COLUMNS, _results(index))]


def data_section() -> Section:
    """Return the links to the data files."""
    rows = tuple((Cell(text=name, page=name), Cell(text=text)) for name, text in DATA_FILES.items())
    columns = (Column(name="file"), Column(name="what it has", wide=True))
    table = Table(caption="The rows as files", columns=columns, rows=rows, sortable=False)
    remark = "docs/query.md of wattbench explains the columns. In CSV an apostrophe keeps text from being a formula."
    return Section(key="data", title="Data", blocks=(table, Prose(text=remark, quiet=True)))


def _lines(data: SiteData) -> Iterator[Mapping[str, object]]:
    for board in data.boards:
        page = f"{board_name(board.key)}.html"
        for group in board.groups:
            yield {"board": page, **_plain(group.row), **{name: getattr(group.line, name) for name in BEHIND}}


def _results(index: IndexDatabase) -> Iterator[Sequence[Mapping[str, object]]]:
    columns = ", ".join(f'"{name}"' for name in COLUMNS)
    for chunk in index.stream(f"SELECT {columns} FROM rows ORDER BY time_us DESC, id, scope", (), CHUNK):
        yield [_plain(unpacked(values)) for values in chunk]


def _plain(row: IndexRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in COLUMNS}


def _csv(columns: Mapping[str, type], chunks: Iterable[Sequence[Mapping[str, object]]]) -> Iterator[bytes]:
    """Yield RFC 4180 text; what is not known is an empty field."""
    yield _csv_text([tuple(columns)])
    for chunk in chunks:
        yield _csv_text([tuple(_csv_field(row[name]) for name in columns) for row in chunk])


def _csv_text(rows: Iterable[Sequence[object]]) -> bytes:
    sink = io.StringIO()
    csv.writer(sink).writerows(rows)
    return sink.getvalue().encode()


def _csv_field(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    return visible(no_formula(value))


def _parquet(columns: Mapping[str, type], chunks: Iterable[Sequence[Mapping[str, object]]]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    schema = _schema(columns)
    sink = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for chunk in chunks:
            writer.write_table(pyarrow.Table.from_pylist(list(chunk), schema=schema))
    return sink.getvalue()


def _schema(columns: Mapping[str, type]) -> pyarrow.Schema:
    import pyarrow

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    return pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
