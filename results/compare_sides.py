"""One side of a comparison: what a document says that has to agree, its figures, and what speaks against quoting it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wattbench.results.compare_offsets import OffsetShare, offset_share
from wattbench.results.document import Result
from wattbench.results.energy import Provenance, provenance_by_scope
from wattbench.results.errors import DocumentError
from wattbench.results.figures import figure
from wattbench.results.imported import Document, ImportedResult, StatedWork
from wattbench.results.latency import latency_metrics
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.plan import Scenario
from wattbench.results.subject import LoadRecord
from wattbench.results.traffic_plan import TrafficPlan
from wattbench.results.traffic_words import traffic_words

__all__ = ["NOT_STATED", "OF_BOARD", "Side", "side_of", "warnings_of"]

NOT_STATED = "not stated"

OF_BOARD = ("board", "module")
"""Scopes whose sensor is the board's own: one board means one sensor. Meters at the wall may be different ones."""

LATENCIES = ("latency.request", "latency.ttft", "latency.tpot")
MEDIAN = 0.5

UNIQUE = re.compile(r"(GPU|MIG)-[0-9A-Fa-f-]{8,}")
"""NVML's UUIDs, which no other board has. PCI slots, "soc" and "cpu:0" are names that another machine has too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One result as a comparison sees it.

    `must` are the fields that have to agree, `may` those that may differ and are then told. `board` is the device that
    the power was measured of, None where another machine may call its own the same. `warnings` say why no figure of it
    is to be quoted. `offsets` are what the offsets of its sensors count, by scope. `scopes` are those of its energies.
    `provenances` say by scope where the watts come from; one that is not there is measured.
    """

    name: str
    result_id: str
    must: Mapping[str, str]
    may: Mapping[str, str]
    metrics: tuple[Metric, ...]
    board: str | None
    no_energy_reason: str | None
    warnings: tuple[str, ...]
    offsets: Mapping[str, OffsetShare] = field(default_factory=dict)
    provenances: Mapping[str, Provenance] = field(default_factory=dict)

    def provenance(self, scope: str | None) -> Provenance:
        """Return where the watts of a scope come from."""
        return self.provenances.get((scope or "").partition("+")[0], "measured")

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes that a mean power is known for, in the order of the document."""
        known = (m for m in self.metrics if m.name == "power.mean" and m.value is not None and m.scope is not None)
        return tuple(dict.fromkeys(m.scope for m in known if m.scope is not None))

    def metric(self, name: str, scope: str | None = None) -> Metric | None:
        """Return the metric of that name and, for energies, of that scope."""
        return next((m for m in self.metrics if m.name == name and (scope is None or m.scope == scope)), None)


def side_of(document: Document, result_id: str, name: str, *, allow_invalid: bool = False) -> Side:
    """Return a document as one side.

    Raises DocumentError, unless `allow_invalid`, for one that is invalid, unfinished, a mock's, emulated or replayed,
    and in any case for one without figures.
    """
    warnings = warnings_of(document)
    if warnings and not allow_invalid:
        raise DocumentError(
            f"{name} is not compared",
            "; ".join(warnings),
            "Measure again, or use --allow-invalid: every output then says so.",
        )
    if isinstance(document, ImportedResult):
        return _imported(document, result_id, name, warnings)
    if document.summary is None:
        raise DocumentError(f"{name} has no figures", f"the run is {document.status}", "Measure again.")
    return _measured(document, result_id, name, warnings)


def warnings_of(document: Document) -> tuple[str, ...]:
    """Return why a document's figures are not to be quoted: it did not finish, and its severe doubts, in words."""
    severe = [f"{doubt.code}: {doubt.facts}" for doubt in document.doubts if doubt.severity == "severe"]
    unfinished = [] if document.status == "complete" else [f"the run is {document.status}"]
    return tuple(unfinished + severe)


