"""A model that Core ML compiled, and its plan of where each operation runs."""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import coremltools
import numpy
from coremltools.models.compute_plan import MLComputePlan

from wattbench.backends.contract import DeviceInfo, Preparation
from wattbench.backends.coreml.maker import MAKER
from wattbench.backends.coreml.placement import judge
from wattbench.backends.coreml.units import unit_of
from wattbench.backends.encoders import EncoderFacts, OpenEncoder, output_names
from wattbench.backends.programs import FILE, ProgramRequest, program_for
from wattbench.results.errors import UsageError

__all__ = ["open_model"]

INPUT = "inputs"
"""The name of our module's one input."""


class _Compiled:
    """A compiled model; a prediction returns when its outputs are in host memory."""

    def __init__(self, model: Any, folder: "tempfile.TemporaryDirectory[str]", outputs: tuple[str, ...]) -> None:
        self._model: Any = model  # any: coremltools is untyped here
        self._folder, self._names = folder, outputs
        self._outputs: dict[str, numpy.ndarray] = {}

    def execute(self, inputs: numpy.ndarray) -> None:
        """Compute every output and return when that is done; tokens are given in int32."""
        wanted = inputs if inputs.dtype == numpy.float32 else inputs.astype(numpy.int32)
        self._outputs = self._model.predict({INPUT: wanted})

    def read(self, output: int) -> numpy.ndarray:
        """Return an output of the last execution, float32 in host memory."""
        return self._outputs[self._names[output]].astype(numpy.float32)

    def close(self) -> None:
        """Let go of the model and its files."""
        self._model, self._outputs = None, {}
        self._folder.cleanup()


def open_model(p: Preparation, device: DeviceInfo) -> OpenEncoder:
    """Return a model for a load, made or found, compiled for a part of the chip and judged by its plan."""
    unit = unit_of(device.name)
    if unit is None:
        raise UsageError(f"coreml has no device {device.name!r}", "no part of a chip is known by that name")
    if p.threads is not None:
        raise UsageError("coreml has no --threads", "Core ML does not let its threads be set", "Drop --threads.")
    request = ProgramRequest(
        model=p.load.model,
        weights=p.weights,
        seed=p.seed,
        precision=p.precision,
        target="every part of the chip",
        requests=p.batch,
        positions=p.load.shape.input_tokens,
    )
    program = program_for(request, MAKER)
    folder = tempfile.TemporaryDirectory(prefix="wattbench-coreml-")
    with ZipFile(program.path) as archive:
        archive.extractall(folder.name)
    chosen = coremltools.ComputeUnit[unit.compute_units]
    model = coremltools.models.MLModel(str(Path(folder.name) / f"{FILE}.mlpackage"), compute_units=chosen)
    placed = judge(unit, _counted(model.get_compiled_model_path(), chosen), allow_fallback=p.allow_fallback)
    return OpenEncoder(
        program=_Compiled(model, folder, output_names(p.load)),
        requests=p.batch,
        facts=EncoderFacts(
            weights=program.weights,
            versions=program.versions,
            precision_effective=p.precision,
            threads=None,
            tuning="; ".join((*program.steps, f"loaded for {unit.compute_units}")),
            synchronisation="a prediction returns when its outputs are on the host, before each time stamp",
            placement=placed.text,
            placement_share=placed.share,
            delegated_share=placed.share,
            fallback=placed.fallback,
        ),
    )


def _counted(path: str, chosen: Any) -> Counter[str]:
    """Return how many operations Core ML plans on each part of the chip; constants have no place."""
    plan = MLComputePlan.load_from_path(path=path, compute_units=chosen)
    places: Counter[str] = Counter()
    for operation in _operations(plan):
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is not None:
            places[type(usage.preferred_compute_device).__name__] += 1
    return places


def _operations(plan: Any) -> Iterable[Any]:
    for function in plan.model_structure.program.functions.values():
        yield from function.block.operations
