"""What a run of traffic has to say, as labels and texts: how requests came, what became of them, how the client did."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wattbench.results.counted import counted
from wattbench.results.document import Result
from wattbench.results.metrics import QuantileMetric, Summary
from wattbench.results.plan import Plan, Scenario
from wattbench.results.rates import succeeded
from wattbench.results.readable import number, time
from wattbench.results.sessions import calls_per_session, cut_spans_s, whole_sessions
from wattbench.results.stats import median
from wattbench.results.traffic import CrewStep
from wattbench.results.traffic_plan import TrafficPlan

__all__ = ["Lengths", "Line", "arrival_of", "crew_lines", "lengths_of", "traffic_lines", "traffic_words"]

Line = tuple[str, str]
"""A label and a text."""

LATE = "late"
"""How the reasons of a `CrewStep` begin that speak of a lag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How many tokens requests had, in words: one number, or the least, the most and the median; `turns` may follow."""

    input: str
    output: str
    turns: str = ""


SERVER_TIMES = (("queue", "server_queue"), ("prompt", "server_prompt"), ("output", "server_output"))


def lengths_of(result: Result) -> Lengths:
    """Return how long requests were: under traffic those that succeeded, as they were counted; else the load's own.

    Sessions, draws and traces send other lengths than the load has.
    """
    rows = [
        (repeat.completions, i) for repeat in result.repeats if repeat.traffic for i in succeeded(repeat.completions)
    ]
    if rows:
        return Lengths(
            input=_length_words([done.input_tokens[i] for done, i in rows]),
            output=_length_words([done.output_tokens[i] for done, i in rows]),
        )
    load = result.load
    turns = f", {load.turns} turns" if load.turns > 1 else ""
    return Lengths(input=str(load.input_tokens), output=str(load.output_tokens), turns=turns)


def _length_words(tokens: Sequence[int]) -> str:
    low, high = min(tokens), max(tokens)
    return str(low) if low == high else f"{low} to {high} (median {median(tokens):g})"


def arrival_of(plan: Plan) -> str:
    """Return the scenario with how requests arrive, or with the batch where they are executed in batches."""
    how = f"batch {plan.batch}" if plan.traffic is None else traffic_words(plan.traffic, plan.scenario)
    return f"{plan.scenario}, {how}" if how else plan.scenario


def traffic_words(plan: TrafficPlan, scenario: Scenario) -> str:
    """Return how requests were to arrive, in a few words; empty where the scenario's name says all."""
    if plan.rate_auto:
        return f"the highest rate that holds {plan.slo}"
    if plan.rate_per_s is not None:
        shape = f" of shape {plan.arrival_shape:g}" if plan.arrival_shape is not None else ""
        what = "sessions" if scenario == "agentic" else "requests"
        return f"{plan.rate_per_s:,.12g} {what}/s, {plan.arrival}{shape}"
    words = (
        None if plan.concurrency is None else f"{plan.concurrency} in progress",
        None if plan.ramp is None else f"ramp {plan.ramp}",
        None if plan.trace is None else f"trace {plan.trace}",
        None if plan.trace_scale == 1 else f"times multiplied by {plan.trace_scale:g}",
        None if plan.sessions is None else f"{counted(plan.sessions, 'session')} in progress",
        None if plan.samples is None else f"{counted(plan.samples, 'sample')} a query",
    )
    return ", ".join(text for text in words if text is not None)


def traffic_lines(result: Result) -> Iterator[Line]:
    """Yield the lines of a run of traffic; none for other runs."""
    records = [repeat.traffic for repeat in result.repeats if repeat.traffic is not None]
    summary = result.summary
    if not records or summary is None:
        return
    if result.search is not None:
        yield "rate search", f"{result.search.reason}; {counted(len(result.search.probes), 'probe')}"
    yield from _rates(summary)
    yield from _latencies(summary)
    kinds = Counter(kind for record in records for kind in record.calls.error_kind if kind is not None)
    if kinds:
        yield "failures", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    yield from _sessions(result, summary)
    healths = [record.health for record in records]
    late = [health.send_late_p99_s for health in healths if health.send_late_p99_s is not None]
    lateness = f", calls at most {time(max(late))} late (99 %)" if late else ""
    worst = max(healths, key=lambda health: health.connections_opened)
    opened, peak = counted(worst.connections_opened, "connection"), counted(worst.in_flight_peak, "request")
    ways = f"{opened} for {peak} in progress"
    yield "client", f"{_processes(worst.workers)}, stamps by the {worst.stamps}{lateness}; {ways}"
    yield from (("workers", line) for line in crew_lines(result.warmup.crew if result.warmup is not None else ()))


