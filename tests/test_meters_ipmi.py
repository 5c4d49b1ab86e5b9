"""The IPMI sampler by the real ipmitool, against a BMC of pyghmi, and OpenIPMI's simulator as the BMC without DCMI."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import ipmi, watches
from wattbench.harness.power.meters.ipmi import IpmiSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

pytestmark = pytest.mark.skipif(shutil.which("ipmitool") is None, reason="needs ipmitool (.ci/peers.txt)")

USER, PASSWORD = "admin", "s3cret-of-bmc"
BMC = Path(__file__).parent / "peers" / "bmc.py"


class Bmc(NamedTuple):
    """A running controller: its port, and the file of its state."""

    port: int
    state: Path

    def set(self, watts: int, *, period_s: int = 5, active: bool = True, stamp: int = 1_790_000_000) -> None:
        """Change what it answers."""
        self.state.write_text(f"{watts} {period_s} {int(active)} {stamp}")


@pytest.fixture(scope="module")
def running(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bmc]:
    """Run pyghmi's controller once for all tests."""
    pytest.importorskip("pyghmi", reason="needs pyghmi (the dev extra)")
    folder = tmp_path_factory.mktemp("bmc")
    bmc = Bmc(peers.free_port(socket.SOCK_DGRAM), folder / "state")
    bmc.set(220)
    log = folder / "log"
    with peers.program([sys.executable, str(BMC), str(bmc.port), str(bmc.state)], peers.says(log, "ready"), log):
        yield bmc


@pytest.fixture
def bmc(running: Bmc, monkeypatch: pytest.MonkeyPatch) -> Bmc:
    """Give the controller in its first state, and its credentials by the environment."""
    running.set(220)
    monkeypatch.setenv("WATTBENCH_IPMI_USER", USER)
    monkeypatch.setenv("WATTBENCH_IPMI_PASSWORD", PASSWORD)
    return running


def sampler(argument: str | None) -> IpmiSampler:
    """Return a sampler for an argument."""
    return IpmiSampler(SamplerOptions(argument=argument, covers=None))


def test_power_comes_from_a_real_controller(bmc: Bmc) -> None:
    """Whole watts of the node; the period of the statistics and the clock are recorded."""
    found = sampler(f"127.0.0.1,port={bmc.port},privilege=ADMINISTRATOR")
    answer = found.probe()
    (channel,) = found.channels

    assert "present" == answer.state, answer
    assert "statistics over 5 s; its clock minus ours is" in answer.reason
    assert ("ipmi:127.0.0.1:power", "node", "W", 1.0) == (channel.id, channel.scope, channel.unit, channel.resolution)
    assert "statistics 5 s" in channel.accuracy_basis
    bmc.set(231)
    (reading,) = found.read()
    assert (231.0, 1_790_000_000_000_000_000) == (reading.value, reading.sensor_ns)


