"""Writes the weights of one model for MLX: the numbers that the backend `torch` computes with, in float32.

`python -m wattbench.backends.mlx.weights_child FOLDER` reads the request in FOLDER and writes the weights and their
record there, or what went wrong. It is a process of its own: torch leaves threads and memory behind.
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy

from wattbench.backends.mlx.maker import MAKER
from wattbench.backends.programs import FILE, Program, ProgramRequest, build_in, versions_of

__all__ = ["make"]

ENDING = ".npz"


def make(request: ProgramRequest, folder: Path) -> Program:
    """Write a model's weights into its folder and return their record."""
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
    sys.exit(build_in(Path(sys.argv[1]), make))
