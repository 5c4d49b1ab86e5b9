"""The annual bill as bars: by usage, by reservation, in whole machines, and at stated prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattbench.results.economics.bill import AtPrice, Bill
from wattbench.results.plots.sheet import HATCHES, Origin, figures, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_bill"]

COVERAGE = 2.0
"""Error bars are expanded uncertainties, k=2: about 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    label: str
    usd: float
    u_rel: float | None
    hatch: str


def plot_bill(
    bill: Bill | None, stated: Sequence[AtPrice], queries_per_day: float, made_of: Sequence[Origin]
) -> Figure:
    """Return the bars of a year, one for each way to pay that is known."""
    bars = [*_own(bill), *(_at(price) for price in stated)]
    spread = any(bar.u_rel is not None for bar in bars)
    notes = ["Error bars: expanded uncertainty, k=2"] if spread else []
    return sheet(
        f"Annual bill of {figures(queries_per_day)} queries a day",
        made_of,
        lambda axes: _draw(axes, bars),
        notes=notes,
        height_in=1.1 + 0.45 * len(bars),
    )


def _own(bill: Bill | None) -> list[_Bar]:
    if bill is None:
        return []
    count = "" if bill.machines is None else f"{bill.machines:,} whole machine{'' if bill.machines == 1 else 's'}"
    ways = (
        ("usage:\nbusy time alone", bill.usage),
        ("reserved:\nidle hours too", bill.reservation),
        (count, bill.whole),
    )
    return [
        _Bar(label=label, usd=money.usd, u_rel=money.u_rel, hatch=HATCHES["computed"])
        for label, money in ways
        if money is not None
    ]


def _at(price: AtPrice) -> _Bar:
    label = f"at {price.usd_per_query:g} USD\na query (stated)"
    return _Bar(label=label, usd=price.usd_per_year, u_rel=None, hatch=HATCHES["stated"])


def _draw(axes: Axes, bars: Sequence[_Bar]) -> None:
    for place, bar in enumerate(bars):
        error = None if bar.u_rel is None else COVERAGE * bar.u_rel * bar.usd
        axes.barh(
            place, bar.usd, height=0.62, xerr=error, capsize=4, color="#9ec3e6", edgecolor="black", hatch=bar.hatch
        )
        axes.annotate(
            f"{figures(bar.usd)} USD",
            (bar.usd + (error or 0.0), place),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(lambda value, _: figures(value))
    axes.set_xlabel("USD a year")
    axes.grid(axis="x", alpha=0.3)
