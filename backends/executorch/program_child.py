"""Makes one program of ExecuTorch: exported by torch, its parts handed to a delegate.

`python -m wattbench.backends.executorch.program_child FOLDER` reads the request in FOLDER and writes the program and
its record there, or what went wrong. It is a process of its own: torch leaves threads and memory behind.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from wattbench.backends.executorch.delegates import delegate_of
from wattbench.backends.executorch.maker import MAKER
from wattbench.backends.programs import FILE, Program, ProgramRequest, build_in, versions_of
from wattbench.results.errors import UsageError

__all__ = ["make"]

ENDING = ".pte"


def make(request: ProgramRequest, folder: Path) -> Program:
    """Export a program of ExecuTorch into its folder and return its record; UsageError for an unknown target."""
    import torch
    from executorch.exir import to_edge_transform_and_lower

    from wattbench.backends.executorch.partitioners import partitioner_for
    from wattbench.models.torch_plain import fixed_encoder

    delegate = delegate_of(request.target)
    if delegate is None:
        raise UsageError(f"ExecuTorch has no device {request.target!r}", "no delegate is known by that name")
    start = perf_counter()
    encoder = fixed_encoder(
        request.model,
        weights=request.weights,
        seed=request.seed,
        precision=delegate.exported,
        requests=request.requests,
        positions=request.positions,
        wide_tokens=True,
        flat=True,
    )
    with torch.no_grad():
        exported = torch.export.export(encoder.module, (encoder.example,))
        lowered = to_edge_transform_and_lower(
            exported, partitioner=[partitioner_for(request.target, request.precision)]
        )
        delegated, left = _delegation(lowered)
        path = folder / f"{FILE}{ENDING}"
        with path.open("wb") as file:
            lowered.to_executorch().write_to_file(file)
    return Program(
        path=path.name,
        weights=encoder.weights,
        steps=(f"exported from torch in {delegate.exported}", f"lowered to {delegate.registered}"),
        versions=versions_of(MAKER.packages),
        build_s=perf_counter() - start,
        nodes=delegated + sum(left.values()),
        delegated=delegated,
        left=left,
    )


def _delegation(lowered: Any) -> tuple[int, dict[str, int]]:
    """Return how many operations a delegate took, and how many of each it did not; getitem only unpacks results."""
    from executorch.devtools.backend_debug import get_delegation_info

    info = get_delegation_info(lowered.exported_program().graph_module)
    counts = {name: found for name, found in info.delegation_by_operator.items() if name != "getitem"}
    delegated = sum(int(found.delegated) for found in counts.values())
    return delegated, {name: int(found.non_delegated) for name, found in counts.items() if found.non_delegated}


if __name__ == "__main__":
    sys.exit(build_in(Path(sys.argv[1]), make))
