"""Who writes the weights that MLX reads."""

from wattbench.backends.programs import Maker

__all__ = ["MAKER", "REMEDY"]

REMEDY = "pip install 'wattbench[mlx]'"

MAKER = Maker(
    name="mlx",
    makes="weights",
    module="wattbench.backends.mlx.weights_child",
    packages=("torch", "transformers"),
    sources=("wattbench.backends.mlx.maker",),
    remedy=REMEDY,
)
