"""The look that all charts share, and the making of one: a Vega-Lite spec whose colours are variables of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from wattbench.results.report.blocks import Chart
from wattbench.results.report.vega import svg_of
from wattbench.results.visible import visible

__all__ = ["COLOURS", "HALF", "WIDE", "drawn", "plain", "values"]

Spec = Mapping[str, Any]  # any: JSON

COLOURS = ("var(--one)", "var(--two)", "var(--three)", "var(--four)", "var(--five)", "var(--six)")
"""Colours of series: at least 3:1 against the page in light and dark (WCAG 2.2, 1.4.11); assets/page.css has them."""

WIDE, HALF = 810, 360
"""Widths of drawings without their axes, in CSS pixels; two halves stand side by side."""

TEXT_MAX = 60

CONFIG: Spec = {
    "font": "sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--quiet)",
        "titleColor": "var(--ink)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 260,
        "labelFlush": False,
        "labelOverlap": "greedy",
        "gridColor": "var(--line)",
        "domainColor": "var(--quiet)",
        "tickColor": "var(--quiet)",
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--ink)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelLimit": 300,
        "orient": "top",
        "columns": 3,
    },
    "header": {"labelColor": "var(--ink)", "titleColor": "var(--ink)"},
    "text": {"color": "var(--ink)", "fontSize": 12},
    "rule": {"color": "var(--ink)"},
}


def drawn(
    key: str,
    title: str,
    text: str,
    spec: Spec,
    *,
    wide: bool = True,
    height: int = 240,
    named: bool = False,
    samples: Spec | None = None,
) -> Chart:
    """Return a chart from what is its own: data, marks, encoding. `text` says in words what it shows.

    A `named` one has names instead of numbers at its left: they get room for wider letters than were measured.
    """
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": visible(f"{title}. {text}"),
        "background": None,
        "width": WIDE if wide else HALF,
        "height": height,
        "padding": {"left": 44 if named else 6, "right": 12, "top": 5, "bottom": 5},
        "config": CONFIG,
        **spec,
    }
    return Chart(key=key, title=title, text=text, spec=whole, svg=svg_of(whole, key), wide=wide, samples=samples)


def plain(text: str, most: int = TEXT_MAX) -> str:
    """Return text from files fit to be drawn: what cannot be seen as escapes, long text cut with an ellipsis."""
    seen = visible(text)
    return seen if len(seen) <= most else seen[: most - 1] + "…"


def values(rows: Sequence[Mapping[str, object]]) -> Spec:
    """Return rows as the data of a spec."""
    return {"values": list(rows)}
