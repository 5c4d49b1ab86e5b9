"""Our figures of an imported MLPerf run: rates and latencies as LoadGen states them, power by our integral."""

from collections.abc import Iterator, Mapping

from wattbench.harness.exchange.mlperf_power import BOUNDARY
from wattbench.results.energy import ChannelEnergy
from wattbench.results.exchange.mlperf_log import DetailLog
from wattbench.results.exchange.mlperf_official import throughputs
from wattbench.results.metrics import Metric, Quantile, QuantileMetric

__all__ = ["RATES", "latency_metrics", "power_metrics", "requests_of", "work_metrics"]

QUANTILES = (0.5, 0.9, 0.95, 0.97, 0.99, 0.999)
NS_PER_S = 1e9

RATES = (("throughput.requests", "{request}/s"), ("throughput.output_tokens", "{token}/s"))
EFFICIENCIES = (("efficiency.requests_per_j", "{request}/J"), ("efficiency.tokens_per_j", "{token}/J"))


def requests_of(log: DetailLog) -> int | None:
    """Return how many samples were processed: a query has one, eight (MultiStream) or all (Offline)."""
    queries = log.number("result_query_count")
    per_query = log.number("generated_samples_per_query") or log.number("effective_samples_per_query")
    return None if queries is None or per_query is None else round(queries * per_query)


def work_metrics(log: DetailLog, energy: ChannelEnergy | None, reason: str) -> tuple[Metric, ...]:
    """Return throughput.*, power.*, energy.* and efficiency.*; `reason` says why there is no energy at all."""
    return (*_throughput(log), *power_metrics(energy, requests_of(log), throughputs(log), reason))


def power_metrics(
    energy: ChannelEnergy | None, requests: int | None, rates: Mapping[str, float], reason: str
) -> tuple[Metric, ...]:
    """Return power.*, energy.* and efficiency.* from an energy, a count of samples and the stated rates by unit."""
    return tuple(_power(energy, requests, rates, reason))


def latency_metrics(log: DetailLog) -> tuple[QuantileMetric, ...]:
    """Return latency.request in seconds as LoadGen states it, its early-stopping estimates as the bounds."""
    by_query = log.text("effective_scenario") == "MultiStream"
    word, mean = ("_per_query", "result_mean_query_latency_ns") if by_query else ("", "result_mean_latency_ns")
    mean_ns, count = log.number(mean), log.number("result_query_count")
    if mean_ns is None or count is None:
        return ()
    found = {q: log.number(f"result_{100 * q:.2f}_percentile{word}_latency_ns") for q in QUANTILES}
    bounds = {0.9: log.number("early_stopping_latency_ss"), 0.99: log.number("early_stopping_latency_ms")}
    quantiles = tuple(
        Quantile(q=q, value=value / NS_PER_S, bound=bound / NS_PER_S if (bound := bounds.get(q)) else None)
        for q, value in found.items()
        if value is not None
    )
    unit = "query of 8 samples" if by_query else "query"
    method = f"as LoadGen states it, of one {unit} from its scheduled start; bounds are its early-stopping estimates"
    return (
        QuantileMetric(
            name="latency.request",
            unit="s",
            count=round(count),
            mean=mean_ns / NS_PER_S,
            quantiles=quantiles,
            method=method,
        ),
    )


def _throughput(log: DetailLog) -> Iterator[Metric]:
    found = throughputs(log)
    for name, unit in RATES:
        rate = found.get(unit)
        missing = "the detail log states no such rate"
        yield _metric(name, unit, rate, "as LoadGen states it, one sample being one request", missing, None)


def _power(
    energy: ChannelEnergy | None, requests: int | None, rates: Mapping[str, float], reason: str
) -> Iterator[Metric]:
    energy_j = energy.energy_j if energy else None
    mean_w = energy.mean_power_w if energy else None
    why = energy.reason if energy is not None and energy.reason is not None else reason
    integral = "trapezoids between the samples, edges interpolated; one run, so no repeatability"
    yield _metric("power.mean", "W", mean_w, f"gross energy / window; {integral}", why, energy)
    idle = "MLPerf measures no idle power" if energy else why
    yield _metric("power.idle", "W", None, "not measured", idle, energy)
    yield _metric("energy.total", "J", energy_j, f"gross energy of the window; {integral}", why, energy)
    each = energy_j / requests if energy_j is not None and requests else None
    no_count = why if energy_j is None else "the detail log states no count of samples"
    yield _metric("energy.per_request", "J/{request}", each, "gross energy of the window / samples", no_count, energy)
    for (_, rate_unit), (name, unit) in zip(RATES, EFFICIENCIES, strict=True):
        rate = rates.get(rate_unit)
        value = rate / mean_w if rate is not None and mean_w else None
        missing = why if mean_w is None else "the detail log states no such rate"
        yield _metric(name, unit, value, "stated throughput / mean power by our integral", missing, energy)


def _metric(
    name: str, unit: str, value: float | None, method: str, missing: str, energy: ChannelEnergy | None
) -> Metric:
    known = energy is not None and value is not None
    return Metric(
        name=name,
        unit=unit,
        value=value,
        reason=missing if value is None else None,
        method=method,
        interval=None,
        spread=None,
        samples=() if value is None else (value,),
        scope="wall" if energy else None,
        boundary=BOUNDARY if energy else None,
        u_absolute_rel=energy.u_absolute_rel if known and energy else None,
        u_comparison_rel=energy.u_comparison_rel if known and energy else None,
    )
