"""Writes the weights of one model for MLX: the numbers that the backend `torch` computes with, in float32.

`python -m wattbench.backends.mlx.weights_child FOLDER` reads the request in FOLDER and writes the weights and their
record there, or what went wrong. It is a process of its own: torch leaves threads and memory behind.
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy

from wattbench.backends.kept import tell_failure
from wattbench.backends.mlx.maker import MAKER
from wattbench.backends.programs import FILE, Program, ProgramRequest, keep_program, request_in, versions_of
from wattbench.backends.serving import die_with_parent
from wattbench.results.errors import WattbenchError

__all__ = ["main"]

ENDING = ".npz"


def main(folder: Path) -> int:
    """Write what a folder's request asks for and return the exit code; a failure is written beside it."""
    die_with_parent()
    try:
        keep_program(folder, _made(request_in(folder), folder))
    except WattbenchError as exc:
        tell_failure(folder, exc)
        return 1
    return 0


def _made(request: ProgramRequest, folder: Path) -> Program:
    import torch

    from wattbench.models.torch_build import build

    start = perf_counter()
    built = build(
        request.model, weights=request.weights, seed=request.seed, dtype=torch.float32, device=torch.device("cpu")
    )
    path = folder / f"{FILE}{ENDING}"
    tensors: dict[str, Any] = {name: tensor.numpy() for name, tensor in built.module.named_parameters()}
    numpy.savez(path, **tensors)
    return Program(
        path=path.name,
        weights=built.weights,
        steps=("weights drawn or read by torch in float32",),
        versions=versions_of(MAKER.packages),
        build_s=perf_counter() - start,
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
