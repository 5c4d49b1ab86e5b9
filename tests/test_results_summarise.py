"""The whole summary."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.metrics import Summary
from wattbench.results.summarise import summarise

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"


def _summary(factories: ModuleType, *, output_tokens: int = 4, sensor: bool = True, repeats: int = 3) -> Summary:
    done = factories.make_completions(output_tokens=output_tokens)
    return summarise(
        factories.make_load(output_tokens=output_tokens),
        [factories.make_repeat(i, completions=done) for i in range(repeats)],
        rung_energies=[[factories.make_rung()]] * repeats if sensor else [],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None if sensor else "no sensor was found",
    )


def _names(summary: Summary) -> list[str]:
    return [*dict.fromkeys(m.name for m in summary.metrics), *(m.name for m in summary.latencies)]


def test_counts(factories: ModuleType) -> None:
    """The summary counts all requests, the failed ones among them, the repeats and the measured time."""
    done = factories.make_completions(errors=["broken", *[None] * 9])
    found = summarise(
        factories.make_load(),
        [factories.make_repeat(i, completions=done) for i in range(3)],
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason="none",
    )

    assert (60, 6, 3, 30.0) == (found.requests, found.failed_requests, found.repeats, found.measured_s)


@pytest.mark.parametrize("sensor", [True, False])
@pytest.mark.parametrize("output_tokens", [0, 4])
@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_same_names_always(factories: ModuleType, output_tokens: int, sensor: bool, repeats: int) -> None:
    """Every summary has the same names: what is unknown is there as None with a reason."""
    found = _summary(factories, output_tokens=output_tokens, sensor=sensor and repeats > 0, repeats=repeats)

    assert _names(_summary(factories)) == _names(found)


def test_every_name_is_documented(factories: ModuleType) -> None:
    """docs/metrics.md has a heading or a table row for every name that a summary can hold."""
    text = DOCS.read_text(encoding="utf-8")

    assert [] == [name for name in _names(_summary(factories)) if f"| `{name}` |" not in text]


def test_every_unit_is_documented(factories: ModuleType) -> None:
    """docs/metrics.md states the unit of every metric beside its name."""
    text = DOCS.read_text(encoding="utf-8")
    found = _summary(factories)

    assert [] == [m.name for m in (*found.metrics, *found.latencies) if f"| `{m.name}` | `{m.unit}` |" not in text]


def test_no_sensor(factories: ModuleType) -> None:
    """Without a sensor the energy is None with the reason that was given."""
    metric = _summary(factories, sensor=False).metric("energy.total")

    assert metric is not None
    assert (None, "no sensor was found") == (metric.value, metric.reason)


def test_no_sensor_and_no_reason(factories: ModuleType) -> None:
    """A missing reason becomes the plain truth."""
    found = summarise(
        factories.make_load(),
        [factories.make_repeat()],
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None,
    )
    metric = found.metric("energy.total")

    assert metric is not None
    assert "no power sensor gave an energy" == metric.reason


@pytest.mark.parametrize(
    ("peak_bytes", "expected"), [(None, (None, "the backend cannot tell its peak memory")), (5, (5.0, None))]
)
def test_memory(factories: ModuleType, peak_bytes: int | None, expected: tuple[float | None, str | None]) -> None:
    """The memory peak is in bytes, or None with the reason."""
    found = summarise(
        factories.make_load(),
        [factories.make_repeat()],
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=peak_bytes,
        no_energy_reason=None,
    )
    metric = found.metric("memory.peak")

    assert metric is not None
    assert expected == (metric.value, metric.reason)


@pytest.mark.parametrize("name", ["utilisation.flops", "utilisation.prefill_flops", "utilisation.bandwidth"])
def test_utilisation_waits_for_ceilings(factories: ModuleType, name: str) -> None:
    """Utilisation is None as long as no ceiling is measured."""
    metric = _summary(factories).metric(name)

    assert metric is not None
    assert "ceilings were not measured" == metric.reason


def test_backend_and_ceilings_reach_utilisation(factories: ModuleType) -> None:
    """A backend and ceilings that are known are what utilisation is counted from."""
    entry = CeilingEntry(
        kind="matmul",
        precision="float32",
        shape="8x8x8",
        unit="FLOP/s",
        samples=(1.6e8,),
        library="torch",
        threads=None,
    )
    ceilings = CeilingsRecord(
        device="cpu",
        device_name=None,
        measured_at="2026-01-02T03:04:05Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=None,
        entries=(entry,),
    )
    found = summarise(
        factories.make_load(),
        [factories.make_repeat()],
        rung_energies=[],
        idle_power_w={},
        memory_peak_bytes=None,
        no_energy_reason=None,
        backend=replace(factories.make_backend(), mock=False),
        ceilings=ceilings,
    )
    metric = found.metric("utilisation.flops")

    assert metric is not None
    assert pytest.approx(0.5) == metric.value  # 20 requests of 4e7 FLOPs in 10 s are 8e7 FLOP/s