def _measured(result: Result, result_id: str, name: str, warnings: tuple[str, ...]) -> Side:
    assert result.summary is not None
    load, plan, backend = result.load, result.plan, result.backend
    precision = backend.precision_effective if backend else plan.precision
    compute = (backend.compute_precision if backend else None) or precision
    return Side(
        name=name,
        result_id=result_id,
        must={
            "load": load.name,
            **({} if backend is None or backend.served_model is None else {"model": backend.served_model}),
            "load version": f"{load.version} ({load.digest.removeprefix('sha256:')[:12]})",
            "precision": precision if compute == precision else f"{precision}, products in {compute}",
            "scenario": plan.scenario,
            "weights": result.weights.origin if result.weights else NOT_STATED,
        },
        may={
            "device": (backend.device_name if backend else None) or plan.device,
            "engine": f"{backend.name}/{backend.engine}" if backend else plan.backend,
            **({} if plan.traffic is None else _traffic(plan.traffic, plan.scenario)),
            "batch": str(plan.batch),
            "slots": str(plan.slots or plan.batch),
            "threads": str((backend.threads if backend else plan.threads) or NOT_STATED),
            "window": f"at least {plan.window_s:g} s",
            "wattbench": result.harness.version,
        },
        metrics=(*result.summary.metrics, *_latencies(load, result.repeats)),
        board=_board(result),
        no_energy_reason=result.power.unavailable_reason,
        warnings=warnings,
        offsets={scope: share for scope in OF_BOARD if (share := offset_share(result, scope)) is not None},
        provenances=provenance_by_scope(result.power.channels),
    )


def _board(result: Result) -> str | None:
    """Return the board that the power was measured of, where its name is like no other's; older files do not say."""
    boards = {c.covers for c in result.power.channels if c.scope in ("board", "module") and c.covers is not None}
    covers = result.power.covers or (next(iter(boards)) if len(boards) == 1 else None)
    return covers if covers is not None and UNIQUE.fullmatch(covers) else None


def _imported(result: ImportedResult, result_id: str, name: str, warnings: tuple[str, ...]) -> Side:
    work, system = result.work, result.system
    return Side(
        name=name,
        result_id=result_id,
        must={
            "load": work.model or NOT_STATED,
            "load version": f"{result.source.tool} {result.source.version or NOT_STATED}",
            "precision": work.precision or NOT_STATED,
            "scenario": work.scenario,
            "weights": NOT_STATED,
            **_arrivals(work),
        },
        may={
            "device": system.accelerator or system.processor or NOT_STATED,
            "devices": str(system.n_devices or NOT_STATED),
            "system": system.name or NOT_STATED,
            "wattbench": result.harness.version,
        },
        metrics=(*result.metrics, *(_median(latency) for latency in result.latencies if latency.name in LATENCIES)),
        board=None,
        no_energy_reason=_no_energy(result),
        warnings=warnings,
    )


def _no_energy(result: ImportedResult) -> str | None:
    power = result.metric("power.mean")
    return None if power is not None and power.value is not None else "no power was imported"


def _arrivals(work: StatedWork) -> dict[str, str]:
    """Return how large requests were and how they arrived, as far as a load generator states it."""
    found = {
        "tokens": work.tokens_per_request,
        "at once": None if work.concurrency is None else str(work.concurrency),
        "asked rate": None if work.rate_per_s is None else f"{work.rate_per_s:g}/s",
    }
    return {field: value for field, value in found.items() if value is not None}


def _traffic(plan: TrafficPlan, scenario: Scenario) -> dict[str, str]:
    """Return how requests were to arrive and how long they were: what a load generator was asked for."""
    found = {
        "arrivals": traffic_words(plan, scenario) or None,
        "sessions": plan.session,
        "tokens in": plan.input_lengths,
        "tokens out": plan.output_lengths,
        "in progress at most": None if plan.in_flight_max is None else str(plan.in_flight_max),
        "limits": plan.slo,
    }
    return {field: value for field, value in found.items() if value is not None}


def _latencies(load: LoadRecord, repeats: Sequence[Repeat]) -> tuple[Metric, ...]:
    """Return the median latency of each repeat as one sample, so that it has an interval like the other figures."""
    found = [latency_metrics(load, (repeat,)) for repeat in repeats]
    return tuple(
        figure(
            name,
            "s",
            [_quantile(row) for row in rows],
            "median over the requests of a repeat",
            reason=next((row.reason for row in rows if row.reason is not None), "no repeat was measured"),
        )
        for name in LATENCIES
        for rows in ([next(m for m in latencies if m.name == name) for latencies in found],)
    )


def _median(latency: QuantileMetric) -> Metric:
    samples = [_quantile(latency)]
    return figure(latency.name, "s", samples, "median over all requests", reason=latency.reason or "no median is there")


def _quantile(latency: QuantileMetric) -> float | None:
    return next((q.value for q in latency.quantiles if q.q == MEDIAN), None)
