"""Comparisons as tables: of results with each other, and with published MLPerf results."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from wattbench.harness.cli.checking import Opened, watermark_lines
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.tables import Table, table_lines
from wattbench.results.compare import Comparison, Difference, Row
from wattbench.results.compare_mlperf import RULES, MlperfRow
from wattbench.results.readable import number

__all__ = ["print_comparison", "print_published"]

COLUMNS = ("result", "figure", "unit", "scope", "first", "this", "ratio", "95 %", "verdict")
PUBLISHED = (
    "result",
    "published by",
    "accelerators",
    "figure",
    "unit",
    "measured",
    "published",
    "ratio",
    "ratio each",
    "measured /W",
    "published /W",
    "cite as",
)
RIGHT = ("first", "this", "ratio", "measured", "published", "ratio each", "measured /W", "published /W")
WATERMARK = "NOT TO BE QUOTED"


def print_comparison(comparison: Comparison, form: str) -> None:
    """Print a comparison of results; every form carries what forbids quoting it."""
    if form == "json":
        print_json({"kind": "derived", **asdict(comparison)})
        return
    warned = tuple(["warning"] if comparison.warnings and form == "csv" else [])
    rows = tuple((*_cells(row), *(["; ".join(comparison.warnings)] if warned else [])) for row in comparison.rows)
    lines = list(table_lines(Table(columns=(*COLUMNS, *warned), rows=rows, right=RIGHT), form))
    if form == "csv":
        print_lines(lines)
        return
    marks = [f"{WATERMARK}: {text}" for text in comparison.warnings]
    if form == "markdown":
        marks = [f"**{mark}**  " for mark in marks]
    bullet = "- " if form == "markdown" else "  "
    reasons = [f"{bullet}{row.metric}: {row.reason}" for row in comparison.rows if row.reason]
    also = [f"{bullet}{line}" for line in _difference_lines(comparison.differences)]
    notes = [f"{bullet}{note}" for note in comparison.notes]
    print_lines([*marks, *([""] if marks else []), *lines, "", *reasons, *also, *notes])


def print_published(found: Sequence[tuple[Opened, Sequence[MlperfRow]]], form: str) -> None:
    """Print results beside published ones, with the rules for quoting them."""
    if form == "json":
        print_json({"kind": "derived", "rules": list(RULES), "results": [_plain(*each) for each in found]})
        return
    cells = tuple(_published(each, row) for each, rows in found for row in rows)
    lines = list(table_lines(Table(columns=PUBLISHED, rows=cells, right=RIGHT), form))
    if form == "csv":
        print_lines(lines)
        return
    bullet = "- " if form == "markdown" else "  "
    marks = watermark_lines([each for each, _ in found], form)
    differs = [line for each, rows in found for line in _differing(each, rows)]
    print_lines([*marks, *lines, "", *(f"{bullet}{line}" for line in (*differs, *RULES))])


def _cells(row: Row) -> tuple[str, ...]:
    first, this = (("-" if value is None else number(value)) for value in (row.first, row.other))
    ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
    spread = "-" if row.low is None or row.high is None else f"{row.low:.3f} .. {row.high:.3f}"
    return (row.result, row.metric, row.unit, row.scope or "", first, this, ratio, spread, row.outcome or "-")


def _difference_lines(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield the fields that differ and may, by result; those that may not are warnings already."""
    for result in dict.fromkeys(d.result for d in differences):
        mine = [d for d in differences if d.result == result and not d.blocking]
        if mine:
            yield f"{result} also differs in " + "; ".join(f"{d.field}: {d.first} | {d.other}" for d in mine)


def _published(each: Opened, row: MlperfRow) -> tuple[str, ...]:
    name = f"{WATERMARK}: {each.name}" if each.warnings else each.name
    accelerators = f"{row.accelerators} x {row.accelerator}" if row.accelerator else "no accelerator"
    watts = [_number(value) for value in (row.efficiency_measured, row.efficiency_published)]
    figures = [number(row.measured), number(row.published), f"{row.ratio:.3g}"]
    by = f"{row.submitter} {row.system}"
    per = _number(row.ratio_per_accelerator)
    return (name, by, accelerators, row.metric, row.unit, *figures, per, *watts, row.citation)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _differing(each: Opened, rows: Sequence[MlperfRow]) -> Iterator[str]:
    """Yield what is not the same in all rows, then what is in some, each once."""
    if not rows:
        yield f"{each.name}: it has no figure of the kinds that are published"
    for text in dict.fromkeys(text for row in rows for text in (*row.differs, *row.reasons)):
        count = sum(text in (*row.differs, *row.reasons) for row in rows)
        yield f"{each.name}: {text}" + ("" if count == len(rows) else f" ({count} of {len(rows)} rows)")


def _plain(each: Opened, rows: Sequence[MlperfRow]) -> dict[str, object]:
    return {
        "of": each.result_id,
        "result": each.name,
        "warnings": list(each.warnings),
        "published": [asdict(row) for row in rows],
    }
