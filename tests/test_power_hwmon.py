"""The hwmon sampler over a made-up tree."""

from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.hwmon import HwmonSampler
from wattbench.harness.power.hwmon_names import place_of

ANY = SamplerOptions(argument=None, covers=None)


def chip(root: Path, number: int, name: str, device: str | None = None, **files: str) -> Path:
    """Make one chip with its files."""
    path = root / f"hwmon{number}"
    path.mkdir()
    (path / "name").write_text(f"{name}\n")
    if device is not None:
        (root / device).mkdir()
        (path / "device").symlink_to(root / device)
    for file, content in files.items():
        (path / file).write_text(f"{content}\n")
    return path


@pytest.mark.parametrize(
    ("name", "label", "scope", "covers"),
    [
        ("amdgpu", "PPT", "board", "pci:0000:03:00.0"),
        ("i915", None, "board", "pci:0000:03:00.0"),
        ("xe", "card", "board", "pci:0000:03:00.0"),
        ("xe", "pkg", "other", None),
        ("amd_energy", "Esocket1", "package", "cpu:1"),
        ("amd_energy", "Ecore007", "other", None),
        ("amd_energy", None, "other", None),
        ("power_meter", None, "node", None),
        ("power_meter", "Module Power Socket 0", "module", "module:0"),
        ("power_meter", "Grace Power Socket 1", "package", "cpu:1"),
        ("power_meter", "SysIO Power Socket 1", "other", None),
        ("power_meter", "whatever", "other", None),
        ("corsairpsu", "power total", "other", None),
    ],
)
def test_names_and_labels_tell_the_scope(name: str, label: str | None, scope: str, covers: str | None) -> None:
    """Known chips have a scope; a rail that is part of another and all that is unknown are "other"."""
    assert (scope, covers) == place_of(name, label, "0000:03:00.0")


def test_a_gpu_has_power_and_counter_in_one_group(tmp_path: Path) -> None:
    """Both views of one board are compared, not added; the cap is its limit, the interval its averaging window."""
    chip(
        tmp_path,
        3,
        "amdgpu",
        "0000:03:00.0",
        power1_average="250500000",
        power1_average_interval="1000",
        power1_label="PPT",
        power1_cap="300000000",
        energy1_input="7000000",
    )
    sampler = HwmonSampler(ANY, root=tmp_path)
    found = sampler.probe()
    counter, power = sampler.channels

    assert found.usable
    assert ("hwmon:amdgpu@hwmon3:power1_average:PPT", "board", "W", 300.0, 1.0) == (
        power.id,
        power.scope,
        power.unit,
        power.limit_w,
        power.averaging_window_s,
    )
    assert (counter.group, "counter", None) == (power.group, counter.kind, counter.averaging_window_s)
    assert [7.0, 250.5] == [r.value for r in sampler.read()]


def test_voltages_and_currents_are_left_to_the_sampler_that_knows_them(tmp_path: Path) -> None:
    """A Jetson's rails have voltage and current but no power; which of them may be added is not for hwmon to know."""
    chip(tmp_path, 0, "ina3221", in1_input="5000", curr1_input="2000", in1_label="VDD_IN", in2_input="3300")

    assert "absent" == HwmonSampler(ANY, root=tmp_path).probe().state


def test_grace_shows_its_rails_by_their_names(tmp_path: Path) -> None:
    """The module and the Grace socket have scopes; CPU and SysIO are parts of the socket and stay "other"."""
    for number, rail in enumerate(("Module", "Grace", "CPU", "SysIO")):
        chip(
            tmp_path,
            number,
            "power_meter",
            f"ACPI000D:0{number}",
            power1_average=str(100_000_000 * (4 - number)),
            power1_average_interval="50",
            power1_oem_info=f"{rail} Power Socket 0",
        )
    sampler = HwmonSampler(ANY, root=tmp_path)
    sampler.probe()

    assert [
        ("module", "module:0", 400.0),
        ("package", "cpu:0", 300.0),
        ("other", None, 200.0),
        ("other", None, 100.0),
    ] == [(c.scope, c.covers, r.value) for c, r in zip(sampler.channels, sampler.read(), strict=True)]
    assert {0.05} == {c.averaging_window_s for c in sampler.channels}


