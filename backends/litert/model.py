"""LiteRT's model of a load: one for every accelerator, here and on phones."""

from wattbench.backends.contract import Preparation
from wattbench.backends.litert.maker import MAKER
from wattbench.backends.programs import Program, ProgramRequest, program_for

__all__ = ["model_for"]


def model_for(p: Preparation) -> Program:
    """Return the model for a load, made or found; errors as `program_for` says."""
    request = ProgramRequest(
        model=p.load.model,
        weights=p.weights,
        seed=p.seed,
        precision="float32",
        target="every accelerator",
        requests=p.batch,
        positions=p.load.shape.input_tokens,
    )
    return program_for(request, MAKER)
