"""Our samplers beside an independent reader of the same files: the real prometheus-node-exporter."""

import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from wattbench.harness.power.contract import Sampler, SamplerOptions
from wattbench.harness.power.hwmon import HwmonSampler
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.sensors.jetson import JetsonSampler

ANY = SamplerOptions(argument=None, covers=None)
PROGRAM = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
LIMIT_S = 20.0

ZONES = {
    "intel-rapl:0": ("package-0", 5_123_456),
    "intel-rapl:0:0": ("core", 400),
    "intel-rapl:0:1": ("dram", 777_000),
    "intel-rapl:1": ("package-1", 262_143_000_001),
    "intel-rapl:1:0": ("dram", 12_345_678),
    "intel-rapl:2": ("psys", 9_000_000),
}

CHIPS: dict[str, tuple[str, dict[str, object]]] = {
    "pci0000:00/0000:03:00.0/hwmon/hwmon3": (
        "amdgpu",
        {
            "power1_average": 250_500_000,
            "power1_input": 251_500_000,
            "power1_label": "PPT",
            "power1_cap": 300_000_000,
            "energy1_input": 7_000_000,
        },
    ),
    "pci0000:00/0000:04:00.0/hwmon/hwmon4": ("i915", {"energy1_input": 123_456_789, "power1_max": 190_000_000}),
    "platform/amd_energy.0/hwmon/hwmon5": ("amd_energy", {"energy1_input": 42_000_000, "energy1_label": "Esocket0"}),
    "platform/ACPI000D:00/hwmon/hwmon6": (
        "power_meter",
        {"power1_average": 431_000_000, "power1_oem_info": "Module Power Socket 0", "power1_average_interval": 50},
    ),
    "platform/c240000.i2c/i2c-1/1-0040/hwmon/hwmon1": (
        "ina3221",
        {
            "in1_label": "VDD_IN",
            "in1_input": 5_024,
            "curr1_input": 2_011,
            "in2_label": "VDD_CPU_GPU_CV",
            "in2_input": 5_016,
            "curr2_input": 808,
        },
    ),
}

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs prometheus-node-exporter: .ci/install-peers installs it")


def write(path: Path, value: object) -> None:
    """Write one sysfs file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


@pytest.fixture(scope="module")
def sysfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a sysfs with powercap zones, and chips below their devices with links from class and driver."""
    root = tmp_path_factory.mktemp("sys")
    for zone, (name, energy_uj) in ZONES.items():
        folder = root / "class/powercap" / zone
        write(folder / "name", name)
        write(folder / "max_energy_range_uj", 262_143_328_850)
        write(folder / "energy_uj", energy_uj)
    (root / "class/hwmon").mkdir(parents=True)
    for place, (name, files) in CHIPS.items():
        folder = root / "devices" / place
        write(folder / "name", name)
        for file, value in files.items():
            write(folder / file, value)
        (folder / "device").symlink_to(folder.parents[1])
        (root / "class/hwmon" / folder.name).symlink_to(folder)
        if name == "ina3221":
            driver = root / "bus/i2c/drivers/ina3221"
            driver.mkdir(parents=True)
            (driver / "1-0040").symlink_to(folder.parents[1])
    return root


@dataclass(frozen=True)
class Exporter:
    """The running exporter."""

    url: str

    def values(self) -> dict[str, float]:
        """Return every sample by its name with labels, as the exporter writes them."""
        with urllib.request.urlopen(self.url, timeout=LIMIT_S) as answer:
            lines = answer.read().decode().splitlines()
        samples = (re.fullmatch(r"(\w+\{.*\}) (\S+)", line) for line in lines if not line.startswith("#"))
        return {match[1]: float(match[2]) for match in samples if match}

    def value(self, name: str, label: str) -> float:
        """Return the one sample of a name with a text among its labels."""
        found = [v for n, v in self.values().items() if n.startswith(f"{name}{{") and label in n]

        assert 1 == len(found), f"{name} with {label}: {found}"
        return found[0]


