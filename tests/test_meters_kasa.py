"""The Kasa sampler: the real python-kasa against tplink-smarthome-simulator, a program of Node."""

import json
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import watches
from wattbench.harness.power.meters.kasa import KasaSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

ROOT = Path(__file__).resolve().parents[1]
MODULES = ROOT / "build" / "peers-node" / "node_modules"
PROGRAM = Path(__file__).parent / "peers" / "plug.js"

pytest.importorskip("kasa", reason="needs python-kasa: pip install 'wattbench[meters]'")
simulated = pytest.mark.skipif(
    shutil.which("node") is None or not (MODULES / "tplink-smarthome-simulator").is_dir(),
    reason="needs node and tplink-smarthome-simulator (.ci/install-peers)",
)


@pytest.fixture(scope="module")
def plug(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a simulated HS110; give its port."""
    port, log = peers.free_port(), tmp_path_factory.mktemp("plug") / "log"
    words = ["node", str(PROGRAM), str(MODULES), str(port), "hs110"]
    with peers.program(words, peers.answers_tcp(port), log):
        yield port


def sampler(argument: str | None) -> KasaSampler:
    """Return a sampler for an argument."""
    return KasaSampler(SamplerOptions(argument=argument, covers=None))


class Fake:
    """A plug of our own that answers every request with one text, for what a simulator would never say."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.delay_s = 0.0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    while connection.recv(65536):
                        answer = self.answer
                        time.sleep(self.delay_s)
                        connection.sendall(answer)
                except OSError:
                    continue

    def stop(self) -> None:
        """Stop answering."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def framed(document: object) -> bytes:
    """Return a document as the plug's protocol writes it: its length, then each byte XORed with the one before."""
    key, out = 171, bytearray()
    for byte in json.dumps(document).encode():
        key ^= byte
        out.append(key)
    return struct.pack(">I", len(out)) + bytes(out)


def hs110(realtime: object) -> bytes:
    """Return what an HS110 says of itself and its meter."""
    about = {"model": "HS110(EU)", "alias": "a", "deviceId": "A1", "mac": "50:c7:bf:0d:91:8c", "feature": "TIM:ENE"}
    about |= {"relay_state": 1, "err_code": 0, "sw_ver": "1.2.6", "hw_ver": "2.0", "type": "IOT.SMARTPLUGSWITCH"}
    meter = {"get_realtime": realtime, "get_daystat": {"day_list": []}, "get_monthstat": {"month_list": []}}
    clock = {"year": 2026, "month": 1, "mday": 1, "hour": 0, "min": 0, "sec": 0}
    time_zone = {"get_time": clock, "get_timezone": {"index": 39}}
    return framed({"system": {"get_sysinfo": about}, "emeter": meter, "time": time_zone})


@simulated
def test_power_and_energy_of_a_simulated_plug(plug: int) -> None:
    """The simulator's watts and watt-hours, at the wall."""
    found = sampler(f"127.0.0.1,port={plug},name=left")
    answer = found.probe()
    power, energy = found.channels
    values = [r.value for r in found.read()]
    found.close()

    assert "present" == answer.state, answer
    assert "HS110" in answer.reason
    assert ("kasa:left:power", "kasa:left:energy", "wall") == (power.id, energy.id, power.scope)
    assert values[0] is not None
    assert 0 < values[0] < 1000
    assert values[1] is not None


@simulated
def test_it_keeps_the_contract(plug: int) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(f"127.0.0.1,port={plug}")))


@simulated
def test_a_plug_without_a_meter_is_refused(peers: ModuleType, tmp_path: Path) -> None:
    """An HS100 only switches."""
    port = peers.free_port()
    words = ["node", str(PROGRAM), str(MODULES), str(port), "hs100"]
    with peers.program(words, peers.answers_tcp(port), tmp_path / "log"):
        assert "does not meter" in sampler(f"127.0.0.1,port={port}").probe().reason


