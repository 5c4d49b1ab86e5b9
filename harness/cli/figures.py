"""A result as lines of text for people: what ran, the figures, the verdict and its reasons. Nothing here prints."""

from collections.abc import Iterator, Mapping, Sequence

from wattbench.harness.cli.attached_lines import attached_lines
from wattbench.harness.cli.device_lines import device_lines
from wattbench.harness.cli.escape import visible
from wattbench.harness.cli.peer_lines import peer_lines
from wattbench.results.counted import counted
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt
from wattbench.results.energy import PowerRecord
from wattbench.results.figures import known_part
from wattbench.results.metrics import Metric, QuantileMetric, Summary
from wattbench.results.rates import phase_reason
from wattbench.results.readable import number
from wattbench.results.report.words import COVERAGE
from wattbench.results.stats import median
from wattbench.results.traffic_words import arrival_of, lengths_of, traffic_lines
from wattbench.results.tuning import TuningRecord
from wattbench.results.utilisation import CLAIM, PARTS, Part, compute_precision, percent, reached, scaled

__all__ = ["doubt_lines", "labelled", "quantiles_text", "result_lines", "uncertainty_text"]

LABEL_WIDTH = 16
LAST_MS = 0.9995
"""From here on three digits of milliseconds are a second."""

SEVERITY_MARK = {"severe": "x", "doubt": "!", "note": "-"}

THROUGHPUTS = (
    ("throughput.output_tokens", "output tokens/s"),
    ("throughput.requests", "requests/s"),
    ("throughput.input_tokens", "input tokens/s"),
)
NAMES: dict[Part, str] = {"flops": "products", "prefill_flops": "prefill", "bandwidth": "decode"}
PHASES = (
    ("prefill", "throughput.prefill_tokens", "tokens/s"),
    ("decode", "throughput.decode_tokens", "tokens/s"),
)
LATENCIES = (
    ("latency", "latency.request"),
    ("first token", "latency.ttft"),
    ("per token", "latency.tpot"),
    ("between tokens", "latency.itl"),
)
ENERGIES = (
    ("power", "power.mean", "W"),
    ("idle power", "power.idle", "W"),
    ("net power", "power.net", "W"),
    ("tokens/s/W", "efficiency.tokens_per_j", "tokens per joule"),
    ("energy", "energy.per_request", "J/query"),
    ("", "energy.per_output_token", "J/output token"),
)


def result_lines(result: Result) -> list[str]:
    """Return the whole summary of a result as lines, widest about 110 columns; no text in it can break a line."""
    lines = list(_subject_lines(result))
    if result.tuning is not None:
        lines += ["", *_tuning_lines(result.tuning)]
    if result.summary is not None:
        lines += ["", *_summary_lines(result.summary), *(labelled(*line) for line in traffic_lines(result))]
        lines += _calibration_lines(result.power)
        lines += [labelled("" if i else "per device", text) for i, text in enumerate(device_lines(result))]
        lines += _utilisation_lines(result, result.summary)
    lines += [labelled("" if i else "meter", text) for i, text in enumerate(attached_lines(result))]
    lines += [labelled("" if i else "cross-check", text) for i, text in enumerate(peer_lines(result))]
    lines += ["", *_verdict_lines(result)]
    return [visible(line) for line in lines]


def _subject_lines(result: Result) -> Iterator[str]:
    load, plan = result.load, result.plan
    lengths = lengths_of(result)
    size = f"{lengths.input} in / {lengths.output} out{lengths.turns}"
    yield f"{load.name}  ({size}; {arrival_of(plan)}, {plan.weights} weights, seed {plan.seed})"
    if result.backend is None:
        yield f"{plan.backend} on {plan.device}, {plan.precision}"
        return
    backend = result.backend
    threads = f", {backend.threads} threads" if backend.threads else ""
    flags = " [MOCK]" if backend.mock else " [EMULATED]" if backend.emulated else ""
    name = backend.device_name or "unnamed"
    where = f"{backend.device} ({name}{threads})"
    if backend.ranks:
        devices = ", ".join(dict.fromkeys(rank.device for rank in backend.ranks))
        where = f"{len(backend.ranks)} ranks, {devices} ({name}{threads})"
    model = f", model {backend.served_model}" if backend.served_model is not None else ""
    yield f"{backend.name}/{backend.engine} on {where}, {backend.precision_effective}{model}{flags}"


