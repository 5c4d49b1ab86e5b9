"""`bench query`: leaderboards, single results and the history of a machine, from a store's index."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import click

from wattbench.harness.cli.indexing import OpenStore, opened_store, refreshed
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.cli.query_lines import (
    board_notes,
    board_table,
    empty_lines,
    history_lines,
    list_table,
    plain,
    plain_history,
    plain_line,
    row_lines,
)
from wattbench.harness.cli.tables import Table, table_lines
from wattbench.results.errors import UsageError
from wattbench.results.index.board import SORTS, Engine, leaderboard, listed
from wattbench.results.index.filters import TIERS, Filters, parse_since, parse_where
from wattbench.results.index.history import histories
from wattbench.results.index.lake import lake_files, require_lake
from wattbench.results.index.row import IndexRow
from wattbench.results.store.find import id_digits

__all__ = ["command"]

FORMS = ("table", "csv", "markdown", "json")
ENGINES = ("auto", "sqlite", "lake")
AMBIGUOUS = 6


@click.command("query")
@click.argument("result", required=False, metavar="[ID]")
@click.option("--store", required=True, envvar="WATTBENCH_STORE", help="The store: a folder, or a URI.")
@click.option("--load", help="Only this load.")
@click.option("--precision", help="Only this precision.")
@click.option("--class", "hardware", help="Only hardware whose class has this text, such as h100.")
@click.option("--boundary", metavar="SCOPE", help="Power at this scope (board, wall, ...); default: each result's own.")
@click.option("--since", help="Only runs since a date, or within a span: 2026-01-31, 30d, 12h, 2w.")
@click.option("--tier", type=click.Choice(TIERS), help="Only this tier of trust, or a higher one.")
@click.option("--machine", help="Only machines whose fingerprint begins so.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Any column: =, !=, <, <=, >, >=; repeatable.")
@click.option("--sort", type=click.Choice(tuple(SORTS)), default="tokens_per_j", show_default=True, help="The figure.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="The most lines.")
@click.option("--every", is_flag=True, help="Every configuration, not only the best of each group.")
@click.option("--list", "as_list", is_flag=True, help="Single results, the newest first, instead of a leaderboard.")
@click.option("--all", "unranked", is_flag=True, help="Also what is in no ranking, with the reasons.")
@click.option("--history", metavar="MACHINE", help="The results of a machine over time, with changes of level.")
@click.option("--engine", type=click.Choice(ENGINES), default="auto", show_default=True, help="What answers.")
@click.option("--refresh/--no-refresh", default=True, help="Look for new results first, or take the index as it is.")
@click.option("--format", "form", type=click.Choice(FORMS), default="table", show_default=True, help="The output.")
@click.option("--csv", "as_csv", is_flag=True, help="The same as --format csv.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(
    result: str | None,
    store: str,
    load: str | None,
    precision: str | None,
    hardware: str | None,
    boundary: str | None,
    since: str | None,
    tier: str | None,
    machine: str | None,
    where: tuple[str, ...],
    sort: str,
    limit: int,
    every: bool,
    as_list: bool,
    unranked: bool,
    history: str | None,
    engine: str,
    refresh: bool,
    form: str,
    as_csv: bool,
    as_json: bool,
) -> int:
    """Show the leaderboard of a store: of every group of comparable results the best configuration. With ID (the first
    digits will do) one result; with --list single results; with --history a machine's results over time.
    """
    form = "json" if as_json else "csv" if as_csv else form
    filters = Filters(
        load=load,
        precision=precision,
        hardware=hardware,
        scope=boundary,
        since_us=None if since is None else parse_since(since, datetime.now(UTC)),
        tier=tier,
        machine=history if history is not None else machine,
        rankable=not unranked,
        where=tuple(map(parse_where, where)),
    )
    with opened_store(store) as opened:
        if refresh:
            refreshed(opened)
        if result is not None:
            return _print_result(opened, result, form)
        what = "history" if history is not None else "list" if as_list else "board"
        return _answer(opened, what, filters, _Asked(sort=sort, limit=limit, every=every, form=form, engine=engine))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """How the answer is to look."""

    sort: str
    limit: int
    every: bool
    form: str
    engine: str


def _answer(opened: OpenStore, what: str, filters: Filters, asked: _Asked) -> int:
    with _engine(opened, asked.engine) as engine:
        if what == "history":
            found = histories(engine, filters, sort=asked.sort)
            if asked.form == "json":
                print_json([plain_history(each) for each in found])
            else:
                print_lines(history_lines(found) if found else _why_empty(engine, filters, asked.sort))
            return 0
        if what == "list":
            rows = [_row(opened, *each) for each in listed(engine, filters, limit=asked.limit)]
            if not rows and asked.form == "table":
                print_lines(_why_empty(engine, filters, None))
            else:
                _print_table(list_table(rows), [plain(row) for row in rows], asked.form)
            return 0
        board = leaderboard(engine, filters, sort=asked.sort, limit=asked.limit, every=asked.every)
        if not board.lines and asked.form == "table":
            print_lines(_why_empty(engine, filters, asked.sort))
            return 0
    rows = [_row(opened, line.id, line.scope) for line in board.lines]
    lines = [plain(row) | plain_line(line) for row, line in zip(rows, board.lines, strict=True)]
    _print_table(board_table(board, rows), {"sort": board.sort, "total": board.total, "lines": lines}, asked.form)
    if asked.form == "table":
        print_lines(board_notes(board, filters))
    return 0


def _why_empty(engine: Engine, filters: Filters, figure: str | None) -> Iterator[str]:
    passing = len(listed(engine, filters, limit=1))
    return empty_lines(passing, len(listed(engine, replace(filters, rankable=False), limit=1)), figure)


def _print_result(opened: OpenStore, text: str, form: str) -> int:
    """Print one result's rows, found by the first digits of its id. Raises UsageError for none or several."""
    digits = id_digits(text)
    ids = opened.place.index.ids(digits, AMBIGUOUS)
    if len(ids) != 1:
        why = f"it fits {', '.join(ids)}" if ids else f"none of {opened.place.index.count()} begins so"
        raise UsageError(f"{text} is not one result of {opened.store.uri}", why, "`bench query --list` shows ids.")
    rows = opened.place.index.rows(ids[0])
    if form == "table":
        print_lines(row_lines(rows))
    else:
        _print_table(list_table(rows), [plain(row) for row in rows], form)
    return 0


def _print_table(table: Table, records: object, form: str) -> None:
    if form == "json":
        print_json(records)
    else:
        print_lines(table_lines(table, form))


def _row(opened: OpenStore, result_id: bytes, scope: str) -> IndexRow:
    """Return one row whole: by columns only what is needed to find it is read."""
    return next(row for row in opened.place.index.rows(f"sha256:{result_id.hex()}") if row.scope == scope)


@contextmanager
def _engine(opened: OpenStore, name: str) -> Iterator[Engine]:
    """Give what answers: the Delta table where it has all that the index has, else SQLite, or what was asked for.

    Raises UsageError when the table was asked for and cannot be had.
    """
    files = None if name == "sqlite" else lake_files(opened.place.lake, opened.place.index)
    if files is None:
        if name == "lake":
            require_lake()
            why = "it was not written yet, or is older than the index"
            raise UsageError("The Delta table cannot answer", why, f"bench store compact {opened.store.uri}")
        yield opened.place.index
        return
    from wattbench.results.index.columns import ColumnEngine

    columns = ColumnEngine(files)
    try:
        yield columns
    finally:
        columns.close()
