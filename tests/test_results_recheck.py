"""The summary computed again from the raw repeats."""

from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
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


def _utilised(factories: ModuleType, repeats: int = 3) -> Result:
    """Return a run on a device whose ceilings were measured and whose vendor makes claims."""
    load = factories.make_load()
    products, memory = CEILINGS
    backend = replace(factories.make_backend(), mock=False, device="cuda:0", device_name="NVIDIA L4")
    backend = replace(backend, precision_effective="bfloat16")
    ceilings = CeilingsRecord(
        device="cuda:0",
        device_name="NVIDIA L4",
        measured_at="2026-01-02T03:04:05Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=None,
        entries=(products, memory),
    )
    windows = tuple(factories.make_repeat(i) for i in range(repeats))
    summary = summarise(
        load,
        windows,
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="no sensor",
        backend=backend,
        ceilings=ceilings,
    )
    found: Result = factories.make_result(
        load=load, repeats=windows, summary=summary, backend=backend, ceilings=ceilings
    )
    return found


CEILINGS = (
    CeilingEntry(
        kind="matmul",
        precision="bfloat16",
        shape="8x8x8",
        unit="FLOP/s",
        samples=(1e9,),
        library="torch",
        threads=None,
    ),
    CeilingEntry(
        kind="memory_read",
        precision=None,
        shape="512 MiB",
        unit="By/s",
        samples=(1e8,),
        library="torch",
        threads=None,
    ),
)

UTILISATIONS = [
    f"utilisation.{part}{end}" for part in ("flops", "prefill_flops", "bandwidth") for end in ("", "_claim")
]


def test_honest_utilisation(factories: ModuleType) -> None:
    """Utilisation against ceilings and claims follows from the file, and all of it is there."""
    result = _utilised(factories)

    assert () == summary_differences(result)
    assert result.summary is not None
    assert all(metric.value for name in UTILISATIONS if (metric := result.summary.metric(name)))


@pytest.mark.parametrize("name", UTILISATIONS)
def test_an_edited_utilisation_is_found(factories: ModuleType, name: str) -> None:
    """A utilisation that the repeats do not give is named, whatever part of it was edited."""
    result = _utilised(factories)
    assert result.summary is not None
    metric = result.summary.metric(name)
    assert metric is not None
    assert metric.value is not None
    value = _edited(result, name, value=0.99)
    sample = _edited(result, name, samples=(0.99, *metric.samples[1:]))

    assert (f"summary.{name}.value is 0.99, its repeats give {metric.value}",) == summary_differences(value)
    assert any(f"summary.{name}.samples[0] is 0.99" in line for line in summary_differences(sample))


@pytest.mark.parametrize("name", ["utilisation.flops", "utilisation.bandwidth"])
def test_a_raised_ceiling_is_found(factories: ModuleType, name: str) -> None:
    """Figures against ceilings follow from the ceilings in the file, not from those that were there before."""
    result = _utilised(factories)
    assert result.ceilings is not None
    entries = tuple(replace(entry, samples=(2 * entry.rate,)) for entry in result.ceilings.entries)
    edited = replace(result, ceilings=replace(result.ceilings, entries=entries))

    assert any(line.startswith(f"summary.{name}.value is") for line in summary_differences(edited))


@pytest.mark.parametrize("name", UTILISATIONS)
def test_an_invented_utilisation_is_found(factories: ModuleType, name: str) -> None:
    """A mock computes nothing, so no utilisation of it can be true."""
    result = _utilised(factories)
    assert result.summary is not None
    assert result.backend is not None
    metric = result.summary.metric(name)
    assert metric is not None
    invented = replace(result, backend=replace(result.backend, mock=True))

    assert f"summary.{name}.value is {metric.value}, its repeats give None" in summary_differences(invented)


def test_a_claim_that_is_no_longer_listed(factories: ModuleType) -> None:
    """A vendor's table may change after a file was written: any one claim for all repeats is accepted."""
    result = _utilised(factories)
    assert result.summary is not None
    metric = result.summary.metric("utilisation.flops_claim")
    assert metric is not None
    assert metric.interval is not None
    assert metric.value is not None
    assert metric.spread is not None
    interval = replace(metric.interval, low=metric.interval.low / 2, high=metric.interval.high / 2)
    halved = _edited(
        result,
        metric.name,
        value=metric.value / 2,
        spread=metric.spread / 2,
        samples=tuple(sample / 2 for sample in metric.samples),
        interval=interval,
    )

    assert () == summary_differences(halved)


def test_samples_of_zero_are_no_claim(factories: ModuleType) -> None:
    """Samples from which no claim follows are found."""
    zeroed = _edited(_utilised(factories), "utilisation.flops_claim", samples=(0.0,) * 3)

    assert any("utilisation.flops_claim.value" in line for line in summary_differences(zeroed))
