"""Leaderboards and histories: the same from SQLite and from the Delta table, and what a plain loop over rows finds."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from index_case import make_row

from wattbench.results.errors import UsageError
from wattbench.results.index.board import SORTS, Engine, Line, leaderboard, listed
from wattbench.results.index.columns import ColumnEngine
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.filters import Filters, parse_since, parse_where
from wattbench.results.index.history import histories
from wattbench.results.index.lake import lake_files, mirror
from wattbench.results.index.row import IndexRow

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = 400


def digest(text: str) -> str:
    """Return a made-up digest."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def random_rows(seed: int, count: int = ROWS) -> list[IndexRow]:
    """Return rows of few configurations, with missing figures, ties, and some that cannot be ranked."""
    draw, base = random.Random(seed), make_row()
    rows = []
    for n in range(count):
        group, scope = draw.randrange(4), draw.choice(("board", "wall"))
        rows.append(
            replace(
                base,
                id=digest(f"{seed} {n}"),
                scope=scope,
                primary_scope=scope == "board" or draw.random() < 0.5,
                comparability_key=digest(f"key {group} {scope}"),
                fingerprint=digest(f"machine {draw.randrange(3)}"),
                load=draw.choice(("a/b", "c/d")),
                engine=draw.choice(("eager", "compiled", None)),
                batch=draw.choice((1, 8)),
                slots=draw.choice((None, None, 4)),
                hardware=f"nvidia/x{group} x1",
                tier=draw.choice(("self-reported", "signed", "audited")),
                rankable=draw.random() < 0.9,
                tokens_per_j=draw.choice((None, float(draw.randrange(1, 30)), draw.random() * 30)),
                latency_p99_s=draw.random(),
                time_us=1_700_000_000_000_000 + n,
            )
        )
    return rows


@pytest.fixture(scope="module")
def rows() -> list[IndexRow]:
    """Return the rows that both engines are filled with."""
    return random_rows(1)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, rows: list[IndexRow]) -> Iterator[IndexDatabase]:
    """Give an index with the rows."""
    database = IndexDatabase(tmp_path_factory.mktemp("index") / "index.sqlite")
    database.put([(row.id, [row]) for row in rows], 0, progress=None)
    yield database
    database.close()


@pytest.fixture(scope="module", params=["sqlite", "lake"])
def engine(request: pytest.FixtureRequest, index: IndexDatabase) -> Iterator[Engine]:
    """Give each engine over the same rows."""
    if request.param == "sqlite":
        yield index
        return
    folder = index.path.parent / "rows"
    mirror(folder, index)
    files = lake_files(folder, index)
    assert files is not None
    columns = ColumnEngine(files)
    yield columns
    columns.close()


