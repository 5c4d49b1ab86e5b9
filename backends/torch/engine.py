"""What the three torch engines share: how they are made, and what the backend asks of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy
import torch
from torch import Tensor

from wattbench.backends.contract import Batch, Completion, Outputs
from wattbench.backends.torch.ranks import Ranks

__all__ = ["Engine", "Setup", "host_values", "input_positions", "to_device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What an engine needs: the module on its device, the most requests at once, and how to wait for the device.

    `context` is the longest context in positions, `memory` the encoder positions that cross-attention reads (0:
    none), `outputs` the most tokens out of one request over all turns. With `ranks` the module is one rank's part.
    """

    module: Any  # any: a transformers or tiny module, called by keyword
    device: torch.device
    dtype: torch.dtype
    requests: int
    context: int
    memory: int
    outputs: int
    synchronise: Callable[[], None]
    ranks: Ranks | None = None


class Engine(Protocol):
    """Executes batches of one family; both calls run under `torch.inference_mode`."""

    def run(self, batch: Batch) -> Completion:
        """Execute a batch to its end and return truthful times."""
        ...

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 that `run` would compute; see the contract's `Inspectable`."""
        ...

    def state(self) -> tuple[Tensor, ...]:
        """Return the tensors that the engine keeps: cache, token buffers, the last outputs."""
        ...


def to_device(array: numpy.ndarray, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return an array on the device: numbers in `dtype`, tokens as they are."""
    tensor = torch.from_numpy(array)
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype)


def input_positions(batch: Batch) -> int:
    """Return how many input positions a batch had: its tokens are counted, images and audio as their load says."""
    ids = batch.arrays.get("input_ids")
    return batch.input_tokens if ids is None else int(ids.size)


def host_values(rows: Tensor) -> Outputs:
    """Return rows (positions, width) as the float32 numbers that the quality gate compares."""
    return Outputs(values=rows.to(device="cpu", dtype=torch.float32).numpy())
