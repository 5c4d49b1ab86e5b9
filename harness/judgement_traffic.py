"""The doubts about a run of traffic: a late generator, a rate that was not reached, counts that part, caches."""

from collections import Counter
from collections.abc import Iterator, Sequence

from wattbench.results.calls import TrafficRecord
from wattbench.results.counted import counted
from wattbench.results.doubts import Doubt
from wattbench.results.goodput import LimitVerdict
from wattbench.results.kept_limits import kept_limits
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Summary
from wattbench.results.plan import Plan
from wattbench.results.rates import succeeded
from wattbench.results.readable import number, time
from wattbench.results.slo import parse_slo
from wattbench.results.traffic import LATE_SHARE

__all__ = ["failure_doubts", "traffic_doubts"]

LATE_SEVERE_SHARE = 0.1
"""Of that median, a lateness beyond which the latencies are wrong (our choice)."""

LATE_FLOOR_S, LATE_SEVERE_FLOOR_S = 1e-4, 4e-3
"""Without a limit no shorter lateness is doubted, or severe, however fast the server answers.

They are the goals of our own client, for the median of its sending and for what it may add to the 99th percentile of a
first token (docs/performance.md): on a core that others use too it may come near the second. A limit has no floor:
whoever sets one of a few milliseconds needs a client that keeps it.
"""

STARVED_SHARE = 0.05
"""The share of its time that the generator may wait for a processor (our choice)."""

USAGE_REL = 0.01
CACHED_SHARE = 0.01
RATE_SHARE = 0.99
CLIENT_LIMIT = "client_limit"
FAILED_SEVERE = 0.5
"""Beyond this share of failures the rest says nothing of the service (our choice)."""


def failure_doubts(summary: Summary, repeats: Sequence[Repeat]) -> Iterator[Doubt]:
    """Yield the doubt of a run whose requests failed in part; under traffic a failure is an outcome like others."""
    if not summary.failed_requests:
        return
    facts = f"{summary.failed_requests} of {counted(summary.requests, 'request')} failed"
    records = [repeat.traffic for repeat in repeats if repeat.traffic is not None]
    kinds = Counter(kind for record in records for kind in record.calls.error_kind if kind is not None)
    if not records:
        yield _severe("failed_requests", facts, "See the errors in the repeats of the result.")
        return
    facts += f": {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}"
    advice = "Their energy is in the joules of the others; see the errors in the repeats, or ask for less."
    grave = summary.failed_requests > FAILED_SEVERE * summary.requests or CLIENT_LIMIT in kinds
    if CLIENT_LIMIT in kinds:
        advice = "This machine could open no more connections: raise its limit (ulimit -Hn), or ask for less at once."
    yield Doubt(code="failed_requests", severity="severe" if grave else "doubt", facts=facts, advice=advice)


def traffic_doubts(
    plan: Plan, summary: Summary | None, repeats: Sequence[Repeat], output_tokens: int | None = None
) -> Iterator[Doubt]:
    """Yield what is to be doubted of a run of traffic; nothing for other runs.

    `output_tokens` is how many a request of the load asks for.
    """
    records = [repeat.traffic for repeat in repeats if repeat.traffic is not None]
    if not records or summary is None:
        return
    slo = parse_slo(plan.traffic.slo) if plan.traffic is not None and plan.traffic.slo is not None else None
    yield from _lateness(records, summary, slo.limit_s("ttft") if slo is not None else None)
    yield from _limits(plan, repeats)
    yield from _starvation(records)
    yield from _counts(plan, summary)
    yield from _impossible_counts(_asked_tokens(plan, output_tokens), repeats)
    yield from _rate(summary)


def _lateness(records: Sequence[TrafficRecord], summary: Summary, limit_s: float | None) -> Iterator[Doubt]:
    late_s = max((r.health.send_late_p99_s or 0.0 for r in records), default=0.0)
    base_s, what = (limit_s, "the limit on the first token") if limit_s is not None else _measured_median(summary)
    if base_s is None:
        return
    floor_s, severe_floor_s = (LATE_FLOOR_S, LATE_SEVERE_FLOOR_S) if limit_s is None else (0.0, 0.0)
    allowed_s = max(LATE_SHARE * base_s, floor_s)
    if late_s <= allowed_s:
        return
    grave = limit_s is not None or late_s > max(LATE_SEVERE_SHARE * base_s, severe_floor_s)
    percent = 100 * late_s / base_s
    share = f"{percent:.2g}" if percent < 100 else f"{percent:.0f}"
    facts = (
        f"99 % of the calls went out at most {1e3 * late_s:.3g} ms late, which is {share} % of "
        f"{what} ({1e3 * base_s:.4g} ms); {1e3 * allowed_s:.3g} ms are allowed"
    )
    advice = "Raise --workers or have it found (--workers auto), or quieten the machine that sends."
    yield Doubt(code="client_late", severity="severe" if grave else "doubt", facts=facts, advice=advice)


