"""The Jetson sampler over trees of the shape that NVIDIA's kernels show."""

from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.ladder import seeing
from wattbench.harness.power.sensors.jetson import JetsonSampler
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)


def monitor(root: Path, address: str, hwmon: int, *rails: tuple[str, int, int], **more: str) -> Path:
    """Make one INA3221: rails as (label, mV, mA), and further files."""
    folder = root / "ina3221" / address / "hwmon" / f"hwmon{hwmon}"
    folder.mkdir(parents=True)
    (folder / "name").write_text("ina3221\n")
    for number, (label, millivolt, milliampere) in enumerate(rails, 1):
        (folder / f"in{number}_label").write_text(f"{label}\n")
        (folder / f"in{number}_input").write_text(f"{millivolt}\n")
        (folder / f"curr{number}_input").write_text(f"{milliampere}\n")
    (folder / "in7_label").write_text("sum of shunt voltages\n")
    (folder / "in7_input").write_text("5\n")
    (folder / "curr4_input").write_text("5000\n")
    for name, text in more.items():
        (folder / name).write_text(f"{text}\n")
    return folder


@pytest.fixture
def orin_nx(tmp_path: Path) -> Path:
    """Make a Jetson Orin NX or Nano: the module's input and two of its children."""
    rails = (("VDD_IN", 5000, 2000), ("VDD_CPU_GPU_CV", 5000, 800), ("VDD_SOC", 5000, 300))
    monitor(tmp_path, "1-0040", 1, *rails, shunt1_resistor="5000", update_interval="2")
    return tmp_path


@pytest.fixture
def agx_orin(tmp_path: Path) -> Path:
    """Make a Jetson AGX Orin: three rails side by side, and one that hangs on the third."""
    monitor(tmp_path, "1-0040", 3, ("VDD_GPU_SOC", 20000, 500), ("VDD_CPU_CV", 20000, 100), ("VIN_SYS_5V0", 5000, 1000))
    monitor(tmp_path, "1-0041", 4, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5000, 200), ("NC", 0, 0))
    return tmp_path


def test_the_input_rail_is_the_module(orin_nx: Path) -> None:
    """VDD_IN feeds the others, so it stands alone; VDD_CPU_GPU_CV is neither the CPU nor added."""
    sampler = JetsonSampler(ANY, root=orin_nx)
    found = sampler.probe()

    assert found.usable
    assert [
        ("jetson:VDD_IN", "module", 10.0),
        ("jetson:VDD_CPU_GPU_CV", "other", 4.0),
        ("jetson:VDD_SOC", "other", 1.5),
    ] == [(c.id, c.scope, r.value) for c, r in zip(sampler.channels, sampler.read(), strict=True)]


def test_the_shunt_and_the_interval_give_resolution_and_period(orin_nx: Path) -> None:
    """40 uV over 5 mOhm are 8 mA, at 5 V 40 mW; where no shunt is told the resolution is unknown."""
    sampler = JetsonSampler(ANY, root=orin_nx)
    sampler.probe()

    assert (pytest.approx(0.04), 0.002, 0.002) == (
        sampler.channels[0].resolution,
        sampler.channels[0].update_period_s,
        sampler.channels[0].averaging_window_s,
    )
    assert sampler.channels[1].resolution is None


def test_without_an_input_rail_the_known_rails_make_the_module(agx_orin: Path) -> None:
    """AGX Orin: GPU and SOC, CPU and CV, and the 5 V input; what hangs on that is not added again."""
    sampler = JetsonSampler(ANY, root=agx_orin)
    found = sampler.probe()
    readings = {r.channel: r.value for r in sampler.read()}

    assert "module: VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0" in found.reason
    assert 10.0 + 2.0 + 5.0 == readings["jetson:module"]
    assert 1.0 == readings["jetson:VDDQ_VDD2_1V8AO"]
    assert ["jetson:module"] == [c.id for c in sampler.channels if c.scope == "module"]
    assert "VIN_SYS_5V0" in sampler.channels[0].accuracy_basis
    assert "jetson:NC" not in readings


