"""Made-up windows of traffic for tests: calls at a constant rate with stated times and tokens."""

from dataclasses import replace
from typing import Any

from wattbench.results.calls import Calls, TrafficRecord
from wattbench.results.measurement import Completions, Repeat, Window
from wattbench.results.traffic import ClientHealth

MS = 1_000_000
S = 1_000_000_000


def make_health(**changes: Any) -> ClientHealth:  # any: values of any field
    """Return the health of a client that kept up."""
    sound = ClientHealth(
        stamps="kernel",
        workers=1,
        observed_s=10.0,
        cpu_s=0.5,
        send_late_p50_s=1e-5,
        send_late_p99_s=5e-5,
        send_late_max_s=1e-4,
        drift_s=0.0,
        run_queue_wait_s=0.01,
        involuntary_switches=3,
        kernel_lag_p50_s=2e-5,
        kernel_lag_p99_s=1e-4,
        connections_opened=4,
        in_flight_peak=4,
    )
    return replace(sound, **changes)


def make_calls(count: int, **columns: Any) -> Calls:  # any: values of any column
    """Return calls of which nothing is known but their place; `columns` replaces whole columns."""
    nothing = (None,) * count
    known: dict[str, Any] = dict.fromkeys(Calls.__slots__, nothing)
    return Calls(**{**known, "call": tuple(range(count)), "fresh": (False,) * count, **columns})


def make_traffic_repeat(
    index: int = 0,
    *,
    calls: int = 100,
    gap_ms: float = 100.0,
    first_ms: float = 50.0,
    latency_ms: float = 200.0,
    stretch: float = 1.0,
    errors: dict[int, str] | None = None,
    open_loop: bool = True,
    health: ClientHealth | None = None,
    **columns: Any,  # any: values of any column of the calls
) -> Repeat:
    """Return a window of calls that are planned every `gap_ms`, take `latency_ms`, and have four tokens out.

    Ends lie `stretch` times as far apart as planned starts: above 1 the server does not keep up. `errors` are kinds by
    row.
    """
    origin = 100 * S * (index + 1)
    planned = [origin + round(i * gap_ms * MS) for i in range(calls)]
    ends = [origin + round(i * gap_ms * stretch * MS + latency_ms * MS) for i in range(calls)]
    kinds = tuple((errors or {}).get(i) for i in range(calls))
    first = [planned[i] + round(first_ms * MS) for i in range(calls)]
    completions = Completions(
        planned_start_ns=tuple(planned),
        start_ns=tuple(at + MS for at in planned),
        first_output_ns=tuple(first),
        step_end_ns=tuple((at + MS, at + 2 * MS, at + 3 * MS) for at in first),
        end_ns=tuple(ends),
        requests=(1,) * calls,
        input_tokens=(32,) * calls,
        output_tokens=(4,) * calls,
        error=tuple(None if kind is None else f"made-up {kind}" for kind in kinds),
    )
    record = TrafficRecord(
        schedule_digest="sha256:" + "0" * 64,
        seed=index,
        scheduled=calls,
        open_loop=open_loop,
        rate_per_s=1e3 / gap_ms if open_loop else None,
        calls=make_calls(calls, error_kind=kinds, **columns),
        health=health or make_health(),
    )
    return Repeat(
        index=index,
        window=Window(start_ns=origin, end_ns=max(ends)),
        jitter_s=0.0,
        completions=completions,
        energy=(),
        worker_cpu_s=0.5,
        observed_s=11.0,
        parent_cpu_s=0.0,
        other_cpu_s=0.0,
        steal_s=0.0,
        temperature_c=None,
        traffic=record,
    )
