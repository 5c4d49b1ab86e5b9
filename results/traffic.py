"""The records of load generation: how requests were to arrive, what came of each, and how well the client kept up."""

from dataclasses import dataclass
from typing import Literal, get_args

from wattbench.results.checks import require, require_not_negative

__all__ = ["ERROR_KINDS", "ClientHealth", "ErrorKind"]

ErrorKind = Literal[
    "unreachable",  # refused, no route, no such name, TLS not verified
    "http_401",  # 403 too
    "http_404",
    "http_429",
    "http_4xx",
    "http_5xx",
    "in_stream",  # an error object inside a 200 stream
    "truncated",  # the stream ended without its end
    "malformed",  # not HTTP, not SSE, not JSON
    "timeout",  # past its own deadline
    "gave_up",  # in progress when the window's deadline came
    "engine",  # an in-process backend's own error
]

ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
"""Every kind of failure; a record names one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHealth:
    """How well the load generator itself kept up in one window; None where this system does not tell.

    Seconds. `send_late_*` is how long after its planned start a call went out although a place was free,
    `run_queue_wait_s` how long the generator's threads waited for a processor (of `observed_s`), `kernel_lag_*` how
    long received bytes lay in the kernel before they were read, `stamps` says who stamped arrivals: "kernel" or
    "user". `drift_s` is how much later the last tenth of the calls went out than the first tenth. `workers` processes
    sent them. `self_test_ttft_excess_p99_s` is what `bench selftest` found on this machine, if it was run.
    """

    stamps: str
    workers: int
    observed_s: float
    cpu_s: float
    send_late_p50_s: float | None
    send_late_p99_s: float | None
    send_late_max_s: float | None
    drift_s: float | None
    run_queue_wait_s: float | None
    involuntary_switches: int | None
    kernel_lag_p50_s: float | None
    kernel_lag_p99_s: float | None
    connections_opened: int
    in_flight_peak: int
    self_test_ttft_excess_p50_s: float | None = None
    self_test_ttft_excess_p99_s: float | None = None

    def __post_init__(self) -> None:
        require(self.stamps in ("kernel", "user"), f"stamps are the kernel's or the user's, not {self.stamps!r}")
        require_not_negative(workers=self.workers, observed_s=self.observed_s, cpu_s=self.cpu_s)
        require_not_negative(connections_opened=self.connections_opened, in_flight_peak=self.in_flight_peak)
