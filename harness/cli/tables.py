"""One table of text in four forms: aligned columns, CSV, Markdown, and rows for JSON."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["FORMATS", "Table", "table_lines"]

FORMATS = ("table", "csv", "markdown", "json")
GAP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Columns and rows of text; `right` are the columns of numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[str, ...] = ()


def table_lines(table: Table, form: str) -> Iterator[str]:
    """Yield a table as lines: "table" aligned, "csv" (RFC 4180, without line ends), or "markdown"."""
    if form == "csv":
        yield from (_csv_line(row) for row in (table.columns, *table.rows))
    elif form == "markdown":
        yield _markdown_line(table.columns)
        yield _markdown_line(["---:" if column in table.right else "---" for column in table.columns])
        yield from (_markdown_line(row) for row in table.rows)
    else:
        yield from _aligned(table)


def _aligned(table: Table) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
    for row in (table.columns, *table.rows):
        cells = [
            cell.rjust(width) if name in table.right else cell.ljust(width)
            for cell, width, name in zip(row, widths, table.columns, strict=True)
        ]
        yield (" " * GAP).join(cells).rstrip()


def _csv_line(row: Sequence[str]) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="").writerow(row)
    return sink.getvalue()


def _markdown_line(row: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
