"""An imported result as lines of text: who measured what, the official figures, ours. Nothing here prints."""

from collections.abc import Iterator

from wattbench.harness.cli.escape import visible
from wattbench.harness.cli.figures import doubt_lines, labelled, quantiles_text, uncertainty_text
from wattbench.results.imported import ImportedResult, OfficialFigure, StatedSystem
from wattbench.results.metrics import Metric
from wattbench.results.readable import number

__all__ = ["imported_lines"]

OURS = (
    ("throughput", "throughput.output_tokens", "tokens/s"),
    ("throughput", "throughput.requests", "requests/s"),
    ("prefill", "throughput.prefill_tokens", "tokens/s"),
    ("decode", "throughput.decode_tokens", "tokens/s"),
    ("power", "power.mean", "W"),
    ("tokens/s/W", "efficiency.tokens_per_j", "tokens per joule"),
    ("requests/s/W", "efficiency.requests_per_j", "requests per joule"),
    ("energy", "energy.per_request", "J/query"),
)
LATENCIES = {"latency.ttft": "first token", "latency.tpot": "per token", "latency.itl": "between tokens"}
UNITS = {"{request}/s": "samples/s", "{token}/s": "tokens/s", "{request}/J": "samples/s/W", "{token}/J": "tokens/s/W"}


def imported_lines(result: ImportedResult) -> list[str]:
    """Return the whole summary of an imported result as lines; no text in it can break a line."""
    lines = [
        *_subject_lines(result),
        "",
        *([*_official_lines(result), ""] if result.official else []),
        *_our_lines(result),
        "",
        labelled("verdict", f"{result.verdict.standing.upper()}  (imported, status {result.status})"),
        *doubt_lines(result.doubts),
    ]
    return [visible(line) for line in lines]


def _subject_lines(result: ImportedResult) -> Iterator[str]:
    work, system = result.work, result.system
    precision = f", {work.precision}" if work.precision else ""
    published = work.scenario_published
    also = f", published under {published}" if published not in (None, work.scenario) else ""
    yield f"{work.model or 'model not stated'}{precision}  ({work.scenario}{also}; imported from {result.source.tool})"
    yield f"{system.name or 'system not stated'}{_parts(system)}"
    if result.clock is not None and result.window is not None:
        yield labelled("measured", f"{result.clock.origin_utc}, {result.window.duration_s:.3f} s, by {_meter(system)}")
    elif stated := list(_stated(result)):
        yield labelled("measured", ", ".join(stated))
    if system.software:
        yield labelled("served by", system.software)


def _stated(result: ImportedResult) -> Iterator[str]:
    """Yield what the tool says of the run: when, how long, how many requests of which size, how they arrived."""
    work = result.work
    if result.started_at is not None:
        yield result.started_at
    if result.duration_s is not None:
        yield f"{result.duration_s:.3f} s"
    if work.requests is not None:
        failed = "" if work.failed_requests is None else f", {work.failed_requests} failed"
        yield f"{work.requests} requests{failed}"
    if work.tokens_per_request is not None:
        yield f"{work.tokens_per_request} tokens each"
    if work.rate_per_s is not None:
        yield f"{work.rate_per_s:g} requests/s asked for"
    if work.concurrency is not None:
        yield f"at most {work.concurrency} at once"


def _parts(system: StatedSystem) -> str:
    cards = [f"{system.accelerators or ''} {system.accelerator}".strip()] if system.accelerator else []
    hosts = [f"{system.processors or ''} {system.processor}".strip()] if system.processor else []
    by = [f"by {system.submitter}"] if system.submitter else []
    found = ", ".join([*cards, *hosts, *by])
    return f"  ({found})" if found else ""


def _meter(system: StatedSystem) -> str:
    return system.meter or "a meter that is not named"


def _official_lines(result: ImportedResult) -> Iterator[str]:
    power_w = next((figure.power_w for figure in result.official if figure.power_w is not None), None)
    if power_w is None:
        yield labelled("official", "no power figure")
    else:
        first = result.official[0]
        count = f"mean of {first.samples} samples, {first.samples_expected} expected"
        yield labelled("official", f"{power_w:.10g} W  ({count})")
    for figure in result.official:
        yield labelled("", _official(figure))


def _official(figure: OfficialFigure) -> str:
    name = f"{figure.scenario}{' (inferred)' if figure.inferred else ''}:"
    if figure.performance is None:
        rate = "no performance stated"
    elif figure.performance_unit == "s":
        rate = f"{1000 * figure.performance:.6g} ms"
    else:
        rate = f"{figure.performance:.6g} {_unit(figure.performance_unit)}"
    each = "" if figure.energy_per_query_j is None else f", {1000 * figure.energy_per_query_j:.10g} mJ/query"
    share = "" if figure.efficiency is None else f", {figure.efficiency:.6g} {_unit(figure.efficiency_unit)}"
    return f"{name} {rate}{each}{share}"


def _unit(unit: str) -> str:
    """Return a unit as people say it; a document may state any."""
    return UNITS.get(unit, unit)


def _our_lines(result: ImportedResult) -> Iterator[str]:
    for label, name, unit in OURS:
        metric = result.metric(name)
        if metric is not None and metric.value is not None:
            yield labelled(label, f"{number(metric.value)} {unit}{uncertainty_text(metric, unit)}")
        if metric is not None and name == "power.mean":
            yield from _power_lines(result, metric)
    for latency in result.latencies:
        if latency.mean is not None:
            yield labelled(LATENCIES.get(latency.name, "latency"), quantiles_text(latency))


def _power_lines(result: ImportedResult, power: Metric) -> Iterator[str]:
    """Yield what the power is: of which samples, at which scope, or why there is none."""
    if power.value is None:
        yield labelled("power", f"not known: {power.reason}")
    elif result.energy is None:
        yield labelled("", f"scope {power.scope}: {power.boundary}")
    else:
        seen = f"{100 * (result.energy.coverage or 0.0):.1f} % covered, largest gap {result.energy.max_gap_s:.3g} s"
        yield labelled("", f"integral of {result.energy.polls} samples, {seen}")
        yield labelled("", f"scope {power.scope}: {power.boundary}")
