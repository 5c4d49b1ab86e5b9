"""The mock backend: takes its time, computes nothing; for tests and for trying the harness without an SDK."""

import time

from wattbench.backends.contract import (
    Availability,
    Batch,
    Completion,
    DeviceInfo,
    Preparation,
    Prepared,
)
from wattbench.results.errors import UsageError
from wattbench.results.subject import BackendRecord, WeightsRecord

__all__ = ["MockBackend"]

PREFILL_S_PER_TOKEN = 20e-6
STEP_S = 500e-6
PRECISIONS = ("float32", "bfloat16", "float16")


class MockBackend:
    """Waits as long as a small machine would take: 20 us for a token in, 500 us for each decode step of a batch.

    It has no outputs (it is not `Inspectable`), so that the quality gate has nothing to compare and says so.
    """

    name = "mock"

    def probe(self) -> Availability:
        """Be present: nothing is needed."""
        return Availability(state="present", reason="computes nothing; its figures are made up and marked so")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Name the one device there is."""
        device = DeviceInfo(
            name="mock",
            description="no device: waits instead of computing",
            memory_bytes=None,
            precisions=PRECISIONS,
            precision_default="float32",
            power_covers=None,
        )
        return (device,)

    def prepare(self, preparation: Preparation) -> Prepared:
        """Take note of the load; refuse a precision that is not declared."""
        if preparation.precision not in PRECISIONS:
            raise UsageError(f"The mock does not know precision {preparation.precision!r}", ", ".join(PRECISIONS))
        weights = WeightsRecord(
            origin="synthetic",
            source="none: the mock has no weights",
            revision=None,
            seed=preparation.seed,
            distribution="none",
            digest="none",
        )
        backend = BackendRecord(
            name=self.name,
            engine="wait",
            versions={},
            device=preparation.device,
            device_name="mock",
            precision_requested=preparation.precision,
            precision_effective=preparation.precision,
            threads=preparation.threads,
            affinity=preparation.affinity,
            tuning="none",
            synchronisation="the call waits",
            placement="there is only one device",
            token_source="the batch that was asked for",
            memory_peak_bytes=None,
            memory_source="unknown: nothing is held",
            mock=True,
            emulated=False,
            true_device=None,
        )
        return Prepared(backend=backend, weights=weights, build_s=0.0, first_execution_s=0.0)

    def run(self, batch: Batch) -> Completion:
        """Wait for the prefill, then for each decode step."""
        start_ns = time.perf_counter_ns()
        prefilled_ns = _wait_until(start_ns + round(batch.input_tokens * PREFILL_S_PER_TOKEN * 1e9))
        steps: list[int] = []
        for _ in range(batch.output_tokens // batch.requests - 1):
            steps.append(_wait_until((steps or [prefilled_ns])[-1] + round(STEP_S * 1e9)))
        return Completion(
            start_ns=start_ns,
            first_output_ns=prefilled_ns if batch.output_tokens else None,
            step_end_ns=tuple(steps),
            end_ns=steps[-1] if steps else prefilled_ns,
            requests=batch.requests,
            input_tokens=batch.input_tokens,
            output_tokens=batch.output_tokens,
        )

    def close(self) -> None:
        """Do nothing: nothing is held."""


def _wait_until(instant_ns: int) -> int:
    """Sleep until an instant of `time.perf_counter_ns`, and return the instant that it became."""
    while (left_ns := instant_ns - time.perf_counter_ns()) > 0:
        time.sleep(left_ns / 1e9)
    return time.perf_counter_ns()
