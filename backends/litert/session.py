"""A compiled model of LiteRT, and what LiteRT says of where its operations run."""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

from math import prod
from typing import Any

import ai_edge_litert
import numpy
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.cpu_options import CpuOptions
from ai_edge_litert.environment import Environment
from ai_edge_litert.gpu_options import GpuOptions
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.options import Options

from wattbench.backends.contract import Preparation
from wattbench.backends.encoders import EncoderFacts, OpenEncoder
from wattbench.backends.litert.accelerators import Accelerator, accelerator_of
from wattbench.backends.litert.model import model_for
from wattbench.backends.litert.placement import judge
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["CompiledEncoder", "compiled", "open_model"]


REFUSED = "not accelerated"
"""LiteRT's words for operations that only its CPU would take, with the CPU left out."""


class CompiledEncoder:
    """The first signature of a compiled model with its buffers; a run returns when its outputs are computed."""

    def __init__(self, model: Any, environment: Any) -> None:
        self._model: Any = model  # any: LiteRT is untyped here
        self._environment: Any = environment
        self.whole = bool(model.is_fully_accelerated())
        (key,) = model.get_signature_list()
        signature = model.get_signature_list()[key]
        details = model.get_output_tensor_details(key)
        self._shapes = [tuple(details[name]["shape"]) for name in signature["outputs"]]
        self._inputs, self._outputs = model.create_input_buffers(0), model.create_output_buffers(0)

    def execute(self, inputs: numpy.ndarray) -> None:
        """Compute every output and return when that is done; tokens are given in int32."""
        wanted = inputs if inputs.dtype == numpy.float32 else inputs.astype(numpy.int32)
        self._inputs[0].write(numpy.ascontiguousarray(wanted))
        self._model.run_by_index(0, self._inputs, self._outputs)

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution, float32 in host memory; reading waits for the device."""
        shape = self._shapes[output]
        found: numpy.ndarray = self._outputs[output].read(prod(shape), numpy.float32)
        return found.reshape(shape)

    def close(self) -> None:
        """Let go of buffers, model and environment, in this order; safe to call twice."""
        for buffer in (*self._inputs, *self._outputs):
            buffer.destroy()
        self._inputs, self._outputs = [], []
        for held in (self._model, self._environment):
            if held is not None:
                held.close()
        self._model = self._environment = None


def compiled(path: str, accelerator: Accelerator, *, threads: int, allow_fallback: bool) -> CompiledEncoder:
    """Return a model compiled for an accelerator alone, or for it and the CPU where that is allowed.

    Raises DeviceError for an accelerator alone that does not take every operation, and RuntimeError, with LiteRT's
    words, where there is another reason.
    """
    chosen = HardwareAccelerator[accelerator.unit]
    if allow_fallback:
        chosen |= HardwareAccelerator.CPU
    options = Options(
        hardware_accelerators=chosen,
        cpu_options=CpuOptions(num_threads=threads),
        gpu_options=GpuOptions(enforce_f32=True) if accelerator.unit == "GPU" else None,
    )
    environment = Environment.create(**_libraries(accelerator))
    try:
        model = CompiledModel.from_file(path, environment=environment, options=options)
    except RuntimeError as exc:
        environment.close()
        if REFUSED not in str(exc):
            raise
        raise DeviceError(
            f"{accelerator.label} does not take every operation of this model",
            "LiteRT refuses to compile it for that alone, and does not say which ones",
            f"Choose another --device, or measure what {accelerator.device} and the CPU do together: --allow-fallback.",
        ) from exc
    return CompiledEncoder(model, environment)


def open_model(p: Preparation, device: str, threads: int) -> OpenEncoder:
    """Return a model for a load, made or found, compiled for a device and judged."""
    accelerator = accelerator_of(device)
    if accelerator is None:
        raise UsageError(f"litert has no device {device!r}", "no accelerator is known by that name")
    program = model_for(p)
    loaded = compiled(program.path, accelerator, threads=threads, allow_fallback=p.allow_fallback)
    placed = judge(accelerator, whole=loaded.whole)
    return OpenEncoder(
        program=loaded,
        requests=p.batch,
        facts=EncoderFacts(
            weights=program.weights,
            versions=program.versions,
            precision_effective=p.precision,
            threads=threads if accelerator.unit == "CPU" else None,
            tuning="; ".join((*program.steps, f"compiled for {accelerator.unit}")),
            synchronisation=(
                "the call returns when done, before each time stamp; outputs are read on the host in every execution"
            ),
            placement=placed.text,
            placement_share=placed.share,
            delegated_share=placed.delegated,
            fallback=placed.fallback,
            device_name=None if placed.fallback is None else f"{accelerator.label} and the CPU, in unknown shares",
        ),
    )


def _libraries(accelerator: Accelerator) -> dict[str, str]:
    """Return where an NPU's libraries are: left alone, LiteRT would take the first vendor's that it finds."""
    if accelerator.vendor is None:
        return {}
    folder = f"{ai_edge_litert.__path__[0]}/vendors/{accelerator.vendor}"
    return {"compiler_plugin_path": f"{folder}/compiler", "dispatch_library_path": f"{folder}/dispatch"}
