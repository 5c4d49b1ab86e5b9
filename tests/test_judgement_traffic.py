"""The doubts about traffic follow from the windows alone, each with its figure."""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from traffic_rows import make_health, make_traffic_repeat

from wattbench.harness.judgement_traffic import failure_doubts, traffic_doubts
from wattbench.results.doubts import Doubt
from wattbench.results.measurement import Repeat
from wattbench.results.summarise import summarise
from wattbench.results.traffic_plan import TrafficPlan


@pytest.fixture(name="doubts")
def _doubts(factories: ModuleType) -> Any:  # any: a function of the next lines
    """Give what is doubted of windows of traffic."""

    def found(
        repeats: Sequence[Repeat], *, slo: str | None = None, scenario: str = "server", lengths: str | None = None
    ) -> list[Doubt]:
        summary = summarise(
            factories.make_load(),
            repeats,
            rung_energies=[],
            idle_power_w={},
            memory_peak_bytes=None,
            no_energy_reason="no meter",
        )
        plan = replace(factories.make_plan(), scenario=scenario, traffic=TrafficPlan(slo=slo, output_lengths=lengths))
        return [*traffic_doubts(plan, summary, repeats, 4), *failure_doubts(summary, repeats)]

    return found


def test_a_sound_window_of_traffic_is_not_doubted(doubts: Any) -> None:
    """A client that kept up and a server that kept up leave nothing to say."""
    assert [] == doubts([make_traffic_repeat()])


def test_a_generator_that_is_very_late_makes_the_result_invalid(doubts: Any) -> None:
    """Without a limit it takes a tenth of the measured median of 50 ms."""
    (doubt,) = doubts([make_traffic_repeat(health=make_health(send_late_p99_s=6e-3))])

    assert ("client_late", "severe") == (doubt.code, doubt.severity)


def test_a_lateness_of_several_times_the_median_is_a_plain_number(doubts: Any) -> None:
    """140 ms are 280 % of 50 ms, not 2.8e+02 %."""
    (doubt,) = doubts([make_traffic_repeat(health=make_health(send_late_p99_s=0.14))])

    assert "140 ms late, which is 280 % of the median" in doubt.facts


def test_a_late_generator_is_a_doubt_without_a_limit(doubts: Any) -> None:
    """1 ms late at the 99th percentile is 2 % of the measured median of 50 ms."""
    (doubt,) = doubts([make_traffic_repeat(health=make_health(send_late_p99_s=1e-3))])

    assert ("client_late", "doubt") == (doubt.code, doubt.severity)
    assert "1 ms late, which is 2 % of the median time to the first token (50 ms); 0.5 ms are allowed" in doubt.facts


@pytest.mark.parametrize(
    ("late_s", "expected"), [(9e-5, []), (2e-4, ["doubt"]), (3.9e-3, ["doubt"]), (5e-3, ["severe"])]
)
def test_a_fast_server_does_not_ask_for_more_than_the_client_can(
    doubts: Any, late_s: float, expected: list[str]
) -> None:
    """Beside a median of 2 ms the client's own goals hold: 0.1 ms are not doubted, 4 ms are not severe."""
    fast = make_traffic_repeat(first_ms=2.0, health=make_health(send_late_p99_s=late_s))

    assert expected == [doubt.severity for doubt in doubts([fast]) if doubt.code == "client_late"]


def test_a_limit_has_no_floor(doubts: Any) -> None:
    """0.09 ms are more than 1 % of a limit of 5 ms, which somebody has asked for."""
    late = [make_traffic_repeat(health=make_health(send_late_p99_s=9e-5))]

    assert "severe" in {doubt.severity for doubt in doubts(late, slo="ttft.p90=5ms") if doubt.code == "client_late"}


def test_lateness_is_held_against_the_limit_where_there_is_one(doubts: Any) -> None:
    """1 ms is nothing beside a limit of 2 s, and too much beside one of 50 ms."""
    late = [make_traffic_repeat(health=make_health(send_late_p99_s=1e-3))]

    assert "client_late" not in {doubt.code for doubt in doubts(late, slo="ttft.p90=2s")}
    assert "client_late" in {doubt.code for doubt in doubts(late, slo="ttft.p90=50ms")}