def _measured_median(summary: Summary) -> tuple[float | None, str]:
    for name, what in (
        ("latency.ttft", "the median time to the first token"),
        ("latency.request", "the median latency"),
    ):
        found = next((latency for latency in summary.latencies if latency.name == name and latency.quantiles), None)
        if found is not None:
            return found.quantiles[0].value, what
    return None, ""


def _limits(plan: Plan, repeats: Sequence[Repeat]) -> Iterator[Doubt]:
    """Yield that limits which were promised do not hold, or are not proven, over all repeats together."""
    kept = kept_limits(repeats, plan.traffic)
    for verdict in kept.limits if kept is not None else ():
        if verdict.standing != "holds":
            yield _doubt("slo_missed", _limit_words(verdict), "Ask for a lower rate, or longer windows to prove it.")


def _limit_words(verdict: LimitVerdict) -> str:
    value = "infinite" if verdict.value_s is None else time(verdict.value_s)
    seen = f"{value} over {counted(verdict.count, 'sample')}, {verdict.over} over it"
    facts = f"{verdict.limit.words} is {verdict.standing}: {seen}"
    return facts if verdict.needed is None else f"{facts} ({verdict.needed} samples are needed)"


def _starvation(records: Sequence[TrafficRecord]) -> Iterator[Doubt]:
    shares = [
        record.health.run_queue_wait_s / record.health.observed_s
        for record in records
        if record.health.run_queue_wait_s is not None and record.health.observed_s > 0
    ]
    worst = max(shares, default=0.0)
    if worst > STARVED_SHARE:
        facts = f"the load generator waited for a processor for {100 * worst:.0f} % of a window"
        yield _doubt("client_starved", facts, "Send from another machine, or leave this one a free core.")


def _counts(plan: Plan, summary: Summary) -> Iterator[Doubt]:
    ratio, cached = (summary.metric(f"traffic.{name}") for name in ("usage_ratio", "cached_share"))
    if ratio is not None and ratio.value is not None and abs(ratio.value - 1) > USAGE_REL:
        facts = f"the server counts {100 * (ratio.value - 1):+.1f} % tokens out against our own tokenizer"
        yield _doubt("usage_mismatch", facts, "Check that --tokenizer is the served model's own.")
    shared = plan.scenario == "agentic"
    if cached is not None and cached.value is not None and cached.value > CACHED_SHARE and not shared:
        facts = (
            f"the server had {100 * cached.value:.1f} % of the input tokens in its cache, although prompts were unique"
        )
        yield _doubt("cached_prompts", facts, "Turn its prefix cache off, or start it anew before a run.")


def _asked_tokens(plan: Plan, output_tokens: int | None) -> int | None:
    """Return how many tokens out every call asked for at most; None where that was drawn, or came with a trace."""
    traffic = plan.traffic
    drawn = traffic is not None and (traffic.output_lengths or traffic.trace or traffic.session)
    return None if drawn else output_tokens


def _impossible_counts(asked: int | None, repeats: Sequence[Repeat]) -> Iterator[Doubt]:
    """Yield that answers have more tokens than they were allowed, or none although pieces of text came."""
    windows = [(repeat.completions, succeeded(repeat.completions)) for repeat in repeats]
    answers = sum(len(rows) for _, rows in windows)
    empty = sum(not c.output_tokens[row] and c.first_output_ns[row] is not None for c, rows in windows for row in rows)
    counts = [c.output_tokens[row] for c, rows in windows for row in rows if asked and c.output_tokens[row] > asked]
    advice = "Do not trust its tokens per second; count with --tokenizer, and tell whoever makes the server."
    if empty:
        yield _severe(
            "token_count", f"the server counts no token in {empty} of {answers} answers that had text", advice
        )
    if counts:
        facts = f"the server counts up to {max(counts)} tokens in {len(counts)} of {answers} answers of at most {asked}"
        yield _severe("token_count", facts, advice)


def _rate(summary: Summary) -> Iterator[Doubt]:
    planned, achieved = (summary.metric(f"traffic.{name}") for name in ("planned_rate", "achieved_rate"))
    if planned is None or achieved is None or not planned.value or achieved.value is None:
        return
    if achieved.value < RATE_SHARE * planned.value:
        share = 100 * achieved.value / planned.value
        facts = f"{number(achieved.value)} of {number(planned.value)} requests/s were served ({share:.1f} %)"
        yield _doubt("rate_not_reached", facts, "The queue grew all the time: ask for a lower --rate.")


def _severe(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="severe", facts=facts, advice=advice)


def _doubt(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="doubt", facts=facts, advice=advice)
