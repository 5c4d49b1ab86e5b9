"""Checking that a backend's times wait for the work: no time stamp may come before the work is done."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from wattbench.backends.contract import Backend, Batch, Completion, Inspectable

__all__ = ["TruthReport", "completion_truth"]

LATE_SHARE_MAX = 0.25
"""Share of the work that may end outside its reported times: above the cost of calls and the noise of a machine."""

ROUNDS = 3
"""A truthful backend may be disturbed; a false one is late in every round."""

SPAN_NS = 50_000_000
"""Executions of one round last about this long together, but at least one and at most `RUNS_MAX`."""

RUNS_MAX = 20

SKIPPED_SHARE = 0.5
"""An execution that takes less of the time that its outputs take has not computed them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthReport:
    """Whether the reported times hold the work, and the figures that say so."""

    truthful: bool
    facts: str


def completion_truth(backend: Backend, batch: Batch, clock_ns: Callable[[], int] = time.perf_counter_ns) -> TruthReport:
    """Return whether `run` reports times that include all of its work.

    Some executions are followed at once by reading outputs back to the host, which cannot answer before everything
    queued on the device is done. Their whole span less the time of a read-back from an idle device is the true work;
    the part of it that lies outside the reported times is the late share, and the smallest of up to three rounds
    counts. It catches asynchronous returns, a synchronise that does nothing, and stamps taken before a wait. A
    backend without `outputs` cannot be shown to be truthful. Costs two to five executions.
    """
    if not isinstance(backend, Inspectable):
        return TruthReport(truthful=False, facts="the backend has no outputs() to read back, so nothing proves it")
    backend.outputs(batch, None)
    before = clock_ns()
    backend.outputs(batch, None)
    idle_ns = clock_ns() - before
    first = backend.run(batch)
    if (skipped := _skipped(backend, batch, first, idle_ns, clock_ns)) is not None:
        return TruthReport(truthful=False, facts=skipped)
    backend.outputs(batch, None)  # drains what the first execution may have left behind
    runs = min(RUNS_MAX, max(1, math.ceil(SPAN_NS / max(1, first.end_ns - first.start_ns))))
    shares: list[float] = []
    while len(shares) < ROUNDS and min(shares, default=1.0) > LATE_SHARE_MAX:
        shares.append(_late_share(backend, batch, runs, idle_ns, clock_ns))
    share = min(shares)
    facts = f"{share:.0%} of the work of {runs} executions ended outside the reported times"
    return TruthReport(truthful=share <= LATE_SHARE_MAX, facts=f"{facts} (limit {LATE_SHARE_MAX:.0%})")


def _skipped(
    backend: Backend, batch: Batch, first: Completion, read_ns: int, clock_ns: Callable[[], int]
) -> str | None:
    """Return why an execution cannot have done its work, or None.

    `outputs` computes no more than a prefill of the same batch, which every execution contains: one that takes less
    than half as long has left something out. Both are timed up to three times, and the longest execution is held
    against the shortest outputs, for a busy machine makes single ones longer and none shorter.
    """
    assert isinstance(backend, Inspectable), "checked by the caller"
    longest_ns, shortest_ns = first.end_ns - first.start_ns, read_ns
    for _ in range(ROUNDS - 1):
        if longest_ns >= SKIPPED_SHARE * shortest_ns:
            return None
        done = backend.run(batch)
        longest_ns = max(longest_ns, done.end_ns - done.start_ns)
        before = clock_ns()
        backend.outputs(batch, None)
        shortest_ns = min(shortest_ns, clock_ns() - before)
    if longest_ns >= SKIPPED_SHARE * shortest_ns or shortest_ns < SPAN_NS // 10:
        return None
    longest, read = longest_ns / 1e6, shortest_ns / 1e6
    return f"an execution took {longest:.2f} ms, but computing its outputs alone takes {read:.2f} ms"


def _late_share(backend: Backend, batch: Batch, runs: int, idle_ns: int, clock_ns: Callable[[], int]) -> float:
    """Return the share of the true work that lies outside the reported times, 0..1."""
    assert isinstance(backend, Inspectable), "checked by the caller"
    before = clock_ns()
    reported = 0
    for _ in range(runs):
        done = backend.run(batch)
        reported += done.end_ns - done.start_ns
    backend.outputs(batch, None)
    work = max(1, clock_ns() - before - idle_ns)
    return max(0.0, 1.0 - reported / work)
