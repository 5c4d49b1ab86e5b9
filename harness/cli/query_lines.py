"""What `bench query` prints: leaderboards, lists, one result and histories, as tables and lines of text."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from wattbench.harness.cli.tables import Table
from wattbench.results.index.board import SORTS, Board, Line
from wattbench.results.index.filters import Filters
from wattbench.results.index.history import History
from wattbench.results.index.row import IndexRow
from wattbench.results.spreadsheet import no_formula

__all__ = [
    "board_notes",
    "board_table",
    "empty_lines",
    "history_lines",
    "list_table",
    "plain",
    "plain_history",
    "plain_line",
    "row_lines",
]

ID_DIGITS = 12
"""As many digits of an id as people are shown; `bench query ID` takes them."""

UNITS = {
    "tokens_per_j": "tokens/J",
    "tokens_per_s": "tokens/s",
    "requests_per_s": "requests/s",
    "energy_per_request_j": "J/request",
    "power_w": "W",
}


def board_table(board: Board, rows: Sequence[IndexRow]) -> Table:
    """Return a leaderboard: place, figure with its interval, how much stands behind it, and what ran on what."""
    unit = unit_of(board.sort)
    columns = ("#", unit, "interval", "n", "machines", "hardware", "load", "precision", "scope", "engine", "batch")
    return Table(
        columns=(*columns, "of", "tier", "verdict", "id"),
        rows=tuple(
            (
                str(place),
                f"{line.value:.4g}",
                _interval(row, board.sort),
                str(line.n),
                str(line.machines),
                _text(row.hardware),
                _text(row.load),
                _text(row.precision),
                row.scope,
                _text(f"{row.backend}/{row.engine}"),
                _text(row.batch),
                str(line.configurations),
                row.tier,
                _text(row.verdict),
                short_id(row.id),
            )
            for place, (line, row) in enumerate(zip(board.lines, rows, strict=True), 1)
        ),
        right=("#", unit, "n", "machines", "batch", "of"),
    )


def empty_lines(passing: int, unranked: int, figure: str | None = None) -> Iterator[str]:
    """Yield why nothing is listed: what passes the filters has no such figure, or is in no ranking, or is not there."""
    if passing and figure is not None:
        yield f"None of the results that pass these filters has {unit_of(figure)}."
        yield "`--sort requests_per_s` takes another figure; `--list` shows them."
    elif unranked:
        yield "No result that can be ranked passes these filters; `--list --all` shows the others with the reasons."
    else:
        yield "No result passes these filters."


def board_notes(board: Board, filters: Filters) -> Iterator[str]:
    """Yield what a board must not be read without."""
    shown = f"{len(board.lines)} of {board.total} lines" if board.total > len(board.lines) else f"{board.total} lines"
    more = "more is better" if SORTS[board.sort] else "less is better"
    yield f"{shown}; {more}; a line is the middle one of the n results of the best of so many ('of') configurations"
    if not filters.rankable:
        yield "Some of these are in no ranking: `reasons` in --json and `bench query ID` say why."


def list_table(rows: Sequence[IndexRow]) -> Table:
    """Return single results as a table."""
    columns = ("time", "id", "load", "precision", "hardware", "scope", "engine", "batch", "tokens/s", "tokens/J")
    return Table(
        columns=(*columns, "tier", "verdict", "ranked"),
        rows=tuple(
            (
                _text((row.started_at or row.logged_at or "")[:19]),
                short_id(row.id),
                _text(row.load),
                _text(row.precision),
                _text(row.hardware),
                row.scope,
                _text(f"{row.backend}/{row.engine}" if row.backend else None),
                _text(row.batch),
                _number(row.tokens_per_s),
                _number(row.tokens_per_j),
                row.tier,
                _text(row.verdict),
                "yes" if row.rankable else f"no: {row.reasons}",
            )
            for row in rows
        ),
        right=("batch", "tokens/s", "tokens/J"),
    )


def row_lines(rows: Sequence[IndexRow]) -> Iterator[str]:
    """Return one result as lines: every column that is known; of further scopes what differs."""
    first = asdict(rows[0])
    yield from _fact_lines(first)
    for row in rows[1:]:
        yield ""
        yield from _fact_lines({name: value for name, value in asdict(row).items() if value != first[name]})


def history_lines(found: Sequence[History]) -> Iterator[str]:
    """Return histories as lines: each configuration, its results, and between them where the level moved."""
    for number, history in enumerate(found):
        if number:
            yield ""
        yield from _history_lines(history)


def plain(row: IndexRow) -> dict[str, object]:
    """Return a row for JSON."""
    return asdict(row)


def plain_line(line: Line) -> dict[str, object]:
    """Return for JSON what a line says beyond the row that stands for it."""
    return {
        "value": line.value,
        "n": line.n,
        "machines": line.machines,
        "worst": line.worst,
        "best": line.best,
        "configurations": line.configurations,
    }


def plain_history(history: History) -> dict[str, object]:
    """Return a history for JSON."""
    points = [asdict(point) | {"id": digest(point.id), "at": _time(point.time_us)} for point in history.points]
    changes = [
        asdict(change) | {"at": _time(history.points[change.index].time_us), "better": history.better(change)}
        for change in history.changes
    ]
    named = {"fingerprint": digest(history.fingerprint), "comparability_key": digest(history.key)}
    whole = asdict(history) | named | {"points": points, "changes": changes}
    return {name: value for name, value in whole.items() if name != "key"}


def unit_of(figure: str) -> str:
    """Return the column's heading for a figure."""
    return UNITS.get(figure, f"{figure.removesuffix('_s').replace('_', ' ')} s")