def expected_board(rows: list[IndexRow], sort: str, *, every: bool = False) -> list[tuple[str, float, int, int, int]]:
    """Return the board by a plain loop: id, figure, n, machines, configurations."""
    sign = 1 if SORTS[sort] else -1
    groups: dict[tuple[str, str, str, int, int], list[IndexRow]] = {}
    for row in rows:
        if row.rankable and row.primary_scope and getattr(row, sort) is not None:
            batch, slots = (-1 if each is None else each for each in (row.batch, row.slots))
            where = str(row.comparability_key), row.backend or "", row.engine or "", batch, slots
            groups.setdefault(where, []).append(row)
    middles: dict[str, list[tuple[float, tuple[object, ...], tuple[str, float, int, int]]]] = {}
    for where, found in groups.items():
        figures = sorted(sign * getattr(row, sort) for row in found)
        middle = figures[(len(found) - 1) // 2]
        shown = min(row.id for row in found if sign * getattr(row, sort) == middle)
        line = shown, sign * middle, len(found), len({row.fingerprint for row in found})
        middles.setdefault(where[0], []).append((-middle, where, line))
    lines = []
    for own in middles.values():
        own.sort()
        lines += [(worth, where, (*line, len(own))) for worth, where, line in (own if every else own[:1])]
    return [line for _, _, line in sorted(lines)]


def plain(line: Line) -> tuple[str, float, int, int, int]:
    """Return a line as the plain loop gives it."""
    return f"sha256:{line.id.hex()}", line.value, line.n, line.machines, line.configurations


@pytest.mark.parametrize("sort", ["tokens_per_j", "latency_p99_s"])
@pytest.mark.parametrize("every", [False, True])
def test_a_board_is_what_a_plain_loop_finds(engine: Engine, rows: list[IndexRow], sort: str, every: bool) -> None:
    """The middle result of each configuration, the best configuration of each group, the best group first."""
    board = leaderboard(engine, Filters(), sort=sort, limit=1000, every=every)

    assert expected_board(rows, sort, every=every) == [plain(line) for line in board.lines]
    assert board.total == len(board.lines)


def test_the_limit_leaves_the_total(engine: Engine) -> None:
    """A shortened board has the best lines, and says how many there are."""
    whole, short = (leaderboard(engine, Filters(), limit=limit) for limit in (1000, 2))

    assert whole.lines[:2] == short.lines
    assert whole.total == short.total > 2


def test_one_more_result_of_a_configuration_is_no_more_places(engine: Engine) -> None:
    """Each group has one line, however often it was measured."""
    board = leaderboard(engine, Filters(), limit=1000)

    assert len(board.lines) == len({line.key for line in board.lines})
    assert all(min(line.worst, line.best) <= line.value <= max(line.worst, line.best) for line in board.lines)


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        (Filters(), lambda r: r.rankable and r.primary_scope),
        (Filters(rankable=False), lambda r: r.primary_scope),
        (Filters(scope="wall"), lambda r: r.rankable and r.scope == "wall"),
        (Filters(load="a/b"), lambda r: r.rankable and r.primary_scope and r.load == "a/b"),
        (Filters(hardware="X2"), lambda r: r.rankable and r.primary_scope and "x2" in r.hardware),
        (Filters(tier="signed"), lambda r: r.rankable and r.primary_scope and r.tier != "self-reported"),
        (
            Filters(since_us=1_700_000_000_000_200),
            lambda r: r.rankable and r.primary_scope and r.time_us >= 1_700_000_000_000_200,
        ),
        (
            Filters(machine=digest("machine 1")[7:19]),
            lambda r: r.rankable and r.primary_scope and r.fingerprint == digest("machine 1"),
        ),
        (
            Filters(where=(parse_where("batch=8"), parse_where("tokens_per_j>=10"))),
            lambda r: r.rankable and r.primary_scope and r.batch == 8 and (r.tokens_per_j or 0) >= 10,
        ),
        (Filters(where=(parse_where("slots=null"),)), lambda r: r.rankable and r.primary_scope and r.slots is None),
        (
            Filters(where=(parse_where("engine!=eager"),)),
            lambda r: r.rankable and r.primary_scope and r.engine != "eager",
        ),
        (
            Filters(where=(parse_where(f"comparability_key={digest('key 0 board')}"),)),
            lambda r: r.rankable and r.primary_scope and r.comparability_key == digest("key 0 board"),
        ),
        (Filters(rankable=False, where=(parse_where("rankable=no"),)), lambda r: r.primary_scope and not r.rankable),
    ],
)
def test_filters_let_the_right_rows_pass(
    engine: Engine, rows: list[IndexRow], filters: Filters, passes: object
) -> None:
    """Each filter passes exactly the rows that a plain test passes, the newest first."""
    assert callable(passes)
    expected = [row.id for row in sorted(rows, key=lambda row: -(row.time_us or 0)) if passes(row)]

    assert expected == [f"sha256:{result_id.hex()}" for result_id, _ in listed(engine, filters, limit=10_000)]
    assert expected


def test_a_history_has_every_result_in_order_and_its_steps(tmp_path: Path) -> None:
    """A machine that lost a third of its efficiency on one day shows when, and that it was for the worse."""
    draw, base = random.Random(5), make_row()
    levels = [30.0] * 12 + [20.0] * 12
    made = [
        replace(base, id=digest(f"h {n}"), time_us=10**15 + n * 10**9, tokens_per_j=level + draw.gauss(0, 0.3))
        for n, level in enumerate(levels)
    ]
    database = IndexDatabase(tmp_path / "index.sqlite")
    database.put([(row.id, [row]) for row in reversed(made)], 0, progress=None)
    assert base.fingerprint is not None
    (found,) = histories(database, Filters(machine=base.fingerprint[7:15]))
    (change,) = found.changes

    assert [row.tokens_per_j for row in made] == [point.value for point in found.points]
    assert 12 == change.index
    assert not found.better(change)
    database.close()


