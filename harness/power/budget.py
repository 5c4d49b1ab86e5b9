"""The uncertainty of an energy: one GUM budget per channel and window, combined into two figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.results.energy import BudgetTerm

__all__ = [
    "BUDGET_VERSION",
    "CLOCK_REL",
    "BudgetInputs",
    "Share",
    "Uncertainty",
    "beyond",
    "combined",
    "own_share_rel",
    "ratio_share_rel",
    "window_budget",
]

BUDGET_VERSION = 2
"""The rules of budgets. 1: no `resolution`, no `offset`, `calibration` in no comparison, net energy without any."""

CLOCK_REL = 0.0002 / math.sqrt(3)
"""Clock rate: crystals of computers keep within 200 ppm of the SI second (rectangular), k=1."""

_LINE = ("offset", "calibration")
"""The lines that say how well a sensor's straight line is known, not how well one window was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One cause's part in a budget: against the truth, in comparisons (both relative, k=1), and why."""

    u_rel: float
    comparison_rel: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetInputs:
    """What a window's budget follows from; relative figures are fractions of the window's energy, k=1.

    `gain_rel` is None when nothing states the sensor's accuracy, `gain_shared` whether its error is the same in every
    run on this board. `edge_period_s` is the time within which the sensor's view of an edge is unsure, `lag_rel` the
    change of the energy when the sensor's lag is off by its own uncertainty. `seen_share` is the part of the time that
    the sensor looks (None: unknown, treated as points), `spread_rel` the spread of power over its mean,
    `independent_s` the time between independent looks. `residual` is counter/integral - 1. `windows` is how many spans
    the duration is made of. `alias_rel` stands in for the fair sample where the looks are none (None: they are one).
    `resolution` is the part of the sensor's least step, `offset` that of an uncalibrated offset, `alignment` that of
    another machine's clock (None: there is none).
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
    resolution: Share | None = None
    offset: Share | None = None
    alignment: Share | None = None


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
        None if inputs.offset is None else _line("offset", inputs.offset),
        _edges(inputs),
        BudgetTerm(name="lag", kind="B", u_rel=inputs.lag_rel, absolute_only=False, basis=inputs.lag_basis),
        None if inputs.alignment is None else _line("alignment", inputs.alignment),
        None if inputs.resolution is None else _line("resolution", inputs.resolution),
        _part_time(inputs),
        _residual(inputs),
        BudgetTerm(name="clock", kind="B", u_rel=CLOCK_REL, absolute_only=True, basis="crystal within 200 ppm"),
    ]
    return tuple(line for line in lines if line is not None)


def combined(terms: Sequence[BudgetTerm]) -> Uncertainty:
    """Return the root sum of squares of a budget, against the truth, and of what does not cancel on the same board.

    The absolute figure is None without a line for the gain: what is unknown is not small.
    """
    comparison = math.hypot(*(t.compared_rel for t in terms))
    known = any(t.name == "gain" for t in terms)
    return Uncertainty(absolute_rel=math.hypot(*(t.u_rel for t in terms)) if known else None, comparison_rel=comparison)


def own_share_rel(terms: Sequence[BudgetTerm]) -> float:
    """Return what a window by itself adds to a budget: what its sensor's gain and offset make unsure is left out.

    For use where these are looked for (a calibration's levels), or do not matter (is a window too short?).
    """
    return math.hypot(*(t.compared_rel for t in terms if t.name not in _LINE))


def ratio_share_rel(offset_u_w: float, power_w: float, middle_per_w: float) -> float:
    """Return what an offset makes the ratio to another run unsure by, this run's share of it (relative, k=1).

    In the ratio of two powers of one sensor the gain's error cancels, and an offset b leaves b (1/P1 - 1/P2). A run
    does not know the other's power. With x = 1/P and any x0, (x1 - x2)^2 <= 2 (x1 - x0)^2 + 2 (x2 - x0)^2: the root sum
    of squares of both runs' sqrt(2) b |x - x0| is never too small, if all runs take one `middle_per_w` x0.
    """
    return math.sqrt(2) * offset_u_w * abs(1 / power_w - middle_per_w)


def beyond(whole: float, counted: float) -> float:
    """Return what is to be added (as squares) to what another line counts already, to reach the whole; never below 0.

    So that one cause behind two lines counts once: both together are then the larger of the two.
    """
    return min(abs(whole), math.sqrt(max(0.0, whole**2 - counted**2)))  # squares of the smallest numbers are rounded


def _line(name: str, share: Share) -> BudgetTerm:
    """Return a type B line; what it counts in comparisons is named only where that is another figure."""
    other = None if share.comparison_rel == share.u_rel else share.comparison_rel
    return BudgetTerm(
        name=name, kind="B", u_rel=share.u_rel, absolute_only=False, basis=share.basis, comparison_rel=other
    )


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
    """Counter and integral differ: the truth may lie anywhere between them (rectangular, seen from one end).

    What the sensor's least step alone may have made of that is counted there.
    """
    if inputs.residual is None:
        return None
    step_rel = inputs.resolution.u_rel if inputs.resolution else 0.0
    u_rel = beyond(abs(inputs.residual) / math.sqrt(3), step_rel)
    basis = f"counter and integral differ by {inputs.residual:+.2%}"
    basis += f", beyond the {step_rel:.2%} of the resolution" if inputs.resolution else ""
    return BudgetTerm(name="residual", kind="B", u_rel=u_rel, absolute_only=True, basis=basis)