@pytest.fixture(scope="module")
def exporter(sysfs: Path) -> Iterator[Exporter]:
    """Start the exporter over the same sysfs, on a free port of the loopback."""
    assert PROGRAM is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [PROGRAM, f"--path.sysfs={sysfs}", "--collector.disable-defaults", "--collector.rapl"]
    command += ["--collector.hwmon", f"--web.listen-address={address}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            running = Exporter(f"http://{address}/metrics")
            wait_for(running)
            yield running
        finally:
            process.terminate()
            process.wait(LIMIT_S)


def wait_for(exporter: Exporter) -> None:
    """Wait until the exporter answers."""
    deadline_s = time.monotonic() + LIMIT_S
    while True:
        try:
            exporter.values()
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline_s, f"no answer from {PROGRAM} within {LIMIT_S} s"
            time.sleep(0.02)
        else:
            return


def read(sampler: Sampler) -> dict[str, float | None]:
    """Return a probed sampler's values by channel."""
    found = sampler.probe()

    assert found.usable, found.reason
    values = {r.channel: r.value for r in sampler.read()}
    sampler.close()
    return values


RAPL = [
    ("rapl:package-0", "node_rapl_package_joules_total", "/intel-rapl:0"),
    ("rapl:package-1", "node_rapl_package_joules_total", "/intel-rapl:1"),
    ("rapl:package-0/core", "node_rapl_core_joules_total", "/intel-rapl:0:0"),
    ("rapl:package-0/dram", "node_rapl_dram_joules_total", "/intel-rapl:0:1"),
    ("rapl:package-1/dram", "node_rapl_dram_joules_total", "/intel-rapl:1:0"),
    ("rapl:psys", "node_rapl_psys_joules_total", "/intel-rapl:2"),
]


@pytest.mark.parametrize(("channel", "metric", "zone"), RAPL)
def test_rapl_counters_agree(sysfs: Path, exporter: Exporter, channel: str, metric: str, zone: str) -> None:
    """Every zone's joules are those that the exporter reads from the same file."""
    ours = read(RaplSampler(ANY, root=sysfs / "class/powercap"))

    assert exporter.value(metric, f'{zone}"') == pytest.approx(ours[channel], rel=1e-12)


def test_rapl_differences_agree(sysfs: Path, exporter: Exporter) -> None:
    """What a counter gains between two reads is the same joules in both."""
    file = sysfs / "class/powercap/intel-rapl:0/energy_uj"
    name = ("node_rapl_package_joules_total", '/intel-rapl:0"')
    sampler = RaplSampler(ANY, root=sysfs / "class/powercap")
    sampler.probe()
    ours, theirs = sampler.read()[0].value, exporter.value(*name)
    before_uj = int(file.read_text())
    write(file, before_uj + 300_000_000)
    gained, their_gain = sampler.read()[0].value, exporter.value(*name) - theirs
    write(file, before_uj)
    sampler.close()

    assert ours is not None
    assert gained is not None
    assert (300.0, 300.0) == (pytest.approx(gained - ours), pytest.approx(their_gain))


HWMON = [
    ("hwmon:amdgpu@hwmon3:power1_average:PPT", "node_hwmon_power_average_watt", "0000:03:00_0"),
    ("hwmon:amdgpu@hwmon3:power1_input:PPT", "node_hwmon_power_watt", "0000:03:00_0"),
    ("hwmon:amdgpu@hwmon3:energy1_input", "node_hwmon_energy_joule_total", "0000:03:00_0"),
    ("hwmon:i915@hwmon4:energy1_input", "node_hwmon_energy_joule_total", "0000:04:00_0"),
    ("hwmon:amd_energy@hwmon5:energy1_input:Esocket0", "node_hwmon_energy_joule_total", "amd_energy"),
    ("hwmon:power_meter@hwmon6:power1_average:Module_Power_Socket_0", "node_hwmon_power_average_watt", "acpi"),
]


@pytest.mark.parametrize(("channel", "metric", "chip"), HWMON)
def test_hwmon_values_agree(sysfs: Path, exporter: Exporter, channel: str, metric: str, chip: str) -> None:
    """Watts and joules of GPU, CPU and board chips are those that the exporter reads."""
    ours = read(HwmonSampler(ANY, root=sysfs / "class/hwmon"))

    assert exporter.value(metric, chip) == pytest.approx(ours[channel], rel=1e-12)


@pytest.mark.parametrize(("rail", "number"), [("VDD_IN", 1), ("VDD_CPU_GPU_CV", 2)])
def test_jetson_rails_agree(sysfs: Path, exporter: Exporter, rail: str, number: int) -> None:
    """A rail's watts are the exporter's volts times its amperes; only we find it through its driver's folder."""
    ours = read(JetsonSampler(ANY, root=sysfs / "bus/i2c/drivers"))
    volt = exporter.value("node_hwmon_in_volts", f'sensor="in{number}"')
    ampere = exporter.value("node_hwmon_curr_amps", f'sensor="curr{number}"')

    assert volt * ampere == pytest.approx(ours[f"jetson:{rail}"], rel=1e-9)


def test_an_unreadable_counter_is_no_number_in_either(sysfs: Path, exporter: Exporter) -> None:
    """A zone that holds no number is left out by the exporter and is a failed reading of ours: nobody shows 0."""
    file = sysfs / "class/powercap/intel-rapl:2/energy_uj"
    sampler = RaplSampler(ANY, root=sysfs / "class/powercap")
    sampler.probe()
    held = file.read_text()
    write(file, "N/A")
    ours = {r.channel: r for r in sampler.read()}["rapl:psys"]
    theirs = [name for name in exporter.values() if name.startswith("node_rapl_psys")]
    write(file, held.strip())
    sampler.close()

    assert (None, True) == (ours.value, "no integer" in str(ours.error))
    assert [] == theirs
