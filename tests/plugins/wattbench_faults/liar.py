"""A backend whose `outputs` are honest and whose `run` lies in the way that WATTBENCH_FAULT names."""

import os
import time
from dataclasses import replace

import numpy

from wattbench.backends.contract import Batch, Completion, Outputs, Preparation, Prepared
from wattbench.backends.mock import MockBackend

WORK_S = 0.02


class LyingBackend:
    """Works 20 ms an execution, and as long for its outputs, unless it lies."""

    name = "liar"

    def __init__(self) -> None:
        self._mock = MockBackend()
        self._lie = os.environ.get("WATTBENCH_FAULT", "")

    def probe(self):
        """Say what the mock says."""
        return self._mock.probe()

    def devices(self):
        """Name the mock's devices."""
        return self._mock.devices()

    def prepare(self, preparation: Preparation) -> Prepared:
        """Prepare the mock."""
        return self._mock.prepare(preparation)

    def run(self, batch: Batch) -> Completion:
        """Work and tell the truth, or lie."""
        if self._lie == "skip":
            return self._mock.run(batch)
        start_ns = time.perf_counter_ns()
        done = self._mock.run(batch)
        time.sleep(WORK_S)
        honest = replace(done, start_ns=start_ns, end_ns=time.perf_counter_ns())
        match self._lie:
            case "inflate":
                return replace(honest, requests=100 * done.requests, output_tokens=100 * done.output_tokens)
            case "future":
                return replace(honest, first_output_ns=start_ns - 10**9)
            case "early":
                return replace(honest, end_ns=honest.end_ns - (honest.end_ns - done.end_ns) // 5)
            case "steps":
                return replace(honest, step_end_ns=done.step_end_ns[:-1])
        return honest

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Give the mock's outputs after as much work as an execution does."""
        time.sleep(WORK_S)
        return self._mock.outputs(batch, forced_tokens)

    def close(self) -> None:
        """Close the mock."""
        self._mock.close()
