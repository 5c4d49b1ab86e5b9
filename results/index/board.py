"""Leaderboards: of every group of comparable results the best configuration, each by the middle one of its results.

A configuration is how a machine was used: backend, engine, batch, slots. Its results are ordered by the figure, and the
middle one stands for it (the worse of the two middle ones where their number is even), with its own interval and id: no
figure of the board was computed from several results, and measuring more often does not raise anybody's rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from wattbench.results.errors import UsageError
from wattbench.results.index.filters import Condition, Filters, condition_of
from wattbench.results.plugins import nearest_lines

__all__ = ["LIMIT_MAX", "SORTS", "Board", "Engine", "Line", "leaderboard", "listed"]

SORTS = {
    "tokens_per_j": True,
    "tokens_per_s": True,
    "requests_per_s": True,
    "energy_per_request_j": False,
    "power_w": False,
    "latency_p50_s": False,
    "latency_p99_s": False,
    "ttft_p50_s": False,
    "ttft_p99_s": False,
    "tpot_p50_s": False,
    "tpot_p99_s": False,
}
"""The figures that a board may be sorted by, and whether more is better."""

LIMIT_MAX = 10_000

CONFIGURATION = {"comparability_key": "x''", "backend": "''", "engine": "''", "batch": "-1", "slots": "-1"}
"""The columns that make a configuration, each with what stands for null, which equals nothing in a join."""


class Engine(Protocol):
    """What answers a query over the table `rows`: SQLite, or DuckDB over the columns of a Delta table.

    Both know the aggregate `middle`: the middle value of a group, the smaller one of two.
    """

    def select(self, query: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return what the query finds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a board: the row that stands for the group, and how many results and machines it stands for.

    `n` counts the results of its configuration, `machines` their different fingerprints, `worst` and `best` are the
    ends of their figures, `configurations` how many there were to choose from in the group. `key` is the group's.
    """

    id: bytes
    scope: str
    key: bytes
    value: float
    n: int
    machines: int
    worst: float
    best: float
    configurations: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The lines of a leaderboard by one figure, and how many there are without the limit."""

    sort: str
    lines: tuple[Line, ...]
    total: int


def leaderboard(
    engine: Engine, filters: Filters, *, sort: str = "tokens_per_j", limit: int = 20, every: bool = False
) -> Board:
    """Return the board of what passes the filters, the best first; with `every` all configurations of each group.

    Raises UsageError for a figure that has no better and worse.
    """
    higher = _higher(sort)
    condition = condition_of(filters)
    query = _board_query(condition, sort, higher=higher, every=every)
    found = engine.select(query, (*condition.values, min(limit, LIMIT_MAX)))
    lines = tuple(_line(values, higher=higher) for values in found)
    return Board(sort=sort, lines=lines, total=int(str(found[0][-1])) if found else 0)


def listed(engine: Engine, filters: Filters, *, limit: int, sort: str | None = None) -> list[tuple[bytes, str]]:
    """Return id and scope of single results that pass the filters, the newest first or the best by a figure."""
    condition = condition_of(filters)
    order = "time_us DESC NULLS LAST"
    if sort is not None:
        order = f'"{sort}" {"DESC" if _higher(sort) else "ASC"} NULLS LAST'
    query = f"SELECT id, scope FROM rows WHERE {condition.text} ORDER BY {order}, id LIMIT ?"
    found = engine.select(query, (*condition.values, min(limit, LIMIT_MAX)))
    return [(_bytes(values[0]), str(values[1])) for values in found]


def _board_query(condition: Condition, sort: str, *, higher: bool, every: bool) -> str:
    """Return the query whose columns are those of `Line` in order, and the number of all lines.

    Within it more is always better: where less is, figures are negated. Groups are found before ids, so that only the
    few lines that are shown are looked up. Of results with equal figures the first by id is shown.
    """
    parts = ", ".join(CONFIGURATION)
    chosen = ", ".join(f"coalesce({name}, {missing}) AS {name}" for name, missing in CONFIGURATION.items())
    return f"""
        WITH listed AS (
          SELECT id, scope, fingerprint, {chosen}, {"" if higher else "-"}{sort} AS figure
          FROM rows WHERE {condition.text} AND {sort} IS NOT NULL
        ), counted AS (
          SELECT {parts}, middle(figure) AS figure, count(*) AS n, count(DISTINCT fingerprint) AS machines,
          min(figure) AS worst, max(figure) AS best FROM listed GROUP BY {parts}
        ), grouped AS (
          SELECT *, count(*) OVER (PARTITION BY comparability_key) AS configurations,
          row_number() OVER (PARTITION BY comparability_key ORDER BY figure DESC, {parts}) AS standing FROM counted
        ), lines AS (
          SELECT *, count(*) OVER () AS total FROM grouped {"" if every else "WHERE standing = 1"}
          ORDER BY figure DESC, {parts} LIMIT ?
        )
        SELECT min(id), min(scope), comparability_key, figure, n, machines, worst, best, configurations, total
        FROM lines JOIN listed USING ({parts}, figure)
        GROUP BY {parts}, figure, n, machines, worst, best, configurations, total ORDER BY figure DESC, {parts}
    """


def _line(values: Sequence[object], *, higher: bool) -> Line:
    value, worst, best = (float(str(values[place])) * (1 if higher else -1) for place in (3, 6, 7))
    return Line(
        id=_bytes(values[0]),
        scope=str(values[1]),
        key=_bytes(values[2]),
        value=value,
        n=int(str(values[4])),
        machines=int(str(values[5])),
        worst=worst,
        best=best,
        configurations=int(str(values[8])),
    )


def _higher(sort: str) -> bool:
    if sort not in SORTS:
        raise UsageError(f"A board cannot be sorted by {sort!r:.80}", *nearest_lines(sort, SORTS))
    return SORTS[sort]


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes | bytearray | memoryview)
    return bytes(value)
