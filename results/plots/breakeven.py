"""The break-even curve: a query's own cost over the share of working hours, against a price list and a rent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy

from wattbench.results.economics.breakeven import AgainstApi, AgainstRent, HourParts
from wattbench.results.economics.measured import Measured
from wattbench.results.errors import UsageError
from wattbench.results.plots.sheet import Origin, figures, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_breakeven"]

COVERAGE = 2.0
"""Bands and error bars are expanded uncertainties, k=2: about 95 %."""

SHARE_MIN, POINTS = 0.02, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rival:
    """A constant price of a query, and the share of working hours where the machine costs as much (above 1: never)."""

    short: str
    label: str
    usd_per_query: float
    utilisation: float | None
    u_rel: float | None
    line: str
    marker: str


def plot_breakeven(
    parts: HourParts, measured: Measured, api: AgainstApi | None, rent: AgainstRent | None, made_of: Sequence[Origin]
) -> Figure:
    """Return the curve (F + w u) / (3600 q u) with its rivals. Raises UsageError where there is none."""
    rivals = tuple(_rivals(measured, api, rent))
    if not rivals:
        why = "a replacement alone has no price of a query to compare with"
        remedy = "Give a price list or a rent (--api-usd-per-query, --usd-per-h), or leave --plot out."
        raise UsageError("There is no break-even curve to plot", why, remedy)
    known = measured.queries_per_s.u_rel is not None
    notes = ["Band and error bars: expanded uncertainty, k=2"] if known else ["The result states no uncertainty"]
    notes += [f"{rival.label}: never: dearer even at work all hours" for rival in rivals if not _reached(rival)]
    title = f"Break-even: {plain(measured.load, 40)} on {plain(measured.device, 36)}"
    return sheet(title, made_of, lambda axes: _draw(axes, parts, measured, rivals), notes=notes, height_in=4.4)


def _rivals(measured: Measured, api: AgainstApi | None, rent: AgainstRent | None) -> Iterator[_Rival]:
    if api is not None:
        yield _Rival(
            short="list",
            label="price list",
            usd_per_query=api.api_usd_per_query,
            utilisation=api.utilisation,
            u_rel=api.u_rel,
            line="--",
            marker="o",
        )
    if rent is not None:
        yield _Rival(
            short="rent",
            label="rent by the working hour",
            usd_per_query=rent.rent_usd_per_h / (3600 * measured.queries_per_s.value),
            utilisation=rent.utilisation,
            u_rel=rent.u_rel,
            line="-.",
            marker="s",
        )


def _reached(rival: _Rival) -> bool:
    return rival.utilisation is not None and rival.utilisation <= 1


def _draw(axes: Axes, parts: HourParts, measured: Measured, rivals: Sequence[_Rival]) -> None:
    shares = [rival.utilisation for rival in rivals if rival.utilisation is not None and rival.utilisation <= 1]
    share = numpy.geomspace(min([SHARE_MIN, *(each / 2 for each in shares)]), 1.0, POINTS)
    hour = parts.fixed_usd + parts.work_usd * share
    own = hour / (3600 * measured.queries_per_s.value * share)
    axes.plot(100 * share, own, color="black", linewidth=1.8, label="this machine, idle hours paid")
    if measured.queries_per_s.u_rel is not None:
        u_own = COVERAGE * own * numpy.hypot(measured.queries_per_s.u_rel, parts.u_work_usd * share / hour)
        axes.fill_between(100 * share, own - u_own, own + u_own, color="0.75", linewidth=0)
    for rival in rivals:
        words = f"{rival.label}: {rival.usd_per_query:.3g} USD"
        axes.axhline(rival.usd_per_query, color="black", linestyle=rival.line, linewidth=1.1, label=words)
        if rival.utilisation is not None and _reached(rival):
            at, u_rel = 100 * rival.utilisation, rival.u_rel
            axes.errorbar(
                at,
                rival.usd_per_query,
                xerr=None if u_rel is None else min(COVERAGE * u_rel, 1.0) * at,
                marker=rival.marker,
                markersize=7,
                markerfacecolor="white",
                color="black",
                capsize=4,
                zorder=3,
                label=f"break-even with the {rival.short}: {at:.3g} % of the hours",
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: figures(value))
        axis.set_minor_formatter(lambda value, _: figures(value) if f"{value:.0e}"[0] in "25" else "")
    axes.set_xlabel("hours at work, % of all hours")
    axes.set_ylabel("cost of a query, USD")
    axes.grid(which="both", alpha=0.25)
    axes.legend(loc="upper right", fontsize=8)
