"""The parts of an Apple chip that Core ML can be told to use: one small record each."""

from collections.abc import Container
from dataclasses import dataclass

from wattbench.results.availability import Availability

__all__ = ["MAC", "UNITS", "Unit", "availability_of", "unit_of"]

MAC = "Use a Mac with Apple silicon."


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One part: the device's name for `--device`, what it is, and how coremltools calls it.

    `compute_units` is the choice that a model is loaded with: Core ML always has the CPU beside another part, which is
    why each operation's place is asked for. `computes` is the class of the part in a compute plan.
    """

    device: str
    label: str
    compute_units: str
    computes: str
    precisions: tuple[str, ...]


UNITS = (
    Unit(
        device="ane",
        label="Apple neural engine",
        compute_units="CPU_AND_NE",
        computes="MLNeuralEngineComputeDevice",
        precisions=("float16",),
    ),
    Unit(
        device="gpu",
        label="Apple GPU by Core ML",
        compute_units="CPU_AND_GPU",
        computes="MLGPUComputeDevice",
        precisions=("float16", "float32"),
    ),
    Unit(
        device="cpu",
        label="Apple CPU by Core ML",
        compute_units="CPU_ONLY",
        computes="MLCPUComputeDevice",
        precisions=("float32", "float16"),
    ),
)
"""Source: coremltools 9.0, ComputeUnit and models.compute_device."""


def unit_of(device: str) -> Unit | None:
    """Return the part of a device's name."""
    return next((unit for unit in UNITS if unit.device == device), None)


def availability_of(unit: Unit, found: Container[str]) -> Availability:
    """Return whether a part can be used, from the classes of those that Core ML finds."""
    if unit.computes in found:
        return Availability(state="present", reason="Core ML has it; it was never run by wattbench")
    return Availability(state="absent", reason="Core ML has none in this machine", remedy=MAC)