def test_both_engines_tell_the_same_history(index: IndexDatabase, engine: Engine) -> None:
    """Histories do not depend on what answers."""
    assert histories(index, Filters()) == histories(engine, Filters())
    assert 5 < len(histories(engine, Filters(), sort="latency_p99_s"))


def test_the_table_follows_the_index(tmp_path: Path) -> None:
    """New rows are appended, changed ones replaced, a build rewrites it, and a table behind the index never answers."""
    database, folder = IndexDatabase(tmp_path / "index.sqlite"), tmp_path / "rows"
    first, second = random_rows(7, 50), random_rows(8, 50)
    database.put([(row.id, [row]) for row in first], 0, progress=None)
    steps = [mirror(folder, database), mirror(folder, database)]
    database.put([(row.id, [row]) for row in second], 0, progress=None)
    behind = lake_files(folder, database)
    steps.append(mirror(folder, database))
    changed = [replace(row, tier="audited", tokens_per_j=1e6) for row in first[:10]]
    database.put([(row.id, [row]) for row in changed], 0, progress=None)
    steps.append(mirror(folder, database))
    merged = table_rows(folder, database)
    database.end_build(database.begin_build())
    database.put([(row.id, [row]) for row in second], 1, progress=None)
    steps.append(mirror(folder, database))

    assert ["rewritten", "unchanged", "appended", "merged", "rewritten"] == steps
    assert behind is None
    assert merged == {(row.id, row.tier, row.tokens_per_j) for row in (*changed, *first[10:], *second)}
    assert table_rows(folder, database) == {(row.id, row.tier, row.tokens_per_j) for row in second}
    database.close()


def table_rows(folder: Path, database: IndexDatabase) -> set[tuple[str, object, object]]:
    """Return what the Delta table holds of each row."""
    files = lake_files(folder, database)
    assert files is not None
    columns = ColumnEngine(files)
    found = columns.select("SELECT id, tier, tokens_per_j FROM rows")
    columns.close()
    assert len(found) == database.count_rows()
    return {(f"sha256:{bytes(i).hex()}", tier, figure) for i, tier, figure in found if isinstance(i, bytes)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("engine", "no comparison"),
        ("engin=x", "Unknown column"),
        ("batch=many", "is a number"),
        ("rankable<yes", "no order"),
        ("rankable=perhaps", "true or false"),
        ("id=abc", "digest"),
        ("engine; DROP TABLE rows=1", "no comparison"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(text: str, what: str) -> None:
    """What cannot be asked is answered with what can."""
    with pytest.raises(UsageError, match=what):
        parse_where(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-31", "2026-05-31T00:00:00+00:00"),
        ("1d", "2026-05-31T00:00:00+00:00"),
        ("24h", "2026-05-31T00:00:00+00:00"),
        ("2w", "2026-05-18T00:00:00+00:00"),
        ("2026-05-31T02:00:00+02:00", "2026-05-31T00:00:00+00:00"),
    ],
)
def test_since_takes_dates_and_spans(text: str, expected: str) -> None:
    """A date is UTC unless it says otherwise; a span counts back from now."""
    assert datetime.fromisoformat(expected).timestamp() * 1e6 == parse_since(text, NOW)


@pytest.mark.parametrize("text", ["", "yesterday", "999999w", "1m"])
def test_a_since_that_is_no_time_is_refused(text: str) -> None:
    """Anything else is an error that says what to write."""
    with pytest.raises(UsageError, match="such as 30d"):
        parse_since(text, NOW)


def test_a_board_needs_a_figure_with_a_better_end(index: IndexDatabase) -> None:
    """Sorting by a column that has no better and worse is refused."""
    with pytest.raises(UsageError, match="sorted by 'batch'"):
        leaderboard(index, Filters(), sort="batch")
