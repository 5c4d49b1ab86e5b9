"""What is said of accelerators, by a fake NVML and by trees of files."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.harness.contention import foreign_gpu_processes, read_device_state


class FakeError(Exception):
    """What the fake bindings raise."""


class FakeMismatchError(Exception):
    """What the bindings raise for a function that the driver's library does not have; no NVMLError."""


class FakeNvml:
    """One pretended NVIDIA device; `silent` names queries that the pretended driver does not support."""

    NVMLError = FakeError
    NVMLLibraryMismatchError = FakeMismatchError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_PERF_POLICY_POWER, NVML_PERF_POLICY_THERMAL = 0, 1

    def __init__(self, *, silent: tuple[str, ...] = (), pids: tuple[int, ...] = (), reasons: int = 0) -> None:
        self.starts = 0
        processes = [SimpleNamespace(pid=pid, usedGpuMemory=1000 * i) for i, pid in enumerate(pids, 1)]
        self.answers: dict[str, Any] = {  # any: each query has its own kind of answer
            "nvmlSystemGetDriverVersion": b"580.95.05",
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetHandleByUUID": "handle",
            "nvmlDeviceGetName": "NVIDIA H200",
            "nvmlDeviceGetUUID": "GPU-1",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=150754820096),
            "nvmlDeviceGetPowerManagementLimit": 650000,
            "nvmlDeviceGetPowerManagementDefaultLimit": 700000,
            "nvmlDeviceGetEnforcedPowerLimit": 650000,
            "nvmlDeviceGetMaxClockInfo": 1980,
            "nvmlDeviceGetClockInfo": 1755,
            "nvmlDeviceGetPersistenceMode": 1,
            "nvmlDeviceGetEccMode": [1, 1],
            "nvmlDeviceGetMigMode": [0, 0],
            "nvmlDeviceGetComputeRunningProcesses": processes,
            "nvmlDeviceGetGraphicsRunningProcesses": [],
            "nvmlDeviceGetTemperature": 61,
            "nvmlDeviceGetCurrentClocksEventReasons": reasons,
            "nvmlDeviceGetViolationStatus": SimpleNamespace(violationTime=2_500_000_000),
        }
        for name in silent:
            del self.answers[name]

    def nvmlInit(self) -> None:
        self.starts += 1

    def nvmlShutdown(self) -> None:
        self.starts -= 1

    def __getattr__(self, name: str) -> Any:  # any: see answers
        def query(*_: object) -> Any:  # any: see answers
            if name not in self.answers:
                raise FakeError("Not Supported")
            return self.answers[name]

        return query


def use(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml) -> FakeNvml:
    """Make `import pynvml` give the fake."""
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return nvml


def test_nvml_facts_are_in_our_units(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Milliwatts become watts, and texts are texts."""
    use(monkeypatch, FakeNvml())
    (device,) = collect_accelerators(tmp_path)

    assert ("NVIDIA H200", "580.95.05", 650.0, 700.0) == (
        device.name,
        device.driver,
        device.power_limit_w,
        device.power_limit_default_w,
    )


def test_what_a_device_does_not_support_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A board without limits, error correction or partitions says None for each."""
    silent = ("nvmlDeviceGetPowerManagementLimit", "nvmlDeviceGetEccMode", "nvmlDeviceGetMigMode")
    use(monkeypatch, FakeNvml(silent=silent))
    (device,) = collect_accelerators(tmp_path)

    assert (None, None, None) == (device.power_limit_w, device.ecc, device.mig)


def test_processes_on_the_device_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everybody who has a context before the run is another process."""
    use(monkeypatch, FakeNvml(pids=(11, 12)))

    assert 2 == collect_accelerators(tmp_path)[0].other_processes


def test_nvml_is_stopped_after_use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every start of the library is matched by a stop."""
    nvml = use(monkeypatch, FakeNvml())
    collect_accelerators(tmp_path)

    assert 0 == nvml.starts


def test_missing_bindings_are_no_accelerators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without NVIDIA's bindings there are no facts and no error."""
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert () == collect_accelerators(tmp_path)


def test_an_amd_card_is_read_from_the_kernel(tmp_path: Path) -> None:
    """The driver amdgpu tells memory and power cap; connectors and display chips are not cards."""
    card = tmp_path / "sys/class/drm/card1/device"
    screen = tmp_path / "sys/class/drm/card0/device"
    connector = tmp_path / "sys/class/drm/card1-HDMI-A-1/device"
    for folder in (card / "hwmon/hwmon3", screen, connector):
        folder.mkdir(parents=True)
    files = {"vendor": "0x1002\n", "device": "0x74a1\n", "mem_info_vram_total": "206141652992\n"}
    for name, text in files.items():
        (card / name).write_text(text)
        (connector / name).write_text(text)
    (card / "hwmon/hwmon3/power1_cap").write_text("750000000\n")
    (screen / "vendor").write_text("0x1a03\n")
    (device,) = collect_accelerators(tmp_path)

    assert ("AMD device 0x74a1", 206141652992, 750.0) == (device.name, device.memory_bytes, device.power_limit_w)


def test_an_nvidia_card_is_named_even_without_nvml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card whose driver is missing still shows."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    card = tmp_path / "sys/class/drm/card0/device"
    card.mkdir(parents=True)
    (card / "vendor").write_text("0x10de")
    (card / "device").write_text("0x2335")

    assert ["NVIDIA device 0x2335"] == [device.name for device in collect_accelerators(tmp_path)]


def test_the_device_state_names_what_slows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits of the driver become words; an idle clock (0x1) is no brake."""
    use(monkeypatch, FakeNvml(reasons=0x01 | 0x04 | 0x40))
    state = read_device_state("GPU-1")

    assert state is not None
    assert ("power cap", "hardware thermal slowdown") == state.reasons


def test_the_time_slowed_is_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver counts ns."""
    use(monkeypatch, FakeNvml())
    state = read_device_state("GPU-1")

    assert state is not None
    assert 2.5 == state.power_slowed_s


def test_a_device_that_does_not_tell_why_it_slows_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer about brakes is None, not "no brakes"."""
    use(monkeypatch, FakeNvml(silent=("nvmlDeviceGetCurrentClocksEventReasons",)))
    state = read_device_state("GPU-1")

    assert state is not None
    assert state.reasons is None


def test_without_nvml_the_device_state_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library, no state."""
    monkeypatch.setitem(sys.modules, "pynvml", None)

    assert read_device_state("GPU-1") is None


def test_our_own_processes_are_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only processes that are not ours are listed."""
    use(monkeypatch, FakeNvml(pids=(11, 12)))
    foreign = foreign_gpu_processes("GPU-1", {11})

    assert foreign is not None
    assert [12] == [process.pid for process in foreign]


def test_a_worker_listed_under_the_hosts_number_is_not_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container none of our numbers is listed; the biggest number unknown here is taken for the worker."""
    unknown_here = (2**22 + 1, 2**22 + 2)  # above the largest number that Linux gives (proc(5), pid_max)
    use(monkeypatch, FakeNvml(pids=unknown_here))
    foreign = foreign_gpu_processes("GPU-1", {11})

    assert foreign is not None
    assert [unknown_here[0]] == [process.pid for process in foreign]


def test_a_driver_that_lists_no_processes_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list is None, not an empty device."""
    use(monkeypatch, FakeNvml(silent=("nvmlDeviceGetComputeRunningProcesses",)))

    assert foreign_gpu_processes("GPU-1", set()) is None
