"""What a leaderboard site shows, read from a store's index: boards, accelerators, and what is in no ranking."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.results.index.board import LIMIT_MAX, Line, leaderboard
from wattbench.results.index.database import IndexDatabase
from wattbench.results.index.filters import Filters, Where
from wattbench.results.index.row import IndexRow

__all__ = ["FIGURE", "Accelerator", "Group", "SiteBoard", "SiteData", "board_key", "gather"]

FIGURE = "tokens_per_j"
"""The figure that boards are sorted by when they are opened."""

NOT_KNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One line of `bench query`: the result that stands for a group of comparable ones, and what stands behind it."""

    row: IndexRow
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteBoard:
    """The groups, best first, that differ in hardware alone: one load, precision, scenario, kind of weights, boundary.

    `left_out` counts those beyond the limit of a query.
    """

    key: tuple[str, ...]
    groups: tuple[Group, ...]
    left_out: int = 0

    @property
    def first(self) -> IndexRow:
        """Return the result that leads the board."""
        return self.groups[0].row


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One class of hardware: how many results, ranked ones, machines and loads it has, and when the newest was run.

    A class that the vendor database does not know begins with "unmapped:" and is in no ranking.
    """

    hardware: str
    results: int
    ranked: int
    machines: int
    loads: int
    newest: str | None

    @property
    def mapped(self) -> bool:
        """Return whether the vendor database knows the class."""
        return self.hardware != NOT_KNOWN and not self.hardware.startswith("unmapped:")


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteData:
    """All that a site shows. `reasons` counts results by the codes of why they are in no ranking.

    `unpowered` counts results that may be ranked and have no tokens/J, so that no board shows them; `as_of` is when the
    newest one was logged.
    """

    boards: tuple[SiteBoard, ...]
    accelerators: tuple[Accelerator, ...]
    results: int
    ranked: int
    unpowered: int
    reasons: tuple[tuple[str, int], ...]
    tiers: tuple[tuple[str, int], ...]
    verdicts: tuple[tuple[str, int], ...]
    as_of: str | None

    @property
    def groups(self) -> list[Group]:
        """Return the groups of all boards."""
        return [group for board in self.boards for group in board.groups]


def gather(index: IndexDatabase) -> SiteData:
    """Return what the index says; within `index.reading()` all of it is of one moment."""
    whole = index.select(
        "SELECT count(*), coalesce(sum(rankable), 0), coalesce(sum(rankable AND tokens_per_j IS NULL), 0),"
        " max(logged_at) FROM rows WHERE primary_scope"
    )[0]
    return SiteData(
        boards=tuple(_boards(index)),
        accelerators=tuple(_accelerators(index)),
        results=_count(whole[0]),
        ranked=_count(whole[1]),
        unpowered=_count(whole[2]),
        reasons=_reasons(index),
        tiers=_counts(index, "tier"),
        verdicts=_counts(index, "verdict"),
        as_of=None if whole[3] is None else str(whole[3]),
    )


def board_key(row: IndexRow) -> tuple[str, ...]:
    """Return what all results of a board have in common: the comparability key's fields but hardware and ranks."""
    fields = (row.load, row.load_version, row.load_digest, row.precision, row.compute_precision, row.weights)
    return tuple("" if value is None else value for value in (*fields, row.scenario, row.scope))


def _boards(index: IndexDatabase) -> list[SiteBoard]:
    """Return the boards by name: of every load and boundary the groups of `bench query`, set apart by the rest."""
    found: list[SiteBoard] = []
    query = "SELECT DISTINCT load, scope FROM rows WHERE rankable AND tokens_per_j IS NOT NULL AND load IS NOT NULL"
    for load, scope in index.select(f"{query} ORDER BY load, scope"):
        named = Where(column="load", operator="=", value=str(load))
        board = leaderboard(index, Filters(scope=str(scope), where=(named,)), sort=FIGURE, limit=LIMIT_MAX)
        parts: dict[tuple[str, ...], list[Group]] = {}
        for line in board.lines:
            row = _row(index, line)
            parts.setdefault(board_key(row), []).append(Group(row=row, line=line))
        left_out = board.total - len(board.lines)
        found += [SiteBoard(key=key, groups=tuple(groups), left_out=left_out) for key, groups in sorted(parts.items())]
    return found


def _row(index: IndexDatabase, line: Line) -> IndexRow:
    return next(row for row in index.rows(f"sha256:{line.id.hex()}") if row.scope == line.scope)


def _accelerators(index: IndexDatabase) -> list[Accelerator]:
    query = """
        SELECT coalesce(hardware, ?), count(*), sum(rankable), count(DISTINCT fingerprint), count(DISTINCT load),
        max(time_us) FROM rows WHERE primary_scope GROUP BY 1 ORDER BY 1
    """
    return [
        Accelerator(
            hardware=str(values[0]),
            results=_count(values[1]),
            ranked=_count(values[2]),
            machines=_count(values[3]),
            loads=_count(values[4]),
            newest=None if values[5] is None else _time(_count(values[5])),
        )
        for values in index.select(query, (NOT_KNOWN,))
    ]


def _reasons(index: IndexDatabase) -> tuple[tuple[str, int], ...]:
    counted: Counter[str] = Counter()
    query = "SELECT reasons, count(*) FROM rows WHERE primary_scope AND NOT rankable GROUP BY reasons"
    for reasons, count in index.select(query):
        counted.update(dict.fromkeys(filter(None, str(reasons).split(",")), _count(count)))
    return tuple(sorted(counted.items()))


def _counts(index: IndexDatabase, column: str) -> tuple[tuple[str, int], ...]:
    query = f"SELECT {column}, count(*) FROM rows WHERE primary_scope AND {column} IS NOT NULL GROUP BY 1 ORDER BY 1"
    return tuple((str(name), _count(count)) for name, count in index.select(query))


def _time(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _count(value: object) -> int:
    assert isinstance(value, int)
    return value
