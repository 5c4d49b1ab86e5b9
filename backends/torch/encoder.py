"""Running encoders of text and images: one forward a batch."""

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.engine import Setup, host_values, input_positions, to_device

__all__ = ["EncoderEngine"]


class EncoderEngine:
    """One forward from the inputs to the pooled vectors or class logits, which are read on the host every time.

    `step` is a compiled form of the module for the full batch; smaller batches go through the module.
    """

    def __init__(self, setup: Setup, step: Callable[..., Any] | None = None) -> None:
        self._s = setup
        self._step = step
        self._last = torch.zeros(0, device=setup.device)

    def run(self, batch: Batch) -> Completion:
        """Execute a batch; it ends when every request's vector is on the host."""
        start_ns = perf_counter_ns()
        output = self._forward(batch)
        head: Tensor = output.pooler_output if _pooled(output) else output.logits
        self._s.synchronise()
        vectors = head.cpu()  # (requests, width)
        end_ns = perf_counter_ns()
        self._last = head
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
        output = self._forward(batch)
        if _pooled(output):
            return host_values(torch.cat([output.last_hidden_state[0], output.pooler_output[:1]]))
        return host_values(output.logits[:1])

    def state(self) -> tuple[Tensor, ...]:
        """Return the last outputs."""
        return (self._last,)

    def _forward(self, batch: Batch) -> Any:
        inputs = {name: to_device(a, self._s.device, self._s.dtype) for name, a in batch.arrays.items()}
        if self._step is not None and batch.requests == self._s.requests:
            return self._step(**inputs)
        return self._s.module(**inputs)


def _pooled(output: Any) -> bool:
    return getattr(output, "pooler_output", None) is not None
