"""The payback curve: what a purchase has brought in over its life, plain and with interest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattbench.results.economics.cash import CashPoint
from wattbench.results.plots.sheet import Origin, figures, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PaybackOf", "plot_payback"]

LINES = ("-", "--", "-.")
MARKERS = ("o", "s", "^")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaybackOf:
    """One purchase: against what it saves, and its points by month."""

    against: str
    points: tuple[CashPoint, ...]


def plot_payback(title: str, purchases: Sequence[PaybackOf], made_of: Sequence[Origin]) -> Figure:
    """Return the net present value of each purchase over its life, its plain sum in grey beside it."""
    notes = ["Black: net present value; grey: without interest. Markers: the end of each year"]
    return sheet(plain(title, 90), made_of, lambda axes: _draw(axes, purchases), notes=notes, height_in=4.2)


def _draw(axes: Axes, purchases: Sequence[PaybackOf]) -> None:
    for purchase, line, marker in zip(purchases, LINES, MARKERS, strict=False):
        months = [point.month for point in purchase.points]
        years = range(0, len(months), 12)
        axes.plot(months, [p.summed_usd for p in purchase.points], color="0.6", linestyle=line, linewidth=1.2)
        axes.plot(
            months,
            [p.npv_usd for p in purchase.points],
            color="black",
            linestyle=line,
            linewidth=1.8,
            marker=marker,
            markevery=list(years),
            markerfacecolor="white",
            markersize=6,
            label=f"against {purchase.against}",
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: figures(value))
    axes.set_xlabel("months since the purchase")
    axes.set_ylabel("purchase and savings, USD")
    axes.grid(alpha=0.25)
    axes.legend(loc="best", fontsize=8)
