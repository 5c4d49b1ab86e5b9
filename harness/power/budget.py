"""The uncertainty of an energy: one GUM budget per channel and window, combined into two figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.energy import BudgetTerm

__all__ = ["CLOCK_REL", "BudgetInputs", "Uncertainty", "combined", "window_budget"]

CLOCK_REL = 0.0002 / math.sqrt(3)
"""Clock rate: crystals of computers keep within 200 ppm of the SI second (rectangular), k=1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetInputs:
    """What a window's budget follows from; relative figures are fractions of the window's energy, k=1.

    `gain_rel` is None when nothing states the sensor's accuracy, `gain_shared` whether its error is the same in every
    run on this board. `edge_period_s` is the time within which the sensor's view of an edge is unsure, `lag_rel` the
    change of the energy when the sensor's lag is off by its own uncertainty. `seen_share` is the part of the time that
    the sensor looks (None: unknown, treated as points), `spread_rel` the spread of power over its mean,
    `independent_s` the time between independent looks. `residual` is counter/integral - 1. `windows` is how many spans
    the duration is made of. `alias_rel` stands in for the fair sample where the looks are none (None: they are one).
    """

    duration_s: float
    gain_rel: float | None
    gain_basis: str
    gain_shared: bool
    edge_period_s: float
    lag_rel: float
    lag_basis: str
    seen_share: float | None
    spread_rel: float
    independent_s: float
    residual: float | None
    windows: int = 1
    alias_rel: float | None = None
    alias_basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """Two relative standard uncertainties (k=1): against the truth (None: gain unknown), and on the same board."""

    absolute_rel: float | None
    comparison_rel: float


def window_budget(inputs: BudgetInputs) -> tuple[BudgetTerm, ...]:
    """Return the budget of one window; a line that does not apply is left out.

    Repeatability is not known from one window: it shows in the interval over the repeats.
    """
    lines = [
        _gain(inputs),
        _edges(inputs),
        BudgetTerm(name="lag", kind="B", u_rel=inputs.lag_rel, absolute_only=False, basis=inputs.lag_basis),
        _part_time(inputs),
        _residual(inputs),
        BudgetTerm(name="clock", kind="B", u_rel=CLOCK_REL, absolute_only=True, basis="crystal within 200 ppm"),
    ]
    return tuple(line for line in lines if line is not None)


def combined(terms: Sequence[BudgetTerm]) -> Uncertainty:
    """Return the root sum of squares of a budget, with and without the terms that cancel on the same board.

    The absolute figure is None without a line for the gain: what is unknown is not small.
    """
    comparison = math.hypot(*(t.u_rel for t in terms if not t.absolute_only))
    known = any(t.name == "gain" for t in terms)
    return Uncertainty(absolute_rel=math.hypot(*(t.u_rel for t in terms)) if known else None, comparison_rel=comparison)


def _gain(inputs: BudgetInputs) -> BudgetTerm | None:
    if inputs.gain_rel is None:
        return None
    return BudgetTerm(
        name="gain", kind="B", u_rel=inputs.gain_rel, absolute_only=inputs.gain_shared, basis=inputs.gain_basis
    )


def _edges(inputs: BudgetInputs) -> BudgetTerm:
    """Return the edges' part: each unsure by one period (rectangular: period/sqrt(12)), two of them: period/sqrt(6)."""
    u_rel = inputs.edge_period_s / math.sqrt(6) * math.sqrt(inputs.windows) / inputs.duration_s
    edges = "two edges" if inputs.windows == 1 else f"{2 * inputs.windows} edges"
    basis = f"{edges}, each within {inputs.edge_period_s:.4g} s of {inputs.duration_s:.4g} s"
    return BudgetTerm(name="edges", kind="B", u_rel=u_rel, absolute_only=False, basis=basis)


def _part_time(inputs: BudgetInputs) -> BudgetTerm | None:
    """Return the sampling error of the unseen rest of the time: spread * sqrt((1 - f)/N) for a share f and N looks.

    Looks that keep step with the load are no fair sample: the line is then the alias's.
    """
    if inputs.alias_rel is not None:
        return BudgetTerm(name="alias", kind="A", u_rel=inputs.alias_rel, absolute_only=False, basis=inputs.alias_basis)
    share = 0.0 if inputs.seen_share is None else inputs.seen_share
    if share >= 1:
        return None
    looks = max(inputs.duration_s / inputs.independent_s, 1.0)
    u_rel = inputs.spread_rel * math.sqrt((1 - share) / looks)
    seen = "an unknown share" if inputs.seen_share is None else f"{share:.0%}"
    basis = f"sees {seen} of the time; power spread {inputs.spread_rel:.2%} over {looks:.0f} looks, aperiodic load"
    return BudgetTerm(name="part_time", kind="A", u_rel=u_rel, absolute_only=False, basis=basis)


def _residual(inputs: BudgetInputs) -> BudgetTerm | None:
    """Counter and integral differ: the truth may lie anywhere between them (rectangular, seen from one end)."""
    if inputs.residual is None:
        return None
    u_rel = abs(inputs.residual) / math.sqrt(3)
    basis = f"counter and integral differ by {inputs.residual:+.2%}"
    return BudgetTerm(name="residual", kind="B", u_rel=u_rel, absolute_only=True, basis=basis)