def test_it_keeps_the_contract(bmc: Bmc) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(f"127.0.0.1,port={bmc.port}")))


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` starts no ipmitool."""
    assert "absent" == sampler(None).probe().state


def test_a_controller_without_dcmi_is_named(bmc: Bmc) -> None:
    """Its answer is `Invalid command`."""
    bmc.state.write_text("none")
    found = sampler(f"127.0.0.1,port={bmc.port}").probe()

    assert "gives no DCMI power reading" in found.reason
    assert "redfish" in found.remedy


def test_a_wrong_password_is_refused_and_never_shown(bmc: Bmc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller gives no session."""
    monkeypatch.setenv("WATTBENCH_IPMI_PASSWORD", "wr0ng-one")
    found = sampler(f"127.0.0.1,port={bmc.port}").probe()

    assert ("broken", True) == (found.state, "gives no session" in found.reason)
    assert "wr0ng-one" not in f"{found}"


def test_without_credentials_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to give them."""
    monkeypatch.delenv("WATTBENCH_IPMI_PASSWORD", raising=False)
    found = sampler("192.0.2.1").probe()

    assert "needs credentials" in found.reason
    assert "WATTBENCH_IPMI_PASSWORD" in found.remedy


def test_a_silent_controller_costs_the_time_out(peers: ModuleType, bmc: Bmc) -> None:
    """Nothing listens on that port; a killed ipmitool is an error as well."""
    port = peers.free_port(socket.SOCK_DGRAM)
    start_s = time.monotonic()
    found = sampler(f"127.0.0.1,port={port},timeout=0.5").probe()

    assert "no answer within 0.5 s" in found.reason
    assert time.monotonic() - start_s < 15


def test_it_goes_away_and_comes_back(bmc: Bmc) -> None:
    """A failed read is an error; the next good one is a value."""
    found = sampler(f"127.0.0.1,port={bmc.port}")
    found.probe()
    bmc.state.write_text("none")
    with pytest.raises(SensorError, match="no DCMI"):
        found.read()
    bmc.set(200)

    assert 200.0 == found.read()[0].value


def test_measuring_that_is_switched_off_is_no_zero(bmc: Bmc) -> None:
    """The state of the reading is looked at."""
    bmc.set(0, active=False)

    assert "is off: its state is deactivated" in sampler(f"127.0.0.1,port={bmc.port}").probe().reason


def test_a_stamp_that_stands_still_is_frozen(bmc: Bmc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reading fails until the stamp moves; `stamps=ignore` is for controllers that never set it."""
    found = sampler(f"127.0.0.1,port={bmc.port}")
    found.probe()
    now_ns = [0]
    monkeypatch.setattr(found, "_stamps", watches.StampWatch(10.0, now_ns=lambda: now_ns[0]))
    assert 220.0 == found.read()[0].value
    now_ns[0] = 11_000_000_000
    assert "frozen" in str(found.read()[0].error)
    bmc.set(220, stamp=1_790_000_011)
    assert 220.0 == found.read()[0].value
    assert sampler(f"127.0.0.1,port={bmc.port},stamps=ignore").probe().usable


def test_the_password_is_in_no_command_line(bmc: Bmc, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc/PID/cmdline of the running ipmitool holds the user, not the password."""
    seen: list[bytes] = []
    start = subprocess.Popen

    class Watched(start):  # type: ignore[type-arg, misc]  # the class is generic in text or bytes
        """Reads its own command line as every user of the machine could."""

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]  # handed on as they came
            shown = Path(f"/proc/{self.pid}/cmdline")
            while not (words := shown.read_bytes()) and self.poll() is None:
                time.sleep(0.001)  # between its fork and its first instruction a process shows nothing
            seen.append(words)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    assert sampler(f"127.0.0.1,port={bmc.port}").probe().usable

    assert seen
    assert b"ipmitool" in seen[0]
    assert USER.encode() in seen[0]
    assert PASSWORD.encode() not in b"".join(seen)


@pytest.mark.skipif(Path("/dev/ipmi0").exists(), reason="this machine has a management controller")
def test_a_machine_without_a_controller_says_so() -> None:
    """The real ipmitool finds no device."""
    found = sampler("local").probe()

    assert "shows no management controller" in found.reason
    assert "modprobe" in found.remedy


@pytest.mark.parametrize("address", ["-h", "a b", "$(x)"])
def test_an_address_is_no_option(bmc: Bmc, address: str) -> None:
    """What ipmitool could take for a flag is refused."""
    assert "no address" in sampler(address).probe().reason


def test_without_ipmitool_the_package_is_named(bmc: Bmc, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is the command that installs it."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert "apt install ipmitool" in sampler("local").probe().remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Could not open device at /dev/ipmi0: Permission denied", "not open to this user"),
        ("Address lookup for bmc.example failed", "name is not known"),
        ("something new", "something new"),
        ("", "no output"),
    ],
)
def test_every_failure_has_words(text: str, said: str) -> None:
    """What ipmitool says is kept; what it means stands before it."""
    assert said in str(ipmi._refusal(text))


def test_an_answer_that_is_not_understood_is_an_error() -> None:
    """A changed output is not guessed at."""
    with pytest.raises(SensorError, match="not understood"):
        ipmi._parsed("Instantaneous power reading: many Watts", 0.0, 0.0)


LAN = """name "wattbench"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "{user}" "{password}" admin 10 none md2 md5 straight
"""

EMULATION = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n"


@contextlib.contextmanager
def simulator(peers: ModuleType, folder: Path, port: int) -> Iterator[None]:
    """Run OpenIPMI's simulator."""
    (folder / "lan.conf").write_text(LAN.format(port=port, user=USER, password=PASSWORD))
    (folder / "cmd.emu").write_text(EMULATION)
    words = ["ipmi_sim", "-c", "lan.conf", "-f", "cmd.emu", "-s", "state", "-n"]
    started = threading.Event()

    def ready() -> bool:
        held = Path("/proc/net/udp").read_text()
        if f"0100007F:{port:04X}" in held:
            started.set()
        return started.is_set()

    with peers.program(words, ready, folder / "log", cwd=folder):
        yield


@pytest.mark.skipif(shutil.which("ipmi_sim") is None, reason="needs OpenIPMI's ipmi_sim (.ci/peers.txt)")
def test_a_real_controller_without_dcmi_is_named(
    peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenIPMI's simulator gives a session and knows no DCMI."""
    monkeypatch.setenv("WATTBENCH_IPMI_USER", USER)
    monkeypatch.setenv("WATTBENCH_IPMI_PASSWORD", PASSWORD[:16])
    port = peers.free_port(socket.SOCK_DGRAM)
    with simulator(peers, tmp_path, port):
        found = sampler(f"127.0.0.1,port={port},privilege=ADMINISTRATOR").probe()

    assert "gives no DCMI power reading" in found.reason
