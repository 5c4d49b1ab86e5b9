"""A sweep as lines of text for people: a table for each load, then what follows from it. Nothing here prints."""

from collections.abc import Iterator, Sequence

from wattbench.harness.sweep.pareto import KNEE_RULE, Estimate
from wattbench.harness.sweep.table import LoadReport, Row, SweepReport

__all__ = ["report_lines"]

LABEL_WIDTH = 16


def report_lines(report: SweepReport) -> list[str]:
    """Return the tables and their conclusions, load by load, then the points without figures and who took turns."""
    lines: list[str] = []
    for load in report.loads:
        rows = [row for row in report.rows if row.point.load == load.load]
        lines += [load.load, *_table(rows, load, report.latency), *_conclusions(rows, load, report), ""]
    return [*lines, *_without_figures(report.rows), *_turns(report)]


def _table(rows: Sequence[Row], load: LoadReport, latency: str) -> list[str]:
    units = [row.throughput_unit for row in rows if row.throughput_unit] or ["throughput"]
    energies = [row.energy_unit for row in rows if row.energy_unit] or ["energy"]
    sources = dict.fromkeys(row.energy_source for row in rows if row.energy_source not in (None, "measured"))
    energy = f"{energies[0]} ({', '.join(map(str, sources))})" if sources else energies[0]
    head = ("point", units[0], f"{latency} p50", "p99", energy, "tokens/s/W", "verdict", "front")
    cells = [head, *(_cells(row, load) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def _cells(row: Row, load: LoadReport) -> tuple[str, ...]:
    fronts = [name for name, front in (("latency", load.front), ("energy", load.energy_front)) if row.name in front]
    if load.knee.name == row.name:
        fronts.append("knee")
    state = row.verdict if row.status == "complete" else row.status.replace("_", " ")
    return (
        _label(row),
        _figure(row.throughput),
        "-" if row.latency is None else _seconds(row.latency.value),
        "-" if row.latency_p99_s is None else _seconds(row.latency_p99_s),
        "-" if row.energy is None else _number(row.energy.value),
        "-" if row.tokens_per_j is None else _number(row.tokens_per_j),
        state or "-",
        ", ".join(fronts),
    )


def _conclusions(rows: Sequence[Row], load: LoadReport, report: SweepReport) -> Iterator[str]:
    if load.front:
        yield _line("front", f"highest throughput for its {report.latency} latency: {_names(load, load.front)}")
        knee = load.knee
        yield _line("knee", f"{_short(load, knee.name)}: {KNEE_RULE}" if knee.name else f"none: {knee.reason}")
    else:
        yield _line("front", "none: no point is complete and better than invalid")
    if load.energy_front:
        yield _line("energy front", f"highest throughput for its energy: {_names(load, load.energy_front)}")
    for one, other in load.equal:
        text = f"{_short(load, one)} and {_short(load, other)}: their intervals overlap in throughput and latency"
        yield _line("equal", text)
    if report.slo_latency_s is not None:
        best = _short(load, load.within_limit) if load.within_limit else "no point"
        limit = _seconds(report.slo_latency_s)
        yield _line(f"within {limit}", f"{best}: highest throughput whose p99 {report.latency} latency is at most that")
    for reason in dict.fromkeys(row.energy_reason for row in rows if row.energy_reason):
        yield _line("no energy", reason)
    for row in rows:
        if row.name in load.left_out:
            yield _line("on no front", f"{_label(row)}: {row.verdict} ({', '.join(row.invalid_because)})")


def _without_figures(rows: Sequence[Row]) -> list[str]:
    return [
        _line("not complete", f"{row.name}: {row.status.replace('_', ' ')}{f': {row.reason}' if row.reason else ''}")
        for row in rows
        if row.status != "complete"
    ]


def _turns(report: SweepReport) -> list[str]:
    lines = []
    for group in report.groups:
        if group.interleaved:
            lines.append(_line("interleaved", f"the repeats of {len(group.points)} points alternated"))
        else:
            lines.append(_line("alone", f"{'; '.join(group.points)}: {group.reason}"))
    return [*lines, _line("sweep", report.folder)]


def _label(row: Row) -> str:
    return row.name.partition(", ")[2] or row.name


def _short(load: LoadReport, name: str | None) -> str:
    return (name or "").removeprefix(f"{load.load}, ")


def _names(load: LoadReport, names: Sequence[str]) -> str:
    return "; ".join(_short(load, name) for name in names)


def _figure(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.low is None or estimate.high is None:
        return _number(estimate.value)
    return f"{_number(estimate.value)} [{_number(estimate.low)} .. {_number(estimate.high)}]"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _number(value: float) -> str:
    magnitude = abs(value)
    if magnitude >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if magnitude < 100 else f"{value:.1f}"


def _line(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}}{text}"
