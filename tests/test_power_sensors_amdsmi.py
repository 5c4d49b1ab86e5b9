"""The amdsmi sampler through AMD's real bindings: without ROCm, and over a library of ours with its ABI."""

import ctypes
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.energy import groups_of
from wattbench.harness.power.sensors import amdsmi as module
from wattbench.harness.power.sensors.amdsmi import AmdsmiSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ANY = SamplerOptions(argument=None, covers=None)
SOURCE = Path(__file__).parent / "native" / "fake_amdsmi.c"

pytestmark = pytest.mark.skipif(find_spec("amdsmi") is None, reason="needs amdsmi: pip install 'wattbench[amd]'")


@pytest.fixture(scope="module")
def rocm(tmp_path_factory: pytest.TempPathFactory, compile_library: Callable[[Path, Path], Path]) -> Path:
    """Build a ROCm folder with the library: the functions that the bindings want and we have not say "unsupported"."""
    spec = find_spec("amdsmi")
    assert spec is not None
    wrapper = Path((spec.submodule_search_locations or [""])[0]) / "amdsmi_wrapper.py"
    wanted = set(re.findall(r"_libraries\['libamd_smi.so'\]\.(\w+)", wrapper.read_text()))
    source = SOURCE.read_text()
    rest = sorted(name for name in wanted if f"int {name}(" not in source)
    folder = tmp_path_factory.mktemp("rocm")
    (folder / "all.c").write_text(source + "".join(f"int {name}(void) {{ return 2; }}\n" for name in rest))
    (folder / "lib").mkdir()
    compile_library(folder / "all.c", folder / "lib" / "libamd_smi.so")
    return folder


