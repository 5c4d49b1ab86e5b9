"""The mock backend: waits instead of computing, for trying out and testing the harness without any SDK."""

import hashlib
import time

import numpy

from wattbench.backends.contract import (
    Availability,
    Batch,
    Completion,
    DeviceInfo,
    Outputs,
    Preparation,
    Prepared,
)
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.subject import BackendRecord, WeightsRecord

__all__ = ["PREFILL_NS_PER_TOKEN", "STEP_NS", "MockBackend", "mock_outputs"]

PREFILL_NS_PER_TOKEN = 2_000
STEP_NS = 50_000
WIDTH = 16

PRECISIONS = ("float32", "bfloat16", "float16")


class MockBackend:
    """Takes any load; an execution sleeps 2 us an input token and 50 us a decode step, whatever the batch decodes.

    Every record says mock; the figures mean nothing and cannot enter a store. There is no reference for its outputs:
    the quality gate is left out, and `mock_outputs` is the formula that a test compares them with.
    """

    name = "mock"

    def __init__(self) -> None:
        self._preparation: Preparation | None = None

    def probe(self) -> Availability:
        """Say that a mock can always be used."""
        return Availability(state="present", reason="a mock: waits instead of computing")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the one made-up device."""
        return (
            DeviceInfo(
                name="mock",
                description="no device: waits instead of computing",
                memory_bytes=None,
                precisions=PRECISIONS,
                precision_default="float32",
                power_covers=None,
                computes=False,
            ),
        )

    def prepare(self, preparation: Preparation) -> Prepared:
        """Remember what to wait for. Raises UsageError for real weights, another device or an unknown precision."""
        p = preparation
        if p.weights != "synthetic":
            raise UsageError("The mock backend has no weights", f"asked for {p.weights}", "Leave out --weights.")
        if p.device != "mock" or p.precision not in PRECISIONS:
            why = f"asked for {p.device} and {p.precision}; it has mock and {', '.join(PRECISIONS)}"
            raise UsageError("The mock backend has no such device or precision", why)
        self._preparation = p
        digest = hashlib.sha256(f"mock {p.load.digest} {p.seed}".encode()).hexdigest()
        weights = WeightsRecord(
            origin="synthetic",
            source="mock",
            revision=None,
            seed=p.seed,
            distribution="none: a mock has no weights",
            digest=f"sha256:{digest}",
        )
        return Prepared(backend=_record(p), weights=weights, build_s=0.0, first_execution_s=0.0)

    def run(self, batch: Batch) -> Completion:
        """Sleep as long as the batch's tokens say; each but the last is stamped when it was due."""
        self._check_prepared()
        start_ns = time.perf_counter_ns()
        first_ns = start_ns + PREFILL_NS_PER_TOKEN * batch.input_tokens
        steps = max(0, batch.output_tokens // batch.requests - 1)
        due_ns = [first_ns + STEP_NS * step for step in range(steps + 1)]
        time.sleep(max(0, due_ns[-1] - time.perf_counter_ns()) / 1e9)
        stamps = [*due_ns[:-1], time.perf_counter_ns()]
        writes = batch.output_tokens > 0
        return Completion(
            start_ns=start_ns,
            first_output_ns=stamps[0] if writes else None,
            step_end_ns=tuple(stamps[1:]),
            end_ns=stamps[-1],
            requests=batch.requests,
            input_tokens=batch.input_tokens,
            output_tokens=batch.output_tokens,
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of `mock_outputs`."""
        self._check_prepared()
        return Outputs(values=mock_outputs(0 if forced_tokens is None else len(forced_tokens)))

    def close(self) -> None:
        """Forget the load."""
        self._preparation = None

    def _check_prepared(self) -> None:
        if self._preparation is None:
            raise DeviceError("The mock backend is not prepared", "it was closed or never prepared")


def mock_outputs(steps: int) -> numpy.ndarray:
    """Return cos(row + column), float32 (steps + 1, 16): what a mock's `outputs` must equal."""
    rows, columns = numpy.indices((steps + 1, WIDTH))
    values: numpy.ndarray = numpy.cos(rows + columns).astype(numpy.float32)
    return values


def _record(p: Preparation) -> BackendRecord:
    return BackendRecord(
        name="mock",
        engine="mock",
        versions={},
        device="mock",
        device_name=None,
        precision_requested=p.precision,
        precision_effective=p.precision,
        threads=None,
        affinity=None,
        tuning="none",
        synchronisation="nothing to wait for: the wait is the work",
        placement="none: nothing is computed",
        token_source="copied from the batch",
        memory_peak_bytes=None,
        memory_source="none",
        mock=True,
        emulated=False,
        true_device=None,
    )
