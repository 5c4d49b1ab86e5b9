"""One sheet of paper for every plot: style, source line, watermark and the bytes of a file. Nothing else imports
matplotlib, which draws here without a display and is loaded only when a plot is asked for.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattbench.results.economics.measured import Measured
from wattbench.results.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["HATCHES", "WATERMARK", "Origin", "figure_bytes", "figures", "origins", "plain", "sheet"]

WATERMARK = "NOT TO BE QUOTED"
WIDTH_IN, LINE_IN = 8.0, 0.145
WRAP = 120
DIGEST = 12
"""Hexadecimal digits of a result's digest in the source line: enough to tell files apart."""

HATCHES = {"measured": "", "declared": "///", "stated": "..", "computed": "", "low": "\\\\\\", "high": "///"}
STYLE = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.0,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "svg.fonttype": "path",  # drawn letters: the same picture whatever fonts the reader has
    "svg.hashsalt": "wattbench",  # names inside the SVG that stay the same
    "savefig.dpi": 150,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a plot was made of: a result's digest, when it was measured (ISO 8601), why it is not to be quoted."""

    result_id: str
    measured_at: str | None
    warnings: tuple[str, ...]

    @property
    def words(self) -> str:
        """Return the short digest and the day."""
        kind, _, digits = self.result_id.partition(":")
        day = "date not stated" if self.measured_at is None else self.measured_at[:10]
        return f"{kind}:{digits[:DIGEST]} ({day})"


def origins(measured: Sequence[Measured]) -> tuple[Origin, ...]:
    """Return the origins of measured figures."""
    return tuple(Origin(result_id=m.result_id, measured_at=m.measured_at, warnings=m.warnings) for m in measured)


def sheet(
    title: str, made_of: Sequence[Origin], draw: Callable[[Axes], None], *, notes: Sequence[str] = (), height_in: float
) -> Figure:
    """Return a figure of one pair of axes that `draw` fills, with notes, source line and, where needed, watermark.

    `height_in` is that of the axes with their title, in inches. Raises UsageError without matplotlib.
    """
    with _style():
        from matplotlib.figure import Figure

        foot = _foot(made_of, notes)
        height = height_in + LINE_IN * (len(foot) + 1.2)
        figure = Figure(figsize=(WIDTH_IN, height), layout="constrained")
        share = LINE_IN * (len(foot) + 1.2) / height
        engine = figure.get_layout_engine()
        assert engine is not None, "a layout was asked for"
        engine.set(rect=(0.01, share, 0.98, 0.99 - share))  # type: ignore[call-arg]  # of the constrained layout
        axes = figure.add_subplot()
        axes.set_title(plain(title), loc="left")
        draw(axes)
        figure.text(0.015, LINE_IN * 0.6 / height, "\n".join(foot), fontsize=7.5, va="bottom", linespacing=1.35)
        if any(origin.warnings for origin in made_of):
            at = share + (1 - share) / 2
            mark = {"rotation": 18, "fontsize": 44, "alpha": 0.22, "color": "black", "weight": "bold"}
            figure.text(0.5, at, WATERMARK, ha="center", va="center", zorder=10, **mark)  # type: ignore[arg-type]  # text's own
    return figure


def figure_bytes(figure: Figure, form: str) -> bytes:
    """Return a figure as a PNG or an SVG: the same bytes for the same figure and version of matplotlib."""
    sink = io.BytesIO()
    unsaid = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[form]
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(sink, format=form, metadata=unsaid)
    return sink.getvalue()


def plain(text: str, most: int = 90) -> str:
    """Return text from files fit to be drawn: what cannot be seen as "?", long text cut with an ellipsis."""
    seen = "".join(c if c.isprintable() else "?" for c in text)
    return seen if len(seen) <= most else seen[: most - 1] + "…"


def figures(value: float) -> str:
    """Return a number with three digits, thousands apart where it has many."""
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e15 else f"{value:.3g}"


def _foot(made_of: Sequence[Origin], notes: Sequence[str]) -> list[str]:
    source = ", ".join(dict.fromkeys(origin.words for origin in made_of)) or "no measurement: stated prices alone"
    reasons = dict.fromkeys(f"{WATERMARK}: {reason}" for origin in made_of for reason in origin.warnings)
    lines = [*reasons, *notes, f"wattbench, from {source}"]
    short = [re.sub(rf"(sha256:[0-9a-f]{{{DIGEST}}})[0-9a-f]+", r"\1", line) for line in lines]
    return [piece for line in short for piece in textwrap.wrap(plain(line, 400), WRAP)]


def _style() -> AbstractContextManager[None]:
    """Return the style of all plots, whatever the user's own says. Raises UsageError without matplotlib."""
    try:
        from matplotlib import style
    except ImportError as exc:
        remedy = "Install it: pip install 'wattbench[plots]'"
        raise UsageError("No plot can be drawn", "matplotlib is not installed", remedy) from exc
    return style.context(["default", STYLE])
