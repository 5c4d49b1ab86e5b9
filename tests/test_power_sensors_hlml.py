"""The HLML sampler through Habana's real bindings: without a driver, and over a library of ours with its ABI."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import groups_of
from wattbench.harness.power.sensors import hlml as module
from wattbench.harness.power.sensors.hlml import HlmlSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)
SOURCE = Path(__file__).parent / "native" / "fake_hlml.c"

pytestmark = pytest.mark.skipif(find_spec("pyhlml") is None, reason="needs pyhlml: pip install 'wattbench[gaudi]'")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, compile_library: Callable[[Path, Path], Path]) -> Path:
    """Build the library."""
    return compile_library(SOURCE, tmp_path_factory.mktemp("hlml") / "libhlml.so")


@pytest.fixture
def board(library: Path, lead_to: Callable[[str, Path], pytest.MonkeyPatch]) -> pytest.MonkeyPatch:
    """Let the bindings find the library; what it answers is set through the returned object's `setenv`."""
    return lead_to("libhlml", library)


def test_without_a_driver_it_is_absent_and_silent(capfd: pytest.CaptureFixture[str]) -> None:
    """The real bindings print, warn and raise without their library; here that is one sentence with a remedy."""
    if Path("/usr/lib/habanalabs/libhlml.so").exists():
        pytest.skip("this machine has Habana's library")
    found = HlmlSampler(ANY).probe()
    printed = capfd.readouterr()

    assert "absent" == found.state
    assert "libhlml.so" in found.reason
    assert "hl-smi" in found.remedy
    assert ("", "") == (printed.out, printed.err)


def test_without_the_package_the_pip_command_is_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is one sentence."""
    monkeypatch.setattr(module, "is_installed", lambda name: False)

    assert "pip install 'wattbench[gaudi]'" in HlmlSampler(ANY).probe().remedy


@pytest.mark.usefixtures("board")
def test_a_board_has_a_counter_and_power() -> None:
    """Both are converted from mJ and mW, are views of one board, and know its limit."""
    sampler = HlmlSampler(ANY)
    found = sampler.probe()

    assert found.usable
    assert {"pci:0000:19:00.0": "HL-225"} == found.facts
    assert [("energy", "counter", 600.0), ("power", "power", 600.0)] == [
        (c.id.rpartition(":")[2], c.kind, c.limit_w) for c in sampler.channels
    ]
    assert 1 == len(groups_of(sampler.channels))
    assert [5.0, 450.0] == [r.value for r in sampler.read()]
    sampler.close()


def test_an_unsupported_counter_makes_no_channel(board: pytest.MonkeyPatch) -> None:
    """What the board does not answer is left out."""
    board.setenv("FAKE_HLML_ENERGY_MJ", "none")
    sampler = HlmlSampler(ANY)
    sampler.probe()

    assert ["power"] == [c.kind for c in sampler.channels]
    sampler.close()


def test_only_the_board_under_test_is_opened(board: pytest.MonkeyPatch) -> None:
    """A board is told apart by its PCI address."""
    board.setenv("FAKE_HLML_BOARDS", "8")
    sampler = HlmlSampler(SamplerOptions(argument=None, covers="pci:0000:1c:00.0"))
    sampler.probe()

    assert {"pci:0000:1c:00.0"} == {c.covers for c in sampler.channels}
    sampler.close()


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize("covers", ["cpu", "pci:0000:03:00.0"])
def test_another_device_leaves_it_absent(covers: str) -> None:
    """No other board's watts are read."""
    assert "absent" == HlmlSampler(SamplerOptions(argument=None, covers=covers)).probe().state


def test_a_driver_that_is_not_loaded_is_absent(board: pytest.MonkeyPatch) -> None:
    """The library without its driver is no fault of the machine."""
    board.setenv("FAKE_HLML_INIT", "9")

    assert "absent" == HlmlSampler(ANY).probe().state


def test_another_start_failure_is_broken(board: pytest.MonkeyPatch) -> None:
    """Any other code is a fault with its name."""
    board.setenv("FAKE_HLML_INIT", "20")
    found = HlmlSampler(ANY).probe()

    assert ("broken", True) == (found.state, "Memory" in found.reason)


def test_a_lost_board_is_a_failed_reading(board: pytest.MonkeyPatch) -> None:
    """The library's name of the error is the cause."""
    sampler = HlmlSampler(ANY)
    sampler.probe()
    board.setenv("FAKE_HLML_LOST", "1")
    energy, power = sampler.read()

    assert (None, None) == (energy.value, power.value)
    assert "HLML: AipIsLost (code 15)" == power.error
    sampler.close()
    with pytest.raises(SensorError, match="closed"):
        sampler.read()


@pytest.mark.usefixtures("board")
def test_it_keeps_the_contract() -> None:
    """The sampler passes the checks that are everybody's."""
    assert check_sampler(lambda: HlmlSampler(ANY))
