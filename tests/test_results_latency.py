"""Latency distributions from raw completions."""

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.latency import latency_metrics
from wattbench.results.measurement import Completions
from wattbench.results.metrics import QuantileMetric

S = 1_000_000_000


def _latency(
    factories: ModuleType, *windows: Completions, output_tokens: int = 4, turns: int = 1
) -> dict[str, QuantileMetric]:
    load = factories.make_load(output_tokens=output_tokens, turns=turns)
    repeats = [factories.make_repeat(i, completions=done) for i, done in enumerate(windows)]
    return {metric.name.removeprefix("latency."): metric for metric in latency_metrics(load, repeats)}


def _lasting(factories: ModuleType, durations_s: Sequence[float]) -> Completions:
    one = factories.make_completions(executions=len(durations_s))
    later = [round(sum(durations_s[:i]) * S) for i in range(len(durations_s))]  # one after the other
    starts = [one.start_ns[0] + ns for ns in later]
    moved = [start - before for start, before in zip(starts, one.start_ns, strict=True)]
    return replace(
        one,
        planned_start_ns=tuple(t + m for t, m in zip(one.planned_start_ns, moved, strict=True)),
        start_ns=tuple(starts),
        first_output_ns=tuple(t + m for t, m in zip(one.first_output_ns, moved, strict=True)),
        step_end_ns=tuple(tuple(t + m for t in row) for row, m in zip(one.step_end_ns, moved, strict=True)),
        end_ns=tuple(start + int(s * S) for start, s in zip(starts, durations_s, strict=True)),
    )


@pytest.mark.parametrize(("name", "expected"), [("request", 1.0), ("ttft", 0.4), ("tpot", 0.2), ("itl", 0.2)])
def test_definitions(factories: ModuleType, name: str, expected: float) -> None:
    """One second per execution, 40 % of it to the first token and three more tokens, gives these latencies."""
    metric = _latency(factories, factories.make_completions())[name]

    assert [expected] * 3 == [pytest.approx(q.value) for q in metric.quantiles]


@pytest.mark.parametrize(("name", "expected"), [("request", 20), ("ttft", 20), ("tpot", 20), ("itl", 60)])
def test_counts(factories: ModuleType, name: str, expected: int) -> None:
    """Each request of a batch counts, and for the gaps each gap of each request."""
    assert expected == _latency(factories, factories.make_completions())[name].count


def test_latency_counts_from_the_planned_start(factories: ModuleType) -> None:
    """A late start is part of the latency."""
    done = factories.make_completions(start_ns=5 * S, executions=1)
    late = replace(done, planned_start_ns=(3 * S,))
    found = _latency(factories, late)

    assert (3.0, pytest.approx(2.4)) == (found["request"].mean, found["ttft"].mean)


def test_quantiles_are_over_all_repeats(factories: ModuleType) -> None:
    """All repeats make one distribution, by nearest rank."""
    windows = [_lasting(factories, [float(s) for s in range(start, start + 5)]) for start in (1, 6)]
    metric = _latency(factories, *windows)["request"]

    assert ([0.5, 0.9, 0.99], [5.0, 9.0, 10.0], 5.5) == (
        [q.q for q in metric.quantiles],
        [q.value for q in metric.quantiles],
        metric.mean,
    )


@pytest.mark.parametrize(("executions", "expected"), [(63, None), (64, 64.0)])
def test_bound_counts_executions(factories: ModuleType, executions: int, expected: float | None) -> None:
    """The early-stopping bound counts executions: two requests of one batch are not two independent samples."""
    metric = _latency(factories, _lasting(factories, [float(s) for s in range(1, executions + 1)]))["request"]

    assert expected == metric.quantiles[1].bound


def test_gaps_have_no_bound(factories: ModuleType) -> None:
    """The gaps of one execution are not independent, so they have no bound."""
    metric = _latency(factories, factories.make_completions(executions=300))["itl"]

    assert [None] * 3 == [q.bound for q in metric.quantiles]


def test_failed_requests_are_left_out(factories: ModuleType) -> None:
    """A failed execution has no latency."""
    done = factories.make_completions(executions=2, errors=[None, "broken"])

    assert 2 == _latency(factories, done)["request"].count


@pytest.mark.parametrize("name", ["ttft", "tpot", "itl"])
def test_encoders_have_no_token_latency(factories: ModuleType, name: str) -> None:
    """What an encoder does not have is None with the reason."""
    metric = _latency(factories, factories.make_completions(output_tokens=0), output_tokens=0)[name]

    assert (None, 0, (), "the load has no tokens out") == (metric.mean, metric.count, metric.quantiles, metric.reason)


def test_encoders_have_request_latency(factories: ModuleType) -> None:
    """An encoder's requests have a latency."""
    assert 1.0 == _latency(factories, factories.make_completions(output_tokens=0), output_tokens=0)["request"].mean


def test_turns_keep_the_first_token(factories: ModuleType) -> None:
    """With several turns in one execution only the first token of the first turn can be told."""
    found = _latency(factories, factories.make_completions(), turns=2)

    assert (pytest.approx(0.4), None) == (found["ttft"].mean, found["tpot"].mean)


@pytest.mark.parametrize("name", ["ttft", "tpot", "itl"])
def test_missing_first_tokens(factories: ModuleType, name: str) -> None:
    """Executions without the stamp of a first token have no token latency."""
    done = replace(factories.make_completions(executions=2), first_output_ns=(None, None))

    assert "no request succeeded" == _latency(factories, done)[name].reason


def test_no_repeat(factories: ModuleType) -> None:
    """Without a repeat there is no latency, and the reason says so."""
    assert {"no repeat was measured"} == {metric.reason for metric in _latency(factories).values()}


def test_requests_that_overlap_have_no_bound(factories: ModuleType) -> None:
    """Requests that follow one another through slots share their steps: they are not independent samples."""
    one = factories.make_completions(executions=64)
    both = replace(one, **{name: getattr(one, name) * 2 for name in one.__slots__})
    metric = _latency(factories, both)["request"]

    assert {None} == {quantile.bound for quantile in metric.quantiles}
    assert "not independent" in metric.method
