"""What tests of backends have prepared: two requests at once, on one thread of the CPU, in float32."""

from dataclasses import replace

from wattbench.backends.contract import Preparation
from wattbench.models.load import Load


def small_preparation(load: Load, **knobs: object) -> Preparation:
    """Return a preparation of a load, at the level "eager" unless named; `knobs` are fields that differ."""
    asked = Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision="float32",
        device="cpu",
        batch=2,
        threads=1,
        affinity=None,
        tuning="eager",
    )
    return replace(asked, **knobs)  # type: ignore[arg-type] # knobs of any field
