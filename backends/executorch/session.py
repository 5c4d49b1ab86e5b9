"""A loaded program of ExecuTorch, and the proof of where its operations run."""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

from typing import Any

import executorch.extension.pybindings._C as bindings
import numpy
import torch
from executorch.runtime import Runtime

from wattbench.backends.contract import DeviceInfo, Preparation
from wattbench.backends.encoders import EncoderFacts, OpenEncoder
from wattbench.backends.executorch.delegates import Delegate, delegate_of
from wattbench.backends.executorch.maker import MAKER
from wattbench.backends.executorch.placement import judge
from wattbench.backends.programs import Program, ProgramRequest, program_for
from wattbench.results.errors import UsageError

__all__ = ["open_program"]

METHOD = "forward"


class _Loaded:
    """A method of a program; the call returns when its outputs are computed, and copies them out."""

    def __init__(self, path: str) -> None:
        program = Runtime.get().load_program(path)
        self._method: Any = program.load_method(METHOD)  # any: ExecuTorch is untyped here
        self._outputs: Any = ()

    def execute(self, inputs: numpy.ndarray) -> None:
        """Compute every output and return when that is done."""
        self._outputs = self._method.execute([torch.from_numpy(numpy.ascontiguousarray(inputs))])

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution, float32 in host memory."""
        found: numpy.ndarray = self._outputs[output].numpy()
        return found

    def close(self) -> None:
        """Let go of the program."""
        self._method, self._outputs = None, ()


def open_program(p: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
    """Return a program for a load on a delegate's device, made or found, judged, and loaded."""
    delegate = delegate_of(device.name)
    if delegate is None:
        raise UsageError(f"executorch has no device {device.name!r}", "no delegate is known by that name")
    request = ProgramRequest(
        model=p.load.model,
        weights=p.weights,
        seed=p.seed,
        precision=p.precision,
        target=delegate.device,
        requests=p.batch,
        positions=p.load.shape.input_tokens,
    )
    program = program_for(request, MAKER)
    placed = judge(delegate, program, allow_fallback=p.allow_fallback)
    bindings._unsafe_reset_threadpool(threads)  # safe before a method is loaded
    loaded = _Loaded(program.path)
    return OpenEncoder(
        program=loaded,
        requests=p.batch,
        facts=EncoderFacts(
            weights=program.weights,
            versions=program.versions,
            precision_effective=p.precision,
            threads=int(bindings._threadpool_get_thread_count()),
            tuning=_in_words(delegate, program),
            synchronisation=(
                "the call returns when done, before each time stamp; outputs are read on the host in every execution"
            ),
            placement=placed.text,
            placement_share=placed.share,
            delegated_share=placed.delegated,
            fallback=placed.fallback,
        ),
    )


def _in_words(delegate: Delegate, program: Program) -> str:
    return "; ".join((*program.steps, f"ExecuTorch's thread pool ({delegate.registered})"))
