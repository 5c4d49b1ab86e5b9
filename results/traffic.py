"""The records of load generation: how requests were to arrive, what came of each, and how well the client kept up."""

from dataclasses import dataclass
from typing import Literal, get_args

from wattbench.results.checks import require, require_not_negative

__all__ = ["ERROR_KINDS", "LATE_SHARE", "ClientHealth", "CrewStep", "ErrorKind"]

LATE_SHARE = 0.01
"""How late the generator may be, as a share of the limit on the first token, or of its median without a limit."""

ErrorKind = Literal[
    "unreachable",  # refused, no route, no such name, TLS not verified
    "client_limit",  # this machine had no descriptor, port or memory left for a connection
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CrewStep:
    """One look at the load generator in a stretch of warm-up (`--workers auto`), and how many processes send after it.

    Seconds. `workers` processes were to send `calls` calls; 99 % went out at most `send_late_p99_s` late and were read
    at most `kernel_lag_p99_s` after the kernel had them (None: not known), of `limit_s` allowed (None: no call
    succeeded). `free_cpus` is how many processors the others left, `reason` why `next_workers` send from then on.
    """

    workers: int
    calls: int
    send_late_p99_s: float | None
    kernel_lag_p99_s: float | None
    limit_s: float | None
    free_cpus: int
    next_workers: int
    reason: str

    def __post_init__(self) -> None:
        require(self.workers >= 1 and self.next_workers >= 1, "at least one process sends")
        require_not_negative(calls=self.calls, limit_s=self.limit_s, free_cpus=self.free_cpus)

    @property
    def changes(self) -> bool:
        """Return whether another number of processes sends from then on."""
        return self.next_workers != self.workers

    @property
    def worst_s(self) -> float:
        """Return the longer of both lags in seconds; 0 where neither is known."""
        return max(self.send_late_p99_s or 0.0, self.kernel_lag_p99_s or 0.0)
