"""Makes one model of LiteRT: converted from torch by litert-torch.

`python -m wattbench.backends.litert.program_child FOLDER` reads the request in FOLDER and writes the model and its
record there, or what went wrong. It is a process of its own: the converter brings torch and jax along.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import sys
from pathlib import Path
from time import perf_counter

from wattbench.backends.litert.maker import MAKER
from wattbench.backends.programs import FILE, Program, ProgramRequest, build_in, versions_of

__all__ = ["make"]

ENDING = ".tflite"
EXPORTED = "float32"
"""The precision of every model; an NPU computes it in what it was asked for."""


def make(request: ProgramRequest, folder: Path) -> Program:
    """Convert a model of LiteRT into its folder and return its record."""
    import litert_torch

    from wattbench.models.torch_plain import fixed_encoder

    start = perf_counter()
    encoder = fixed_encoder(
        request.model,
        weights=request.weights,
        seed=request.seed,
        precision=EXPORTED,
        requests=request.requests,
        positions=request.positions,
        wide_tokens=False,
    )
    path = folder / f"{FILE}{ENDING}"
    litert_torch.convert(encoder.module, (encoder.example,)).export(str(path))
    return Program(
        path=path.name,
        weights=encoder.weights,
        steps=(f"converted from torch in {EXPORTED} by litert-torch, tokens in int32",),
        versions=versions_of(MAKER.packages),
        build_s=perf_counter() - start,
    )


if __name__ == "__main__":
    sys.exit(build_in(Path(sys.argv[1]), make))
