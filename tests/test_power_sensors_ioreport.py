"""The IOReport sampler over a stand-in for zeus-apple-silicon, which exists for macOS only."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.ladder import seeing
from wattbench.harness.power.sensors import ioreport as module
from wattbench.harness.power.sensors.ioreport import IoreportSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)


class Chip:
    """What the package's monitor answers: its fields in mJ, None for what the chip does not count."""

    def __init__(self) -> None:
        self.metrics: dict[str, int | None] = {
            "cpu_total_mj": 5000,
            "gpu_mj": 9000,
            "ane_mj": 100,
            "gpu_sram_mj": 50,
            "dram_mj": 2500,
        }
        self.fault: Exception | None = None

    def get_cumulative_energy(self) -> SimpleNamespace:
        """Return the counters, or fail as the extension does."""
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(**self.metrics)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    """Put the stand-in in the package's place."""
    made = Chip()
    package = ModuleType("zeus_apple_silicon")
    vars(package)["AppleEnergyMonitor"] = lambda: made
    monkeypatch.setitem(sys.modules, "zeus_apple_silicon", package)
    monkeypatch.setattr(module, "is_installed", lambda name: True)
    return made


@pytest.mark.usefixtures("chip")
def test_the_chip_is_the_sum_of_its_processors() -> None:
    """CPU, GPU and neural engine are a package, DRAM is its own; the parts and the GPU's SRAM are "other"."""
    sampler = IoreportSampler(ANY)
    found = sampler.probe()

    assert found.usable
    assert {
        "ioreport:soc": ("package", 14.1),
        "ioreport:cpu": ("other", 5.0),
        "ioreport:gpu": ("other", 9.0),
        "ioreport:ane": ("other", 0.1),
        "ioreport:gpu_sram": ("other", 0.05),
        "ioreport:dram": ("dram", 2.5),
    } == {c.id: (c.scope, r.value) for c, r in zip(sampler.channels, sampler.read(), strict=True)}
    assert ["ioreport:soc", "ioreport:dram"] == [c.id for c in seeing(sampler.channels, None)]
    assert {None} == {c.accuracy_rel for c in sampler.channels}


def test_a_chip_without_a_part_lacks_its_channel(chip: Chip) -> None:
    """What the chip does not count is left out of the sum from the start."""
    chip.metrics["ane_mj"] = None
    sampler = IoreportSampler(ANY)
    sampler.probe()

    assert 14.0 == sampler.read()[0].value


def test_a_part_that_is_left_out_later_shows_in_the_sum(chip: Chip) -> None:
    """A sum of what is left is no figure of the chip."""
    sampler = IoreportSampler(ANY)
    sampler.probe()
    chip.metrics["gpu_mj"] = None
    readings = {r.channel: r for r in sampler.read()}

    assert (None, None) == (readings["ioreport:soc"].value, readings["ioreport:gpu"].value)
    assert "left it out" in str(readings["ioreport:soc"].error)


def test_a_chip_that_counts_nothing_is_absent(chip: Chip) -> None:
    """Without any counter there is no sensor."""
    chip.metrics = dict.fromkeys(chip.metrics)

    assert "absent" == IoreportSampler(ANY).probe().state


@pytest.mark.parametrize("fault", [RuntimeError("Failed to create IOReport subscription."), ValueError("unit")])
def test_the_extensions_errors_are_told(chip: Chip, fault: Exception) -> None:
    """What the extension raises is the reason at the probe and the cause of a failed read."""
    sampler = IoreportSampler(ANY)
    sampler.probe()
    chip.fault = fault
    with pytest.raises(SensorError, match=str(fault)):
        sampler.read()

    assert "broken" == IoreportSampler(ANY).probe().state


def test_without_the_package_the_pip_command_is_the_remedy() -> None:
    """A missing extra is one sentence."""
    if sys.platform == "darwin":
        pytest.skip("the package may be installed here")
    found = IoreportSampler(ANY).probe()

    assert ("absent", True) == (found.state, "pip install 'wattbench[apple]'" in found.remedy)


@pytest.mark.usefixtures("chip")
def test_after_closing_nothing_is_read() -> None:
    """Closing twice is safe."""
    sampler = IoreportSampler(ANY)
    sampler.probe()
    sampler.close()
    sampler.close()

    with pytest.raises(SensorError, match="closed"):
        sampler.read()


@pytest.mark.usefixtures("chip")
def test_it_keeps_the_contract() -> None:
    """The sampler passes the checks that are everybody's."""
    assert check_sampler(lambda: IoreportSampler(ANY))
