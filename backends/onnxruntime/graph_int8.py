"""Dynamic int8: products with constants become integer products of weights and of activations quantised on the way."""

from pathlib import Path

import numpy
import onnx_ir

__all__ = ["to_int8"]

FULL, REDUCED = 127, 63
"""The largest weight of an output in steps: of int8, and of seven bits."""


def to_int8(source: Path, target: Path, *, reduced_range: bool) -> None:
    """Write the graph in `source` with int8 products to `target`.

    It is what `onnxruntime.quantization.quantize_dynamic` gives, with one scale for each output of a matrix: the nodes
    that ONNX Runtime fuses into one product. That function keeps several copies of a model in memory (13 GB for
    Qwen3-0.6B); here a matrix is quantised while it is written. Products of one input share its quantised form.
    """
    model = onnx_ir.load(source)
    graph = model.graph
    activations: dict[onnx_ir.Value, list[onnx_ir.Value]] = {}
    for node in list(graph):
        weight = node.inputs[1] if node.op_type == "MatMul" else None
        if weight is None or weight.const_value is None:
            continue
        before = node.inputs[0]
        assert before is not None, "a product has a left factor"
        if before not in activations:
            quantise = onnx_ir.node("DynamicQuantizeLinear", [before], num_outputs=3)
            graph.insert_before(node, quantise)
            activations[before] = list(quantise.outputs)
        _replace(graph, node, weight, activations[before], REDUCED if reduced_range else FULL)
    onnx_ir.save(model, target, external_data=f"{target.name}.data")


def _replace(
    graph: onnx_ir.Graph, node: onnx_ir.Node, weight: onnx_ir.Value, activation: list[onnx_ir.Value], steps: int
) -> None:
    """Put the integer product of a quantised activation, (values, scale, zero point), in a product's place."""
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
    steps_of = _constant(graph, onnx_ir.tensor(scales, name=f"{name}_scale"))
    quantised, scale, zero = activation
    product = onnx_ir.node("MatMulInteger", [quantised, integers, zero])
    wide = onnx_ir.node("Cast", [product.outputs[0]], {"to": onnx_ir.DataType.FLOAT})
    both = onnx_ir.node("Mul", [scale, steps_of])
    scaled = onnx_ir.node("Mul", [wide.outputs[0], both.outputs[0]])
    after = node.outputs[0]
    new = scaled.outputs[0]
    new.type, new.shape, old_name = after.type, after.shape, after.name
    graph.insert_before(node, [product, wide, both, scaled])
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
