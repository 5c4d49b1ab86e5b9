"""Measured against claimed: how much of what a vendor states a result reached, and what cannot be compared."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wattbench.results.compare_models import same_model, same_scenario
from wattbench.results.document import Result
from wattbench.results.energy import provenance_by_scope
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.metrics import Metric
from wattbench.results.peaks import peaks_of
from wattbench.results.utilisation import CLAIM, PARTS, Part, compute_precision, utilisation_metrics
from wattbench.results.vendor.database import source_words
from wattbench.results.vendor.match import Identity, IdentityKind, Match, match_accelerator
from wattbench.results.vendor.records import Accelerator, Claim

__all__ = ["ClaimRow", "check_claims", "device_match"]

WHOLE = ("wall", "node")
"""Scopes that see the whole machine, hosts, fans and supplies too, where a nameplate is of the device alone."""

OF_DEVICE = ("board", "module")
WHAT: dict[Part, str] = {
    "flops": "products, whole window",
    "prefill_flops": "products, prefill",
    "bandwidth": "memory, decode",
}
MEASURED_RATES = {"output_tokens_per_s": "throughput.output_tokens", "requests_per_s": "throughput.requests"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """One claim beside the measured figure. `share` is measured / claim with its interval at 95 % where there is one.

    Without a share, `reason` says why the two are not compared; with one it is what to know about it, or "".
    """

    what: str
    measured: float | None
    claim: float | None
    unit: str
    share: float | None
    low: float | None
    high: float | None
    source: str
    reason: str


def device_match(document: Document, accelerators: Iterable[Accelerator]) -> Match:
    """Return which accelerator a document's device is, by its own name; a mock's or an emulated one is none."""
    rows = tuple(accelerators)
    if isinstance(document, ImportedResult):
        name = document.system.accelerator or document.system.processor or ""
        return match_accelerator(Identity(kind="text", value=name, origin="as its owner describes it"), rows)
    backend = document.backend
    if backend is None or backend.mock or backend.emulated:
        identity = Identity(kind="driver", value="", origin="the run")
        why = "the run did not get as far as its backend" if backend is None else "the device is a mock or emulated"
        return Match(identity=identity, accelerator=None, reason=why)
    if backend.device.partition(":")[0] == "cpu":
        model = document.environment.cpu.model or backend.device_name or ""
        kind: IdentityKind = "apple" if model.startswith("Apple") else "cpu"
        return match_accelerator(Identity(kind=kind, value=model, origin="the processor's name"), rows)
    return match_accelerator(Identity(kind="driver", value=backend.device_name or "", origin="the driver's name"), rows)


def check_claims(document: Document, accelerator: Accelerator) -> tuple[ClaimRow, ...]:
    """Return every claim of an accelerator beside what a result measured of it.

    Products and memory against dense peak and bandwidth, power against the nameplate, throughput against the vendor's
    own figures where all conditions that either states agree.
    """
    return (*_peak_rows(document, accelerator), *_power_rows(document, accelerator), *_rates(document, accelerator))


def _peak_rows(document: Document, accelerator: Accelerator) -> Iterator[ClaimRow]:
    if isinstance(document, ImportedResult):
        why = "what an imported run computed, and how often, is not known"
        yield _without("dense products", None, None, "FLOP/s", "", why)
        return
    if document.backend is None:
        return
    precision = compute_precision(document.backend)
    processor = document.backend.device.partition(":")[0] == "cpu"
    own = {m.name: m for m in utilisation_metrics(document.load, document.repeats, document.backend, None)}
    peaks = peaks_of(accelerator)
    for part in PARTS:
        unit = "B/s" if part == "bandwidth" else "FLOP/s"
        what = WHAT[part] if part == "bandwidth" else f"{precision} {WHAT[part]}"
        stated = peaks.bytes_per_s if part == "bandwidth" else peaks.flops_per_s.get(precision)
        if stated is None:
            yield _without(what, None, None, unit, "", f"no claim is listed for {accelerator.full_name}")
            continue
        metric = own[f"utilisation.{part}{CLAIM}"]
        if metric.value is None:
            why = "products of a processor have no claim of their own here" if processor else metric.reason or ""
            yield _without(what, None, stated.value, unit, stated.source, accelerator.not_compared or why)
            continue
        yield _share_row(what, metric, stated.value, unit, stated.source)


def _share_row(what: str, metric: Metric, claim: float, unit: str, source: str) -> ClaimRow:
    assert metric.value is not None
    above = "above 1: a clock above the vendor's, or a wrong count" if metric.value > 1 else ""
    return ClaimRow(
        what=what,
        measured=metric.value * claim,
        claim=claim,
        unit=unit,
        share=metric.value,
        low=metric.interval.low if metric.interval else None,
        high=metric.interval.high if metric.interval else None,
        source=source,
        reason=above,
    )


def _power_rows(document: Document, accelerator: Accelerator) -> Iterator[ClaimRow]:
    metrics = document.metrics if isinstance(document, ImportedResult) else _summary_metrics(document)
    powers = [m for m in metrics if m.name == "power.mean"]
    tdp = accelerator.tdp_w
    source = source_words(tdp.source) if tdp else ""
    for power in powers:
        what = f"mean power, {power.scope or 'no scope'}, over nameplate"
        if tdp is None or power.value is None:
            why = power.reason or f"no nameplate power is listed for {accelerator.full_name}"
            yield _without(what, power.value, tdp.value if tdp else None, "W", source, why)
            continue
        count = _devices(document)
        why = _power_reason(document, accelerator, power, count)
        if why or count is None:
            yield _without(what, power.value, tdp.value, "W", source, why)
            continue
        limit_w = tdp.value * count
        interval = power.interval
        note = "the whole machine over the devices' nameplates" if power.scope in WHOLE else ""
        yield ClaimRow(
            what=what,
            measured=power.value,
            claim=limit_w,
            unit="W",
            share=power.value / limit_w,
            low=interval.low / limit_w if interval else None,
            high=interval.high / limit_w if interval else None,
            source=source,
            reason=note,
        )


def _power_reason(document: Document, accelerator: Accelerator, power: Metric, count: int | None) -> str:
    """Return why a power is not held against the nameplate, "" where it is."""
    if accelerator.not_compared:
        return accelerator.not_compared
    origin = provenance_by_scope(document.power.channels).get((power.scope or "").partition("+")[0], "measured")
    if origin in ("declared", "modelled"):
        return f"its watts are {origin}, not measured"
    if count is None:
        return "how many devices did the work is not stated"
    processor = accelerator.form.startswith("CPU")
    seen = power.scope in WHOLE or (power.scope == "package" if processor else power.scope in OF_DEVICE)
    if not seen:
        return f"the scope {power.scope} does not see this device"
    if processor and isinstance(document, Result) and power.scope == "package":
        sockets = document.environment.cpu.sockets
        return "" if sockets == 1 else "the packages of several sockets are added up"
    return ""


def _devices(document: Document) -> int | None:
    """Return how many devices of its kind worked: one in a run of ours, or what an imported system states."""
    return document.system.n_devices if isinstance(document, ImportedResult) else 1


def _rates(document: Document, accelerator: Accelerator) -> Iterator[ClaimRow]:
    for claim in accelerator.claims:
        unit = claim.metric
        what = f"{claim.model}: {claim.benchmark or source_words(claim.source)}"
        reasons = tuple(_unlike(document, claim))
        name = MEASURED_RATES.get(claim.metric)
        metric = _metric(document, name) if name else None
        measured = metric.value if metric else None
        source = source_words(claim.source)
        if reasons or metric is None or measured is None:
            why = "; ".join(reasons) or "it was not measured"
            yield _without(what, measured, claim.value, unit, source, why)
            continue
        interval = metric.interval
        yield ClaimRow(
            what=what,
            measured=measured,
            claim=claim.value,
            unit=unit,
            share=measured / claim.value,
            low=interval.low / claim.value if interval else None,
            high=interval.high / claim.value if interval else None,
            source=source,
            reason=claim.conditions,
        )


def _unlike(document: Document, claim: Claim) -> Iterator[str]:
    """Yield every condition that keeps a claim from being compared: it differs, or one of the two does not say."""
    if claim.metric not in MEASURED_RATES:
        yield f"{claim.metric.replace('_', ' ')} is not a rate of the system"
        return
    if isinstance(document, ImportedResult):
        yield from _unlike_imported(document, claim)
        return
    load = document.load
    if not same_model(load.model, claim.model):
        yield f"another model than {load.model}"
        return
    if claim.benchmark is not None:
        yield f"{claim.benchmark} has requests of its own (`bench compare RESULT --mlperf`)"
        return
    for field, mine, theirs in (
        ("tokens in", load.input_tokens, claim.input_tokens),
        ("tokens out", load.output_tokens, claim.output_tokens),
        ("devices", 1, claim.devices),
    ):
        if theirs is None:
            yield f"the claim does not say its {field}"
        elif mine != theirs:
            yield f"{field}: {mine}, claimed with {theirs}"
    precision = compute_precision(document.backend) if document.backend else None
    if claim.precision is None:
        yield "the claim does not say its precision"
    elif claim.precision != precision:
        yield f"precision: {precision}, claimed with {claim.precision}"


def _unlike_imported(document: ImportedResult, claim: Claim) -> Iterator[str]:
    work = document.work
    if work.model is None or not same_model(work.model, claim.model):
        yield f"another model than {work.model or 'the unstated one'}"
        return
    if claim.benchmark is None or claim.scenario is None:
        yield "the claim is not one of a benchmark's scenarios"
    elif not same_scenario(claim.scenario, work.scenario):
        yield f"scenario: {work.scenario}, claimed in {claim.scenario}"
    if claim.devices != document.system.n_devices:
        yield f"devices: {document.system.n_devices}, claimed with {claim.devices}"


def _metric(document: Document, name: str) -> Metric | None:
    if isinstance(document, ImportedResult):
        return document.metric(name)
    return document.summary.metric(name) if document.summary else None


def _summary_metrics(result: Result) -> tuple[Metric, ...]:
    return result.summary.metrics if result.summary else ()


def _without(what: str, measured: float | None, claim: float | None, unit: str, source: str, reason: str) -> ClaimRow:
    return ClaimRow(
        what=what,
        measured=measured,
        claim=claim,
        unit=unit,
        share=None,
        low=None,
        high=None,
        source=source,
        reason=reason,
    )
