"""Dynamic int8: products with constants become integer products of weights and of activations quantised on the way."""

from dataclasses import dataclass
from pathlib import Path

import numpy
import onnx_ir

__all__ = ["to_int8"]

FULL, REDUCED = 127, 63
"""The largest weight of an output in steps: of int8, and of seven bits."""


MIDDLE = 128
"""Zero in an activation's row of bytes: rows are quantised symmetrically to 1..255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quantised:
    """Activations in bytes: their zero point, their scale, and each row's share of it (None: it is every row's)."""

    values: onnx_ir.Value
    zero: onnx_ir.Value
    scale: onnx_ir.Value
    share: onnx_ir.Value | None


def to_int8(source: Path, target: Path, *, reduced_range: bool, by_row: bool) -> None:
    """Write the graph in `source` with int8 products to `target`.

    With one scale for all activations of a product it is what `onnxruntime.quantization.quantize_dynamic` gives, with
    one scale for each output of a matrix: the nodes that ONNX Runtime fuses into one product. That function keeps
    several copies of a model in memory (13 GB for Qwen3-0.6B); here a matrix is quantised while it is written. Products
    of one input share its quantised form. `by_row` gives every row of activations, a position, a scale of its own: in
    trained encoders the first position's activations are ten times those of the others.
    """
    model = onnx_ir.load(source)
    graph = model.graph
    activations: dict[onnx_ir.Value, _Quantised] = {}
    for node in list(graph):
        weight = node.inputs[1] if node.op_type == "MatMul" else None
        if weight is None or weight.const_value is None:
            continue
        before = node.inputs[0]
        assert before is not None, "a product has a left factor"
        if before not in activations:
            activations[before] = (_by_row if by_row else _by_tensor)(graph, node, before)
        _replace(graph, node, weight, activations[before], REDUCED if reduced_range else FULL)
    onnx_ir.save(model, target, external_data=f"{target.name}.data")


def _by_tensor(graph: onnx_ir.Graph, node: onnx_ir.Node, before: onnx_ir.Value) -> _Quantised:
    """Quantise a product's input with one scale and zero point."""
    quantise = onnx_ir.node("DynamicQuantizeLinear", [before], num_outputs=3)
    graph.insert_before(node, quantise)
    values, scale, zero = quantise.outputs
    return _Quantised(values=values, zero=zero, scale=scale, share=None)


def _by_row(graph: onnx_ir.Graph, node: onnx_ir.Node, before: onnx_ir.Value) -> _Quantised:
    """Quantise a product's input with one scale a row, the largest magnitude of a row being 127 steps.

    A row's scale is its share of the largest one: a product with one scale is what ONNX Runtime fuses, and the share
    is multiplied to what comes out.
    """
    constants = {
        "int8_axes": numpy.array([-1], dtype=numpy.int64),
        "int8_steps": numpy.array(1 / FULL, dtype=numpy.float32),
        "int8_least": numpy.array(numpy.finfo(numpy.float32).tiny, dtype=numpy.float32),
        "int8_one": numpy.array(1, dtype=numpy.float32),
        "int8_middle": numpy.array(MIDDLE, dtype=numpy.uint8),
    }
    for name in constants.keys() - graph.initializers.keys():
        _constant(graph, onnx_ir.tensor(constants[name], name=name))
    axes, steps, least, one, middle = (graph.initializers[name] for name in constants)
    magnitude = onnx_ir.node("Abs", [before])
    most = onnx_ir.node("ReduceMax", [magnitude.outputs[0], axes], {"keepdims": 1})
    raw = onnx_ir.node("Mul", [most.outputs[0], steps])
    scale = onnx_ir.node("Max", [raw.outputs[0], least])
    scaled = onnx_ir.node("Div", [before, scale.outputs[0]])
    quantise = onnx_ir.node("QuantizeLinear", [scaled.outputs[0], one, middle])
    largest = onnx_ir.node("ReduceMax", [scale.outputs[0]], {"keepdims": 0})
    share = onnx_ir.node("Div", [scale.outputs[0], largest.outputs[0]])
    graph.insert_before(node, [magnitude, most, raw, scale, scaled, quantise, largest, share])
    return _Quantised(values=quantise.outputs[0], zero=middle, scale=largest.outputs[0], share=share.outputs[0])


def _replace(
    graph: onnx_ir.Graph, node: onnx_ir.Node, weight: onnx_ir.Value, activation: _Quantised, steps: int
) -> None:
    """Put the integer product of a quantised activation in a product's place."""
    constant = weight.const_value
    assert constant is not None, "only products with constants are replaced"
    scales = numpy.abs(constant.numpy()).max(axis=0) / numpy.float32(steps)  # (out,)
    scales[scales == 0] = 1  # a column of zeros stays zeros
    name, shape = str(weight.name), onnx_ir.Shape(constant.numpy().shape)
    values = onnx_ir.LazyTensor(
        lambda: onnx_ir.tensor(numpy.rint(constant.numpy() / scales).astype(numpy.int8)),
        dtype=onnx_ir.DataType.INT8,
        shape=shape,
        name=f"{name}_int8",
    )
    integers = _constant(graph, values)
    scale_of = _constant(graph, onnx_ir.tensor(scales, name=f"{name}_scale"))
    product = onnx_ir.node("MatMulInteger", [activation.values, integers, activation.zero])
    wide = onnx_ir.node("Cast", [product.outputs[0]], {"to": onnx_ir.DataType.FLOAT})
    both = onnx_ir.node("Mul", [activation.scale, scale_of])
    scaled = onnx_ir.node("Mul", [wide.outputs[0], both.outputs[0]])
    made = [product, wide, both, scaled]
    if activation.share is not None:
        made.append(onnx_ir.node("Mul", [scaled.outputs[0], activation.share]))
    after = node.outputs[0]
    new = made[-1].outputs[0]
    new.type, new.shape, old_name = after.type, after.shape, after.name
    graph.insert_before(node, made)
    after.replace_all_uses_with(new, replace_graph_outputs=True)
    new.name = old_name
    graph.remove(node, safe=True)
    if not weight.uses():
        del graph.initializers[name]


def _constant(graph: onnx_ir.Graph, tensor: onnx_ir.TensorProtocol) -> onnx_ir.Value:
    """Add a constant to the graph."""
    value = onnx_ir.Value(name=tensor.name, type=onnx_ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value
