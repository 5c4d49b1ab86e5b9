"""The completion check: does a backend's `run` return only after its work is done?"""

import time
from dataclasses import dataclass

from wattbench.backends.contract import Backend, Batch, Inspectable

__all__ = ["TruthReport", "completion_truth"]

RUNS = 3
LATE_SHARE = 0.5
"""Reading the outputs back may take at most this share of one run longer than a run itself; late work takes all of it."""
FLOOR_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthReport:
    """Whether the times of `run` wait for the work, with the figures that show it."""

    truthful: bool
    facts: str


def completion_truth(backend: Backend, batch: Batch) -> TruthReport:
    """Compare runs one by one with runs whose outputs are forced out right after.

    `RUNS` executions are timed by their own stamps, then the outputs of the same batch are read on the host, which no
    device can do before the queued work is done. When reading takes longer after the runs than it takes alone, by more
    than half a run and 5 ms, work was still queued: the stamps were too early.
    """
    if not isinstance(backend, Inspectable):
        return TruthReport(truthful=True, facts="not checked: the backend's outputs cannot be read")
    backend.outputs(batch, None)
    alone_s = min(_read_s(backend, batch) for _ in range(2))
    stamps = [backend.run(batch) for _ in range(RUNS)]
    after_s = _read_s(backend, batch)
    run_s = min((c.end_ns - c.start_ns) / 1e9 for c in stamps)
    late_s = after_s - alone_s
    facts = f"{RUNS} runs of {1000 * run_s:.1f} ms; reading the outputs took {1000 * alone_s:.1f} ms alone"
    facts += f" and {1000 * after_s:.1f} ms after them"
    return TruthReport(truthful=late_s <= max(LATE_SHARE * RUNS * run_s, FLOOR_S, alone_s), facts=facts)


def _read_s(backend: Inspectable, batch: Batch) -> float:
    start = time.perf_counter()
    backend.outputs(batch, None)
    return time.perf_counter() - start
