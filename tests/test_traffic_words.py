"""What a run of traffic says of itself in words: one is one, and more are more."""

from dataclasses import replace
from types import ModuleType

import pytest
from traffic_rows import make_health, make_traffic_repeat

from wattbench.harness.cli.figures import result_lines
from wattbench.results.counted import counted
from wattbench.results.plan import Scenario
from wattbench.results.report.subject import subtitle_of
from wattbench.results.report.words import name_of
from wattbench.results.traffic_figures import traffic_latencies, traffic_metrics
from wattbench.results.traffic_plan import TrafficPlan
from wattbench.results.traffic_words import arrival_of, traffic_lines, traffic_words


@pytest.mark.parametrize(
    ("scenario", "plan", "words"),
    [
        ("agentic", TrafficPlan(sessions=1), "1 session in progress"),
        ("agentic", TrafficPlan(sessions=3), "3 sessions in progress"),
        ("agentic", TrafficPlan(arrival="poisson", rate_per_s=5.0), "5 sessions/s, poisson"),
        ("server", TrafficPlan(arrival="constant", rate_per_s=5.0), "5 requests/s, constant"),
        ("multi-stream", TrafficPlan(samples=1), "1 sample a query"),
        ("multi-stream", TrafficPlan(samples=8), "8 samples a query"),
        ("concurrency", TrafficPlan(concurrency=1), "1 in progress"),
        ("ramp", TrafficPlan(ramp="1,2", concurrency=None), "ramp 1,2"),
        ("trace", TrafficPlan(trace="calls.jsonl"), "trace calls.jsonl"),
        ("trace", TrafficPlan(trace="a.csv", trace_scale=0.5), "trace a.csv, times multiplied by 0.5"),
    ],
)
def test_how_requests_came(scenario: Scenario, plan: TrafficPlan, words: str) -> None:
    """The number decides about the noun, and the scenario whether requests arrive or sessions of them."""
    assert words == traffic_words(plan, scenario)


def test_a_batch_is_said_of_executions_alone(factories: ModuleType) -> None:
    """What serves single requests has no batch to speak of; what executes batches has one."""
    plan = factories.make_plan()
    served = replace(plan, scenario="concurrency", traffic=TrafficPlan(concurrency=4))
    alone = replace(plan, scenario="single-stream", batch=1, traffic=TrafficPlan())
    texts = [f"{plan.scenario}, batch {plan.batch}", "concurrency, 4 in progress", "single-stream"]

    assert texts == [arrival_of(each) for each in (plan, served, alone)]
    for each, text in zip((plan, served, alone), texts, strict=True):
        assert f"; {text}; " in subtitle_of(factories.make_result(plan=each))


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (make_health(connections_opened=1, in_flight_peak=1), "1 connection for 1 request in progress"),
        (make_health(connections_opened=4, in_flight_peak=2), "4 connections for 2 requests in progress"),
    ],
)
def test_how_the_client_did(factories: ModuleType, health: object, words: str) -> None:
    """One process, one connection, one request, and one repeat of it."""
    repeats = (replace(make_traffic_repeat(), traffic=replace(make_traffic_repeat().traffic, health=health)),)
    result = factories.make_result(repeats=repeats)
    shown = replace(result, summary=replace(result.summary, repeats=1, requests=1, failed_requests=0))
    said = dict(traffic_lines(shown))

    assert said["client"].startswith("1 process, ")
    assert said["client"].endswith(words)
    assert any("measured in 1 repeat, 1 request, 0 failed" in line for line in result_lines(shown))


def test_a_plural_of_its_own() -> None:
    """Not every noun takes a mere s."""
    assert ["1 process", "2 processes", "0 probes"] == [
        counted(1, "process", "processes"),
        counted(2, "process", "processes"),
        counted(0, "probe"),
    ]


def test_every_figure_of_traffic_has_a_name_for_people() -> None:
    """A page calls no figure by the name that it has in a document."""
    repeats = (make_traffic_repeat(0), make_traffic_repeat(1))
    found = {metric.name for metric in (*traffic_metrics(repeats), *traffic_latencies(repeats))}

    assert "latency.ttft_from_send" in found
    assert [] == sorted(name for name in found if name_of(name) == name)