@simulated
def test_it_goes_away_and_comes_back(peers: ModuleType, tmp_path: Path) -> None:
    """While it is gone every read is an error; then the values are there again."""
    port = peers.free_port()
    words = ["node", str(PROGRAM), str(MODULES), str(port), "hs110"]
    found = sampler(f"127.0.0.1,port={port},timeout=1")
    with peers.program(words, peers.answers_tcp(port), tmp_path / "log"):
        assert found.probe().usable
    with pytest.raises(SensorError):
        found.read()
    with peers.program(words, peers.answers_tcp(port), tmp_path / "log"):
        assert found.read()[0].value is not None
    found.close()


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    assert "absent" == sampler(None).probe().state


def test_an_unreachable_plug_is_said(peers: ModuleType) -> None:
    """With the remedy, within its time-out."""
    start_s = time.monotonic()
    found = sampler(f"127.0.0.1,port={peers.free_port()},timeout=1").probe()

    assert "broken" == found.state
    assert "docs/meters.md#kasa" in found.remedy
    assert time.monotonic() - start_s < 20


@pytest.mark.parametrize(
    "answer", [b"", framed([1]), framed({"system": 5}), b"\x00\x00\x00\x05xxxxx", b"HTTP/1.1 400\r\n"]
)
def test_garbage_is_an_error(answer: bytes) -> None:
    """Whatever python-kasa raises is put into our words."""
    fake = Fake(answer)
    found = sampler(f"127.0.0.1,port={fake.port},timeout=1").probe()
    fake.stop()

    assert "broken" == found.state
    assert found.reason


@pytest.mark.parametrize(
    ("realtime", "power", "energy"),
    [
        ({"power_mw": 44_500, "total_wh": 1200, "voltage_mv": 230_000}, 44.5, 1200 * 3600.0),
        ({"power": 44.5, "total": 1.2, "voltage": 230.0}, 44.5, 1.2 * 3.6e6),
        ({"power_mw": "n/a", "total_wh": 1200}, None, 1200 * 3600.0),
    ],
)
def test_both_versions_of_the_hardware_are_read(realtime: object, power: float | None, energy: float) -> None:
    """Older plugs give W and kWh, newer ones mW and Wh; a text is no number."""
    fake = Fake(hs110(realtime))
    found = sampler(f"127.0.0.1,port={fake.port}")
    answer = found.probe()
    values = [r.value for r in found.read()]
    found.close()
    fake.stop()

    assert "present" == answer.state, answer
    assert [power, pytest.approx(energy)] == values


def test_a_late_answer_is_not_taken_for_the_next() -> None:
    """The read fails after its time-out, and the next one gets its own answer."""
    fake = Fake(hs110({"power_mw": 44_500, "total_wh": 1200}))
    found = sampler(f"127.0.0.1,port={fake.port},timeout=0.5")
    found.probe()
    fake.delay_s = 1.0
    with pytest.raises(SensorError, match=r"within 0\.5 s"):
        found.read()
    fake.answer, fake.delay_s = hs110({"power_mw": 99_000, "total_wh": 1200}), 0.0
    values: list[float | None] = []
    end_s = time.monotonic() + 30
    while not values and time.monotonic() < end_s:
        try:
            values = [r.value for r in found.read()]
        except SensorError:
            continue  # the fake still holds its late answer
    found.close()
    fake.stop()

    assert 99.0 == values[0]


def test_power_without_energy_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The meter shows 1000 W and counts nothing for a minute."""
    fake = Fake(hs110({"power_mw": 1_000_000, "total_wh": 5}))
    found = sampler(f"127.0.0.1,port={fake.port}")
    found.probe()
    now_ns = [0]
    monkeypatch.setattr(found, "_watch", watches.CounterWatch(3600.0, 1.0, now_ns=lambda: now_ns[0]))
    first = found.read()[0]
    now_ns[0] = 60_000_000_000
    second = found.read()[0]
    found.close()
    fake.stop()

    assert 1000.0 == first.value
    assert "frozen" in str(second.error)
