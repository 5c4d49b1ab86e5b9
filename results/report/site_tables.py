"""The tables of a leaderboard site: groups of comparable results, boards, and accelerators."""

from collections.abc import Collection, Mapping, Sequence

from wattbench.results.index.row import IndexRow
from wattbench.results.readable import number, time
from wattbench.results.report.blocks import Badge, Cell, Column, Row, Table, Tone
from wattbench.results.report.site_data import Accelerator, Group, SiteBoard, board_key
from wattbench.results.report.site_names import board_name, class_name, result_name
from wattbench.results.report.subject import TONES

__all__ = [
    "accelerator_table",
    "board_table",
    "group_table",
    "interval",
    "or_dash",
    "tier_badge",
    "uncertainty",
    "verdict_badge",
]

TIER_TONES: Mapping[str, Tone] = {"signed": "info", "reproduced": "good", "audited": "good"}

WHERE = (
    Column(name="load", filter=True),
    Column(name="precision", filter=True),
    Column(name="scenario", filter=True),
    Column(name="boundary", filter=True, title="what the power was measured of"),
)
FIGURE = (
    Column(name="tokens/J", right=True, title="tokens per joule, the same as tokens/s per watt"),
    Column(name="interval", right=True, title="of the run's repeats, 95 %"),
    Column(name="uncertainty", right=True, title="against the truth, k=2"),
)
TRUST = (Column(name="tier", filter=True, title="how far it can be believed"), Column(name="verdict", filter=True))
FIGURES = (
    Column(name="tokens/s", right=True),
    Column(name="J/request", right=True),
    Column(name="W", right=True, title="mean power"),
    Column(name="TTFT", right=True, title="time to first token, median"),
    Column(name="TPOT", right=True, title="time per output token, median"),
)
BEHIND = (
    Column(name="engine", filter=True),
    Column(name="batch", right=True),
    Column(name="n", right=True, title="results of this configuration; the middle one is shown"),
    Column(name="machines", right=True, title="different machines among the n"),
    Column(name="of", right=True, title="configurations that there were to choose the best from"),
    Column(name="id"),
)


def group_table(caption: str, groups: Sequence[Group], *, pages: Collection[str], whole: bool = False) -> Table:
    """Return groups as a table; each leads to its result where `pages` has one.

    A `whole` one leads to the board of each line too: lines of different boards are not to be ranked.
    """
    hardware = Column(name="hardware", filter=True)
    return Table(
        caption=caption,
        columns=(hardware, *(WHERE if whole else ()), *FIGURE, *TRUST, *FIGURES, *BEHIND),
        rows=tuple(_group_row(group, pages, whole=whole) for group in groups),
        filterable=True,
    )


def board_table(caption: str, boards: Sequence[SiteBoard]) -> Table:
    """Return boards as a table, each with what leads it."""
    columns = (
        *WHERE,
        Column(name="weights", filter=True),
        Column(name="groups", right=True, title="lines of the board: comparable results on one class of hardware"),
        Column(name="first", title="the hardware with the most tokens/J"),
        *FIGURE[:2],
        *TRUST,
    )
    return Table(caption=caption, columns=columns, rows=tuple(map(_board_row, boards)), filterable=True)


def accelerator_table(caption: str, accelerators: Sequence[Accelerator], pages: Collection[str]) -> Table:
    """Return classes of hardware as a table; each leads to its page where `pages` has one."""
    columns = (
        Column(name="hardware"),
        Column(name="known", filter=True, title="whether the vendor database knows it"),
        Column(name="results", right=True),
        Column(name="ranked", right=True),
        Column(name="machines", right=True),
        Column(name="loads", right=True),
        Column(name="newest run"),
    )
    rows = tuple(_accelerator_row(each, pages) for each in accelerators)
    return Table(caption=caption, columns=columns, rows=rows, filterable=True)


def tier_badge(row: IndexRow) -> Badge:
    """Return the tier of trust of a result."""
    return Badge(text=row.tier, tone=TIER_TONES.get(row.tier, "plain"))


def verdict_badge(row: IndexRow) -> Badge:
    """Return the verdict of a result, with the codes of its doubts as explanation."""
    verdict = or_dash(row.verdict)
    return Badge(text=verdict, tone=TONES.get(verdict, "plain"), title=row.doubts.replace(",", ", "))


def interval(low: float | None, high: float | None) -> str:
    """Return an interval, "-" for none."""
    return "-" if low is None or high is None else f"{number(low)} to {number(high)}"


def uncertainty(row: IndexRow) -> str:
    """Return the expanded uncertainty (k=2) of tokens/J against the truth."""
    return "not stated" if row.u_tokens_per_j_rel is None else f"± {200 * row.u_tokens_per_j_rel:.2g} %"


def or_dash(value: object) -> str:
    """Return text for a cell, "-" for what is not known."""
    return "-" if value is None or value == "" else str(value)


def _group_row(group: Group, pages: Collection[str], *, whole: bool) -> Row:
    row, line = group.row, group.line
    page = f"{result_name(row.id, row.scope)}.html"
    return (
        Cell(text=or_dash(row.hardware), page=page if page in pages else None),
        *(_where(row, f"{board_name(board_key(row))}.html") if whole else ()),
        _figure(row.tokens_per_j),
        Cell(text=interval(row.tokens_per_j_low, row.tokens_per_j_high), order=row.tokens_per_j_low),
        Cell(text=uncertainty(row), order=row.u_tokens_per_j_rel),
        *_trust(row),
        _figure(row.tokens_per_s),
        _figure(row.energy_per_request_j),
        _figure(row.power_w),
        _time(row.ttft_p50_s),
        _time(row.tpot_p50_s),
        Cell(text=f"{or_dash(row.backend)}/{or_dash(row.engine)}"),
        Cell(text=or_dash(row.batch), order=row.batch),
        Cell(text=str(line.n), order=line.n),
        Cell(text=str(line.machines), order=line.machines),
        Cell(text=str(line.configurations), order=line.configurations),
        Cell(text=row.id.removeprefix("sha256:")[:12]),
    )


def _board_row(board: SiteBoard) -> Row:
    row = board.first
    return (
        *_where(row, f"{board_name(board.key)}.html"),
        Cell(text=or_dash(row.weights)),
        Cell(text=str(len(board.groups)), order=len(board.groups)),
        Cell(text=or_dash(row.hardware)),
        _figure(row.tokens_per_j),
        Cell(text=interval(row.tokens_per_j_low, row.tokens_per_j_high), order=row.tokens_per_j_low),
        *_trust(row),
    )


def _accelerator_row(each: Accelerator, pages: Collection[str]) -> Row:
    page = f"{class_name(each)}.html"
    return (
        Cell(text=each.hardware, page=page if page in pages else None),
        Cell(text="yes" if each.mapped else "no"),
        *(Cell(text=f"{n:,}", order=n) for n in (each.results, each.ranked, each.machines, each.loads)),
        Cell(text=or_dash(each.newest)),
    )


def _where(row: IndexRow, page: str) -> tuple[Cell, ...]:
    rest = (row.precision, row.scenario, row.scope)
    return (Cell(text=or_dash(row.load), page=page), *(Cell(text=or_dash(value)) for value in rest))


def _trust(row: IndexRow) -> tuple[Cell, Cell]:
    return Cell(text="", badges=(tier_badge(row),)), Cell(text="", badges=(verdict_badge(row),))


def _figure(value: float | None) -> Cell:
    return Cell(text="-" if value is None else number(value), order=value)


def _time(value: float | None) -> Cell:
    return Cell(text="-" if value is None else time(value), order=value)
