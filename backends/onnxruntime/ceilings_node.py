"""One operator of ONNX as a way to do work: its graph, its session, bound inputs and output, and its proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,
    RuntimeException,
)

from wattbench.backends.ceilings import REFUSALS, Way, is_close

__all__ = ["ONNX_REFUSALS", "Node", "node_way"]

OPSET, MICROSOFT_OPSET, IR_VERSION = 21, 1, 10
"""Versions that onnxruntime 1.20 and later read."""

ONNX_REFUSALS: tuple[type[Exception], ...] = (
    *REFUSALS,
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,
    RuntimeException,
)
"""What onnxruntime raises for a graph, a type or a size that it cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operator with its arrays by name: inputs come with each call, constants are part of the graph."""

    operator: str
    inputs: Mapping[str, numpy.ndarray]
    constants: Mapping[str, numpy.ndarray] = field(default_factory=dict)
    domain: str = ""
    settings: Mapping[str, int] = field(default_factory=dict)


def node_way(
    name: str,
    node: Node,
    *,
    out: numpy.ndarray,
    expected: numpy.ndarray,
    tolerance: float,
    work: float,
    threads: int,
) -> Way:
    """Return a call that executes one operator from its arrays into `out`, copying nothing.

    It is right when the last rows and columns of `out` are those expected. Raises one of `ONNX_REFUSALS` where there is
    no such operator.
    """
    session = onnxruntime.InferenceSession(_model(node, out), _options(threads), providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    for key, array in node.inputs.items():
        binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(array))
    result = onnxruntime.OrtValue.ortvalue_from_numpy(out)
    binding.bind_ortvalue_output("out", result)
    rows, columns = expected.shape

    def right(_: object) -> bool:
        return is_close(result.numpy()[-rows:, -columns:], expected, tolerance)

    return Way(name=name, work=work, call=lambda: session.run_with_iobinding(binding), right=right)


def _model(node: Node, out: numpy.ndarray) -> bytes:
    """Return the model of one node as bytes."""
    from onnx import ValueInfoProto, helper, numpy_helper

    def typed(name: str, array: numpy.ndarray) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)

    operation = helper.make_node(node.operator, [*node.inputs, *node.constants], ["out"], domain=node.domain)
    operation.attribute.extend(helper.make_attribute(name, value) for name, value in node.settings.items())
    graph = helper.make_graph(
        [operation],
        "ceiling",
        [typed(name, array) for name, array in node.inputs.items()],
        [typed("out", out)],
        [numpy_helper.from_array(array, name) for name, array in node.constants.items()],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", MICROSOFT_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _options(threads: int) -> onnxruntime.SessionOptions:
    """Return options for a session whose threads stop spinning when a run ends: others are tried beside it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options
