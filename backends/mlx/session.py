"""An encoder in MLX on one device: lazy until it is evaluated, which every batch is before its time stamp."""

import os
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy

from wattbench.backends.contract import DeviceInfo, Preparation
from wattbench.backends.encoders import EncoderFacts, OpenEncoder
from wattbench.backends.mlx.encoders import Forward, forward_of, turned
from wattbench.backends.mlx.maker import MAKER
from wattbench.backends.programs import ProgramRequest, program_for, versions_of
from wattbench.results.errors import UsageError

__all__ = ["open_model"]

TF32 = "MLX_ENABLE_TF32"
"""MLX's switch for products of float32 numbers in fewer bits; it is on by default."""


class _Lazy:
    """A function of MLX, evaluated whole in every execution."""

    def __init__(self, forward: Forward) -> None:
        self._forward: Forward | None = forward
        self._outputs: tuple[Any, ...] = ()  # any: MLX's arrays

    def execute(self, inputs: numpy.ndarray) -> None:
        """Compute every output and return when that is done."""
        assert self._forward is not None, "the backend does not run what it closed"
        self._outputs = self._forward(mx.array(inputs))
        mx.eval(*self._outputs)
        mx.synchronize()

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution, float32 in host memory."""
        return numpy.array(self._outputs[output].astype(mx.float32))

    def close(self) -> None:
        """Let go of weights and results."""
        self._forward, self._outputs = None, ()
        mx.clear_cache()


def open_model(p: Preparation, device: DeviceInfo) -> OpenEncoder:
    """Return a model with its weights on a device, in the precision asked for."""
    if p.threads is not None:
        raise UsageError("mlx has no --threads", "it does not let its threads be set", "Drop --threads.")
    os.environ[TF32] = "0"  # read at MLX's first product
    request = ProgramRequest(
        model=p.load.model,
        weights=p.weights,
        seed=p.seed,
        precision="float32",
        target="every device",
        requests=1,
        positions=1,
    )
    kept = program_for(request, MAKER)
    mx.set_default_device(mx.gpu if device.name == "gpu" else mx.cpu)
    mx.reset_peak_memory()
    dtype = getattr(mx, p.precision)
    loaded: Any = mx.load(kept.path)  # any: a dictionary of arrays, which MLX's stub does not tell from others
    weights: Mapping[str, Any] = {name: array.astype(dtype) for name, array in loaded.items()}
    if device.name == "cpu":
        weights = turned(weights)
    mx.eval(*weights.values())
    return OpenEncoder(
        program=_Lazy(forward_of(p.load.model, weights)),
        requests=None,
        peak_bytes=mx.get_peak_memory,
        facts=EncoderFacts(
            weights=kept.weights,
            versions=versions_of(("mlx", "mlx-cpu", "mlx-metal")) | kept.versions,
            precision_effective=p.precision,
            threads=None,
            tuning="; ".join((*kept.steps, "attention and norms by MLX's own fused operations, no products in tf32")),
            synchronisation=(
                "outputs are evaluated and the stream synchronised before each time stamp; "
                "outputs are read on the host in every execution"
            ),
            placement=f"every operation is on MLX's stream of the {device.name}, which has nowhere to fall back to",
            placement_share=1.0,
        ),
    )
