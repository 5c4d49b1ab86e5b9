"""Measuring ceilings in workers: rates, energy per FLOP, other backends as a check, failures."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from wattbench.backends.contract import CeilingSample
from wattbench.harness.ceilings_measure import entry_of, measure
from wattbench.harness.ceilings_target import LOOKS, Target, device_target, powered
from wattbench.harness.clock import RunClock
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.watts import PowerSession
from wattbench.results.errors import DeviceError, UsageError

PLUGINS = Path(__file__).parent / "plugins_ceilings"
WATTS = 120.0
FLOPS = 3e9

Prober = Callable[..., Target]


@pytest.fixture(name="probing")
def _probing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Prober:
    """Give the made-up prober as a target, for this process and its workers."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))

    def target(*, window_s: float = 0.01, windows: int = 2, power: tuple[str, ...] = ("none",)) -> Target:
        found = device_target(RunRequest(backend="probing", power=power))
        return replace(found, window_s=window_s, windows=windows)

    return target


@pytest.fixture(name="sensorless")
def _sensorless() -> Iterator[PowerSession]:
    session = powered(device_target(RunRequest(backend="mock", power=("none",))))
    yield session
    session.close()


def sample(**changes: object) -> CeilingSample:
    """Return three windows of 10, 20 and 40 ms with 2 GFLOP each."""
    spans = ((1_000_000, 11_000_000), (11_000_000, 31_000_000), (31_000_000, 71_000_000))
    made = CeilingSample(
        kind="matmul",
        precision="float32",
        shape="2x2x2",
        work=(2e9, 2e9, 2e9),
        spans_ns=spans,
        library="made up",
        threads=2,
    )
    return replace(made, **changes)


def replay(folder: Path) -> str:
    """Return the --power of a recording of constant power, as the device's board draws it."""
    path = folder / "constant.csv"
    path.write_text(f"time_s,power_w,scope\n0,{WATTS},board\n100,{WATTS},board\n")
    return f"replay:{path}"


def test_a_sample_becomes_rates_in_the_order_measured(sensorless: PowerSession) -> None:
    """Each window's work over its time; the best is the rate; without a sensor there is no energy but a reason."""
    entry = entry_of(sample(), sensorless, RunClock(), "cpu")

    assert (2e11, 1e11, 5e10) == entry.samples
    assert (2e11, "FLOP/s", 2) == (entry.rate, entry.unit, entry.threads)
    assert entry.energy_per_unit_j is None
    assert "power was not to be measured (--power none)" == entry.energy_reason


def test_memory_is_counted_in_bytes(sensorless: PowerSession) -> None:
    """Reads and copies have bytes per second and no precision."""
    entry = entry_of(sample(kind="memory_read", precision=None), sensorless, RunClock(), "cpu")

    assert ("By/s", None) == (entry.unit, entry.precision)


def test_joules_per_flop_are_watts_over_rate(probing: Prober, tmp_path: Path) -> None:
    """At a constant power the energy of a FLOP is the power divided by the rate over all windows."""
    target = probing(window_s=0.25, windows=5, power=(replay(tmp_path),))
    power, clock = powered(target), RunClock()
    power.start(clock)
    try:
        entry, again = measure(target, power, clock, SilentReporter()).entries
    finally:
        power.close()
    mean_rate = len(entry.samples) / sum(1 / rate for rate in entry.samples)

    assert entry.energy_reason is None
    assert "board" == entry.energy_scope
    assert pytest.approx(WATTS / mean_rate, rel=1e-6) == entry.energy_per_unit_j
    assert "board" == again.energy_scope


def test_a_sensor_that_is_too_slow_gives_no_energy(probing: Prober, tmp_path: Path) -> None:
    """Polls 50 ms apart cannot resolve windows of 20 ms in all: no energy, with the uncertainty as the reason."""
    target = probing(power=(replay(tmp_path),))
    power, clock = powered(target), RunClock()
    power.start(clock)
    try:
        entry, _ = measure(target, power, clock, SilentReporter()).entries
    finally:
        power.close()

    assert (None, None) == (entry.energy_per_unit_j, entry.energy_scope)
    assert "the sensor is too slow or too coarse for windows so short" in str(entry.energy_reason)


def test_a_record_says_what_was_measured(probing: Prober, sensorless: PowerSession) -> None:
    """Device, cache, versions and what was skipped by whom stand in the record."""
    record = measure(probing(), sensorless, RunClock(), SilentReporter())

    assert ("mock", "a made-up device", 32 << 20) == (record.device, record.device_name, record.cache_bytes)
    assert ("probing: memory_read: made up",) == record.skipped
    assert not record.cached
    assert record.duration_s > 0
    assert "numpy" in record.versions
    assert ["bfloat16"] * LOOKS == [entry.precision for entry in record.entries]


def test_a_cpu_is_measured_by_every_backend_that_can(sensorless: PowerSession) -> None:
    """PyTorch and ONNX Runtime measure the same processor for real; the higher rate is the ceiling."""
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    target = device_target(RunRequest(backend="torch", device="cpu", power=("none",)))
    short = replace(target, precisions=("float32",), window_s=0.005, windows=2)
    record = measure(short, sensorless, RunClock(), SilentReporter())
    products = [entry for entry in record.entries if entry.kind == "matmul"]
    best = record.best("matmul", "float32")

    assert {"torch", "onnxruntime"} == {entry.library.split()[0] for entry in products}
    assert best is not None
    assert max(entry.rate for entry in products) == best.rate


def test_a_backend_without_micro_benchmarks_is_the_users_error(sensorless: PowerSession) -> None:
    """The mock waits instead of computing: there is nothing to measure."""
    with pytest.raises(UsageError, match="The backend 'mock' has no micro-benchmarks"):
        measure(device_target(RunRequest(backend="mock")), sensorless, RunClock(), SilentReporter())


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("lost", "The device was lost: it fell off the bus"),
        ("nothing", "No ceiling of mock could be measured: probing: memory_read: made up"),
    ],
)
def test_a_device_that_fails_is_named(
    probing: Prober, sensorless: PowerSession, monkeypatch: pytest.MonkeyPatch, wish: str, message: str
) -> None:
    """The worker's own error comes back; a prober that measured nothing is an error too."""
    monkeypatch.setenv("WATTBENCH_CEILINGS", wish)
    with pytest.raises(DeviceError, match=message):
        measure(probing(), sensorless, RunClock(), SilentReporter())
