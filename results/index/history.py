"""The history of a machine: its results in the order of time, configuration by configuration, with the changes."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.changes import Change, changes
from wattbench.results.index.board import SORTS, Engine
from wattbench.results.index.filters import Filters, condition_of

__all__ = ["History", "Point", "histories"]

ROWS_MAX = 100_000
"""The most results that are read, the newest: more is no history that anybody reads."""

CONFIGURATION = (
    "fingerprint",
    "comparability_key",
    "load",
    "precision",
    "scope",
    "backend",
    "engine",
    "batch",
    "slots",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One result of a history: when, which, and its figure with its interval."""

    time_us: int
    id: bytes
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One configuration of one machine over time. `step_better` of each change says whether it was for the better."""

    fingerprint: bytes
    key: bytes
    load: str
    precision: str | None
    scope: str
    engine: str
    batch: int | None
    slots: int | None
    figure: str
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    def better(self, change: Change) -> bool:
        """Return whether a change was for the better."""
        return (change.after > change.before) == SORTS[self.figure]


def histories(engine: Engine, filters: Filters, *, sort: str = "tokens_per_j") -> tuple[History, ...]:
    """Return the histories of what passes the filters, the longest first; figures that are not known are left out."""
    condition = condition_of(filters)
    ends = ", ".join(f"{sort}_{end}" if sort in WITH_ENDS else f"NULL AS {end}" for end in ("low", "high"))
    query = (
        f"SELECT {', '.join(CONFIGURATION)}, time_us, id, {sort}, {ends} FROM rows"
        f" WHERE {condition.text} AND {sort} IS NOT NULL AND time_us IS NOT NULL ORDER BY time_us DESC, id LIMIT ?"
    )
    groups: dict[tuple[object, ...], list[Point]] = {}
    width = len(CONFIGURATION)
    for values in engine.select(query, (*condition.values, ROWS_MAX)):
        groups.setdefault(values[:width], []).append(_point(values[width:]))
    found = [_history(named, points[::-1], sort) for named, points in groups.items()]
    return tuple(sorted(found, key=lambda each: (-len(each.points), each.load, each.engine)))


WITH_ENDS = (
    "tokens_per_j",
    "tokens_per_s",
    "requests_per_s",
    "energy_per_request_j",
    "power_w",
    "ttft_p50_s",
    "tpot_p50_s",
)
"""The figures that have columns for their interval."""


def _point(values: Sequence[object]) -> Point:
    time_us, result_id, value, low, high = values
    return Point(
        time_us=int(str(time_us)),
        id=_bytes(result_id),
        value=float(str(value)),
        low=None if low is None else float(str(low)),
        high=None if high is None else float(str(high)),
    )


def _history(named: Sequence[object], points: Sequence[Point], sort: str) -> History:
    fingerprint, key, load, precision, scope, backend, engine, batch, slots = named
    return History(
        fingerprint=_bytes(fingerprint),
        key=_bytes(key),
        load=str(load),
        precision=None if precision is None else str(precision),
        scope=str(scope),
        engine=f"{backend}/{engine}",
        batch=None if batch is None else int(str(batch)),
        slots=None if slots is None else int(str(slots)),
        figure=sort,
        points=tuple(points),
        changes=changes([point.value for point in points]),
    )


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes | bytearray | memoryview)
    return bytes(value)
