"""Figures in words for a page: three digits, units that people say, intervals and uncertainties."""

from wattbench.results.metrics import Interval, Metric
from wattbench.results.readable import number

__all__ = [
    "COVERAGE",
    "UNITS",
    "absolute",
    "amount",
    "comparing",
    "name_of",
    "percent",
    "size",
    "spread",
    "unit_of",
]

COVERAGE = 2.0
"""Printed uncertainties and error bars are expanded by this factor (k=2, about 95 %)."""

UNITS = {
    "{request}/s": "requests/s",
    "{token}/s": "tokens/s",
    "{token}/J": "tokens/s/W",
    "{request}/J": "requests/s/W",
    "J/{request}": "J/request",
    "J/{token}": "J/token",
    "By": "bytes",
    "1": "",
}
"""UCUM units as people say them; tokens per joule and tokens per second per watt are the same number."""

NAMES = {
    "throughput.requests": "Requests",
    "throughput.input_tokens": "Input tokens",
    "throughput.output_tokens": "Output tokens",
    "throughput.total_tokens": "All tokens",
    "throughput.prefill_tokens": "Prefill rate",
    "throughput.decode_tokens": "Decode rate",
    "latency.request": "Latency of a request",
    "latency.ttft": "Time to first token",
    "latency.tpot": "Time per output token",
    "latency.itl": "Time between tokens",
    "latency.request_from_send": "Latency of a request, from its send",
    "latency.ttft_from_send": "Time to first token, from the send",
    "latency.ttft_answer": "Time to first token that is no reasoning",
    "latency.request_with_failures": "Latency of a request, failures for ever",
    "latency.ttft_with_failures": "Time to first token, failures for ever",
    "latency.server_queue": "Queue, as the server says",
    "latency.server_prompt": "Prompt, as the server says",
    "latency.server_output": "Output, as the server says",
    "latency.server_total": "Whole call, as the server says",
    "power.mean": "Mean power",
    "power.idle": "Idle power",
    "power.net": "Net power",
    "energy.total": "Energy of a window",
    "energy.per_request": "Energy of a request",
    "energy.per_input_token": "Energy per input token",
    "energy.per_output_token": "Energy per output token",
    "energy.prefill": "Energy of prefill",
    "energy.decode": "Energy of decode",
    "efficiency.tokens_per_j": "Throughput per watt",
    "efficiency.requests_per_j": "Requests per joule",
    "energy.per_session": "Energy of a session",
    "latency.query": "Latency of a query of several calls",
    "latency.session": "Time of a session",
    "traffic.planned_rate": "Rate asked for",
    "traffic.achieved_rate": "Rate reached",
    "traffic.goodput": "Goodput",
    "traffic.goodput_share": "Share within the limits",
    "traffic.failed_share": "Failed requests",
    "traffic.cached_share": "Input tokens from a cache",
    "traffic.usage_ratio": "Tokens by the server, of our count",
    "traffic.send_late_p99": "Lateness of sends, p99",
    "memory.peak": "Peak memory",
    "utilisation.flops": "Products of the whole window, of the measured ceiling",
    "utilisation.prefill_flops": "Products of prefill, of the measured ceiling",
    "utilisation.bandwidth": "Memory traffic of decode, of the measured ceiling",
    "utilisation.flops_claim": "Products of the whole window, of the vendor's claim",
    "utilisation.prefill_flops_claim": "Products of prefill, of the vendor's claim",
    "utilisation.bandwidth_claim": "Memory traffic of decode, of the vendor's claim",
}
SCALED = ("By", "1")
"""The units whose figures are said in others: with a prefix, in per cent."""


def amount(value: float, unit: str) -> tuple[str, str]:
    """Return a figure and its unit in words: bytes with a prefix, shares in per cent."""
    if unit == "By":
        text, scaled = size(value).rsplit(" ", 1)
        return text, scaled
    if unit == "1":
        return percent(value), ""
    return number(value), unit_of(unit)


def percent(share: float) -> str:
    """Return a share in per cent."""
    return f"{number(100 * share)} %"


def size(count: float) -> str:
    """Return a number of bytes with a decimal prefix."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.3g} {unit}"
    return f"{count:.0f} bytes"


def unit_of(unit: str) -> str:
    """Return a UCUM unit as people say it."""
    return UNITS.get(unit, unit)


def name_of(name: str) -> str:
    """Return what a figure is called."""
    return NAMES.get(name, name)


def spread(interval: Interval | None, unit: str = "") -> str:
    """Return an interval with its level, "" for none; bytes and shares are said as `amount` says their figure."""
    if interval is None:
        return ""
    low, high = (
        " ".join(filter(None, amount(end, unit))) if unit in SCALED else number(end)
        for end in (interval.low, interval.high)
    )
    return f"{low} to {high} ({100 * interval.level:g} %)"


def absolute(metric: Metric) -> str:
    """Return the expanded absolute uncertainty (k=2), "not stated" for an energy without one, "" for other figures."""
    return _expanded(metric, metric.u_absolute_rel)


def comparing(metric: Metric) -> str:
    """Return the expanded uncertainty in comparisons (k=2), as `absolute` does."""
    return _expanded(metric, metric.u_comparison_rel)


def _expanded(metric: Metric, u_rel: float | None) -> str:
    if u_rel is None:
        return "" if metric.scope is None else "not stated"
    if COVERAGE * u_rel > 1 and metric.value is not None:  # a share of what may as well be nothing says nothing
        return f"± {number(COVERAGE * u_rel * abs(metric.value))} {unit_of(metric.unit)}"
    return f"± {100 * COVERAGE * u_rel:.2g} %"
