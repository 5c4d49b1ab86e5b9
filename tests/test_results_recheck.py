"""The summary computed again from the raw repeats."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.document import Result
from wattbench.results.recheck import summary_differences
from wattbench.results.summarise import summarise


def _edited(result: Result, name: str, **changes: object) -> Result:
    summary = result.summary
    assert summary is not None
    metrics = tuple(replace(m, **changes) if m.name == name else m for m in summary.metrics)
    latencies = tuple(replace(m, **changes) if m.name == name else m for m in summary.latencies)
    return replace(result, summary=replace(summary, metrics=metrics, latencies=latencies))


def test_an_honest_summary(factories: ModuleType) -> None:
    """A summary that was computed from its repeats has no difference."""
    assert () == summary_differences(factories.make_result())


def test_no_summary(factories: ModuleType) -> None:
    """A run without a summary has nothing to compare."""
    assert () == summary_differences(factories.make_result(status="partial", summary=None))


@pytest.mark.parametrize("name", ["throughput.requests", "throughput.decode_tokens", "efficiency.tokens_per_j"])
def test_an_edited_value_is_found(factories: ModuleType, name: str) -> None:
    """A figure that its repeats do not give is named with both numbers."""
    result = factories.make_result()
    honest = result.summary.metric(name).value

    assert (f"summary.{name}.value is 99.5, its repeats give {honest}",) == summary_differences(
        _edited(result, name, value=99.5)
    )


def test_an_edited_latency_is_found(factories: ModuleType) -> None:
    """A latency that its repeats do not give is found."""
    (found,) = summary_differences(_edited(factories.make_result(), "latency.ttft", mean=0.1))

    assert found.startswith("summary.latency.ttft.mean is 0.1, its repeats give 0.39")


def test_edited_samples_are_found(factories: ModuleType) -> None:
    """Samples that agree with each other but not with the energy of their windows are found."""
    halved = _edited(factories.make_result(), "energy.per_request", samples=(1.0,) * 5)

    assert "summary.energy.per_request.samples[0] is 1.0, its repeats give 150.0" in summary_differences(halved)


def test_edited_counts_are_found(factories: ModuleType) -> None:
    """Counts are computed again too."""
    result = factories.make_result()
    edited = replace(result, summary=replace(result.summary, requests=5))

    assert ("summary.requests is 5, its repeats give 100",) == summary_differences(edited)


def test_a_missing_metric_is_found(factories: ModuleType) -> None:
    """A metric that was taken out of the summary is found."""
    result = factories.make_result()
    edited = replace(result, summary=replace(result.summary, metrics=result.summary.metrics[1:]))

    assert any(line.startswith("summary.throughput.requests.value is None") for line in summary_differences(edited))


def test_rounding_is_tolerated(factories: ModuleType) -> None:
    """What another order of additions costs is no difference."""
    result = factories.make_result()
    value = result.summary.metric("throughput.requests").value

    assert () == summary_differences(_edited(result, "throughput.requests", value=value * (1 + 1e-12)))


@pytest.mark.parametrize("output_tokens", [0, 4])
def test_rungs_are_told_apart(factories: ModuleType, output_tokens: int) -> None:
    """Two rungs with the same words for their boundary are compared each with its own energy."""
    load = factories.make_load(output_tokens=output_tokens)
    done = factories.make_completions(output_tokens=output_tokens)
    repeats = tuple(factories.make_repeat(i, completions=done) for i in range(2))
    rungs = [[factories.make_rung(3000.0), factories.make_rung(500.0, name="second")]] * 2
    summary = summarise(
        load, repeats, rung_energies=rungs, idle_power_w={}, memory_peak_bytes=None, no_energy_reason=None
    )

    assert () == summary_differences(factories.make_result(load=load, repeats=repeats, summary=summary))


def test_failed_windows_have_no_ratio(factories: ModuleType) -> None:
    """Windows without a successful request leave the ratios unknown, which is no difference."""
    done = factories.make_completions(executions=2, errors=["broken", "broken"])
    repeats = (factories.make_repeat(completions=done),)
    summary = summarise(
        factories.make_load(),
        repeats,
        rung_energies=[[factories.make_rung()]],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None,
    )

    assert () == summary_differences(factories.make_result(repeats=repeats, summary=summary))
