"""The roofline of a result as text: what the device can do at each intensity, and where the run's phases lie."""

import math
from dataclasses import dataclass

from wattbench.harness.cli.escape import visible
from wattbench.results.document import Result
from wattbench.results.roofline import LABELS, Point, Roof, roofline_of
from wattbench.results.utilisation import percent, scaled

__all__ = ["roofline_lines"]

WIDTH = 78
LEFT = 9
"""The columns before the drawing: label and axis."""

COLUMNS = 56
ROWS = 8
"""The most cells of the drawing, its first column and row not counted."""

ROWS_OF_DECADE = (4, 3, 2, 1.5, 1, 0.5)
"""The heights that a decade may have: some rows then stand for whole powers of ten, at least two of them."""

SLOPE = "_-'"
"""A line within a row: below its middle, at it, above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A logarithmic axis: the exponents of ten at its first cell, how many cells a decade has, and how many in all."""

    first: float
    per_decade: float
    cells: int

    def place(self, value: float) -> float:
        """Return where a value lies, in cells from the first one."""
        return (math.log10(value) - self.first) * self.per_decade

    def value(self, cell: int) -> float:
        """Return the value at a cell."""
        return float(10 ** (self.first + cell / self.per_decade))

    def decade(self, cell: int) -> int | None:
        """Return the power of ten that a cell stands for, None for the cells between."""
        exponent = self.first + cell / self.per_decade
        return round(exponent) if math.isclose(exponent, round(exponent), abs_tol=1e-9) else None


def roofline_lines(result: Result) -> list[str]:
    """Return a roofline of at most 16 lines of 78 columns, or one line of any length that says why there is none.

    Drawn are the measured ceilings and the phases at their measured rates: P prefill, D decode, E an encoder's whole
    pass. What counts as moved bytes stands in docs/metrics.md; a phase that cannot be placed is named with the reason.
    """
    found = roofline_of(result)
    if isinstance(found, str):
        return [_not_drawn(found)]
    roof, points, missing = found.roof, list(found.points), found.missing
    title = f"{'FLOP/s':>{LEFT - 2}}    roofline: {result.load.name} on {_device(result)}"
    legend = [
        f"{SLOPE[1] * 3} {scaled(roof.flops_per_s, 'FLOP/s')}: {roof.products}",
        f"{SLOPE} {scaled(roof.bytes_per_s, 'B/s')}: {roof.memory}",
        *(_legend(point, roof) for point in points),
        *(f"{mark}   {LABELS[mark]} is not drawn: {reason}" for mark, reason in missing.items()),
    ]
    return _clipped([title, *_drawing(roof, points), *legend])


def _not_drawn(reason: str) -> str:
    return visible(f"{'roofline':<16}not drawn: {reason}")


def _clipped(lines: list[str]) -> list[str]:
    """Return lines that no text in them can break or make too long."""
    shown = [visible(line) for line in lines]
    return [line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..." for line in shown]


def _device(result: Result) -> str:
    backend = result.backend
    return "" if backend is None else f"{backend.device} ({backend.device_name or 'unnamed'})"


def _legend(point: Point, roof: Roof) -> str:
    limit, at = roof.attainable(point.flops_per_byte), point.flops_per_byte
    share = f"{percent(point.flops_per_s / limit)} of {scaled(limit, 'FLOP/s')} attainable"
    place = f"{at:,.0f}" if at >= 1000 else f"{at:.3g}"
    rate = scaled(point.flops_per_s, "FLOP/s")
    return f"{point.mark}   {LABELS[point.mark]} {rate}: {share} at {place} FLOP/byte"


def _drawing(roof: Roof, points: list[Point]) -> list[str]:
    """Return the rows of the drawing, the topmost first, then the axis and its labels."""
    x, y = _axes(roof, points)
    grid = [[" "] * x.cells for _ in range(y.cells)]
    for column in range(x.cells):
        height = y.place(roof.attainable(x.value(column)))
        row = round(height)
        if 0 <= row < y.cells:
            grid[row][column] = SLOPE[1 + (height - row > 1 / 6) - (height - row < -1 / 6)]
    for point in points:
        row, column = round(y.place(point.flops_per_s)), round(x.place(point.flops_per_byte))
        while grid[row][column] in LABELS:  # two phases at one place stand side by side
            column += 1
        grid[row][column] = point.mark
    rows = [_label(y, row) + "".join(grid[row]).rstrip() for row in reversed(range(y.cells))]
    return [*rows, *_bottom(x)]


def _axes(roof: Roof, points: list[Point]) -> tuple[Axis, Axis]:
    """Return axes in which all points, the ridge and some of both roofs lie; decades begin at whole cells."""
    places = [roof.ridge, *(point.flops_per_byte for point in points)]
    left, right = math.floor(math.log10(min(places) / 2)), math.ceil(math.log10(max(places) * 2))
    across = COLUMNS // (right - left)
    rates = [point.flops_per_s for point in points]
    high, low = math.log10(max(roof.flops_per_s, *rates)), math.log10(min(rates))
    fitting = (up for up in ROWS_OF_DECADE if low * up - (math.ceil(high * up) - ROWS) >= 0.5)
    up = next(fitting, ROWS_OF_DECADE[-1])
    return (
        Axis(first=left, per_decade=across, cells=across * (right - left) + 1),
        Axis(first=(math.ceil(high * up) - ROWS) / up, per_decade=up, cells=ROWS + 1),
    )


def _label(y: Axis, row: int) -> str:
    decade = y.decade(row)
    return f"{scaled(10.0**decade, '').strip():>{LEFT - 2}} +" if decade is not None else " " * (LEFT - 1) + "|"


def _bottom(x: Axis) -> list[str]:
    """Return the axis, with a tick at each decade, and the labels of the ticks."""
    ticks = {cell: decade for cell in range(x.cells) if (decade := x.decade(cell)) is not None}
    axis = "".join("+" if cell in ticks else "-" for cell in range(x.cells))
    labels = " " * WIDTH
    for cell, decade in ticks.items():
        text = scaled(10.0**decade, "").strip()
        start = LEFT + cell - len(text) // 2
        labels = labels[:start] + text + labels[start + len(text) :]
    return [" " * LEFT + axis, f"{labels.rstrip()} FLOP/byte"]
