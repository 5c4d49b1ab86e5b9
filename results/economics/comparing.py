"""Several results at one service level: what a query costs, draws and emits on each, and which differences are sure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from wattbench.results.economics.carbon import carbon_of
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.ladder import energy_u_rel, ladder_of
from wattbench.results.economics.measured import Measured, Quantity
from wattbench.results.economics.query import query_cost
from wattbench.results.economics.service import Promise, promises
from wattbench.results.errors import UsageError

__all__ = ["BY", "Candidate", "Compared", "compare", "differences"]

By = Literal["usage", "reservation", "energy", "carbon"]
BY: tuple[By, ...] = ("usage", "reservation", "energy", "carbon")

UNITS = {"usage": "USD", "reservation": "USD", "energy": "J", "carbon": "g CO2e"}
COVERAGE = 2.0
"""A difference is sure when it exceeds its expanded uncertainty (k=2, about 95 %)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One result and the inputs that price its machine."""

    measured: Measured
    inputs: CostInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One result in the comparison. `figure` is what it is compared by, None with `reason`.

    `kept` says whether every promise was kept (None: one was not measured that strictly, or none was asked for).
    `ratio` is its figure over the best one's, with `ratio_u_rel`; `verdict` is in words.
    """

    measured: Measured
    figure: Quantity | None
    reason: str | None
    promises: tuple[Promise, ...]
    kept: bool | None
    ratio: float | None
    ratio_u_rel: float | None
    verdict: str


def compare(candidates: Sequence[Candidate], by: By, *, force: bool = False) -> tuple[Compared, ...]:
    """Return the results from the best to the worst; those that break a promise or have no figure come last, unranked.

    Raises UsageError for fewer than two, and, unless `force`, for different loads or precisions.
    """
    if len(candidates) < 2:
        raise UsageError("One result cannot be compared", "two or more are needed", "Name another result file.")
    _require_alike([candidate.measured for candidate in candidates], force)
    rows = [_row(candidate, by) for candidate in candidates]
    ranked = sorted((row for row in rows if _ranks(row)), key=lambda row: row.figure.value if row.figure else math.inf)
    best = ranked[0] if ranked else None
    rest = [row for row in rows if not _ranks(row)]
    return tuple(_judged(row, best) for row in (*ranked, *rest))


def differences(measured: Sequence[Measured]) -> tuple[str, ...]:
    """Return in words what the results do not have in common of what makes them comparable."""
    first, found = measured[0], []
    for other in measured[1:]:
        pairs = (
            ("the load", first.load, other.load),
            ("the load's version", first.load_digest, other.load_digest),
            ("precision", first.precision, other.precision),
        )
        found += [f"{first.device} and {other.device} differ in {name}: {a}, {b}" for name, a, b in pairs if a != b]
    return tuple(found)


def _require_alike(measured: Sequence[Measured], force: bool) -> None:
    found = differences(measured)
    if found and not force:
        raise UsageError(
            "Only like with like is compared",
            "; ".join(found),
            "Measure the same load on both, or use --force: the differences are then shown.",
        )


def _row(candidate: Candidate, by: By) -> Compared:
    measured, inputs = candidate.measured, candidate.inputs
    figure, reason = _figure(measured, inputs, by)
    held = promises(measured, inputs)
    kept = None if not held or any(p.kept is None for p in held) else all(p.kept for p in held)
    kept = False if any(p.kept is False for p in held) else kept
    return Compared(
        measured=measured,
        figure=figure,
        reason=reason,
        promises=held,
        kept=kept,
        ratio=None,
        ratio_u_rel=None,
        verdict="",
    )


def _figure(measured: Measured, inputs: CostInputs, by: By) -> tuple[Quantity | None, str | None]:
    if by == "carbon":
        carbon = carbon_of(measured, inputs)
        return carbon.sci, None if carbon.sci else "; ".join(carbon.missing)
    if by == "energy":
        row = ladder_of(measured, inputs).energies[1]
        if row.energy_j is None:
            return None, row.rung.words
        return Quantity(value=row.energy_j, u_rel=energy_u_rel(measured, inputs)), None
    cost = query_cost(measured, inputs)
    money = cost.usage if by == "usage" else cost.reservation
    return (None, cost.reservation_reason) if money is None else (Quantity(value=money.usd, u_rel=money.u_rel), None)


def _ranks(row: Compared) -> bool:
    unproven = bool(row.promises) and row.kept is None
    return row.figure is not None and row.kept is not False and not unproven


def _judged(row: Compared, best: Compared | None) -> Compared:
    if row.figure is None:
        return _with(row, None, None, f"no figure: {row.reason}")
    if not _ranks(row):
        return _with(
            row, None, None, "breaks a promise" if row.kept is False else "a promise was not measured that strictly"
        )
    assert best is not None, "a row that ranks has a best one"
    assert best.figure is not None, "the best one ranks"
    ratio = row.figure.value / best.figure.value
    if row is best:
        return _with(row, 1.0, 0.0, "best")
    if row.figure.u_rel is None or best.figure.u_rel is None:
        return _with(row, ratio, None, "uncertainty not stated")
    u_rel = math.hypot(row.figure.u_rel, best.figure.u_rel)
    sure = abs(ratio - 1) > COVERAGE * u_rel * ratio
    return _with(row, ratio, u_rel, "worse" if sure else "not told apart")


def _with(row: Compared, ratio: float | None, u_rel: float | None, verdict: str) -> Compared:
    return replace(row, ratio=ratio, ratio_u_rel=u_rel, verdict=verdict)
