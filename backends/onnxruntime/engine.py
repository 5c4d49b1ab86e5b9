"""What the graph engines share: the contract that the backend asks of them, reading a batch, and binding arrays."""

from typing import Any, Protocol

import numpy
import onnxruntime

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.results.errors import UsageError

__all__ = ["Engine", "Memory", "input_positions", "prompts_of", "steps_of"]

BFLOAT16 = 16
"""TensorProto.BFLOAT16 in onnx.proto."""


class Engine(Protocol):
    """Executes batches of one family through an ONNX Runtime session.

    `EncoderEngine(session, graph, *, device, device_id)` and
    `DecoderEngine(session, graph, *, requests, context, device, device_id)` run a `graphs.Graph`: `device` and
    `device_id` are ONNX Runtime's names for where inputs and outputs are bound ("cpu", 0).
    """

    def run(self, batch: Batch) -> Completion:
        """Execute a batch to its end and return truthful times."""
        ...

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 that `run` would compute; see the contract's `Inspectable`."""
        ...

    def close(self) -> None:
        """Let go of session and buffers; safe to call twice."""
        ...


class Memory:
    """Where inputs and outputs are bound: host memory, which is shared with numpy, or a device's."""

    def __init__(self, device: str, device_id: int) -> None:
        self.device, self.device_id = device, device_id

    def value(self, array: numpy.ndarray) -> Any:  # any: an OrtValue, untyped here
        """Return an array as a value of ONNX Runtime in this memory; on the host without a copy."""
        return onnxruntime.OrtValue.ortvalue_from_numpy(numpy.ascontiguousarray(array), self.device, self.device_id)

    def zeros(self, shape: tuple[int, ...], precision: str) -> Any:  # any: an OrtValue, untyped here
        """Return a new value of zeros; numpy has no bfloat16, so that its bits are given."""
        if precision == "bfloat16":
            bits = numpy.zeros(shape, dtype=numpy.uint16)
            if self.device == "cpu":
                return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(bits, BFLOAT16)
            return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, BFLOAT16, self.device, self.device_id)
        return self.value(numpy.zeros(shape, dtype=precision))


def input_positions(batch: Batch) -> int:
    """Return how many input positions a batch had: its tokens are counted, images as their load says."""
    ids = batch.arrays.get("input_ids")
    return batch.input_tokens if ids is None else int(ids.size)


def prompts_of(batch: Batch) -> list[numpy.ndarray]:
    """Return the new tokens of each turn, each (requests, new) and contiguous."""
    later = batch.arrays.get("turn_input_ids")  # (requests, turns - 1, new)
    turns = [] if later is None else [later[:, turn] for turn in range(later.shape[1])]
    return [numpy.ascontiguousarray(ids) for ids in (batch.arrays["input_ids"], *turns)]


def steps_of(batch: Batch, turns: int) -> int:
    """Return how many tokens each request gives a turn. Raises UsageError for a batch without tokens out."""
    steps = batch.output_tokens // (batch.requests * turns)
    if steps < 1:
        raise UsageError("A decoder needs at least one token out", f"the batch asks for {batch.output_tokens}")
    return steps
