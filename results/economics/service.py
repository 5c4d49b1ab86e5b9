"""The service level: what a query may wait so that its whole answer keeps the promise, from measured latencies."""

from dataclasses import dataclass

from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.measured import LatencyQuantile, Measured
from wattbench.results.errors import UsageError

__all__ = ["LATENCY_PROMISES", "OnTime", "Promise", "ServiceLevel", "on_time", "promises", "service_level"]

PROMISES = (("slo.latency_s", "latency.request"), ("slo.ttft_s", "latency.ttft"), ("slo.tpot_s", "latency.tpot"))
"""Each promise and the measured latency that it is about."""

LATENCY_PROMISES = tuple(path for path, _ in PROMISES)

LATE = 0.01
"""How finely a share of late queries is told from another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevel:
    """What waiting is allowed: no more than `share` of the queries wait longer than `wait_s`; `words` say why."""

    wait_s: float
    share: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise held against a measured quantile; `kept` is None where no quantile that strict was measured."""

    path: str
    limit_s: float
    late_share: float
    measured: LatencyQuantile | None
    kept: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTime:
    """Which share of the queries keeps every promise, as far as the measured quantiles tell: from `low` to `high`."""

    low: float
    high: float


def on_time(measured: Measured, inputs: CostInputs) -> OnTime | None:
    """Return the share of queries that keep the promises on latencies; None where none was given.

    A promise lies between two measured quantiles: at least the lower one's share keeps it, less than the upper one's.
    Those that break different promises may be different queries, so that their shares add. Raises UsageError for a
    promise on a latency that was not measured.
    """
    shares = []
    for path, name, limit_s in _given(inputs):
        points = [p for p in measured.latencies if p.name == name]
        if not points:
            why = f"{path} is given, and the result has no quantiles of {name}"
            raise UsageError(
                "A promise cannot be held against the result", why, "Leave it out, or measure that latency."
            )
        kept = [p.q for p in points if p.value_s <= limit_s]
        broken = [p.q for p in points if p.value_s > limit_s]
        shares.append((max(kept, default=0.0), min(broken, default=1.0)))
    if not shares:
        return None
    return OnTime(low=max(0.0, 1 - sum(1 - low for low, _ in shares)), high=min(high for _, high in shares))


def service_level(measured: Measured, inputs: CostInputs) -> ServiceLevel | None:
    """Return what may be waited, None where no promise was given.

    With `slo.latency_s` a query is late when waiting and service together take longer. If a share a of services takes
    longer than L_q (measured), then P(wait + service > T) <= a + P(wait > T - L_q): so the queue may use the rest.
    Raises UsageError where the measured machine cannot keep the promise even without waiting.
    """
    wait_s, latency_s = inputs.optional("slo.wait_s"), inputs.optional("slo.latency_s")
    if wait_s is None and latency_s is None:
        return None
    share = inputs.number("slo.late_share", "A promise")
    if latency_s is None:
        assert wait_s is not None, "one of the two was given"
        return ServiceLevel(wait_s=wait_s, share=share, words="slo.wait_s, service not counted")
    if wait_s is not None:
        raise UsageError(
            "Two promises contradict",
            "slo.wait_s and slo.latency_s are both given",
            "Keep one: what may be waited, or the whole time from arrival to answer.",
        )
    found = [p for p in measured.latencies if p.name == "latency.request" and 1 - p.q < share * (1 - LATE)]
    if not found:
        known = ", ".join(f"p{100 * p.q:g}" for p in measured.latencies if p.name == "latency.request") or "none"
        raise UsageError(
            f"No measured latency is strict enough for {share:.3g} late queries",
            f"measured quantiles: {known}",
            "Allow more late queries (--slo-late-share), or give what may be waited: --slo-wait-s.",
        )
    point = min(found, key=lambda p: abs((1 - p.q) - share / 2))  # half of the late ones for each of the two
    if point.value_s >= latency_s:
        raise UsageError(
            f"The machine cannot answer in {latency_s:g} s, even without waiting",
            f"its measured p{100 * point.q:g} is {point.value_s:.4g} s ({measured.device})",
            "Promise more time, or measure a faster machine or a smaller batch.",
        )
    words = f"{latency_s:g} s less the measured p{100 * point.q:g} of {point.value_s:.4g} s"
    return ServiceLevel(wait_s=latency_s - point.value_s, share=share - (1 - point.q), words=words)


def promises(measured: Measured, inputs: CostInputs) -> tuple[Promise, ...]:
    """Return each promise beside the measured quantile that it is held against, the least strict one that proves it."""
    given = _given(inputs)
    if not given:
        return ()
    late_share = inputs.number("slo.late_share", "A promise")
    found = []
    for path, name, limit_s in given:
        strict = [p for p in measured.latencies if p.name == name and 1 - p.q <= late_share + 1e-12]
        point = min(strict, key=lambda p: p.q) if strict else None
        kept = None if point is None else point.value_s <= limit_s
        found.append(Promise(path=path, limit_s=limit_s, late_share=late_share, measured=point, kept=kept))
    return tuple(found)


def _given(inputs: CostInputs) -> list[tuple[str, str, float]]:
    """Return each promise that was given: its path, the latency it is about, and the limit in seconds."""
    return [(path, name, limit_s) for path, name in PROMISES if (limit_s := inputs.optional(path)) is not None]
