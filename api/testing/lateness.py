"""Two checks of the check itself: late work of any backend is timed right, and not waiting for it is caught."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from wattbench.backends.contract import Backend, Batch, Completion, Inspectable, Outputs, Preparation, Prepared

if TYPE_CHECKING:
    import numpy

__all__ = ["LATE_S", "Late"]

LATE_S = 0.02
"""How much later than its call the work ends: far above what a call costs, and short for a test."""


class Late:
    """A backend whose work goes through a queue and ends late there, as an accelerator's does.

    While it `waits` a call of `run` waits for the queue before it takes the time of the end; else it returns at once
    and names the time that it was then. Reading outputs always waits: it cannot do otherwise.
    """

    def __init__(self, backend: Backend) -> None:
        self.name = backend.name
        self.waits = True
        self._backend = backend
        self._queue = ThreadPoolExecutor(max_workers=1, thread_name_prefix="late")
        self._done: Completion | None = None
        self.probe = backend.probe

    def prepare(self, preparation: Preparation) -> Prepared:
        """Prepare the backend in the queue, so that one thread has all of its calls."""
        return self._queue.submit(self._backend.prepare, preparation).result()

    def run(self, batch: Batch) -> Completion:
        """Queue an execution; the times are those of the queue's end while it waits, and of the call alone later."""
        start_ns = time.perf_counter_ns()
        queued = self._queue.submit(self._execute, batch)
        if self.waits or self._done is None:
            self._done = queued.result()
        end_ns = time.perf_counter_ns()
        return replace(self._done, start_ns=start_ns, first_output_ns=None, step_end_ns=(), end_ns=end_ns, parts=())

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the backend's outputs once everything before them in the queue is done."""
        assert isinstance(self._backend, Inspectable), "without outputs() nothing can be compared"
        return self._queue.submit(self._backend.outputs, batch, forced_tokens).result()

    def close(self) -> None:
        """Close the backend and end the queue."""
        self._queue.submit(self._backend.close).result()
        self._queue.shutdown()

    def _execute(self, batch: Batch) -> Completion:
        done = self._backend.run(batch)
        time.sleep(LATE_S)
        return done
