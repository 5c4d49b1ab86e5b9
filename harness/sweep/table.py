"""The figures of a sweep: one row a point from its result file, then fronts, knee and limit, load by load."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from wattbench.harness.sweep.folder import Folder
from wattbench.harness.sweep.manifest import GroupRecord, PointRecord
from wattbench.harness.sweep.pareto import Estimate, Knee, Rated, equal_pairs, front_of, knee_of
from wattbench.harness.sweep.points import Point
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.latency import latency_metrics
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Metric
from wattbench.results.stats import median_interval

__all__ = ["LATENCIES", "LoadReport", "Row", "SweepReport", "report_of"]

LATENCIES = ("request", "ttft", "tpot", "itl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One point's figures; None with the reason in `reason` (no result) or `energy_reason` (no energy).

    `throughput` is in output tokens/s, or requests/s for loads without tokens out; `energy` in J per output token, or
    per request; `latency` is the median of the latency that was asked for, in seconds, with the interval over repeats.
    `latency_p99_bound_s` is the early-stopping bound where there are requests enough. `tokens_per_j` is tokens/s/W.
    `energy_source` says whether the watts were measured; `invalid_because` are the codes of its severe doubts.
    """

    name: str
    point: Point
    file: str
    status: str
    reason: str
    verdict: str | None = None
    invalid_because: tuple[str, ...] = ()
    throughput_unit: str | None = None
    throughput: Estimate | None = None
    latency: Estimate | None = None
    latency_p99_s: float | None = None
    latency_p99_bound_s: float | None = None
    energy_unit: str | None = None
    energy: Estimate | None = None
    energy_source: str | None = None
    energy_reason: str | None = None
    tokens_per_j: float | None = None

    @property
    def comparable(self) -> bool:
        """Return whether the point may stand on a front: complete, not invalid, with throughput and latency."""
        known = self.throughput is not None and self.latency is not None
        return self.status == "complete" and self.verdict != "invalid" and known

    @property
    def latency_sure_s(self) -> float | None:
        """Return the p99 that a limit is compared with, in seconds: its bound, or the empirical one without a bound."""
        return self.latency_p99_s if self.latency_p99_bound_s is None else self.latency_p99_bound_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What the points of one load give: fronts of throughput against latency and against energy, by rising cost.

    `equal` are the pairs of comparable points whose intervals overlap in throughput and latency. `within_limit` is the
    point of the highest throughput whose p99 latency lies within the limit; None without a limit or such a point.
    """

    load: str
    front: tuple[str, ...]
    energy_front: tuple[str, ...]
    equal: tuple[tuple[str, str], ...]
    knee: Knee
    within_limit: str | None
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """A whole sweep; `latency` names the latency of all rows, `slo_latency_s` is the limit that was asked about."""

    folder: str
    latency: str
    slo_latency_s: float | None
    rows: tuple[Row, ...]
    loads: tuple[LoadReport, ...]
    groups: tuple[GroupRecord, ...]


def report_of(folder: Folder, *, latency: str = "request", slo_latency_s: float | None = None) -> SweepReport:
    """Return the figures of a sweep from its manifest and result files; measures nothing."""
    rows = tuple(_row(folder, record, latency) for record in folder.manifest.points)
    loads = dict.fromkeys(row.point.load for row in rows)
    return SweepReport(
        folder=str(folder.path),
        latency=latency,
        slo_latency_s=slo_latency_s,
        rows=rows,
        loads=tuple(_load_report(load, [r for r in rows if r.point.load == load], slo_latency_s) for load in loads),
        groups=folder.manifest.groups,
    )


def _load_report(load: str, rows: Sequence[Row], slo_latency_s: float | None) -> LoadReport:
    comparable = [row for row in rows if row.comparable]
    rated = [r for row in comparable if (r := _rated(row, row.latency)) is not None]
    by_energy = [r for row in comparable if (r := _rated(row, row.energy)) is not None]
    front = front_of(rated)
    return LoadReport(
        load=load,
        front=tuple(p.name for p in front),
        energy_front=tuple(p.name for p in front_of(by_energy)),
        equal=equal_pairs(rated),
        knee=knee_of(front),
        within_limit=_within(comparable, slo_latency_s),
        left_out=tuple(row.name for row in rows if row.status == "complete" and not row.comparable),
    )


def _within(rows: Sequence[Row], limit_s: float | None) -> str | None:
    fitting = [
        (row.throughput.value, row.name)
        for row in rows
        if limit_s is not None and row.throughput and row.latency_sure_s is not None and row.latency_sure_s <= limit_s
    ]
    return max(fitting)[1] if fitting else None


def _rated(row: Row, cost: Estimate | None) -> Rated | None:
    return None if row.throughput is None or cost is None else Rated(name=row.name, gain=row.throughput, cost=cost)


def _row(folder: Folder, record: PointRecord, latency: str) -> Row:
    bare = Row(name=record.name, point=record.point, file=record.file, status=record.status, reason=record.reason)
    if record.status in ("pending", "skipped", "refused"):
        return bare
    try:
        return _measured_row(bare, folder.result_of(record.name), latency)
    except DocumentError as exc:
        if record.status != "complete":  # it ended before it had a file, and the manifest says why
            return bare
        return replace(bare, status="error", reason=f"{exc.what}: {exc.why}")


def _measured_row(bare: Row, result: Result, latency: str) -> Row:
    """Return a row with what its result knows; a status of the manifest (out of memory) stays."""
    decodes = result.load.output_tokens > 0
    throughput = _metric(result, "throughput.output_tokens" if decodes else "throughput.requests")
    energy = _metric(result, "energy.per_output_token" if decodes else "energy.per_request")
    per_j = _metric(result, "efficiency.tokens_per_j")
    latencies = result.summary.latencies if result.summary else ()
    quantiles = (q for metric in latencies if metric.name == f"latency.{latency}" for q in metric.quantiles)
    p99 = next((q for q in quantiles if q.q == 0.99), None)
    return replace(
        bare,
        verdict=result.verdict.standing if result.verdict else None,
        invalid_because=tuple(dict.fromkeys(d.code for d in result.doubts if d.severity == "severe")),
        throughput_unit="tokens/s" if decodes else "requests/s",
        throughput=_estimate(throughput),
        latency=_latency(result, latency),
        latency_p99_s=p99.value if p99 else None,
        latency_p99_bound_s=p99.bound if p99 else None,
        energy_unit="J/token" if decodes else "J/request",
        energy=_estimate(energy),
        energy_source=" and ".join(sorted({c.provenance for c in result.power.channels})) or None,
        energy_reason=energy.reason if energy else "nothing was measured",
        tokens_per_j=per_j.value if per_j else None,
    )


def _metric(result: Result, name: str) -> Metric | None:
    return result.summary.metric(name) if result.summary else None


def _estimate(metric: Metric | None) -> Estimate | None:
    if metric is None or metric.value is None:
        return None
    interval = metric.interval
    return Estimate(
        value=metric.value, low=interval.low if interval else None, high=interval.high if interval else None
    )


def _latency(result: Result, name: str) -> Estimate | None:
    """Return the median latency over all repeats, with the interval that the repeats' own medians give."""
    value = _median_s(result, result.repeats, name)
    if value is None:
        return None
    medians = [m for repeat in result.repeats if (m := _median_s(result, (repeat,), name)) is not None]
    interval = median_interval(medians)
    if interval is None:
        return Estimate(value=value, low=None, high=None)
    return Estimate(value=value, low=min(value, interval.low), high=max(value, interval.high))


def _median_s(result: Result, repeats: Sequence[Repeat], name: str) -> float | None:
    found = next(m for m in latency_metrics(result.load, repeats) if m.name == f"latency.{name}")
    return next((q.value for q in found.quantiles if q.q == 0.5), None)