def _summary_lines(summary: Summary) -> Iterator[str]:
    seconds = f"{summary.measured_s:.0f} s measured in {counted(summary.repeats, 'repeat')}"
    yield labelled("measured", f"{seconds}, {counted(summary.requests, 'request')}, {summary.failed_requests} failed")
    rates = [("throughput" if i == 0 else "", *rate) for i, rate in enumerate(_known(summary, THROUGHPUTS))]
    for label, name, unit in (*rates, *PHASES):
        metric = summary.metric(name)
        if metric is not None and metric.value is not None:
            yield labelled(label, _figure(metric, unit))
    for label, name in LATENCIES:
        latency = next((x for x in summary.latencies if x.name == name), None)
        if latency is not None and latency.count:
            yield labelled(label, quantiles_text(latency))
    yield from _energy_lines(summary)
    memory = summary.metric("memory.peak")
    if memory is not None and memory.value is not None:
        yield labelled("memory peak", f"{memory.value / 1e9:.2f} GB")


def _calibration_lines(power: PowerRecord) -> Iterator[str]:
    """Yield which calibrations the energies rest on."""
    for record in power.calibrations:
        what = "corrected" if record.boundary == record.scope else f"also given at the {record.boundary}"
        yield labelled(
            "calibrated", f"{record.group}: {what}, against {record.meter.identity} on {record.calibrated_at}"
        )


def _tuning_lines(tuning: TuningRecord) -> Iterator[str]:
    """Yield the choice, and the fastest candidate of each phase where that is another one."""
    slow = sum(trial.outcome == "too_slow" for trial in tuning.trials)
    failed = sum(trial.outcome not in ("measured", "too_slow") for trial in tuning.trials)
    out = (f", {failed} of them failed" if failed else "") + (f", {slow} given up as too slow" if slow else "")
    yield labelled("tuning", f"{tuning.chosen}, the fastest of {len(tuning.trials)} candidates{out}")
    phases = (("prefill", tuning.fastest_prefill), ("decode", tuning.fastest_decode))
    faster = [f"{phase}: {name}" for phase, name in phases if name not in (None, tuning.chosen)]
    if faster:
        yield labelled("", f"faster in {', in '.join(faster)}")


def _utilisation_lines(result: Result, summary: Summary) -> Iterator[str]:
    """Yield what the run made of the measured ceilings, then of the vendor's claims; files of old have no claims."""
    for label, suffix in (("of ceiling", ""), ("of claim", CLAIM)):
        found: dict[Part, Metric | None] = {part: summary.metric(f"utilisation.{part}{suffix}") for part in PARTS}
        shares: dict[Part, Metric] = {part: metric for part, metric in found.items() if metric is not None}
        known: dict[Part, float] = {part: metric.value for part, metric in shares.items() if metric.value}
        reasons: dict[Part, str] = {part: metric.reason for part, metric in shares.items() if metric.reason is not None}
        if known:
            yield labelled(label, ", ".join(_shares(result, known)))
            yield from (labelled("", f"{NAMES[part]} - ({why})") for part, why in reasons.items() if _has(part, result))
        elif reasons:
            yield labelled(label, f"- ({reasons.get('flops') or next(iter(reasons.values()))})")


def _has(part: Part, result: Result) -> bool:
    """Return whether a load has a part that can be told apart; where it has not, the reason is nobody's news.

    Prefills have no reason of their own: what hides their limit hides that of the whole window too.
    """
    return part == "flops" or (part == "bandwidth" and phase_reason(result.load, decode=True) is None)


def _shares(result: Result, known: Mapping[Part, float]) -> Iterator[str]:
    """Yield the shares of the products' limit, then that of the memory's, each with the limit that it is a share of."""
    if "flops" in known:
        assert result.backend is not None, "without a backend there is no limit of its products"
        whole = percent(known["flops"])
        prefill = known.get("prefill_flops")
        text = whole if prefill is None else f"prefill {percent(prefill)}, whole window {whole}"
        limit = scaled(_limit(result, "flops", known), "FLOP/s")
        yield f"{text} of {limit} ({compute_precision(result.backend)} products)"
    if "bandwidth" in known:
        limit = scaled(_limit(result, "bandwidth", known), "B/s")
        yield f"decode {percent(known['bandwidth'])} of {limit} (memory)"