@pytest.mark.parametrize(
    ("name", "files"),
    [("i915", {"energy1_input": "8000000"}), ("xe", {"energy1_input": "8000000", "energy1_label": "card"})],
)
def test_an_intel_gpu_has_a_counter(tmp_path: Path, name: str, files: dict[str, str]) -> None:
    """Both of Intel's drivers count the board's energy in uJ."""
    chip(tmp_path, 0, name, "0000:4d:00.0", power1_max="300000000", **files)
    sampler = HwmonSampler(SamplerOptions(argument=None, covers="pci:0000:4d:00.0"), root=tmp_path)
    sampler.probe()

    assert [("board", "counter", 8.0)] == [
        (c.scope, c.kind, r.value) for c, r in zip(sampler.channels, sampler.read(), strict=True)
    ]


def test_old_drivers_keep_their_files_below_the_device(tmp_path: Path) -> None:
    """ACPI power meters have name and power in the device's folder."""
    path = chip(tmp_path, 0, "", "ACPI000D:00")
    (path / "device" / "name").write_text("power_meter\n")
    (path / "device" / "power1_average").write_text("99000000\n")
    sampler = HwmonSampler(ANY, root=tmp_path)
    sampler.probe()

    assert [("node", 99.0)] == [(c.scope, r.value) for c, r in zip(sampler.channels, sampler.read(), strict=True)]


def test_batteries_are_left_to_their_own_sampler(tmp_path: Path) -> None:
    """The kernel shows a battery as hwmon too; only its own sampler knows whether it discharges."""
    chip(tmp_path, 0, "BAT0", power1_input="12000000")
    path = chip(tmp_path, 1, "macsmc_battery", "macsmc-battery", power1_input="12000000")
    (path / "device" / "type").write_text("Battery\n")

    assert "absent" == HwmonSampler(ANY, root=tmp_path).probe().state


def test_only_the_board_under_test_is_opened(tmp_path: Path) -> None:
    """Another accelerator's board is left out, the host's sensors stay."""
    chip(tmp_path, 0, "amdgpu", "0000:03:00.0", power1_input="1")
    chip(tmp_path, 1, "power_meter", power1_average="1")
    sampler = HwmonSampler(SamplerOptions(argument=None, covers="cpu"), root=tmp_path)
    sampler.probe()

    assert ["node"] == [c.scope for c in sampler.channels]


def test_an_unreadable_package_stays_and_another_rail_does_not(tmp_path: Path) -> None:
    """A package without a value keeps its place, so that a sum lacks it visibly; an unknown rail is dropped."""
    chip(tmp_path, 0, "amd_energy", energy1_input="x", energy1_label="Esocket0", energy2_input="x", energy3_input="5")
    sampler = HwmonSampler(ANY, root=tmp_path)
    found = sampler.probe()
    package, other = sampler.read()

    assert "hwmon:amd_energy@hwmon0:energy2_input" in found.facts
    assert ("package", None) == (sampler.channels[0].scope, package.value)
    assert "no integer" in str(package.error)
    assert 5e-6 == other.value


def test_forbidden_files_name_the_exact_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be read the remedy names the file."""
    path = chip(tmp_path, 0, "amd_energy", energy1_input="5")
    allowed = Path.read_text

    def guarded(file: Path, **options: str) -> str:
        if file.name == "energy1_input":
            raise PermissionError(13, "Permission denied", str(file))
        return allowed(file, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    found = HwmonSampler(ANY, root=tmp_path).probe()

    assert "broken" == found.state
    assert f"sudo chmod a+r {path / 'energy1_input'} (docs/power.md#hwmon)" in found.remedy


def test_files_without_a_number_are_broken(tmp_path: Path) -> None:
    """A chip that answers nonsense is not usable."""
    chip(tmp_path, 0, "corsairpsu", power1_input="x")

    assert "broken" == HwmonSampler(ANY, root=tmp_path).probe().state


def test_after_closing_nothing_is_read(tmp_path: Path) -> None:
    """Closing twice is safe."""
    chip(tmp_path, 0, "power_meter", power1_average="1")
    sampler = HwmonSampler(ANY, root=tmp_path)
    sampler.probe()
    sampler.close()
    sampler.close()

    assert () == sampler.read()
