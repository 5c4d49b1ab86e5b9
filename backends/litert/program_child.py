"""Makes one model of LiteRT: converted from torch by litert-torch.

`python -m wattbench.backends.litert.program_child FOLDER` reads the request in FOLDER and writes the model and its
record there, or what went wrong. It is a process of its own: the converter brings torch and jax along.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import sys
import warnings
from pathlib import Path
from time import perf_counter

from wattbench.backends.kept import tell_failure
from wattbench.backends.litert.maker import MAKER
from wattbench.backends.programs import FILE, Program, ProgramRequest, keep_program, request_in, versions_of
from wattbench.backends.serving import die_with_parent
from wattbench.results.errors import WattbenchError

__all__ = ["main"]

ENDING = ".tflite"
EXPORTED = "float32"
"""The precision of every model; an NPU computes it in what it was asked for."""


def main(folder: Path) -> int:
    """Make what a folder's request asks for and return the exit code; a failure is written beside it."""
    die_with_parent()
    warnings.simplefilter("ignore")  # of the converter about its own old calls
    try:
        keep_program(folder, _made(request_in(folder), folder))
    except WattbenchError as exc:
        tell_failure(folder, exc)
        return 1
    return 0


def _made(request: ProgramRequest, folder: Path) -> Program:
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
    sys.exit(main(Path(sys.argv[1])))
