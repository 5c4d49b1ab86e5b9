"""The Level Zero sampler through Intel's real bindings: without a driver, and over a library of ours with its ABI."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.sensors import levelzero as module
from wattbench.harness.power.sensors.levelzero import LevelZeroSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)
SOURCE = Path(__file__).parent / "native" / "fake_ze_loader.c"

pytestmark = pytest.mark.skipif(find_spec("pyzes") is None, reason="needs pyzes: pip install 'wattbench[intel]'")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, compile_library: Callable[[Path, Path], Path]) -> Path:
    """Build the library."""
    return compile_library(SOURCE, tmp_path_factory.mktemp("ze") / "libze_loader.so.1")


@pytest.fixture
def gpu(library: Path, lead_to: Callable[[str, Path], pytest.MonkeyPatch]) -> pytest.MonkeyPatch:
    """Let the bindings find the library; what it answers is set through the returned object's `setenv`."""
    return lead_to("ze_loader", library)


def test_without_a_driver_it_is_absent_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """The real bindings raise OSError at import without the loader; here that is one sentence with a remedy."""
    if Path("/usr/lib/x86_64-linux-gnu/libze_loader.so.1").exists():
        pytest.skip("this machine has a Level Zero loader")
    found = LevelZeroSampler(ANY).probe()
    printed = capfd.readouterr()

    assert "absent" == found.state
    assert "libze_loader.so.1" in found.reason
    assert "libze-intel-gpu1" in found.remedy
    assert ("", "") == (printed.out, printed.err)


def test_without_the_package_the_pip_command_is_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is one sentence."""
    monkeypatch.setattr(module, "is_installed", lambda name: False)

    assert "pip install 'wattbench[intel]'" in LevelZeroSampler(ANY).probe().remedy


@pytest.mark.usefixtures("gpu")
def test_the_card_is_the_board_and_the_package_a_part() -> None:
    """Card and package are counters in uJ with the driver's own stamp; the package in the card is never added to it."""
    sampler = LevelZeroSampler(ANY)
    found = sampler.probe()
    card, package = sampler.read()

    assert found.usable
    assert [
        ("levelzero:pci:0000:4d:00.0:card", "board", 300.0),
        ("levelzero:pci:0000:4d:00.0:package1", "other", 300.0),
    ] == [(c.id, c.scope, c.limit_w) for c in sampler.channels]
    assert (8.0, 77_000) == (card.value, card.sensor_ns)
    assert 4.0 == package.value
    assert 2 == len({c.group for c in sampler.channels})
    sampler.close()


@pytest.mark.parametrize(
    ("variable", "value"), [("FAKE_ZE_SUBDEVICE", "1"), ("FAKE_ZE_OLD", "1"), ("FAKE_ZE_DOMAINS", "2")]
)
def test_what_is_not_surely_the_card_is_no_board(gpu: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A tile's counter, one of an unknown domain or an integrated GPU's package is recorded as "other"."""
    gpu.setenv(variable, value)
    sampler = LevelZeroSampler(ANY)
    sampler.probe()

    assert {"other"} == {c.scope for c in sampler.channels}
    sampler.close()


def test_an_unknown_limit_is_none(gpu: pytest.MonkeyPatch) -> None:
    """Level Zero says -1 where it does not know."""
    gpu.setenv("FAKE_ZE_LIMIT_MW", "-1")
    sampler = LevelZeroSampler(ANY)
    sampler.probe()

    assert sampler.channels[0].limit_w is None
    sampler.close()


def test_missing_rights_name_the_groups(gpu: pytest.MonkeyPatch) -> None:
    """The driver's code for missing permission becomes the command that grants it."""
    gpu.setenv("FAKE_ZE_READ", "70010000")
    found = LevelZeroSampler(ANY).probe()

    assert "broken" == found.state
    assert "usermod -aG video,render" in found.remedy


@pytest.mark.parametrize(("code", "state"), [("78000001", "absent"), ("70000001", "broken")])
def test_a_start_that_fails_says_the_code(gpu: pytest.MonkeyPatch, code: str, state: str) -> None:
    """Without a GPU's driver it is absent; any other code is a fault."""
    gpu.setenv("FAKE_ZE_INIT", code)
    found = LevelZeroSampler(ANY).probe()

    assert state == found.state
    assert f"0x{code}" in found.reason


def test_an_older_loader_is_absent(gpu: pytest.MonkeyPatch) -> None:
    """A function that the loader does not have yet is no bug of ours but an old driver."""
    import pyzes

    def missing(*arguments: object) -> int:
        raise AttributeError("libze_loader.so.1: undefined symbol: zesDevicePciGetProperties")

    gpu.setattr(pyzes, "zesDevicePciGetProperties", missing)
    found = LevelZeroSampler(ANY).probe()

    assert ("absent", True) == (found.state, "undefined symbol" in found.reason)


def test_a_lost_device_is_a_failed_reading(gpu: pytest.MonkeyPatch) -> None:
    """After the probe an error code is the cause of a reading without a value."""
    sampler = LevelZeroSampler(ANY)
    sampler.probe()
    gpu.setenv("FAKE_ZE_READ", "70000001")
    card = sampler.read()[0]

    assert (None, "zesPowerGetEnergyCounter returned 0x70000001") == (card.value, card.error)
    sampler.close()
    with pytest.raises(SensorError, match="closed"):
        sampler.read()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize("covers", ["cpu", "pci:0000:03:00.0"])
def test_another_device_leaves_it_absent(covers: str) -> None:
    """No other board's watts are read."""
    assert "absent" == LevelZeroSampler(SamplerOptions(argument=None, covers=covers)).probe().state


@pytest.mark.usefixtures("gpu")
def test_it_keeps_the_contract() -> None:
    """The sampler passes the checks that are everybody's."""
    assert check_sampler(lambda: LevelZeroSampler(ANY))
