"""Who makes LiteRT's models."""

from wattbench.backends.programs import Maker

__all__ = ["MAKER", "REMEDY"]

REMEDY = "pip install 'wattbench[litert]'"

MAKER = Maker(
    name="litert",
    makes="model",
    module="wattbench.backends.litert.program_child",
    packages=("ai-edge-litert", "litert-converter", "litert-torch", "torch", "transformers"),
    sources=("wattbench.backends.litert.maker",),
    remedy=REMEDY,
)
