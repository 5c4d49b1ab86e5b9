"""The Neuron sampler over a made-up tree of the shape that AWS's driver shows."""

from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.sensors.neuron import NeuronSampler
from wattbench.harness.power.series import coarse_reason
from wattbench.testing import check_sampler

NOW_S = 1_781_370_750.0
STAMP_S = 1_781_370_720


def device(root: Path, number: int, text: str = f"POWER_STATUS_VALID,{STAMP_S},1.50,73.50,42.25") -> Path:
    """Make one device's power file."""
    file = root / f"devices/virtual/neuron_device/neuron{number}/stats/power/utilization"
    file.parent.mkdir(parents=True)
    file.write_text(f"{text}\n")
    return file


def sampler_over(
    root: Path, argument: str | None = "500", now_s: float = NOW_S, covers: str | None = None
) -> NeuronSampler:
    """Return a sampler whose wall clock stands."""
    return NeuronSampler(SamplerOptions(argument=argument, covers=covers), root=root, now_s=lambda: now_s)


def test_a_percentage_of_the_declared_watts(tmp_path: Path) -> None:
    """42.25 % of 500 W declared are 211.25 W, with the driver's stamp, and the channel says that it is declared."""
    device(tmp_path, 0)
    device(tmp_path, 1)
    sampler = sampler_over(tmp_path)
    found = sampler.probe()
    reading = sampler.read()[0]

    assert found.usable
    assert [("neuron:neuron0", "neuron:0", "declared"), ("neuron:neuron1", "neuron:1", "declared")] == [
        (c.id, c.covers, c.provenance) for c in sampler.channels
    ]
    assert (211.25, STAMP_S * 10**9) == (reading.value, reading.sensor_ns)
    assert "500 W that the user declared" in sampler.channels[0].accuracy_basis
    assert (500.0, 0.05, None) == (
        sampler.channels[0].limit_w,
        sampler.channels[0].resolution,
        sampler.channels[0].accuracy_rel,
    )


def test_without_declared_watts_there_is_no_power(tmp_path: Path) -> None:
    """A percentage of an unpublished maximum is no power; the remedy shows how to declare one."""
    device(tmp_path, 0)
    found = sampler_over(tmp_path, argument=None).probe()

    assert "absent" == found.state
    assert "--power neuron:MAX_W" in found.remedy


@pytest.mark.parametrize("argument", ["", "much", "0", "-5", "nan", "inf"])
def test_the_declared_watts_are_a_positive_number(tmp_path: Path, argument: str) -> None:
    """Anything else is refused."""
    device(tmp_path, 0)

    assert "broken" == sampler_over(tmp_path, argument=argument).probe().state


def test_windows_shorter_than_two_minutes_are_refused(tmp_path: Path) -> None:
    """One figure a minute tells nothing of a shorter window."""
    device(tmp_path, 0)
    sampler = sampler_over(tmp_path)
    sampler.probe()

    assert "too short" in str(coarse_reason(sampler.channels[0], 60.0))
    assert coarse_reason(sampler.channels[0], 120.0) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"POWER_STATUS_NO_DATA,{STAMP_S},0.00,0.00,0.00", "POWER_STATUS_NO_DATA"),
        (f"POWER_STATUS_INVALID,{STAMP_S},0.00,0.00,0.00", "POWER_STATUS_INVALID"),
        (f"POWER_STATUS_VALID,{STAMP_S},1.5,3.5,nan", "nan %"),
        (f"POWER_STATUS_VALID,{STAMP_S},1.5,3.5,-2.0", "-2.0 %"),
        (f"POWER_STATUS_VALID,{STAMP_S},1.5,3.5,655.35", "655.35 %"),
        (f"POWER_STATUS_VALID,{STAMP_S - 600},1.5,3.5,2.0", "not changed for 630 s"),
        (f"POWER_STATUS_VALID,{STAMP_S}000,1.5,3.5,2.0", "s from now"),
        (f"POWER_STATUS_VALID,{STAMP_S},1.5,2.0,3.5", "says 3.5 % between 1.5 and 2.0 %"),
        ("POWER_STATUS_VALID,then,1,2,3", "no power statistics"),
        ("", "no power statistics"),
    ],
)
def test_what_is_no_valid_minute_is_no_number(tmp_path: Path, text: str, words: str) -> None:
    """Status, range and age are checked at every read, and the cause is in the reading."""
    file = device(tmp_path, 0)
    sampler = sampler_over(tmp_path)
    sampler.probe()
    file.write_text(text)
    reading = sampler.read()[0]

    assert reading.value is None
    assert words in str(reading.error)


def test_a_file_that_goes_away_is_no_number(tmp_path: Path) -> None:
    """The driver may be unloaded during a run."""
    file = device(tmp_path, 0)
    sampler = sampler_over(tmp_path)
    sampler.probe()
    file.unlink()

    assert "No such file" in str(sampler.read()[0].error)


def test_devices_that_have_no_data_yet_are_broken(tmp_path: Path) -> None:
    """Right after the driver's start there is no minute to tell of."""
    device(tmp_path, 0, "POWER_STATUS_NO_DATA,0,0.00,0.00,0.00")
    found = sampler_over(tmp_path).probe()

    assert ("broken", True) == (found.state, "Wait a minute" in found.remedy)


def test_the_same_device_found_twice_is_one(tmp_path: Path) -> None:
    """The class folder leads to the same file as the old place."""
    device(tmp_path, 0)
    (tmp_path / "class/neuron_device").mkdir(parents=True)
    (tmp_path / "class/neuron_device/neuron0").symlink_to(tmp_path / "devices/virtual/neuron_device/neuron0")
    sampler = sampler_over(tmp_path)
    sampler.probe()

    assert 1 == len(sampler.channels)


@pytest.mark.parametrize("covers", ["cpu", None])
def test_a_machine_without_devices_says_so(tmp_path: Path, covers: str | None) -> None:
    """No device, or the CPU under test, leaves it absent."""
    assert "absent" == sampler_over(tmp_path, covers=covers).probe().state


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    """The sampler passes the checks that are everybody's."""
    device(tmp_path, 0)

    assert check_sampler(lambda: sampler_over(tmp_path))
