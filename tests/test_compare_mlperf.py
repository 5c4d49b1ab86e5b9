"""Measured against published: the same model and scenario, and power only of the same submission."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.compare_mlperf import MlperfRow, compare_mlperf, efficiency_with
from wattbench.results.compare_models import same_model, same_scenario
from wattbench.results.document import Result
from wattbench.results.errors import UsageError
from wattbench.results.vendor.database import accelerator_of
from wattbench.results.vendor.mlperf import PublishedFigure, published_results

ROWS = published_results()


def run(factories: ModuleType, model: str = "llama-3.1-8b", scope: str = "wall", **plan: object) -> Result:
    """Return a run of a model whose energies are those of a scope."""
    load = replace(factories.make_load(), name=f"{model}/chat", model=model)
    backend = replace(factories.make_backend(), mock=False, device="cuda:0", device_name="NVIDIA L4")
    made: Result = factories.make_result(
        load=load, backend=backend, doubts=(), plan=replace(factories.make_plan(), **plan)
    )
    assert made.summary is not None
    metrics = tuple(replace(m, scope=scope) if m.scope else m for m in made.summary.metrics)
    return replace(made, summary=replace(made.summary, metrics=metrics))


def with_power(rows: tuple[MlperfRow, ...]) -> list[MlperfRow]:
    """Return the rows whose submission published its power."""
    return [row for row in rows if row.efficiency_published is not None]


def test_only_the_same_model_and_scenario(factories: ModuleType) -> None:
    """A run of Llama 3.1 8B offline stands beside every published offline rate of that model, and no other."""
    found = compare_mlperf(run(factories), ROWS)
    expected = [
        row
        for row in ROWS
        if same_model(row.model, "llama-3.1-8b") and row.scenario == "offline" and row.metric.endswith("throughput")
    ]

    assert len(expected) == len(found) > 5
    assert {"tokens/s", "samples/s"} >= {row.unit for row in found}


def test_ratios_of_system_and_device(factories: ModuleType) -> None:
    """One device against eight: the ratio of the systems, and eight times it for each."""
    row = next(row for row in compare_mlperf(run(factories), ROWS) if row.accelerators == 8)

    assert row.ratio == pytest.approx(row.measured / row.published)
    assert row.ratio_per_accelerator == pytest.approx(8 * row.ratio)


def test_wall_power_against_wall_power(factories: ModuleType) -> None:
    """Where both have power at the wall, both have performance per watt."""
    result = run(factories)
    row = with_power(compare_mlperf(result, ROWS))[0]
    assert result.summary is not None
    watts = result.summary.metric("power.mean")
    assert watts is not None
    assert watts.value is not None

    assert row.efficiency_measured == pytest.approx(row.measured / watts.value)
    assert row.efficiency_unit == f"{row.unit}/W"


def test_a_boards_power_is_not_a_systems(factories: ModuleType) -> None:
    """Against a published wall power the board's alone is not divided, and the reason is told."""
    row = with_power(compare_mlperf(run(factories, scope="board"), ROWS))[0]

    assert row.efficiency_measured is None
    assert any("the result has board, and MLPerf's power is that of the whole system" in text for text in row.reasons)


def test_without_published_power_no_performance_per_watt(factories: ModuleType) -> None:
    """A submission without power has no efficiency, whatever the nameplate of its accelerators."""
    rows = [row for row in compare_mlperf(run(factories), ROWS) if row.efficiency_published is None]

    assert rows
    assert all("no power was published with it, so there is no performance per watt" in row.reasons for row in rows)


def test_throughput_over_a_nameplate_is_refused() -> None:
    """Neither a TDP nor the power of another run stands in for a submission's own."""
    without = next(row for row in ROWS if row.wall_power_w is None)
    own = next(row for row in ROWS if row.wall_power_w and row.metric == "token_throughput")
    tdp = accelerator_of("h100-sxm5").tdp_w
    assert tdp is not None
    assert own.wall_power_w is not None

    assert own.efficiency == pytest.approx(efficiency_with(own, own.wall_power_w), rel=1e-3)
    for figure, power in ((without, tdp), (own, tdp), (own, own.wall_power_w * 1.1), (without, 700.0)):
        with pytest.raises(UsageError, match="is no measured power of this submission"):
            efficiency_with(figure, power)


def test_what_is_not_the_same_is_told(factories: ModuleType) -> None:
    """Requests, weights, precision and devices differ between our load and MLPerf's, and each is said."""
    differs = " ".join(compare_mlperf(run(factories), ROWS)[0].differs)

    assert all(word in differs for word in ("requests: 16 in, 4 out", "weights: synthetic", "precision: float32"))


def test_single_stream_latency(factories: ModuleType) -> None:
    """A single-stream run is held against published 90th percentiles, and requests a joule."""
    published = of_llama(next(row for row in ROWS if row.metric == "p90_latency" and row.efficiency))
    row = compare_mlperf(run(factories, scenario="single-stream", batch=1), (published,))[0]

    assert ("s", None, "samples/J") == (row.unit, row.ratio_per_accelerator, row.efficiency_unit)
    assert None is not row.efficiency_measured
    assert published.efficiency == row.efficiency_published
    assert row.ratio == pytest.approx(row.measured / published.value)


def of_llama(row: PublishedFigure) -> PublishedFigure:
    """Return a published latency as one of the model of these tests."""
    return replace(row, model="llama3.1-8b")


def test_another_scenario_or_model_is_refused_with_the_known(factories: ModuleType) -> None:
    """Nothing published of a model or scenario: the known ones are named."""
    with pytest.raises(UsageError, match="its scenarios are") as caught:
        compare_mlperf(run(factories, model="llama-2-70b", scenario="single-stream", batch=1), ROWS)
    with pytest.raises(UsageError, match=r"the models are .*bert-99") as unknown:
        compare_mlperf(run(factories, model="qwen3-0.6b"), ROWS)

    assert "offline" in caught.value.why
    assert "qwen3-0.6b" in unknown.value.what


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("llama-3.1-8b", "llama3.1-8b", True),
        ("llama-3.1-8b", "llama3.1-8b-edge", True),
        ("llama-2-70b", "llama2-70b-99.9", True),
        ("bert-large", "bert-99", True),
        ("whisper-large-v3", "whisper", True),
        ("Llama-3.3-70B", "llama-3.3-70b", True),
        ("mixtral-8x7b", "mixtral-8x7b", True),
        ("bert-base", "bert-99", False),
        ("llama-3.1-8b", "llama3.1-405b", False),
        ("llama-3.3-70b", "llama2-70b-99", False),
        ("gpt2", "gptj-99", False),
        ("", "", False),
    ],
)
def test_names_of_models(one: str, other: str, same: bool) -> None:
    """A model is the same however it is spelled, and another one is not."""
    assert same == same_model(one, other) == same_model(other, one)


def test_names_of_scenarios() -> None:
    """A scenario is the same with or without a dash."""
    assert same_scenario("single-stream", "SingleStream")
    assert not same_scenario("offline", "server")
