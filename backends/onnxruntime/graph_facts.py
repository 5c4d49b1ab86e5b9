"""What a graph file says about itself: its nodes, and the bytes of constants that one execution reads."""

from pathlib import Path

import onnx_ir

__all__ = ["node_count", "weight_bytes"]

LOOKED_UP = {
    ("Gather", 0),
    ("GatherBlockQuantized", 0),
    ("GatherElements", 0),
    ("GroupQueryAttention", 7),
    ("GroupQueryAttention", 8),
}
"""Inputs of operators that read a few rows of a table: embeddings, positions, and the angles of rotary positions."""


def node_count(path: Path) -> int:
    """Return how many nodes a graph has before ONNX Runtime optimises it."""
    return len(onnx_ir.load(path).graph)


def weight_bytes(path: Path) -> int:
    """Return the bytes of the constants that an execution reads whole, without tables of which it reads rows."""
    total = 0.0
    for value in onnx_ir.load(path).graph.initializers.values():
        uses = {(use.node.op_type, use.idx) for use in value.uses()}
        if value.const_value is not None and not uses <= LOOKED_UP:
            total += value.const_value.nbytes
    return round(total)
