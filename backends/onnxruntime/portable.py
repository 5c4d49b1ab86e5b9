"""A graph for providers that lack some newer operators: those written out as ONNX itself defines them."""

from pathlib import Path

__all__ = ["written_out"]

NEWER = (("", "RMSNormalization"),)
"""Operators that our graphs have and that ONNX defines by older ones, as (domain, name)."""


def written_out(path: Path) -> bytes | None:
    """Return the graph in a file without newer operators, None when it has none; its weights stay in their own file."""
    import onnx
    from onnx.inliner import inline_selected_functions

    model = onnx.load(path, load_external_data=False)
    if not any((node.domain, node.op_type) in NEWER for node in model.graph.node):
        return None
    return bytes(inline_selected_functions(model, list(NEWER), inline_schema_functions=True).SerializeToString())
