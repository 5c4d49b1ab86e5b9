"""The partitioner that hands the parts of a program to a delegate; each imports its vendor's software itself."""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import os
from collections.abc import Callable, Mapping
from typing import Any

from wattbench.results.errors import UsageError

__all__ = ["partitioner_for"]


def partitioner_for(device: str, precision: str) -> Any:  # any: ExecuTorch's partitioners, untyped here
    """Return the partitioner of a device, told to compute in a precision.

    Raises UsageError for a device without one, or one whose chip is not named; and what a vendor's software raises.
    """
    make = MAKERS.get(device)
    if make is None:
        raise UsageError(
            f"wattbench makes no ExecuTorch programs for {device}", f"it makes them for {', '.join(MAKERS)}"
        )
    return make(precision)


def _xnnpack(precision: str) -> Any:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return XnnpackPartitioner()


def _coreml(precision: str) -> Any:
    """Fix the precision: Core ML's own default is float16, whatever the program is in."""
    import coremltools
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=coremltools.ComputeUnit.CPU_AND_NE,
        compute_precision=coremltools.precision(precision),
        minimum_deployment_target=coremltools.target.iOS18,
    )
    return CoreMLPartitioner(compile_specs=specs)


def _qualcomm(precision: str) -> Any:
    from executorch.backends.qualcomm.partition.qnn_partitioner import QnnPartitioner
    from executorch.backends.qualcomm.serialization.qc_schema import QcomChipset
    from executorch.backends.qualcomm.utils.utils import (
        generate_htp_compiler_spec,
        generate_qnn_executorch_compiler_spec,
    )

    name = _chip("WATTBENCH_QUALCOMM_SOC", [chip.name for chip in QcomChipset])
    options = generate_htp_compiler_spec(use_fp16=precision == "float16")
    return QnnPartitioner(generate_qnn_executorch_compiler_spec(soc_model=QcomChipset[name], backend_options=options))


def _mediatek(precision: str) -> Any:
    from executorch.backends.mediatek import NeuropilotPartitioner
    from executorch.exir.backend.compile_spec_schema import CompileSpec

    platform = _chip("WATTBENCH_MEDIATEK_PLATFORM", None)
    return NeuropilotPartitioner([CompileSpec("platform-config", platform.encode())])


def _samsung(precision: str) -> Any:
    from executorch.backends.samsung.partition.enn_partitioner import EnnPartitioner
    from executorch.backends.samsung.serialization.compile_options import gen_samsung_backend_compile_spec

    return EnnPartitioner([gen_samsung_backend_compile_spec(_chip("WATTBENCH_SAMSUNG_CHIPSET", None))])


def _chip(variable: str, known: list[str] | None) -> str:
    """Return the chip that the environment names: programs for NPUs are made for one. Raises UsageError without."""
    name = os.environ.get(variable, "")
    if name and (known is None or name in known):
        return name
    why = f"{variable} is {name!r}" if name else f"{variable} is not set"
    remedy = "Set it to the vendor's name of the chip." if known is None else f"Set it to one of {', '.join(known)}."
    raise UsageError("The chip to make a program for is not known", why, remedy)


MAKERS: Mapping[str, Callable[[str], Any]] = {
    "coreml": _coreml,
    "mediatek": _mediatek,
    "qualcomm": _qualcomm,
    "samsung": _samsung,
    "xnnpack": _xnnpack,
}
"""By device; Ethos-U is not here, for its programs are in int8."""
