"""The boundary ladder as a waterfall: what each wider boundary adds to the energy of a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING

from wattbench.results.economics.ladder import Ladder, PowerRung, Provenance
from wattbench.results.economics.measured import Measured
from wattbench.results.errors import UsageError
from wattbench.results.plots.sheet import HATCHES, Origin, figures, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_waterfall"]

COVERAGE = 2.0
"""Error bars are expanded uncertainties, k=2: about 95 %."""

COLOURS: dict[Provenance, str] = {"measured": "#9ec3e6", "declared": "#f2c29b", "absent": "none"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One rung: from the energy up to the known rung below to its own, both in J; an absent one has no `top_j`."""

    name: str
    bottom_j: float
    top_j: float | None
    u_j: float | None
    provenance: Provenance
    words: str


def plot_waterfall(ladder: Ladder, measured: Measured, made_of: Sequence[Origin]) -> Figure:
    """Return the waterfall of a query's energy. Raises UsageError where no rung is known."""
    steps = tuple(_steps(ladder, measured))
    if all(step.top_j is None for step in steps):
        raise UsageError(
            "There is no waterfall to plot",
            "no rung of the ladder is measured or declared",
            "Give --active-w, or leave --plot out.",
        )
    absent = [f"{step.name}: absent ({step.words})" for step in steps if step.top_j is None]
    made = ladder.embodied
    beside = "absent" if made.embodied_g is None else f"{made.embodied_g:.3g} g CO2e a query, {made.provenance}"
    notes = [
        *absent,
        f"embodied: {beside} ({made.words})",
        *(["Error bars: expanded uncertainty, k=2, of measured rungs"] if any(step.u_j for step in steps) else []),
    ]
    title = f"Energy of a query by boundary: {plain(measured.load, 40)} on {plain(measured.device, 32)}"
    return sheet(title, made_of, lambda axes: _draw(axes, steps), notes=notes, height_in=3.6)


def _steps(ladder: Ladder, measured: Measured) -> Iterator[_Step]:
    below = 0.0
    for row in ladder.energies:
        rung, u_rel = row.rung, _u_rel(measured, row.rung)
        yield _Step(
            name=rung.name,
            bottom_j=below,
            top_j=row.energy_j,
            u_j=None if u_rel is None or row.energy_j is None else COVERAGE * u_rel * row.energy_j,
            provenance=rung.provenance,
            words=rung.words,
        )
        below = below if row.energy_j is None else row.energy_j


def _u_rel(measured: Measured, rung: PowerRung) -> float | None:
    """Return the uncertainty of a measured rung's energy by its power and the rate; None where either's is unknown."""
    power = next((p for p in measured.powers if (p.boundary, p.active.value) == (rung.words, rung.power_w)), None)
    if power is None or power.active.u_rel is None or measured.queries_per_s.u_rel is None:
        return None
    return hypot(power.active.u_rel, measured.queries_per_s.u_rel)


def _draw(axes: Axes, steps: Sequence[_Step]) -> None:
    high = max(step.top_j + (step.u_j or 0.0) for step in steps if step.top_j is not None)
    for place, step in enumerate(steps):
        if step.top_j is None:
            axes.text(place, high * 0.03, "absent", ha="center", va="bottom", style="italic", color="0.3")
            continue
        axes.bar(
            place,
            step.top_j - step.bottom_j,
            bottom=step.bottom_j,
            width=0.62,
            yerr=step.u_j,
            capsize=5,
            color=COLOURS[step.provenance],
            edgecolor="black",
            hatch=HATCHES[step.provenance],
        )
        added = "" if step.bottom_j == 0 else f"\n({step.top_j - step.bottom_j:+.3g})"
        top = max(step.top_j, step.bottom_j) + (step.u_j or 0.0)
        axes.annotate(
            f"{figures(step.top_j)} J{added}",
            (place, top),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            va="bottom",
        )
        if place + 1 < len(steps):
            axes.plot([place - 0.31, place + 1.31], [step.top_j] * 2, color="0.4", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(steps)), [f"{step.name}\n{step.provenance}" for step in steps])
    axes.set_xlim(-0.6, len(steps) - 0.4)
    axes.set_ylim(0, high * 1.2)
    axes.yaxis.set_major_formatter(lambda value, _: figures(value))
    axes.set_ylabel("energy of a query up to there, J")
    axes.set_xlabel("boundary: each step includes those left of it")
    axes.grid(axis="y", alpha=0.3)