def test_a_generator_without_a_processor_is_told(doubts: Any) -> None:
    """One second of ten in the run queue is a doubt."""
    (doubt,) = doubts([make_traffic_repeat(health=make_health(run_queue_wait_s=1.0))])

    assert ("client_starved", "doubt") == (doubt.code, doubt.severity)
    assert "10 % of a window" in doubt.facts


def test_a_server_that_falls_behind_does_not_reach_the_rate(doubts: Any) -> None:
    """Ends that come 1.25 times as slowly as calls are planned are 80 % of the rate."""
    (doubt,) = doubts([make_traffic_repeat(stretch=1.25)])

    assert ("rate_not_reached", "doubt") == (doubt.code, doubt.severity)
    assert "8 of 10 requests/s were served (80.0 %)" == doubt.facts


def test_a_closed_loop_has_no_rate_to_reach(doubts: Any) -> None:
    """Where calls wait for each other nobody asked for a rate."""
    assert [] == doubts([make_traffic_repeat(stretch=1.25, open_loop=False)], scenario="concurrency")


def test_counts_of_tokens_that_part_are_told(doubts: Any) -> None:
    """The server counts four tokens where our tokenizer counts five."""
    (doubt,) = doubts([make_traffic_repeat(own_output_tokens=(5,) * 100)])

    assert "usage_mismatch" == doubt.code
    assert "-20.0 %" in doubt.facts


def counting(tokens: int) -> Repeat:
    """Return a window whose calls of four tokens out have so many by the server."""
    repeat = make_traffic_repeat()
    return replace(repeat, completions=replace(repeat.completions, output_tokens=(tokens,) * 100))


@pytest.mark.parametrize(
    ("tokens", "facts"), [(400, "up to 400 tokens in 100 of 100 answers of at most 4"), (0, "no token in 100 of 100")]
)
def test_counts_that_cannot_be_are_severe(doubts: Any, tokens: int, facts: str) -> None:
    """A server that counts more than was allowed, or nothing where text came, makes rates of tokens untrue."""
    (doubt,) = doubts([counting(tokens)])

    assert ("token_count", "severe") == (doubt.code, doubt.severity)
    assert facts in doubt.facts


def test_lengths_that_were_drawn_allow_more(doubts: Any) -> None:
    """Where each call has a length of its own the load's says nothing."""
    assert [] == doubts([counting(400)], lengths="uniform:1..500")


def test_new_prompts_from_a_cache_are_told_but_shared_ones_are_meant(doubts: Any) -> None:
    """Sixteen of 32 tokens cached are a doubt, except in sessions, whose history is shared by design."""
    cached = [make_traffic_repeat(cached_tokens=(16,) * 100)]

    assert ["cached_prompts"] == [doubt.code for doubt in doubts(cached)]
    assert [] == doubts(cached, scenario="agentic")


def test_failures_are_counted_by_kind(doubts: Any) -> None:
    """Three failures of a hundred are a doubt that names them; sixty are severe."""
    few = doubts([make_traffic_repeat(errors={1: "http_429", 2: "http_429", 3: "timeout"})])
    many = doubts([make_traffic_repeat(errors=dict.fromkeys(range(60), "http_5xx"))])

    assert [("doubt", "3 of 100 requests failed: 2 http_429, 1 timeout")] == [
        (d.severity, d.facts) for d in few if d.code == "failed_requests"
    ]
    assert "severe" in {d.severity for d in many if d.code == "failed_requests"}


def test_a_client_without_descriptors_makes_the_result_invalid(doubts: Any) -> None:
    """One call that this machine could not send is no failure of the server, and the load was not the one asked for."""
    found = doubts([make_traffic_repeat(errors={1: "client_limit"})])
    (doubt,) = (each for each in found if each.code == "failed_requests")

    assert "severe" == doubt.severity
    assert "ulimit" in doubt.advice


def test_limits_that_do_not_hold_or_are_not_proven_are_told(doubts: Any) -> None:
    """A hundred requests of 200 ms break a limit of 100 ms, hold one of 1 s at p90, and prove nothing of p99."""
    sound = [make_traffic_repeat()]
    (broken,) = doubts(sound, slo="latency.p90=100ms")
    (unproven,) = doubts(sound, slo="latency.p99=1s")

    assert [] == doubts(sound, slo="latency.p90=1s")
    assert ("slo_missed", "latency.p90 of at most 100 ms is broken: 200.0 ms over 100 samples, 100 over it") == (
        broken.code,
        broken.facts.partition(" (")[0],
    )
    assert "is unproven" in unproven.facts
