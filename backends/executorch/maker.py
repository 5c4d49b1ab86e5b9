"""Who makes ExecuTorch's programs."""

from wattbench.backends.programs import Maker

__all__ = ["MAKER", "REMEDY"]

REMEDY = "pip install 'wattbench[executorch]'"

MAKER = Maker(
    name="executorch",
    makes="program",
    module="wattbench.backends.executorch.program_child",
    packages=("executorch", "torch", "torchao", "transformers"),
    sources=(
        "wattbench.backends.executorch.delegates",
        "wattbench.backends.executorch.maker",
        "wattbench.backends.executorch.partitioners",
    ),
    remedy=REMEDY,
)
