"""The Tasmota sampler against a server that speaks the documented JSON."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import watches
from wattbench.harness.power.meters.tasmota import TasmotaSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

PASSWORD = "hunter2 &long"


class Plug:
    """What a plug with Tasmota answers to /cm."""

    def __init__(self) -> None:
        self.energy: object = {"TotalStartTime": "2026-01-01T00:00:00", "Total": 3.185, "Power": 44, "Voltage": 231}
        self.time: str | None = None
        self.password: str | None = None
        self.old = False

    def answer(self, target: str, headers: dict[str, str], sent: bytes) -> object:
        """Answer one command."""
        asked = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        if self.password is not None and (asked.get("user"), asked.get("password")) != ("admin", self.password):
            refusal = b'{"WARNING":"Need user=<username>&password=<password>"}'
            return (200 if self.old else 401, {}, refusal)
        now = datetime.now(UTC)
        if asked["cmnd"] == "Status 7":
            return {"StatusTIM": {"UTC": f"{now:%Y-%m-%dT%H:%M:%S}Z", "Local": "2026-01-01T00:00:00"}}
        stamp = f"{now:%Y-%m-%dT%H:%M:%S}" if self.time is None else self.time
        return {"StatusSNS": {"Time": stamp, **({} if self.energy is None else {"ENERGY": self.energy})}}


@pytest.fixture
def plug() -> Plug:
    """Make a plug."""
    return Plug()


@pytest.fixture
def address(peers: ModuleType, plug: Plug) -> Iterator[str]:
    """Serve the plug."""
    with peers.JsonServer({"/cm": plug.answer}) as server:
        yield server.address


def sampler(argument: str | None) -> TasmotaSampler:
    """Return a sampler for an argument."""
    return TasmotaSampler(SamplerOptions(argument=argument, covers=None))


def test_power_and_energy_of_a_plug(address: str) -> None:
    """W as they are, kWh in joules."""
    found = sampler(address)
    answer = found.probe()

    assert "present" == answer.state
    assert "its clock minus ours is" in answer.reason
    assert [44.0, 3.185 * 3.6e6] == [r.value for r in found.read()]
    found.close()


def test_it_keeps_the_contract(address: str) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(address)))


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    assert "absent" == sampler(None).probe().state


@pytest.mark.parametrize("old", [False, True])
def test_a_web_password_is_given_and_never_shown(
    plug: Plug, address: str, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is escaped in the query; no message holds a query. Older versions refuse with HTTP 200."""
    plug.password, plug.old = PASSWORD, old
    refused = sampler(address).probe()
    assert ("broken", True) == (refused.state, "credentials" in f"{refused.reason} {refused.remedy}")

    monkeypatch.setenv("WATTBENCH_TASMOTA_PASSWORD", PASSWORD)
    found = sampler(address)
    assert found.probe().usable
    plug.password = "another"
    with pytest.raises(SensorError) as caught:
        found.read()
    found.close()
    assert "hunter2" not in f"{caught.value} {found.probe()}"


def test_one_of_several_phases_is_named(plug: Plug, address: str) -> None:
    """A meter of phases gives lists."""
    plug.energy = {"Total": [1.0, 2.0, 3.0], "Power": [10, 20, 30]}

    assert "several phases" in sampler(address).probe().reason
    found = sampler(f"{address},phase=2")
    assert found.probe().usable
    assert [20.0, 7.2e6] == [r.value for r in found.read()]
    found.close()
    assert "1, 2 or 3" in sampler(f"{address},phase=9").probe().reason


@pytest.mark.parametrize("energy", [None, "none", []])
def test_a_plug_without_a_meter_is_refused(plug: Plug, address: str, energy: object) -> None:
    """Its answer has no ENERGY."""
    plug.energy = energy

    assert "does not meter" in sampler(address).probe().reason


@pytest.mark.parametrize("value", ["n/a", None, [5]])
def test_what_is_no_number_is_a_failed_reading(plug: Plug, address: str, value: object) -> None:
    """The energy may still be known."""
    found = sampler(address)
    found.probe()
    plug.energy = {"Total": 1.0, "Power": value}
    power, energy = found.read()
    found.close()

    assert (None, 3.6e6) == (power.value, energy.value)
    assert power.error


def test_a_plug_whose_time_stands_still_is_frozen(plug: Plug, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five seconds without a tick its values are no values; they are again when it goes on."""
    found = sampler(address)
    found.probe()
    clock_ns = [0]
    monkeypatch.setattr(found, "_stamps", watches.StampWatch(5.0, now_ns=lambda: clock_ns[0]))
    plug.time = "2026-01-01T00:00:00"
    assert 44.0 == found.read()[0].value
    clock_ns[0] = 6_000_000_000
    assert "frozen" in str(found.read()[0].error)
    plug.time = "2026-01-01T00:00:06"
    assert 44.0 == found.read()[0].value
    found.close()


def test_another_device_is_refused(peers: ModuleType) -> None:
    """What has no StatusSNS is no Tasmota plug."""
    with peers.JsonServer({"/cm": {"Command": "Unknown"}}) as server:
        assert "no Tasmota" in sampler(server.address).probe().reason


def test_a_clock_that_was_never_set_is_said(plug: Plug, peers: ModuleType) -> None:
    """Tasmota counts from 1970 until it has been told the time."""

    def unset(target: str, headers: dict[str, str], sent: bytes) -> object:
        return {"StatusTIM": {"UTC": "1970-01-01T00:00:09"}} if "207" in target else plug.answer(target, headers, sent)

    with peers.JsonServer({"/cm": unset}) as server:
        found = sampler(server.address)
        assert "clock is not known" in found.probe().reason
        found.close()
