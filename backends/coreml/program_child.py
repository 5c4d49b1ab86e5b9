"""Makes one model of Core ML: converted from torch by coremltools, which also does it where Core ML is not.

`python -m wattbench.backends.coreml.program_child FOLDER` reads the request in FOLDER and writes the model's package
there, as one archive, and its record, or what went wrong. It is a process of its own: torch leaves threads and memory.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import shutil
import sys
from pathlib import Path
from time import perf_counter

from wattbench.backends.coreml.maker import MAKER
from wattbench.backends.encoders import HIDDEN, LOGITS, POOLED
from wattbench.backends.kept import SCRATCH
from wattbench.backends.programs import FILE, Program, ProgramRequest, build_in, versions_of

__all__ = ["make"]

PACKAGE = f"{FILE}.mlpackage"


def make(request: ProgramRequest, folder: Path) -> Program:
    """Convert a model of Core ML into its folder, as one archive, and return its record."""
    import coremltools
    import torch

    from wattbench.models.torch_plain import fixed_encoder

    start = perf_counter()
    encoder = fixed_encoder(
        request.model,
        weights=request.weights,
        seed=request.seed,
        precision="float32",
        requests=request.requests,
        positions=request.positions,
        wide_tokens=False,
    )
    with torch.no_grad():
        exported = torch.export.export(encoder.module, (encoder.example,)).run_decompositions({})
    names = (LOGITS,) if encoder.example.is_floating_point() else (HIDDEN, POOLED)
    model = coremltools.convert(
        exported,
        convert_to="mlprogram",
        compute_precision=coremltools.precision(request.precision),
        minimum_deployment_target=coremltools.target.iOS18,
        outputs=[coremltools.TensorType(name=name) for name in names],
        skip_model_load=True,
    )
    package = folder / SCRATCH / PACKAGE
    model.save(str(package))
    archive = shutil.make_archive(str(folder / FILE), "zip", package.parent, PACKAGE)
    return Program(
        path=Path(archive).name,
        weights=encoder.weights,
        steps=(f"converted from torch by coremltools in {request.precision}, tokens in int32",),
        versions=versions_of(MAKER.packages),
        build_s=perf_counter() - start,
    )


if __name__ == "__main__":
    sys.exit(build_in(Path(sys.argv[1]), make))
