"""`bench ceilings`: the table, the document for machines, remembered figures, errors."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wattbench.harness.cli.ceilings import ceiling_lines, command
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.codec import decode
from wattbench.results.errors import DeviceError, UsageError

PLUGINS = Path(__file__).parent / "plugins_ceilings"


@pytest.fixture(autouse=True)
def _probing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let this process and its workers find the made-up prober, with a cache of their own."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


def call(*arguments: str) -> Result:
    """Run the command on the made-up prober."""
    return CliRunner().invoke(command, ["--backend", "probing", *arguments], standalone_mode=False)


def entry(precision: str | None, shape: str, *tera: float, library: str = "lib 1: mm") -> CeilingEntry:
    """Return a product, or a memory read without precision, with these rates in TFLOP/s or TB/s."""
    return CeilingEntry(
        kind="matmul" if precision else "memory_read",
        precision=precision,
        shape=shape,
        unit="FLOP/s" if precision else "By/s",
        samples=tuple(rate * 1e12 for rate in tera),
        library=library,
        threads=2,
        energy_reason="no power sensor can be used here",
    )


def make_record(*entries: CeilingEntry) -> CeilingsRecord:
    """Return the ceilings of a made-up CPU."""
    return CeilingsRecord(
        device="cpu",
        device_name="Made-up CPU",
        measured_at="2026-01-02T03:04:05Z",
        duration_s=17.6,
        cached=False,
        versions={},
        cache_bytes=32 << 20,
        entries=entries,
        skipped=("torch: products in int8: no such kernel",),
    )


RECORD = make_record(
    entry("float32", "2048x2048x2048", 0.19, 0.2, 0.18),
    entry("float32", "512x768x3072", 0.15, 0.21, 0.2, library="lib 2: MatMul"),
    entry(None, "512 MiB", 0.0195, 0.018, 0.019, library="lib 1: sum"),
)


def test_the_table_shows_every_micro_benchmark() -> None:
    """Best, median and spread of each, in TFLOP/s or GB/s; the reason for missing energy stands there once."""
    lines = "\n".join(ceiling_lines(RECORD)).splitlines()

    assert "cpu: Made-up CPU" == lines[0]
    assert "measured at 2026-01-02T03:04:05Z in 18 s; last-level cache 32 MiB" == lines[1]
    assert ["product", "float32", "2048x2048x2048", "0.2", "0.19", "TFLOP/s", "11", "%"] == lines[4].split()[:8]
    assert ["memory", "read", "512", "MiB", "19.5", "19", "GB/s", "8", "%"] == lines[6].split()[:9]
    assert "energy: not measured: no power sensor can be used here" == lines[7]


def test_the_fastest_of_each_kind_is_the_ceiling() -> None:
    """The ceiling names shape and library, whatever measured it; what was skipped comes last."""
    lines = "\n".join(ceiling_lines(RECORD)).splitlines()
    first = lines.index("ceilings (the fastest of each kind)")

    assert "product float32              0.21 TFLOP/s  512x768x3072, lib 2: MatMul" == lines[first + 1].strip()
    assert "memory read                  19.5 GB/s     512 MiB, lib 1: sum" == lines[first + 2].strip()
    assert ["", "not measured", "  torch: products in int8: no such kernel"] == lines[first + 3 :]


def test_energy_is_shown_per_flop_with_its_scope() -> None:
    """Joules per FLOP are printed in pJ, and what they include is said below the table."""
    measured = replace(RECORD.entries[0], energy_per_unit_j=2.5e-11, energy_scope="package", energy_reason=None)
    text = "\n".join(ceiling_lines(make_record(measured)))

    assert "25 pJ/FLOP" in text
    assert "energy: of the scope package, idle power included" in text
    assert "energy: not measured" not in text


def test_an_unknown_cache_and_name_are_said_so() -> None:
    """What is unknown is not left out."""
    lines = list(ceiling_lines(replace(RECORD, device_name=None, cache_bytes=None, cached=True)))

    assert "cpu: unnamed" == lines[0]
    assert "remembered from 2026-01-02T03:04:05Z in 18 s; last-level cache unknown" == lines[1].strip()


def test_json_is_the_record() -> None:
    """Standard output holds one document that the record's own reader takes; notes go to standard error."""
    ended = call("--json", "--power", "none")
    record = decode(json.loads(ended.stdout), CeilingsRecord)

    assert ("mock", 0) == (record.device, ended.return_value)
    assert {"bfloat16"} == {e.precision for e in record.entries}
    assert "note      ceilings measured in" in ended.stderr


def test_cached_shows_what_was_measured() -> None:
    """After a measurement --cached measures nothing and prints the same figures."""
    fresh = decode(json.loads(call("--json", "--power", "none").stdout), CeilingsRecord)
    cached = decode(json.loads(call("--json", "--cached").stdout), CeilingsRecord)

    assert replace(fresh, cached=True) == cached


def test_cached_without_a_measurement_is_an_error() -> None:
    """Nothing remembered is said with what to do."""
    error = call("--cached").exception

    assert isinstance(error, DeviceError)
    assert "No ceilings of mock through probing are remembered" == error.what
    assert "Leave out --cached to measure them." == error.remedy


@pytest.mark.parametrize(
    "arguments", [("--device", "warp"), ("--threads", "0"), ("--power", "none", "--power", "nvml"), ("--power", "warp")]
)
def test_nonsense_is_refused(arguments: tuple[str, ...]) -> None:
    """Unknown names and contradictions are usage errors, before anything is measured."""
    assert isinstance(call(*arguments).exception, UsageError)
