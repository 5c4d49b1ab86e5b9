"""Measured against claimed as bars: the share of each claim that a result reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattbench.results.compare_claims import ClaimRow
from wattbench.results.errors import UsageError
from wattbench.results.plots.sheet import HATCHES, Origin, plain, sheet
from wattbench.results.utilisation import scaled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["ClaimsOf", "plot_claims"]

SCALED = ("FLOP/s", "B/s")
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
"""Behind the words, so that no line runs through them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsOf:
    """The rows of one result, by the name that the user knows it by, and the accelerator whose claims they are."""

    name: str
    accelerator: str | None
    rows: tuple[ClaimRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bar:
    label: str
    row: ClaimRow
    share: float


def plot_claims(found: Sequence[ClaimsOf], made_of: Sequence[Origin]) -> Figure:
    """Return a bar for each claim that was compared. Raises UsageError where none was."""
    bars = [
        _Bar(label=f"{plain(each.name, 40)}\n{plain(row.what, 46)}", row=row, share=row.share)
        for each in found
        for row in each.rows
        if row.share is not None
    ]
    left_out = sum(row.share is None for each in found for row in each.rows)
    if not bars:
        unknown = ", ".join(each.name for each in found if each.accelerator is None)
        why = f"no claim could be compared{f' (unknown device: {unknown})' if unknown else ''}"
        raise UsageError("There are no bars to plot", why, "The same command without --plot says why, claim by claim.")
    devices = dict.fromkeys(each.accelerator for each in found if each.accelerator is not None)
    notes = [
        *(
            ["Error bars: the measured figure's interval at 95 %"]
            if any(bar.row.low is not None for bar in bars)
            else []
        ),
        *([f"{left_out} more claims were not compared; the table says why"] if left_out else []),
        *dict.fromkeys(f"{bar.row.what}: {bar.row.reason}" for bar in bars if bar.row.reason),
        *(f"claimed by {source}: {'; '.join(whats)}" for source, whats in _sources(bars).items()),
    ]
    title = f"Measured against claimed: {plain(', '.join(devices), 60)}"
    return sheet(title, made_of, lambda axes: _draw(axes, bars), notes=notes, height_in=1.2 + 0.55 * len(bars))


def _sources(bars: Sequence[_Bar]) -> dict[str, dict[str, None]]:
    """Return what each source claims, in the order of the bars, each once."""
    found: dict[str, dict[str, None]] = {}
    for bar in bars:
        if bar.row.source:
            found.setdefault(bar.row.source, {})[bar.row.what] = None
    return found


def _draw(axes: Axes, bars: Sequence[_Bar]) -> None:
    for place, bar in enumerate(bars):
        row, percent = bar.row, 100 * bar.share
        error = None if row.low is None or row.high is None else [[percent - 100 * row.low], [100 * row.high - percent]]
        axes.barh(
            place,
            percent,
            height=0.6,
            xerr=error,
            capsize=4,
            color="#9ec3e6",
            edgecolor="black",
            hatch=HATCHES["measured"],
        )
        assert row.measured is not None, "a share is of a measured figure"
        assert row.claim is not None, "a share is of a claim"
        words = f"{percent:.3g} %: {_amount(row.measured, row.unit)} of {_amount(row.claim, row.unit)}"
        end = percent if row.high is None else max(percent, 100 * row.high)
        axes.annotate(
            words, (end, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8, bbox=PAPER
        )
    axes.axvline(100, color="black", linestyle="--", linewidth=1.2)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars], fontsize=8)
    axes.invert_yaxis()
    longest = max(100.0, *(100 * bar.share for bar in bars))
    axes.set_xlim(0, longest * 1.45)
    axes.set_xlabel("measured, % of the claim (dashed: as claimed)")
    axes.grid(axis="x", alpha=0.3)


def _amount(value: float, unit: str) -> str:
    return scaled(value, unit) if unit in SCALED else f"{value:.4g} {unit.replace('_per_s', '/s').replace('_', ' ')}"