def short_id(result_id: str) -> str:
    """Return as much of an id as people are shown."""
    return result_id.removeprefix("sha256:")[:ID_DIGITS]


def digest(data: bytes) -> str:
    """Return a digest's 32 bytes as text."""
    return f"sha256:{data.hex()}"


def _history_lines(history: History) -> Iterator[str]:
    unit = unit_of(history.figure)
    fingerprint = digest(history.fingerprint)[7 : 7 + ID_DIGITS]
    batch = "" if history.batch is None else f", batch {history.batch}"
    yield f"machine {fingerprint}: {history.load}, {history.precision}, {history.engine}{batch}, scope {history.scope}"
    steps = {change.index: change for change in history.changes}
    for index, point in enumerate(history.points):
        change = steps.get(index)
        if change is not None:
            ratio = f"{change.after / change.before:.3f} times" if change.before else "from nothing"
            word = "better" if history.better(change) else "worse"
            yield f"  --- {word}: {change.before:.4g} to {change.after:.4g} {unit} ({ratio}, p = {change.p:.3f}) ---"
        ends = "" if point.low is None or point.high is None else f"  [{point.low:.4g}, {point.high:.4g}]"
        yield f"  {_time(point.time_us)[:19]}  {point.id.hex()[:ID_DIGITS]}  {point.value:.4g} {unit}{ends}"
    if not history.changes:
        yield f"  no change of level in {len(history.points)} results"


def _fact_lines(facts: dict[str, object]) -> Iterator[str]:
    width = max(map(len, facts), default=0) + 2
    for name, value in facts.items():
        if value is not None and value != "":
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            yield f"{name:<{width}}{text}"


def _interval(row: IndexRow, figure: str) -> str:
    low, high = getattr(row, f"{figure}_low", None), getattr(row, f"{figure}_high", None)
    return "-" if low is None or high is None else f"{low:.4g} .. {high:.4g}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _text(value: object) -> str:
    """Return a cell; text that a spreadsheet would take for a formula is kept from it by an apostrophe."""
    return "-" if value is None or value == "" else no_formula(str(value))


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat().replace("+00:00", "Z")
