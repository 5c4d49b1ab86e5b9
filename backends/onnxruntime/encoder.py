"""Running the graphs of encoders of text and images: one execution a batch."""

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

import numpy

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.onnxruntime.engine import Memory, input_positions
from wattbench.backends.onnxruntime.graphs import Graph
from wattbench.models.onnx_model import HEADS, HIDDEN

__all__ = ["EncoderEngine"]


class EncoderEngine:
    """One execution from the inputs to the pooled vectors or class logits, which are read on the host every time.

    Inputs in host memory are bound as they are. Hidden states are fetched only by `outputs`; they are computed in
    every execution, since the vectors come from them.
    """

    def __init__(self, session: Any, graph: Graph, *, device: str, device_id: int) -> None:
        self._session: Any = session  # any: onnxruntime is untyped here
        self._memory = Memory(device, device_id)
        self._input = graph.inputs[0]
        self._head = next(name for name in HEADS if name in graph.outputs)
        self._has_hidden = HIDDEN in graph.outputs

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; it ends when every request's vector is on the host."""
        start_ns = perf_counter_ns()
        (vectors,) = self._execute(batch, [self._head])  # (requests, width)
        end_ns = perf_counter_ns()
        return Completion(
            start_ns=start_ns,
            first_output_ns=None,
            step_end_ns=(),
            end_ns=end_ns,
            requests=len(vectors),
            input_tokens=input_positions(batch),
            output_tokens=0,
        )

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return request 0's hidden states of all positions and its pooled vector, or its class logits."""
        if not self._has_hidden:
            (logits,) = self._execute(batch, [self._head])
            return Outputs(values=logits[:1])
        hidden, pooled = self._execute(batch, [HIDDEN, self._head])
        return Outputs(values=numpy.concatenate([hidden[0], pooled[:1]]))

    def close(self) -> None:
        """Let go of the session."""
        self._session = None

    def _execute(self, batch: Batch, names: Sequence[str]) -> list[numpy.ndarray]:
        """Return the outputs of these names in host memory; the copy waits for the device."""
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, self._memory.value(batch.arrays[self._input]))
        for name in names:
            binding.bind_output(name, self._memory.device, self._memory.device_id)
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        found: list[numpy.ndarray] = binding.copy_outputs_to_cpu()
        return found
