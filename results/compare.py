"""Measured against measured: like with like, the ratio of each figure with its interval, and what it says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from wattbench.results.checks import require, require_not_negative
from wattbench.results.compare_offsets import left_of_offsets
from wattbench.results.compare_sides import NOT_STATED, OF_BOARD, Side
from wattbench.results.compare_stats import Outcome, Ratio, discoveries, estimate_of, outcome_of, ratio_of
from wattbench.results.errors import UsageError
from wattbench.results.metrics import Metric

__all__ = ["DELTA", "METRICS", "Comparison", "ComparisonOptions", "Difference", "Row", "compare"]

DELTA = 0.02
"""The default of what counts as equal: the protocol's goal for the interval of an energy (docs/protocol.md)."""

METRICS: Mapping[str, bool] = MappingProxyType(
    {
        "throughput.requests": True,
        "throughput.input_tokens": True,
        "throughput.output_tokens": True,
        "latency.request": False,
        "latency.ttft": False,
        "latency.tpot": False,
        "power.mean": False,
        "energy.per_request": False,
        "efficiency.tokens_per_j": True,
        "memory.peak": False,
    }
)
"""The figures that are compared, and whether more of them is better."""

ENERGIES = ("power.mean", "energy.per_request", "efficiency.tokens_per_j")
"""Those that a scope belongs to."""

SCOPE = "scope of power"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonOptions:
    """How to compare: `delta` is the ratio's distance from 1 that counts as equal.

    `force` compares in spite of differing fields; `same_board` states that all were measured on one board with one
    sensor, where the documents themselves cannot tell. `metrics` are the names to show.
    """

    delta: float = DELTA
    force: bool = False
    same_board: bool = False
    metrics: tuple[str, ...] = tuple(METRICS)

    def __post_init__(self) -> None:
        require_not_negative(delta=self.delta)
        require(self.delta < 1, "a delta of 1 or more would call everything equal: 2 % is 0.02")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A field in which a result differs from the first; `blocking` ones make a comparison one of unlike things."""

    result: str
    field: str
    first: str
    other: str
    blocking: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure of the first result and of another; `ratio` is other / first, None with a `reason`.

    `outcome` says how the other does against the first. Without an interval nothing is concluded, and `reason` says
    why there is none.
    """

    result: str
    metric: str
    unit: str
    scope: str | None
    first: float | None
    other: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    outcome: Outcome | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The first result against all others: differences, rows, and what no figure of it may be quoted without."""

    first: str
    result_ids: tuple[str, ...]
    options: ComparisonOptions
    differences: tuple[Difference, ...]
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def compare(sides: Sequence[Side], options: ComparisonOptions) -> Comparison:
    """Return the comparison of the first side with each of the others.

    Raises UsageError for fewer than two, for one result twice, and, unless `force`, for unlike ones: it names the
    fields that differ.
    """
    if len(sides) < 2:
        raise UsageError("There is nothing to compare", "one result was given", "Give two, or --claims, or --mlperf.")
    ids = [side.result_id for side in sides]
    if len(set(ids)) < len(ids):
        raise UsageError("One result was given twice", "it would equal itself", "Give different results.")
    first, others = sides[0], sides[1:]
    differences = tuple(d for other in others for d in _differences(first, other))
    blocking = [d for d in differences if d.blocking]
    if blocking and not options.force:
        why = "; ".join(f"{d.field}: {d.first} | {d.other} ({d.result})" for d in blocking)
        remedy = "Compare results of the same load, version, precision and scope, or use --force: it says so then."
        raise UsageError("These results are not of the same thing", why, remedy)
    rows = _judged([row for other in others for row in _rows(first, other, options)], options)
    warnings = tuple(f"{side.name}: {text}" for side in sides for text in side.warnings)
    forced = tuple(f"not of the same thing: {d.field} {d.first} | {d.other} ({d.result})" for d in blocking)
    return Comparison(
        first=first.name,
        result_ids=tuple(ids),
        options=options,
        differences=differences,
        rows=tuple(rows),
        warnings=warnings + forced,
        notes=_notes(sides, options),
    )


def _differences(first: Side, other: Side) -> list[Difference]:
    found = []
    for blocking, mine, theirs in ((True, first.must, other.must), (False, first.may, other.may)):
        for field in dict.fromkeys((*mine, *theirs)):
            pair = mine.get(field, NOT_STATED), theirs.get(field, NOT_STATED)
            unknown = blocking and NOT_STATED in pair
            if pair[0] != pair[1] or unknown:
                found.append(
                    Difference(result=other.name, field=field, first=pair[0], other=pair[1], blocking=blocking)
                )
    if first.scopes and other.scopes and not set(first.scopes) & set(other.scopes):
        scopes = [", ".join(side.scopes) for side in (first, other)]
        found.append(Difference(result=other.name, field=SCOPE, first=scopes[0], other=scopes[1], blocking=True))
    return found


def _rows(first: Side, other: Side, options: ComparisonOptions) -> list[Row]:
    one_board = first.board is not None and first.board == other.board
    rows = []
    for name in options.metrics:
        for scopes in _scopes(name, first, other):
            mine, theirs = first.metric(name, scopes[0]), other.metric(name, scopes[1])
            if _tells(mine) or _tells(theirs):
                same = options.same_board or (one_board and scopes[0] in OF_BOARD)
                rows.append(_row(name, scopes, (first, mine), (other, theirs), same))
    return rows


def _scopes(name: str, first: Side, other: Side) -> list[tuple[str | None, str | None]]:
    """Return the scopes to compare an energy at: those that both have, else (forced) each side's own first."""
    if name not in ENERGIES:
        return [(None, None)]
    shared = [scope for scope in first.scopes if scope in other.scopes]
    if shared:
        return [(scope, scope) for scope in shared]
    return [(next(iter(first.scopes), None), next(iter(other.scopes), None))]