def test_agx_xavier_with_the_old_driver(tmp_path: Path) -> None:
    """Older kernels show power in mW below an IIO device; six rails side by side are the module."""
    labels = (("0-0040", ("GPU", "CPU", "SOC")), ("0-0041", ("CV", "VDDRQ", "SYS5V")))
    for place, (address, names) in enumerate(labels):
        folder = tmp_path / "ina3221x" / address / f"iio:device{place}"
        folder.mkdir(parents=True)
        for number, name in enumerate(names):
            (folder / f"rail_name_{number}").write_text(f"{name}\n")
            (folder / f"in_power{number}_input").write_text("1500\n")
    sampler = JetsonSampler(ANY, root=tmp_path)
    sampler.probe()

    assert ("jetson:module", 9.0) == (sampler.channels[0].id, sampler.read()[0].value)


def test_a_board_without_a_known_input_has_rails_only(tmp_path: Path) -> None:
    """What is not known to be the whole module is recorded as "other", never as a headline."""
    monitor(tmp_path, "1-0040", 0, ("VDD_NEW", 5000, 100))
    sampler = JetsonSampler(ANY, root=tmp_path)
    found = sampler.probe()

    assert ["other"] == [c.scope for c in sampler.channels]
    assert "no known input" in found.reason


def test_a_sum_lacks_no_rail_silently(agx_orin: Path) -> None:
    """One rail of the module that cannot be read makes the module's reading fail, not shrink."""
    sampler = JetsonSampler(ANY, root=agx_orin)
    sampler.probe()
    (agx_orin / "ina3221/1-0040/hwmon/hwmon3/curr2_input").unlink()
    readings = {r.channel: r for r in sampler.read()}

    assert readings["jetson:module"].value is None
    assert "curr2_input: No such file" in str(readings["jetson:module"].error)
    assert 10.0 == readings["jetson:VDD_GPU_SOC"].value


def test_a_rail_that_is_unreadable_from_the_start_stays_in_the_sum(agx_orin: Path) -> None:
    """The module is not redefined by what happens to be readable."""
    (agx_orin / "ina3221/1-0040/hwmon/hwmon3/curr2_input").write_text("N/A\n")
    sampler = JetsonSampler(ANY, root=agx_orin)
    found = sampler.probe()

    assert "VDD_CPU_CV" in found.facts
    assert ("jetson:module", None) == (sampler.channels[0].id, sampler.read()[0].value)


def test_forbidden_files_name_the_exact_command(orin_nx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be read the remedy names the file."""
    allowed = Path.read_text

    def guarded(file: Path, **options: str) -> str:
        if file.name.endswith("_input"):
            raise PermissionError(13, "Permission denied", str(file))
        return allowed(file, **options)

    monkeypatch.setattr(Path, "read_text", guarded)
    found = JetsonSampler(ANY, root=orin_nx).probe()

    assert "broken" == found.state
    assert f"sudo chmod a+r {orin_nx / 'ina3221/1-0040/hwmon/hwmon1/in1_input'}" in found.remedy


def test_files_without_a_number_are_broken(tmp_path: Path) -> None:
    """Nonsense in every rail is a fault."""
    folder = monitor(tmp_path, "1-0040", 0, ("VDD_IN", 5000, 100))
    (folder / "in1_input").write_text("x")

    assert "broken" == JetsonSampler(ANY, root=tmp_path).probe().state


def test_another_machine_has_none(tmp_path: Path) -> None:
    """A machine without the driver is no Jetson; a rail without a current is no power."""
    (tmp_path / "ina3221/1-0040/hwmon/hwmon0").mkdir(parents=True)
    (tmp_path / "ina3221/1-0040/hwmon/hwmon0/in1_label").write_text("VDD_IN\n")

    assert "absent" == JetsonSampler(ANY, root=tmp_path).probe().state
    assert "absent" == JetsonSampler(ANY, root=tmp_path / "none").probe().state


@pytest.mark.parametrize("covers", ["cpu", "GPU-11111111-2222-3333-4444-555555555555", None])
def test_the_module_sees_every_processor_on_it(orin_nx: Path, covers: str | None) -> None:
    """CPU and GPU of a Jetson are on the one chip: the module's rail stands for either."""
    sampler = JetsonSampler(ANY, root=orin_nx)
    sampler.probe()

    assert ["jetson:VDD_IN"] == [c.id for c in seeing(sampler.channels, covers)]


def test_it_keeps_the_contract(agx_orin: Path) -> None:
    """The sampler passes the checks that are everybody's."""
    assert check_sampler(lambda: JetsonSampler(ANY, root=agx_orin))
