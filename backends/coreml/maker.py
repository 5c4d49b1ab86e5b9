"""Who makes Core ML's models."""

from wattbench.backends.programs import Maker

__all__ = ["MAKER", "REMEDY"]

REMEDY = "pip install 'wattbench[coreml]'"

MAKER = Maker(
    name="coreml",
    makes="model",
    module="wattbench.backends.coreml.program_child",
    packages=("coremltools", "torch", "transformers"),
    sources=("wattbench.backends.coreml.maker",),
    remedy=REMEDY,
)
