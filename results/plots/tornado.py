"""The tornado: how far a cost moves with one input at its lowest and at its highest, the widest bar on top."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from wattbench.results.economics.sensitivity import Bar, Sensitivity, Spread
from wattbench.results.plots.sheet import HATCHES, Origin, figures, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_tornado"]

FIGURES = {
    "usage": "cost of a query by usage, USD",
    "reservation": "cost of a query by reservation, USD",
    "usd_per_year": "cost of the fleet, USD a year",
}
"""The figures that a tornado is drawn of, in words and with their unit."""


def plot_tornado(known: Sensitivity, made_of: Sequence[Origin]) -> Figure:
    """Return the tornado of a sensitivity, with the most likely figure and the spread of all draws."""
    spread = next(spread for spread in known.spreads if spread.name == known.figure)
    notes = [f"Band: p5 to p95 of {known.samples:,} draws (seed {known.seed}). Numbers at the bars: the input's value."]
    return sheet(
        f"What moves the {FIGURES[known.figure].partition(',')[0]}",
        made_of,
        lambda axes: _draw(axes, known, spread),
        notes=notes,
        height_in=1.6 + 0.45 * len(known.bars),
    )


def _draw(axes: Axes, known: Sensitivity, spread: Spread) -> None:
    axes.axvspan(spread.p5, spread.p95, color="0.88", zorder=0, label="p5 to p95 of all")
    for place, bar in enumerate(known.bars):
        _draw_bar(axes, bar, place, spread.central)
    axes.axvline(spread.central, color="black", linewidth=1.2, label=f"most likely: {figures(spread.central)}")
    axes.set_yticks(range(len(known.bars)), [plain(bar.name, 32) for bar in known.bars])
    axes.set_ylim(len(known.bars) + 0.3, -0.6)  # the widest on top, and below a row for the legend
    axes.margins(x=0.14)
    axes.xaxis.set_major_formatter(lambda value, _: figures(value))
    axes.set_xlabel(FIGURES[known.figure])
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", ncols=4, fontsize=8, framealpha=1, edgecolor="white")


def _draw_bar(axes: Axes, bar: Bar, place: int, central: float) -> None:
    ends = (("low", bar.at_low, bar.low_input, "#9ec3e6"), ("high", bar.at_high, bar.high_input, "#f2c29b"))
    for name, end, given, colour in ends:
        axes.barh(
            place,
            end - central,
            left=central,
            height=0.6,
            color=colour,
            edgecolor="black",
            hatch=HATCHES[name],
            label=f"input at its {name}est" if place == 0 else None,
        )
        right = end > central if bar.at_low != bar.at_high else name == "high"
        axes.annotate(
            figures(given),
            (end, place),
            xytext=(4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            fontsize=8,
        )
