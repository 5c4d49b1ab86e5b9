"""The battery sampler over a made-up tree."""

from pathlib import Path

import pytest

from wattbench.harness.power.battery import BatterySampler
from wattbench.harness.power.contract import SamplerOptions
from wattbench.results.errors import SensorError

ANY = SamplerOptions(argument=None, covers=None)


def battery(root: Path, name: str, **files: str) -> Path:
    """Make one battery."""
    path = root / name
    path.mkdir()
    for file, content in files.items():
        (path / file).write_text(f"{content}\n")
    return path


def test_discharge_power_is_the_nodes(tmp_path: Path) -> None:
    """An unplugged laptop draws what its battery gives."""
    battery(tmp_path, "BAT0", status="Discharging", power_now="12500000")
    sampler = BatterySampler(ANY, root=tmp_path)

    assert sampler.probe().usable
    assert ("node", 12.5) == (sampler.channels[0].scope, sampler.read()[0].value)


def test_power_is_current_times_voltage_where_no_power_is_given(tmp_path: Path) -> None:
    """Some gauges give uA and uV only, some with a negative current while discharging."""
    battery(tmp_path, "BAT1", status="Discharging", current_now="-1500000", voltage_now="12000000")
    sampler = BatterySampler(ANY, root=tmp_path)
    sampler.probe()

    assert 18.0 == sampler.read()[0].value


def test_two_batteries_carry_the_machine_together(tmp_path: Path) -> None:
    """What both give is one figure; one that rests adds nothing."""
    battery(tmp_path, "BAT0", status="Discharging", power_now="5000000")
    battery(tmp_path, "BAT1", status="Discharging", power_now="6000000")
    battery(tmp_path, "BAT2", status="Not charging", power_now="1000000")
    sampler = BatterySampler(ANY, root=tmp_path)
    sampler.probe()

    assert [11.0] == [r.value for r in sampler.read()]


def test_a_battery_is_known_by_its_type(tmp_path: Path) -> None:
    """Names differ by driver; the charger and a wireless mouse are no battery of the machine."""
    battery(tmp_path, "macsmc-battery", type="Battery", status="Discharging", power_now="9000000")
    battery(tmp_path, "BATC", type="Mains", online="0")
    battery(tmp_path, "hidpp_battery_0", type="Battery", scope="Device", status="Discharging", power_now="1")
    sampler = BatterySampler(ANY, root=tmp_path)
    found = sampler.probe()

    assert {"batteries": "macsmc-battery"} == found.facts
    assert [9.0] == [r.value for r in sampler.read()]


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_on_mains_the_battery_sees_nothing(tmp_path: Path, status: str) -> None:
    """Only while discharging does a battery see the machine's draw."""
    battery(tmp_path, "BAT0", status=status, power_now="12500000")
    found = BatterySampler(ANY, root=tmp_path).probe()

    assert "absent" == found.state
    assert f"BAT0 is {status.lower()}" in found.reason
    assert "Unplug" in found.remedy


def test_a_machine_without_battery_says_so(tmp_path: Path) -> None:
    """No battery is no sensor."""
    assert "no battery" in BatterySampler(ANY, root=tmp_path / "none").probe().reason


def test_plugging_in_fails_the_reads(tmp_path: Path) -> None:
    """When the charger is connected mid-run the reads fail instead of showing the charge."""
    path = battery(tmp_path, "BAT0", status="Discharging", power_now="12500000")
    sampler = BatterySampler(ANY, root=tmp_path)
    sampler.probe()
    (path / "status").write_text("Charging\n")

    with pytest.raises(SensorError, match="BAT0 is charging"):
        sampler.read()
    sampler.close()
