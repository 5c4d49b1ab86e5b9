"""Seeded batches for tests."""

from wattbench.backends.contract import Batch
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load

__all__ = ["make_batch"]


def make_batch(load: Load, requests: int = 1, seed: int = 0) -> Batch:
    """Return a batch of a load as the harness makes it: seeded inputs, and the sums of its tokens."""
    shape = load.shape
    return Batch(
        arrays=make_arrays(load, requests, seed),
        requests=requests,
        input_tokens=requests * (shape.input_tokens + (shape.turns - 1) * shape.turn_input_tokens),
        output_tokens=requests * shape.turns * shape.output_tokens,
    )