def crew_lines(steps: Sequence[CrewStep]) -> Iterator[str]:
    """Yield how the number of processes that send was changed in warm-up, and that it stayed too small at its end."""
    for step in steps:
        if step.changes:
            sends = "sends" if step.next_workers == 1 else "send"
            yield f"{_late_words(step)}: {step.next_workers} {sends} from then on"
    last = steps[-1] if steps else None
    if last is not None and not last.changes and last.reason.startswith(LATE):
        yield f"{_late_words(last)}{last.reason.removeprefix(LATE)}"


def _late_words(step: CrewStep) -> str:
    lags = (("sends", step.send_late_p99_s), ("reads", step.kernel_lag_p99_s), ("allowed", step.limit_s))
    known = [(word, time(value)) for word, value in lags if value is not None]
    told = ", ".join(f"{text} {word}" if word == "allowed" else f"{word} {text}" for word, text in known)
    return f"{_processes(step.workers)} {'was' if step.workers == 1 else 'were'} late (99 %: {told})"


def _processes(count: int) -> str:
    return counted(count, "process", "processes")


def _rates(summary: Summary) -> Iterator[Line]:
    planned, achieved = (summary.metric(f"traffic.{name}") for name in ("planned_rate", "achieved_rate"))
    if achieved is None or achieved.value is None:
        return
    if planned is not None and planned.value is not None:
        reached = 100 * achieved.value / planned.value
        yield "rate", f"{number(achieved.value)} of {number(planned.value)} requests/s ({reached:.1f} %)"
    cached = summary.metric("traffic.cached_share")
    if cached is not None and cached.value:
        yield "cached", f"{100 * cached.value:.1f} % of the input tokens"
    goodput = summary.metric("traffic.goodput")
    good = summary.metric("traffic.goodput_share")
    if goodput is not None and goodput.value is not None and good is not None and good.value is not None:
        yield "goodput", f"{number(goodput.value)} requests/s within the limits ({100 * good.value:.1f} % of all)"


def _latencies(summary: Summary) -> Iterator[Line]:
    found = {latency.name.removeprefix("latency."): latency for latency in summary.latencies if latency.quantiles}
    if "request_from_send" in found:
        text = f"latency {_median_ms(found['request_from_send'])}"
        if "ttft_from_send" in found:
            text += f", first token {_median_ms(found['ttft_from_send'])}"
        yield "from the send", text
    told = [f"{word} {_median_ms(found[name])}" for word, name in SERVER_TIMES if name in found]
    if told:
        yield "server says", ", ".join(told)


def _median_ms(latency: QuantileMetric) -> str:
    return f"p50 {time(latency.quantiles[0].value)}"


def _sessions(result: Result, summary: Summary) -> Iterator[Line]:
    whole = sum(len(whole_sessions(repeat)) for repeat in result.repeats)
    span = next((latency for latency in summary.latencies if latency.name == "latency.session"), None)
    calls = calls_per_session(result.repeats)
    if span is None or calls is None:
        return
    median = next((each.value for each in span.quantiles if each.q == 0.5), None)
    takes = "p50 not known (too many were cut)" if median is None else f"p50 {time(median)}"
    energy = summary.metric("energy.per_session")
    joules = f", {energy.value:.4g} J" if energy is not None and energy.value is not None else ""
    cut = sum(len(cut_spans_s(repeat)) for repeat in result.repeats)
    rest = f", {cut} were cut by a window's end and count as longer than seen (Kaplan-Meier)" if cut else ""
    yield "session", f"{takes}, {calls:.3g} calls{joules} each; {whole} were whole{rest}"
