"""Every figure of some results as one table: a row a figure, the columns that say what it is of beside it."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from wattbench.results.exchange.exported import Exported, ExportedFigure, Subject
from wattbench.results.spreadsheet import no_formula

__all__ = ["COLUMNS", "Cell", "Column", "csv_bytes", "plain_text", "rows_of", "safe_cell"]

Cell = str | float | int | None
Kind = Literal["text", "number", "whole"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, what it holds, and how it is taken from a figure and its subject."""

    name: str
    kind: Kind
    value: Callable[[Subject, ExportedFigure], Cell]


COLUMNS: tuple[Column, ...] = (
    Column(name="result_id", kind="text", value=lambda s, _: s.result_id),
    Column(name="kind", kind="text", value=lambda s, _: s.kind),
    Column(name="status", kind="text", value=lambda s, _: s.status),
    Column(name="verdict", kind="text", value=lambda s, _: s.verdict),
    Column(name="marks", kind="text", value=lambda s, _: " ".join(s.marks) or None),
    Column(name="not_to_be_quoted", kind="text", value=lambda s, _: "; ".join(s.reasons) or None),
    Column(name="tool", kind="text", value=lambda s, _: s.tool),
    Column(name="tool_version", kind="text", value=lambda s, _: s.tool_version),
    Column(name="started_at", kind="text", value=lambda s, _: s.started_at),
    Column(name="load", kind="text", value=lambda s, _: s.load),
    Column(name="load_version", kind="text", value=lambda s, _: s.load_version),
    Column(name="model", kind="text", value=lambda s, _: s.model),
    Column(name="precision", kind="text", value=lambda s, _: s.precision),
    Column(name="scenario", kind="text", value=lambda s, _: s.scenario),
    Column(name="weights", kind="text", value=lambda s, _: s.weights),
    Column(name="batch", kind="whole", value=lambda s, _: s.batch),
    Column(name="input_tokens_per_request", kind="number", value=lambda s, _: s.input_tokens),
    Column(name="output_tokens_per_request", kind="number", value=lambda s, _: s.output_tokens),
    Column(name="device", kind="text", value=lambda s, _: s.device),
    Column(name="devices", kind="whole", value=lambda s, _: s.devices),
    Column(name="processor", kind="text", value=lambda s, _: s.processor),
    Column(name="engine", kind="text", value=lambda s, _: s.engine),
    Column(name="metric", kind="text", value=lambda _, f: f.name),
    Column(name="statistic", kind="text", value=lambda _, f: f.statistic),
    Column(name="value", kind="number", value=lambda _, f: f.value),
    Column(name="unit", kind="text", value=lambda _, f: f.unit),
    Column(name="reason", kind="text", value=lambda _, f: f.reason),
    Column(name="count", kind="whole", value=lambda _, f: f.count),
    Column(name="interval_low", kind="number", value=lambda _, f: f.low),
    Column(name="interval_high", kind="number", value=lambda _, f: f.high),
    Column(name="interval_level", kind="number", value=lambda _, f: f.level),
    Column(name="spread_iqr", kind="number", value=lambda _, f: f.spread),
    Column(name="scope", kind="text", value=lambda _, f: f.scope),
    Column(name="boundary", kind="text", value=lambda _, f: f.boundary),
    Column(name="method", kind="text", value=lambda _, f: f.method),
    Column(name="u_absolute_rel", kind="number", value=lambda _, f: f.u_absolute_rel),
    Column(name="u_comparison_rel", kind="number", value=lambda _, f: f.u_comparison_rel),
)
"""The columns of CSV and Parquet; their units are those of `unit`, and relative ones for `u_*_rel` (k=1)."""


def rows_of(results: Sequence[Exported]) -> Iterator[Mapping[str, Cell]]:
    """Yield one row a figure, result after result."""
    for result in results:
        for figure in result.figures:
            yield {column.name: column.value(result.subject, figure) for column in COLUMNS}


def csv_bytes(columns: Sequence[str], rows: Sequence[Mapping[str, Cell]]) -> bytes:
    """Return a table as CSV (RFC 4180, UTF-8), with cells that no spreadsheet takes for a formula.

    Unknown is an empty cell; numbers are written so that reading gives the same double.
    """
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(row.get(column)) for column in columns] for row in rows)
    return sink.getvalue().encode()


def safe_cell(cell: Cell) -> str:
    """Return a cell's text: a text that a spreadsheet would compute gets an apostrophe in front."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    return no_formula(plain_text(cell))


def plain_text(text: str) -> str:
    """Return a text without control characters but the newline: each becomes U+FFFD, so that no terminal obeys it."""
    return "".join("\ufffd" if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 else c for c in text)
