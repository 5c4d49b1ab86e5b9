"""Where a graph's nodes were placed: counted as ONNX Runtime reports it, and judged."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattbench.results.errors import DeviceError

__all__ = ["NEEDED", "Assignment", "Placement", "assignments_of", "judge"]

NEEDED = "pip install --upgrade 'onnxruntime>=1.24'"

Assignment = Mapping[str, Mapping[str, int]]
"""How many nodes of each operator each provider was given."""

NAMED_OPERATORS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The proof in words, the share of nodes on the provider asked for, and what ran elsewhere (None: nothing).

    Nodes are those of the graph after its basic optimisation, when they are handed out; later fusions join nodes of one
    provider.
    """

    text: str
    share: float
    fallback: str | None


def assignments_of(session: Any) -> Assignment:  # any: onnxruntime is untyped here
    """Return what a session reports that was opened with `session.record_ep_graph_assignment_info`."""
    counted: dict[str, Counter[str]] = {}
    for part in session.get_provider_graph_assignment_info():
        counted.setdefault(str(part.ep_name), Counter()).update(str(node.op_type) for node in part.get_nodes())
    return counted


def judge(provider: str, assigned: Assignment, *, device: str, allow_fallback: bool) -> Placement:
    """Return the placement of a graph on a provider.

    Raises DeviceError when the provider was given no node at all, whatever is allowed, and when another one was given
    any unless `allow_fallback`.
    """
    totals = {name: sum(operators.values()) for name, operators in assigned.items()}
    everything = sum(totals.values())
    mine = totals.get(provider, 0)
    elsewhere = "; ".join(_part(name, assigned[name]) for name in sorted(totals) if name != provider and totals[name])
    if mine == 0:
        raise DeviceError(
            f"{provider} computes nothing of this graph, although ONNX Runtime lists it for the session",
            f"it was given 0 of {everything} nodes" + (f": {elsewhere}" if elsewhere else ""),
            f"This load cannot run on {device}; choose another --device.",
        )
    if elsewhere and not allow_fallback:
        raise DeviceError(
            f"{provider} computes only {mine} of the graph's {everything} nodes",
            elsewhere,
            f"Choose another --device, or measure what {device} and the CPU do together: --allow-fallback.",
        )
    text = f"ONNX Runtime's node assignment: {mine} of {everything} nodes on {provider}"
    return Placement(
        text=f"{text}; {elsewhere}" if elsewhere else text,
        share=mine / everything,
        fallback=elsewhere or None,
    )


def _part(provider: str, operators: Mapping[str, int]) -> str:
    """Return how many nodes a provider was given, and the operators that it was given most of."""
    most = Counter(operators).most_common()
    named = ", ".join(f"{count} {name}" for name, count in most[:NAMED_OPERATORS])
    more = ", ..." if len(most) > NAMED_OPERATORS else ""
    total = sum(operators.values())
    return f"{total} node{'' if total == 1 else 's'} on {provider} ({named}{more})"