def _limit(result: Result, part: Part, known: Mapping[Part, float]) -> float:
    """Return the rate that a share is of, as the file itself has it: a vendor's table may have changed since."""
    rates = reached(part, result.load, result.repeats, result.backend, result.ceilings).rates
    return median([rate for rate in rates if rate is not None]) / known[part]


def _known(summary: Summary, rates: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the rates that the load has: an encoder has no tokens out."""
    found = [(name, unit, summary.metric(name)) for name, unit in rates]
    return [(name, unit) for name, unit, metric in found if metric is not None and metric.value is not None]


def _energy_lines(summary: Summary) -> Iterator[str]:
    total = summary.metric("energy.total")
    if total is None or total.value is None:
        yield labelled("energy", f"not measured: {total.reason if total else 'no energy metric'}")
        return
    for label, name, unit in ENERGIES:
        metric = summary.metric(name)
        if metric is not None and metric.value is not None:
            yield labelled(label, _figure(metric, unit) + uncertainty_text(metric, unit))
    yield labelled("", f"scope {total.scope}: {total.boundary}")
    if part := known_part(total, summary.repeats):
        yield labelled("", f"{part}; of the others it is not")


def _verdict_lines(result: Result) -> Iterator[str]:
    if result.error is not None:
        yield labelled("ended early", f"in phase {result.error.phase}: {result.error.what}: {result.error.why}")
    standing = result.verdict.standing.upper() if result.verdict else "NONE (the run has not ended)"
    yield labelled("verdict", f"{standing}  (status {result.status})")
    yield from doubt_lines(result.doubts)


def doubt_lines(doubts: Sequence[Doubt]) -> Iterator[str]:
    """Yield two lines for each doubt: its mark, code and facts, then the advice."""
    for doubt in doubts:
        yield f"  {SEVERITY_MARK[doubt.severity]} {doubt.code}: {doubt.facts}"
        yield f"    {doubt.advice}"


def _figure(metric: Metric, unit: str) -> str:
    assert metric.value is not None
    text = f"{number(metric.value)} {unit}"
    if metric.interval is not None and metric.value:
        text += f"  [{number(metric.interval.low)} .. {number(metric.interval.high)}]"
    return text


def uncertainty_text(metric: Metric, unit: str) -> str:
    """Return both expanded uncertainties (k=2), "unknown" for one that nothing states; "" when neither is stated.

    They are shares of the figure, or, where one is larger than the figure itself, in its unit: a share of what may as
    well be nothing says nothing.
    """
    if metric.u_absolute_rel is None and metric.u_comparison_rel is None:
        return ""
    absolute, comparing = (_expanded(metric, u, unit) for u in (metric.u_absolute_rel, metric.u_comparison_rel))
    return f"  {absolute} absolute, {comparing} comparing (k=2)"


def _expanded(metric: Metric, standard_rel: float | None, unit: str) -> str:
    expanded_rel = None if standard_rel is None else COVERAGE * standard_rel
    if expanded_rel is None or metric.value is None:
        return "unknown"
    if expanded_rel > 1:
        return f"+/-{number(expanded_rel * abs(metric.value))} {unit}"
    return f"+/-{100 * expanded_rel:.1f} %"


def quantiles_text(latency: QuantileMetric) -> str:
    """Return the quantiles of a latency, or the mean where it is all that is known, and bounds on them."""
    parts = [f"p{100 * q.q:g} {_duration(q.value)}" for q in latency.quantiles]
    if not parts and latency.mean is not None:
        parts = [f"mean {_duration(latency.mean)}"]
    bounds = [f"p{100 * q.q:g} <= {_duration(q.bound)}" for q in latency.quantiles if q.bound is not None and q.q > 0.5]
    text = f"{', '.join(parts)}  (n={'not stated' if latency.count is None else latency.count})"
    return text + (f"  99 % sure: {', '.join(bounds)}" if bounds else "")


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < LAST_MS else f"{number(seconds)} s"


def labelled(label: str, text: str) -> str:
    """Return a line with its label in the first column."""
    return f"{label:<{LABEL_WIDTH}}{text}"
