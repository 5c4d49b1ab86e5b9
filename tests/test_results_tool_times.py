"""What a tool says of executions that it did by itself: the latency drawn from it, its counts, and what cannot be."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.harness.cli.figures import quantiles_text
from wattbench.results.latency import latency_metrics, weighted_latencies
from wattbench.results.measurement import Completions, Repeat, ToolTimes
from wattbench.results.report.headline import headline_section
from wattbench.results.report.subject import Subject
from wattbench.results.trust.work_gates import token_check

TIMES = ToolTimes(
    tool="benchmark_model",
    executions=100,
    mean_s=0.01,
    min_s=0.009,
    max_s=0.02,
    std_s=0.001,
    median_s=None,
    init_s=0.5,
    clock_bound_s=0.004,
    thermal_status=0,
)


@pytest.fixture
def repeat(factories: ModuleType) -> Repeat:
    """Return a window in which a tool executed a hundred batches of two requests by itself."""
    made: Repeat = factories.make_repeat()
    row = Completions(
        planned_start_ns=(made.window.start_ns,),
        start_ns=(made.window.start_ns,),
        first_output_ns=(None,),
        step_end_ns=((),),
        end_ns=(made.window.end_ns,),
        requests=(200,),
        input_tokens=(3200,),
        output_tokens=(0,),
        error=(None,),
    )
    return replace(made, completions=row, tool=TIMES)


def test_the_tools_mean_is_the_latency(factories: ModuleType, repeat: Repeat) -> None:
    """Means of windows are weighed by their executions; there is no quantile, and no window is taken for a request."""
    longer = replace(repeat, tool=replace(TIMES, executions=300, mean_s=0.02))
    found = {metric.name: metric for metric in latency_metrics(factories.make_load(output_tokens=0), [repeat, longer])}
    request = found["latency.request"]

    assert (400, ()) == (request.count, request.quantiles)
    assert request.mean == pytest.approx((100 * 0.01 + 300 * 0.02) / 400)
    assert "benchmark_model states of its own executions" in request.method
    assert () == weighted_latencies("latency.request", [repeat, longer])


@pytest.mark.parametrize(("executions", "standing"), [(100, "ok"), (99, "failed")])
def test_requests_follow_from_executions(factories: ModuleType, repeat: Repeat, executions: int, standing: str) -> None:
    """A window has at most the plan's batch for each execution that the tool counted."""
    told = replace(repeat, tool=replace(TIMES, executions=executions))
    result = factories.make_result(load=factories.make_load(output_tokens=0), repeats=(told,))
    result = replace(result, plan=replace(result.plan, batch=2))

    assert standing == token_check(result).standing


@pytest.mark.parametrize(
    "wrong", [{"executions": 0}, {"mean_s": -0.1}, {"min_s": 0.03}, {"clock_bound_s": -1.0}, {"init_s": -1.0}]
)
def test_times_that_cannot_be(wrong: dict[str, float]) -> None:
    """No execution, times below zero, and a least above the most are refused."""
    with pytest.raises(ValueError, match=r"cannot be|tool's"):
        replace(TIMES, **wrong)  # type: ignore[arg-type] # fields of several types


def test_a_mean_alone_is_shown_as_one(factories: ModuleType, repeat: Repeat) -> None:
    """The text of a run and the card of a report show the mean, and no quantile of anything."""
    result = factories.make_result(load=factories.make_load(output_tokens=0), repeats=(repeat,))
    latencies = latency_metrics(result.load, [repeat])
    result = replace(result, summary=replace(result.summary, latencies=latencies))
    cards = str(headline_section(Subject(name="one", result_id="one", document=result, data=b"")))

    assert "mean 10 ms  (n=200)" == quantiles_text(latencies[0])
    assert "no quantiles (n=200)" in cards


def test_a_tools_window_is_one_row(factories: ModuleType) -> None:
    """Single executions beside a tool's sums would count the work twice."""
    with pytest.raises(ValueError, match="one row"):
        factories.make_repeat(tool=TIMES)
