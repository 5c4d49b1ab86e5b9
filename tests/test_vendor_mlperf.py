"""The table of published MLPerf results: whole, sourced, and never with a power of another run."""

import json
import re

import pytest

from wattbench.results.errors import DocumentError
from wattbench.results.vendor.mlperf import PublishedFigure, parse_published, published_results

COLUMNS = [name for name in PublishedFigure.__slots__ if name != "read"]


def table(**changes: object) -> str:
    """Return a table of one figure with wall power."""
    row: dict[str, object] = {
        "round": "v5.1",
        "division": "closed",
        "availability": "available",
        "submitter": "Acme",
        "system": "box",
        "accelerator": "Acme One",
        "accelerators": 8,
        "nodes": 1,
        "cpu": None,
        "model": "llama3.1-8b",
        "scenario": "offline",
        "metric": "token_throughput",
        "value": 1000.0,
        "unit": "tokens/s",
        "wall_power_w": 500.0,
        "efficiency": 2.0,
        "efficiency_unit": "tokens/s/W",
        "energy_j_per_unit": 0.5,
        "duration_s": 600.0,
        "power_samples": 600,
        "inferred": False,
        "software": None,
        "weight_data_types": "fp8",
        "published": "2025-09",
        "source": "mlcommons/inference_results_v5.1:closed/Acme/...",
        "result_id": "5.1-0001",
    }
    values = [(row | changes)[name] for name in COLUMNS]
    return json.dumps({"read": "2026-11-21", "columns": COLUMNS, "rows": [values]})


def test_all_figures_are_there() -> None:
    """The table has the 1,150 figures of five rounds, 783 of them with power at the wall."""
    rows = published_results()

    assert (1150, 783) == (len(rows), sum(row.wall_power_w is not None for row in rows))
    assert {"v2.0", "v2.1", "v3.0", "v4.1", "v5.1"} == {row.round for row in rows}


def test_every_figure_has_source_and_date() -> None:
    """Each figure names the repository and path that it was read from, and when it was published and read."""
    rows = published_results()

    assert all(row.source.startswith("mlcommons/inference_results_") for row in rows)
    assert all(re.fullmatch(r"20\d\d-\d\d", row.published) and row.read == "2026-11-21" for row in rows)


def test_efficiency_follows_from_the_power_of_the_same_run() -> None:
    """Where a rate has an efficiency, it is the rate over its own wall power."""
    rates = [row for row in published_results() if row.efficiency and row.metric.endswith("throughput")]

    assert rates
    assert [] == [row.source for row in rates if abs((row.efficiency or 0) * _watts(row) / row.value - 1) > 1e-3]


def _watts(row: PublishedFigure) -> float:
    assert row.wall_power_w is not None
    return row.wall_power_w


def test_a_published_run_with_power() -> None:
    """Lenovo's eight B200: 102,909 tokens/s at 10,401 W."""
    found = [
        row
        for row in published_results()
        if (row.submitter, row.model, row.scenario, row.metric)
        == ("Lenovo", "llama2-70b-99", "offline", "token_throughput")
        and row.round == "v5.1"
        and row.wall_power_w
    ]

    assert 102_909 == pytest.approx(found[0].value, rel=1e-4)
    assert 10_401 == pytest.approx(found[0].wall_power_w, rel=1e-4)
    assert "MLPerf Inference v5.1, closed, 5.1-0061, retrieved 2026-11-21" == found[0].citation


def test_latencies_are_in_seconds() -> None:
    """No latency keeps the milliseconds that it was published in."""
    latencies = [row for row in published_results() if "latency" in row.metric]

    assert {"s"} == {row.unit for row in latencies}
    assert max(row.value for row in latencies) < 60


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"wall_power_w": None}, "without power of its own a figure has no efficiency"),
        ({"value": -1.0}, "value cannot be negative"),
        ({"value": 0.0}, "more than nothing"),
        ({"metric": "speed"}, "Invalid enum value 'speed'"),
        ({"nodes": "1"}, "Expected `int | null`, got `str`"),
        ({"division": "half-open"}, "Invalid enum value"),
    ],
)
def test_a_wrong_row_is_refused(changes: dict[str, object], why: str) -> None:
    """An efficiency without power, and whatever else cannot be, is named."""
    with pytest.raises(DocumentError) as caught:
        parse_published(table(**changes))

    assert why in caught.value.why


@pytest.mark.parametrize("text", ["", "[]", '{"read": "2026"}', '{"read": "2026", "columns": ["a"], "rows": [[1, 2]]}'])
def test_what_is_no_table_is_refused(text: str) -> None:
    """Text that is no table of columns and rows is refused as such."""
    with pytest.raises(DocumentError, match="it is no table"):
        parse_published(text)
