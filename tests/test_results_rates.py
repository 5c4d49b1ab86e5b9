"""Throughput from raw completions."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.metrics import Metric
from wattbench.results.rates import throughput_metrics, work_of

S = 1_000_000_000
TIMES = ("planned_start_ns", "start_ns", "first_output_ns", "end_ns")


def _throughput(
    factories: ModuleType, *, output_tokens: int = 4, turns: int = 1, **completions: object
) -> dict[str, Metric]:
    load = factories.make_load(output_tokens=output_tokens, turns=turns)
    done = factories.make_completions(output_tokens=output_tokens, **completions)
    repeats = [factories.make_repeat(i, completions=done) for i in range(2)]
    return {metric.name.removeprefix("throughput."): metric for metric in throughput_metrics(load, repeats)}


@pytest.mark.parametrize(
    ("name", "expected"), [("requests", 2.0), ("input_tokens", 32.0), ("output_tokens", 8.0), ("total_tokens", 40.0)]
)
def test_rates_over_the_window(factories: ModuleType, name: str, expected: float) -> None:
    """Ten executions of two requests with 16 tokens in and 4 out in ten seconds give these rates."""
    assert expected == _throughput(factories)[name].value


@pytest.mark.parametrize(("name", "expected"), [("prefill_tokens", 32 / 0.4), ("decode_tokens", 6 / 0.6)])
def test_rates_over_the_phase(factories: ModuleType, name: str, expected: float) -> None:
    """Each phase's tokens count over its own time; the first token belongs to prefill."""
    assert expected == pytest.approx(_throughput(factories)[name].value)


def test_phase_rate_is_a_ratio_of_sums(factories: ModuleType) -> None:
    """Slow and fast executions of one repeat are added up before the division."""
    slow, fast = factories.make_completions(executions=1, duration_ns=3 * S), factories.make_completions(executions=1)
    times = {name: tuple(t + 3 * S for t in getattr(fast, name)) for name in TIMES}
    times["step_end_ns"] = tuple(tuple(t + 3 * S for t in row) for row in fast.step_end_ns)
    fast = replace(fast, **times)
    both = replace(slow, **{name: getattr(slow, name) + getattr(fast, name) for name in slow.__slots__})
    metrics = throughput_metrics(factories.make_load(), [factories.make_repeat(completions=both)])

    assert 64 / 1.6 == pytest.approx(next(m.value for m in metrics if m.name == "throughput.prefill_tokens"))


@pytest.mark.parametrize("name", ["output_tokens", "prefill_tokens", "decode_tokens"])
def test_encoders_have_no_tokens_out(factories: ModuleType, name: str) -> None:
    """What an encoder does not have is None with the reason, never 0."""
    metric = _throughput(factories, output_tokens=0)[name]

    assert (None, "the load has no tokens out") == (metric.value, metric.reason)


def test_requests_that_overlap_have_no_phases(factories: ModuleType) -> None:
    """Where one request's prompt is read beside another's decode steps, the time of neither phase is known."""
    one = factories.make_completions(executions=1)
    both = replace(one, **{name: getattr(one, name) * 2 for name in one.__slots__})
    metrics = throughput_metrics(factories.make_load(), [factories.make_repeat(completions=both)])
    found = {m.name: m for m in metrics}

    assert (False, True) == (one.overlap, both.overlap)
    assert found["throughput.output_tokens"].value is not None
    assert found["throughput.decode_tokens"].value is None
    assert "overlapped" in str(found["throughput.prefill_tokens"].reason)


def test_one_token_out_has_no_decode(factories: ModuleType) -> None:
    """A single token out leaves no decode phase."""
    metric = _throughput(factories, output_tokens=1)["decode_tokens"]

    assert (None, "each request has one token out, so there is no decode phase") == (metric.value, metric.reason)


@pytest.mark.parametrize("name", ["prefill_tokens", "decode_tokens"])
def test_turns_hide_the_phases(factories: ModuleType, name: str) -> None:
    """Several turns in one execution cannot be told apart into phases."""
    metric = _throughput(factories, turns=3)[name]

    assert metric.value is None
    assert "turns" in str(metric.reason)


def test_failed_executions_do_no_work(factories: ModuleType) -> None:
    """A failed execution counts as failed requests and in no rate."""
    errors = ["out of memory", *[None] * 9]
    work = work_of(factories.make_repeat(completions=factories.make_completions(errors=errors)))

    assert (18, 2, 288, 72) == (work.requests, work.failed, work.input_tokens, work.output_tokens)


def test_all_failed(factories: ModuleType) -> None:
    """When all requests fail the rate is truly 0, and the phases are unknown."""
    found = _throughput(factories, errors=["broken"] * 10)

    assert (0.0, None, "no request succeeded") == (
        found["requests"].value,
        found["prefill_tokens"].value,
        found["prefill_tokens"].reason,
    )


def test_missing_first_tokens(factories: ModuleType) -> None:
    """Executions without the stamp of a first token say nothing of phases."""
    done = replace(factories.make_completions(executions=2), first_output_ns=(None, None))
    metrics = throughput_metrics(factories.make_load(), [factories.make_repeat(completions=done)])

    assert next(m for m in metrics if m.name == "throughput.decode_tokens").value is None


@pytest.mark.parametrize("output_tokens", [0, 4])
def test_no_repeat(factories: ModuleType, output_tokens: int) -> None:
    """Without a repeat every rate is None with a reason."""
    metrics = throughput_metrics(factories.make_load(output_tokens=output_tokens), [])

    assert all(metric.value is None and metric.reason for metric in metrics)
