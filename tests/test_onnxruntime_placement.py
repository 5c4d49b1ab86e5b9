"""Judging where a graph's nodes were placed."""

import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")

from types import SimpleNamespace

from wattbench.backends.onnxruntime.placement import assignments_of, judge
from wattbench.results.errors import DeviceError


def subgraph(provider: str, *operators: str) -> SimpleNamespace:
    """Return a part of a graph as ONNX Runtime reports it."""
    nodes = [SimpleNamespace(op_type=operator) for operator in operators]
    return SimpleNamespace(ep_name=provider, get_nodes=lambda: nodes)


def session(*parts: SimpleNamespace) -> SimpleNamespace:
    """Return a session that reports these parts."""
    return SimpleNamespace(get_provider_graph_assignment_info=lambda: list(parts))


def test_nodes_are_counted_by_provider_and_operator() -> None:
    """The report's parts are summed: a provider may have several, of several nodes each."""
    found = assignments_of(session(subgraph("A", "MatMul", "Add"), subgraph("B", "Gelu"), subgraph("A", "MatMul")))

    assert {"A": {"MatMul": 2, "Add": 1}, "B": {"Gelu": 1}} == found


def test_all_nodes_on_the_provider_is_a_share_of_one() -> None:
    """Nothing elsewhere: share 1 and no fallback."""
    placed = judge("A", {"A": {"MatMul": 3}}, device="a:0", allow_fallback=False)

    assert (1.0, None) == (placed.share, placed.fallback)
    assert "3 of 3 nodes on A" in placed.text


def test_nodes_elsewhere_are_an_error() -> None:
    """A single node of another provider ends the preparation, and the message names it and its operator."""
    with pytest.raises(DeviceError, match="only 3 of the graph's 4 nodes") as caught:
        judge("A", {"A": {"MatMul": 3}, "CPUExecutionProvider": {"Gelu": 1}}, device="a:0", allow_fallback=False)

    assert "1 node on CPUExecutionProvider (1 Gelu)" == caught.value.why
    assert "--allow-fallback" in caught.value.remedy


def test_an_allowed_fallback_is_recorded() -> None:
    """With leave to fall back, share and fallback say how many nodes ran on what."""
    placed = judge("A", {"A": {"MatMul": 3}, "B": {"Gelu": 1}}, device="a:0", allow_fallback=True)

    assert (0.75, "1 node on B (1 Gelu)") == (placed.share, placed.fallback)


@pytest.mark.parametrize("allow_fallback", [False, True])
def test_a_provider_without_nodes_is_refused_by_name(allow_fallback: bool) -> None:
    """A provider that computes nothing is no place to measure, whatever is allowed."""
    with pytest.raises(DeviceError, match="A computes nothing of this graph") as caught:
        judge("A", {"B": {"Gelu": 2}}, device="a:0", allow_fallback=allow_fallback)

    assert "it was given 0 of 2 nodes: 2 nodes on B (2 Gelu)" == caught.value.why


def test_an_empty_report_proves_nothing() -> None:
    """Where ONNX Runtime reports no node, the provider has none."""
    with pytest.raises(DeviceError, match="0 of 0 nodes"):
        judge("A", {}, device="a:0", allow_fallback=False)


def test_long_lists_of_operators_are_cut() -> None:
    """The message names the six most frequent operators."""
    operators = {f"Op{n}": 10 - n for n in range(8)}
    placed = judge("A", {"A": {"MatMul": 1}, "B": operators}, device="a:0", allow_fallback=True)

    assert placed.fallback is not None
    assert placed.fallback.endswith("5 Op5, ...)")