@pytest.fixture
def gpu(rocm: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the bindings find the library; what it answers is set through the returned object's `setenv`."""
    monkeypatch.setenv("ROCM_HOME", str(rocm))
    return monkeypatch


def test_without_rocm_nothing_of_the_import_reaches_the_user(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The real bindings print and raise KeyError without their library; here that is one sentence with a remedy."""
    for name in ("ROCM_HOME", "ROCM_PATH", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    found = AmdsmiSampler(ANY).probe()
    printed = capfd.readouterr()

    assert ("absent", "AMD's library libamd_smi.so is not installed") == (found.state, found.reason)
    assert "amd-smi-lib" in found.remedy
    assert ("", "") == (printed.out, printed.err)


def test_without_the_package_the_pip_command_is_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing extra is one sentence."""
    monkeypatch.setattr(module, "is_installed", lambda name: False)

    assert "pip install 'wattbench[amd]'" in AmdsmiSampler(ANY).probe().remedy


def test_a_library_that_talks_is_not_heard(gpu: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """What the C library prints on its start reaches nobody: standard output may be a JSON document."""
    sampler = AmdsmiSampler(ANY)
    found = sampler.probe()
    sampler.close()
    ctypes.CDLL(None).fflush(None)

    assert found.usable
    assert ("", "") == tuple(capfd.readouterr())


def test_a_gpu_has_a_counter_and_its_socket_power(gpu: pytest.MonkeyPatch) -> None:
    """The accumulator counts steps of 15.3 uJ, power is in W; both are views of one board, in one group."""
    gpu.setenv("FAKE_AMDSMI_CURRENT", "412")
    gpu.setenv("FAKE_AMDSMI_SOCKET", "412")
    sampler = AmdsmiSampler(ANY)
    found = sampler.probe()
    energy, power = sampler.read()

    assert found.usable
    assert ["amdsmi:pci:0000:03:00.0:energy", "amdsmi:pci:0000:03:00.0:current_socket_power"] == [
        c.id for c in sampler.channels
    ]
    assert [("board", "pci:0000:03:00.0")] * 2 == [(c.scope, c.covers) for c in sampler.channels]
    assert 1 == len(groups_of(sampler.channels))
    assert (15.3, 123456789) == (pytest.approx(energy.value), energy.sensor_ns)
    assert 15.3e-6 == pytest.approx(sampler.channels[0].resolution)
    assert (412.0, 750.0) == (power.value, sampler.channels[1].limit_w)
    sampler.close()


def test_older_boards_have_the_average_only(gpu: pytest.MonkeyPatch) -> None:
    """What is N/A makes no channel; in a guest the counter is missing."""
    gpu.setenv("FAKE_AMDSMI_AVERAGE", "250")
    gpu.setenv("FAKE_AMDSMI_ACCUMULATOR", "none")
    sampler = AmdsmiSampler(ANY)
    sampler.probe()

    assert ["amdsmi:pci:0000:03:00.0:average_socket_power"] == [c.id for c in sampler.channels]
    assert [250.0] == [r.value for r in sampler.read()]
    sampler.close()


def test_the_socket_power_stands_in_where_it_is_all(gpu: pytest.MonkeyPatch) -> None:
    """Only where neither current nor average is told is the third field read: it repeats one of them."""
    gpu.setenv("FAKE_AMDSMI_SOCKET", "99")
    sampler = AmdsmiSampler(ANY)
    sampler.probe()

    assert ["energy", "socket_power"] == [c.id.rpartition(":")[2] for c in sampler.channels]
    sampler.close()


def test_only_the_board_under_test_is_opened(gpu: pytest.MonkeyPatch) -> None:
    """A board is told apart by its PCI address, in either case."""
    gpu.setenv("FAKE_AMDSMI_GPUS", "2")
    sampler = AmdsmiSampler(SamplerOptions(argument=None, covers="PCI:0000:04:00.0"))
    sampler.probe()

    assert {"pci:0000:04:00.0"} == {c.covers for c in sampler.channels}
    sampler.close()


@pytest.mark.parametrize("covers", ["cpu", "GPU-11111111", "pci:0000:99:00.0"])
def test_another_device_leaves_it_absent(gpu: pytest.MonkeyPatch, covers: str) -> None:
    """No other board's watts are read for the CPU or for somebody else's GPU."""
    found = AmdsmiSampler(SamplerOptions(argument=None, covers=covers)).probe()

    assert "absent" == found.state
    assert found.reason


def test_a_value_that_becomes_unavailable_is_no_number(gpu: pytest.MonkeyPatch) -> None:
    """N/A after the probe is a failed reading with the driver's word."""
    gpu.setenv("FAKE_AMDSMI_CURRENT", "412")
    sampler = AmdsmiSampler(ANY)
    sampler.probe()
    gpu.setenv("FAKE_AMDSMI_CURRENT", "65535")
    power = sampler.read()[1]

    assert (None, "amdsmi: the driver says N/A") == (power.value, power.error)
    sampler.close()


def test_a_lost_gpu_fails_every_reading(gpu: pytest.MonkeyPatch) -> None:
    """The library's own words are the cause."""
    gpu.setenv("FAKE_AMDSMI_CURRENT", "412")
    sampler = AmdsmiSampler(ANY)
    sampler.probe()
    gpu.setenv("FAKE_AMDSMI_LOST", "1")
    readings = sampler.read()

    assert [None, None] == [r.value for r in readings]
    assert all("amdsmi: " in str(r.error) for r in readings)
    sampler.close()
    with pytest.raises(SensorError, match="closed"):
        sampler.read()


def test_two_dies_with_one_sensor_say_so(gpu: pytest.MonkeyPatch) -> None:
    """MI250 shows the module's power at its first die."""
    gpu.setenv("FAKE_AMDSMI_NAME", "AMD Instinct MI250X")
    sampler = AmdsmiSampler(ANY)
    sampler.probe()

    assert "both dies" in sampler.channels[0].accuracy_basis
    sampler.close()


def test_a_driver_that_fails_is_broken(gpu: pytest.MonkeyPatch) -> None:
    """A library that is there and does not start has a fault, and the groups that open it are named."""
    gpu.setenv("FAKE_AMDSMI_INIT", "34")
    found = AmdsmiSampler(ANY).probe()

    assert "broken" == found.state
    assert "groups video and render" in found.remedy


def test_it_keeps_the_contract(gpu: pytest.MonkeyPatch) -> None:
    """The sampler passes the checks that are everybody's."""
    gpu.setenv("FAKE_AMDSMI_CURRENT", "412")

    assert check_sampler(lambda: AmdsmiSampler(ANY))