def _tells(metric: Metric | None) -> bool:
    return metric is not None and metric.value is not None


def _row(
    name: str,
    scopes: tuple[str | None, str | None],
    first: tuple[Side, Metric | None],
    other: tuple[Side, Metric | None],
    same_board: bool,
) -> Row:
    a, b = first[1], other[1]
    values = [None if m is None else m.value for m in (a, b)]
    scope = scopes[0] if scopes[0] == scopes[1] else " | ".join(s or NOT_STATED for s in scopes)
    row = Row(
        result=other[0].name,
        metric=name,
        unit=next((m.unit for m in (a, b) if m is not None), ""),
        scope=scope,
        first=values[0],
        other=values[1],
        ratio=None,
        low=None,
        high=None,
        p=None,
        outcome=None,
        reason="; ".join(filter(None, (_missing(*first, name), _missing(*other, name))))
        or _unlike_watts((first[0], scopes[0]), (other[0], scopes[1]), name),
    )
    if row.reason or a is None or b is None or not a.value or not b.value:
        return row
    plain = b.value / a.value
    if not math.isfinite(plain):
        return replace(row, reason="the ratio is beyond all numbers")
    left = _left(first[0], other[0], scopes) if same_board else None
    mine, theirs, pair = left or (0.0, 0.0, 0.0)
    estimates = (
        estimate_of(a, same_board=same_board, shared_rel=mine),
        estimate_of(b, same_board=same_board, shared_rel=theirs),
    )
    if estimates[0] is None or estimates[1] is None:
        return replace(row, ratio=plain, outcome="inconclusive", reason=_uncertain((first[0], a), (other[0], b)))
    ratio = ratio_of(estimates[0], estimates[1], pair)
    return replace(row, ratio=ratio.value, low=ratio.low, high=ratio.high, p=ratio.p)


def _left(first: Side, other: Side, scopes: tuple[str | None, str | None]) -> tuple[float, float, float] | None:
    """Return what is left of one board's offset now that both powers are known; None where nothing is known of it."""
    return left_of_offsets(first.offsets.get(scopes[0] or ""), other.offsets.get(scopes[1] or ""))


def _missing(side: Side, metric: Metric | None, name: str) -> str:
    """Return why one side has no figure to form a ratio of; "" where it has."""
    if metric is None or metric.value is None:
        why = (metric.reason if metric else None) or (side.no_energy_reason if name in ENERGIES else None)
        return f"{side.name} has none ({why or NOT_STATED})"
    return "" if metric.value > 0 else f"{side.name} has {metric.value:g}, which is no ratio's part"


def _unlike_watts(first: tuple[Side, str | None], other: tuple[Side, str | None], name: str) -> str:
    """Return why watts of two origins form no ratio: what was declared is not ranked beside what was measured."""
    mine, theirs = (side.provenance(scope) for side, scope in (first, other))
    if name not in ENERGIES or mine == theirs:
        return ""
    return f"the watts of {first[0].name} are {mine}, those of {other[0].name} {theirs}: not ranked"


def _uncertain(*sides: tuple[Side, Metric]) -> str:
    """Return why there is no interval: one repeat has no spread, or nothing states what the sensor is worth."""
    found = []
    for side, metric in sides:
        if metric.interval is None or len(metric.samples) < 2:
            found.append(f"{side.name} has one value of it, which has no spread")
        elif metric.scope is not None and None in (metric.u_absolute_rel, metric.u_comparison_rel):
            found.append(f"{side.name} does not state the uncertainty of its sensor")
    return "; ".join(found) or "the uncertainty is not known"


def _judged(rows: Sequence[Row], options: ComparisonOptions) -> list[Row]:
    """Return the rows with their outcomes: what is a real difference is decided over all of them together."""
    tested = [row for row in rows if row.p is not None]
    real = dict(zip(map(id, tested), discoveries([row.p for row in tested if row.p is not None]), strict=True))
    return [replace(row, outcome=_outcome(row, real[id(row)], options)) if id(row) in real else row for row in rows]


def _outcome(row: Row, real: bool, options: ComparisonOptions) -> Outcome:
    assert row.ratio is not None
    assert row.low is not None
    assert row.high is not None
    assert row.p is not None
    ratio = Ratio(value=row.ratio, low=row.low, high=row.high, p=row.p)
    return outcome_of(ratio, real=real, delta=options.delta, higher_is_better=METRICS[row.metric])


def _notes(sides: Sequence[Side], options: ComparisonOptions) -> tuple[str, ...]:
    boards = {side.board for side in sides}
    which = "absolute uncertainty (perhaps not one board)"
    if options.same_board:
        which = "comparison uncertainty (one board and one sensor, as was stated)"
    elif len(boards) == 1 and None not in boards:
        which = "comparison uncertainty at the board's own scopes (one board), the absolute one at others"
    energies = (f"energies carry their {which}",) if any(side.scopes for side in sides) else ()
    without = [f"{side.name} has no energy: {side.no_energy_reason or NOT_STATED}" for side in sides if not side.scopes]
    return (
        f"ratios are those of a result to the first, {sides[0].name}, with intervals at 95 %",
        *energies,
        *without,
        f"equal: the whole interval lies within {100 * options.delta:g} % of 1; better and worse: Benjamini-Hochberg"
        " over all rows, false discovery rate 5 %",
        "intervals hold what varies within a run, not what varies between two runs of one machine",
    )
