"""The ways in which this backend can execute a load, told from names alone: no SDK is imported, no device touched."""

from wattbench.backends.contract import Level
from wattbench.backends.onnxruntime.genai_support import GENAI, available, supports
from wattbench.backends.onnxruntime.providers import PROVIDERS
from wattbench.models.load import Load
from wattbench.models.onnx_model import refuse_unexportable
from wattbench.results.errors import UsageError

__all__ = ["GENAI", "GRAPH", "levels_for"]

GRAPH = "graph"
"""The level of our own exported graphs."""


def levels_for(load: Load, device: str, precision: str) -> tuple[Level, ...]:
    """Return the levels that can execute a load on a device in a precision; empty when none can."""
    found = []
    if _has_graph(load, device, precision):
        found.append(Level(name=GRAPH, description="our export of the model, in an ONNX Runtime session"))
    if available() is None and supports(load, device, precision):
        found.append(Level(name=GENAI, description="ONNX Runtime GenAI: its model builder's graph and its generator"))
    return tuple(found)


def _has_graph(load: Load, device: str, precision: str) -> bool:
    """Return whether there is a graph; a provider that nobody has heard of may try float32."""
    provider = next((p for p in PROVIDERS if p.prefix == device.partition(":")[0]), None)
    if precision not in (("float32",) if provider is None else provider.precisions):
        return False
    if provider is not None and load.model.family == "decoder" and not provider.decodes:
        return False
    try:
        refuse_unexportable(load.model)
    except UsageError:
        return False
    return True
