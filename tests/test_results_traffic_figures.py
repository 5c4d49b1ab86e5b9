"""What traffic adds to a summary follows from the rows alone."""

from dataclasses import replace
from types import ModuleType

import pytest
from traffic_rows import make_traffic_repeat

from wattbench.results.sessions import calls_per_session, cut_spans_s, session_spans_s, sessions_worth
from wattbench.results.summarise import summarise
from wattbench.results.traffic_figures import achieved_rate, planned_rate, traffic_latencies, traffic_metrics


def test_a_run_without_traffic_has_none_of_it(factories: ModuleType) -> None:
    """Batches add neither metrics nor distributions."""
    repeats = [factories.make_repeat()]

    assert ((), ()) == (traffic_metrics(repeats), traffic_latencies(repeats))


def test_rates_are_those_between_first_and_last() -> None:
    """Calls every 100 ms are planned at 10 a second, and end at 8 where ends lie 125 ms apart."""
    done = make_traffic_repeat(stretch=1.25).completions

    assert pytest.approx(10.0) == planned_rate(done)
    assert pytest.approx(8.0) == achieved_rate(done)


def test_latency_counts_from_the_plan_and_from_the_send(factories: ModuleType) -> None:
    """Every call goes out 1 ms late: the two latencies differ by that."""
    summary = summarise(
        factories.make_load(),
        [make_traffic_repeat()],
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="no meter",
    )
    medians = {latency.name: latency.quantiles[0].value for latency in summary.latencies if latency.quantiles}

    assert pytest.approx(0.200) == medians["latency.request"]
    assert pytest.approx(0.199) == medians["latency.request_from_send"]
    assert pytest.approx(0.049) == medians["latency.ttft_from_send"]


def test_a_quantile_that_falls_on_a_failure_is_not_listed() -> None:
    """With five failures of a hundred, p50 and p90 stand and p99 is infinite."""
    repeat = make_traffic_repeat(errors=dict.fromkeys(range(5), "timeout"))
    found = {latency.name: latency for latency in traffic_latencies([repeat])}

    assert [0.5, 0.9] == [quantile.q for quantile in found["latency.request_with_failures"].quantiles]
    assert 100 == found["latency.request_with_failures"].count
    assert 95 == found["latency.request_from_send"].count


def test_what_the_server_does_not_say_is_null_with_the_reason() -> None:
    """No time of the server and no count of cached tokens is 0."""
    repeat = make_traffic_repeat()
    (queue,) = [latency for latency in traffic_latencies([repeat]) if latency.name == "latency.server_queue"]
    (cached,) = [metric for metric in traffic_metrics([repeat]) if metric.name == "traffic.cached_share"]

    assert (None, "the server does not say") == (queue.mean, queue.reason)
    assert (None, "the server does not say") == (cached.value, cached.reason)


def test_a_session_counts_when_all_of_its_calls_succeeded() -> None:
    """Two sessions of two calls each, of which one failed: the whole one spans its calls."""
    repeat = make_traffic_repeat(calls=4, session=(0, 1, 0, 1), errors={3: "timeout"})

    assert (0.4,) == session_spans_s(repeat)


def test_the_windows_joules_are_shared_by_cut_and_failed_sessions_too() -> None:
    """Three of four calls succeeded, and a whole session has two: the window paid for one and a half sessions."""
    repeat = make_traffic_repeat(calls=4, session=(0, 1, 0, 1), errors={3: "timeout"})
    none = make_traffic_repeat(calls=2, session=(0, 1), errors={0: "timeout", 1: "timeout"})

    assert 1.5 == sessions_worth(repeat)
    assert 0 == sessions_worth(none)


def test_a_session_that_the_end_of_the_window_cut_is_not_whole() -> None:
    """A session whose later calls were never sent counts for nothing, though all that were sent succeeded."""
    repeat = make_traffic_repeat(calls=4, session=(0, 1, 0, 1))
    assert repeat.traffic is not None
    cut = replace(repeat, traffic=replace(repeat.traffic, cut_sessions=(1,), cut_calls=(5,)))

    assert (0.4,) == session_spans_s(cut)
    assert 2 == len(session_spans_s(repeat))


def test_a_cut_session_lasted_until_its_last_call_or_the_windows() -> None:
    """Session 0 is in a pause when the window's last call goes out at 301 ms; that of session 1 ends at 500 ms."""
    repeat = make_traffic_repeat(calls=4, session=(0, 1, 1, 1))
    assert repeat.traffic is not None
    cut = replace(repeat, traffic=replace(repeat.traffic, cut_sessions=(0, 1), cut_calls=(9, 9)))

    assert (0.301, 0.4) == cut_spans_s(cut)
    assert () == cut_spans_s(repeat)


def test_a_session_has_as_many_calls_as_those_that_began_were_to_have() -> None:
    """A whole one of two calls and one of ten that was cut after two have six on average."""
    repeat = make_traffic_repeat(calls=4, session=(0, 1, 0, 1))
    assert repeat.traffic is not None
    cut = replace(repeat, traffic=replace(repeat.traffic, cut_sessions=(1,), cut_calls=(10,)))

    assert 6 == calls_per_session([cut])
    assert 4 / 6 == sessions_worth(cut)
    assert calls_per_session([make_traffic_repeat(calls=1, session=(0,), errors={0: "timeout"})]) is None


def test_cut_sessions_count_as_longer_than_seen() -> None:
    """Of three sessions one ended after 0.2 s and one after 0.3 s, one went on: the median is 0.3 s, p90 not known."""
    repeat = make_traffic_repeat(calls=5, session=(0, 1, 1, 2, 2))
    assert repeat.traffic is not None
    cut = replace(repeat, traffic=replace(repeat.traffic, cut_sessions=(2,), cut_calls=(3,)))
    (found,) = [latency for latency in traffic_latencies([cut]) if latency.name == "latency.session"]

    assert [(0.5, 0.3)] == [(each.q, each.value) for each in found.quantiles]
    assert (2, pytest.approx((0.2 + 0.3 + 0.3) / 3)) == (found.count, found.mean)
    assert "1 that the window's end cut" in found.method
