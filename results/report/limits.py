"""The section on limits: the roofline with the run's phases, and what was reached of ceilings and claims."""

import math
from collections.abc import Iterator, Sequence

from wattbench.results.compare_claims import ClaimRow, check_claims, device_match
from wattbench.results.document import Result
from wattbench.results.imported import Document
from wattbench.results.readable import number
from wattbench.results.report.blocks import Block, Cell, Chart, Column, Fold, Prose, Section, Table
from wattbench.results.report.charts import drawn, values
from wattbench.results.report.words import percent
from wattbench.results.roofline import LABELS, Point, Roof, Roofline, roofline_of
from wattbench.results.utilisation import scaled
from wattbench.results.vendor.database import database

__all__ = ["claims_section", "roofline_section"]

RATE_UNITS = ("FLOP/s", "B/s")


def roofline_section(result: Result) -> Section:
    """Return the roofline as a drawing and as a table, or why there is none."""
    found = roofline_of(result)
    blocks: tuple[Block, ...]
    if isinstance(found, str):
        blocks = (Prose(text=f"Not drawn: {found}."),)
    else:
        missing = [
            Prose(text=f"{LABELS[mark]} is not drawn: {why}.", quiet=True) for mark, why in found.missing.items()
        ]
        blocks = (_chart(found), _table(found), *missing)
    return Section(key="roofline", title="Roofline", blocks=blocks)


def claims_section(document: Document) -> Section:
    """Return what was measured beside what the device's vendor claims, or why nothing is known of it."""
    match = device_match(document, database().accelerators.values())
    blocks: list[Block]
    if match.accelerator is None:
        blocks = [Prose(text=f"The device is not one whose claims are listed: {match.reason}.")]
    else:
        rows = check_claims(document, match.accelerator)
        known = sum(row.share is not None for row in rows)
        name = f"{match.identity.value!r} is {match.accelerator.full_name}, by {match.reason}."
        blocks = [Prose(text=f"{name} {known} of {len(rows)} claims can be compared.")]
        shared = [row for row in rows if row.share is not None]
        others = [row for row in rows if row.share is None]
        blocks += [_claims_table("Claims beside what was measured", shared)] if shared else []
        if others:
            table = _claims_table("Claims that are not compared, and why", others)
            blocks.append(Fold(summary=f"{len(others)} claims that are not compared", blocks=(table,)))
    return Section(key="claims", title="Measured against claimed", blocks=tuple(blocks))


def _chart(found: Roofline) -> Chart:
    roof, points = found.roof, found.points
    places = [roof.ridge, *(p.flops_per_byte for p in points)]
    left, right = 10.0 ** math.floor(math.log10(min(places) / 2)), 10.0 ** math.ceil(math.log10(max(places) * 2))
    top = 10 ** math.ceil(math.log10(max(roof.flops_per_s, *(p.flops_per_s for p in points))))
    bottom = 10 ** math.floor(math.log10(min(roof.attainable(left), *(p.flops_per_s for p in points))))
    x = {
        "type": "quantitative",
        "title": "FLOP per byte",
        "scale": {"type": "log", "domain": [left, right], "nice": False},
        "axis": {"tickCount": 5, "format": "~g"},
    }
    y = {
        "type": "quantitative",
        "title": "FLOP/s",
        "scale": {"type": "log", "domain": [bottom, top], "nice": False},
        "axis": {"tickCount": 5, "format": "~s"},
    }
    corners = sorted({left, min(max(roof.ridge, left), right), right})
    line = {
        "data": values([{"intensity": at, "attainable": roof.attainable(at)} for at in corners]),
        "mark": {"type": "line", "color": "var(--ink)", "strokeWidth": 2},
        "encoding": {"x": {"field": "intensity", **x}, "y": {"field": "attainable", **y}},
    }
    rows = [{"phase": LABELS[p.mark], "intensity": p.flops_per_byte, "reached": p.flops_per_s} for p in points]
    place = {"x": {"field": "intensity", **x}, "y": {"field": "reached", **y}}
    dots = {
        "data": values(rows),
        "mark": {"type": "point", "filled": True, "size": 90, "color": "var(--two)", "opacity": 1},
        "encoding": {**place, "detail": {"field": "phase", "type": "nominal"}},
    }
    names = {
        "data": values(rows),
        "mark": {"type": "text", "align": "left", "dx": 8, "dy": 12},
        "encoding": {**place, "text": {"field": "phase", "type": "nominal"}},
    }
    text = " ".join(
        f"{LABELS[p.mark].capitalize()} reached {scaled(p.flops_per_s, 'FLOP/s')},"
        f" {percent(p.flops_per_s / roof.attainable(p.flops_per_byte))} of what the ceilings allow there."
        for p in points
    )
    return drawn("roofline-chart", "Roofline of the measured ceilings", text, {"layer": [line, dots, names]})


def _table(found: Roofline) -> Table:
    columns = (
        Column(name="what"),
        Column(name="FLOP/s", right=True),
        Column(name="FLOP per byte", right=True),
        Column(name="attainable there", right=True),
        Column(name="share", right=True),
    )
    roof = found.roof
    ceilings = (
        (Cell(text=f"ceiling: {roof.products}"), Cell(text=scaled(roof.flops_per_s, "FLOP/s"), order=roof.flops_per_s)),
        (Cell(text=f"ceiling: {roof.memory}"), Cell(text=scaled(roof.bytes_per_s, "B/s"), order=roof.bytes_per_s)),
    )
    rows = [(*pair, *[Cell(text="")] * 3) for pair in ceilings]
    return Table(
        caption="The ceilings, and the phases below them",
        columns=columns,
        rows=(*(_point_row(p, roof) for p in found.points), *rows),
        sortable=False,
    )


def _point_row(point: Point, roof: Roof) -> tuple[Cell, ...]:
    limit = roof.attainable(point.flops_per_byte)
    return (
        Cell(text=LABELS[point.mark]),
        Cell(text=scaled(point.flops_per_s, "FLOP/s"), order=point.flops_per_s),
        Cell(text=number(point.flops_per_byte), order=point.flops_per_byte),
        Cell(text=scaled(limit, "FLOP/s"), order=limit),
        Cell(text=percent(point.flops_per_s / limit), order=point.flops_per_s / limit),
    )


def _claims_table(caption: str, rows: Sequence[ClaimRow]) -> Table:
    columns = (
        Column(name="claim of"),
        Column(name="measured", right=True),
        Column(name="claimed", right=True),
        Column(name="share", right=True, title="measured over claimed"),
        Column(name="95 %", right=True),
        Column(name="source", wide=True),
        Column(name="remark", wide=True),
    )
    return Table(caption=caption, columns=columns, rows=tuple(map(_cells, rows)))


def _cells(row: ClaimRow) -> tuple[Cell, ...]:
    return tuple(_cell_texts(row))


def _cell_texts(row: ClaimRow) -> Iterator[Cell]:
    yield Cell(text=row.what)
    for value in (row.measured, row.claim):
        yield Cell(text="-" if value is None else _amount(value, row.unit), order=value)
    yield Cell(text="-" if row.share is None else percent(row.share), order=row.share)
    known = row.low is not None and row.high is not None
    yield Cell(text=f"{percent(row.low or 0.0)} to {percent(row.high or 0.0)}" if known else "-", order=row.low)
    yield Cell(text=row.source)
    yield Cell(text=row.reason)


def _amount(value: float, unit: str) -> str:
    if unit in RATE_UNITS:
        return scaled(value, unit)
    return f"{number(value)} {unit.replace('_per_s', '/s').replace('_', ' ')}"
