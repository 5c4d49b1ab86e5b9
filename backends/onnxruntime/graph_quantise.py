"""Quantising an exported graph: dynamic int8, or int4 in blocks."""

from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

from wattbench.backends.onnxruntime.graph_int8 import to_int8

__all__ = ["INT4_WORDS", "int8_words", "quantise"]

BLOCK = 32
"""Weights that share a scale in int4: ONNX Runtime takes 16, 32, 64 ...; model files (GGUF's Q4) keep to 32."""

INT8_ACTIVATIONS = 4
"""MatMulNBits' accuracy level 4: activations are quantised to int8 in blocks, products are of integers."""

INT4_WORDS = (
    f"weights of MatMul to int4 in blocks of {BLOCK} with a scale and a zero point each; their activations to int8 in "
    f"blocks when they come (MatMulNBits, accuracy level {INT8_ACTIVATIONS})"
)


def int8_words(*, reduced_range: bool, by_row: bool) -> str:
    """Return what dynamic int8 does, for a record."""
    bits = "int8 of seven bits" if reduced_range else "int8"
    each = "one scale a row" if by_row else "one scale and zero point"
    return f"weights of MatMul to {bits} with a scale per output; their activations to uint8 with {each} when they come"


def quantise(source: Path, target: Path, precision: str, *, reduced_range: bool, by_row: bool) -> None:
    """Write the graph in `source` with quantised weights to `target`; `precision` is "int8" or "int4".

    `reduced_range` and `by_row` are `to_int8`'s.

    Only products with constants are quantised: attention, norms and tables stay as they are. Int4 is asymmetric: on a
    decoder of Qwen3's width its outputs were off by 36 % where symmetric blocks were by 38 %, at the same speed.
    """
    if precision == "int8":
        to_int8(source, target, reduced_range=reduced_range, by_row=by_row)
        return
    options = DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=False, accuracy_level=INT8_ACTIVATIONS, op_types_to_quantize=("MatMul",), bits=4
    )
    quantiser = MatMulNBitsQuantizer(onnx.load(source), algo_config=options)
    quantiser.process()
    made: Any = quantiser.model  # any: the quantiser turns the ModelProto that it was given into a class of its own
    made.save_model_to_file(str(target), True)
