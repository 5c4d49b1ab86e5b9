"""The Shelly sampler against a server that speaks the documented JSON of generation 2."""

import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters.shelly import ShellySampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

INFO = {"id": "shellyplusplugs-1", "model": "SNPL-00112EU", "gen": 2, "ver": "1.4.4", "auth_en": False}


def switch(power_w: object = 100.0, total_wh: object = 2000.5, **more: object) -> dict[str, object]:
    """Return the status of a metering switch."""
    energy = {"total": total_wh, "by_minute": [1666.0, 1666.0, 1666.0], "minute_ts": int(time.time()) // 60 * 60}
    return {"id": 0, "output": True, "apower": power_w, "voltage": 230.1, "current": 0.43, "aenergy": energy, **more}


def plug(**parts: object) -> dict[str, Any]:
    """Return the routes of a plug with components."""
    status = {"sys": {"unixtime": int(time.time())}, **{name.replace("_", ":"): part for name, part in parts.items()}}
    return {"/rpc/Shelly.GetDeviceInfo": INFO, "/rpc/Shelly.GetStatus": status}


@pytest.fixture
def server(peers: ModuleType) -> Iterator[Any]:  # any: the module is loaded by its path
    """Serve a plug with one metering switch."""
    with peers.JsonServer({**plug(switch_0=switch()), "/rpc/Switch.GetStatus": switch()}) as found:
        yield found


def sampler(argument: str | None) -> ShellySampler:
    """Return a sampler for an argument."""
    return ShellySampler(SamplerOptions(argument=argument, covers=None))


def test_power_and_energy_of_a_plug(server: Any) -> None:
    """W as they are, Wh in joules, both at the wall and in one group."""
    found = sampler(f"{server.address},name=left")
    answer = found.probe()
    power, energy = found.channels

    assert "present" == answer.state
    assert "SNPL-00112EU, firmware 1.4.4, switch:0" in answer.reason
    assert ("shelly:left:power", "shelly:left:energy", "wall", power.group) == (
        power.id,
        energy.id,
        power.scope,
        energy.group,
    )
    assert [100.0, 2000.5 * 3600] == [r.value for r in found.read()]
    found.close()


def test_a_meter_that_is_asked_rarely_is_seen_rarely(server: Any) -> None:
    """The update period is that of the reads where these are further apart, so that no gap is seen between them."""
    found = sampler(f"{server.address},every=5")
    found.probe()
    found.close()

    assert (5.0, [5.0, 5.0]) == (found.poll_period_s, [c.update_period_s for c in found.channels])


def test_it_keeps_the_contract(server: Any) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(server.address)))


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    found = sampler(None).probe()

    assert ("absent", True) == (found.state, "--power shelly:ADDRESS" in found.remedy)


def test_an_energy_meter_has_its_own_methods(peers: ModuleType) -> None:
    """A three-phase meter gives the sum of its phases, its energy by a second method."""
    routes = {
        **plug(em_0={"id": 0, "total_act_power": 900.5}),
        "/rpc/EM.GetStatus": {"id": 0, "total_act_power": 900.5},
        "/rpc/EMData.GetStatus": {"id": 0, "total_act": 10.25},
    }
    with peers.JsonServer(routes) as server:
        found = sampler(server.address)

        assert found.probe().usable
        assert [900.5, 36_900.0] == [r.value for r in found.read()]
        found.close()


def test_of_several_components_one_must_be_named(peers: ModuleType) -> None:
    """The message lists those that meter."""
    routes = {**plug(switch_0=switch(), switch_1=switch(7.0)), "/rpc/Switch.GetStatus": switch(7.0)}
    with peers.JsonServer(routes) as server:
        assert "switch:0, switch:1" in sampler(server.address).probe().reason
        assert "switch:0, switch:1" in sampler(f"{server.address},component=pm1:0").probe().reason
        found = sampler(f"{server.address},component=switch:1")
        assert found.probe().usable
        found.read()
        assert "/rpc/Switch.GetStatus?id=1" == server.seen[-1][1]
        found.close()


def test_the_password_answers_a_digest_challenge(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the environment; a wrong one is refused and not repeated."""
    server.auth = "digest"
    monkeypatch.setenv("WATTBENCH_SHELLY_PASSWORD", server.password)
    found = sampler(server.address)
    assert found.probe().usable
    assert 100.0 == found.read()[0].value
    found.close()

    monkeypatch.setenv("WATTBENCH_SHELLY_PASSWORD", "wr0ng-one")
    refused = sampler(server.address).probe()
    assert ("broken", True) == (refused.state, "refused the credentials" in refused.reason)
    assert "wr0ng-one" not in f"{refused}"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (switch(None), "None"),
        (switch("N/A"), "'N/A'"),
        (switch(True), "True"),
        ({"id": 0, "output": True}, "None"),
        (switch(errors=["power_meter_failure"]), "power_meter_failure"),
        (switch(errors=["out_of_range:current"]), "out_of_range:current"),
    ],
)
def test_what_is_no_number_is_a_failed_reading(server: Any, status: object, said: str) -> None:
    """The reading says what came instead of a number, or the plug's own words."""
    found = sampler(server.address)
    found.probe()
    server.routes["/rpc/Switch.GetStatus"] = status
    power = found.read()[0]
    found.close()

    assert power.value is None
    assert said in str(power.error)


def test_a_negative_value_is_passed_on_to_be_refused(server: Any) -> None:
    """A sampler drops nothing: the energy of the window is refused, with a doubt."""
    found = sampler(server.address)
    found.probe()
    server.routes["/rpc/Switch.GetStatus"] = switch(-5.0)

    assert -5.0 == found.read()[0].value
    found.close()


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_refusing_plug_is_an_error(server: Any, status: int) -> None:
    """The whole source fails; the probe says so with a remedy."""
    found = sampler(server.address)
    found.probe()
    server.status = status
    with pytest.raises(SensorError):
        found.read()
    found.close()
    answer = sampler(server.address).probe()

    assert "broken" == answer.state
    assert answer.remedy


def test_an_older_generation_is_refused(server: Any) -> None:
    """Generation 1 speaks differently."""
    server.routes["/rpc/Shelly.GetDeviceInfo"] = {"model": "SHPLG-S"}

    assert "no Shelly of generation 2" in sampler(server.address).probe().reason


def test_a_plug_that_gives_no_value_is_refused_at_the_start(server: Any) -> None:
    """A run with it would be in vain."""
    server.routes["/rpc/Switch.GetStatus"] = switch(errors=["power_meter_failure"])

    assert "gives no value now: the plug reports power_meter_failure" in sampler(server.address).probe().reason


def test_the_clocks_offset_is_recorded(server: Any) -> None:
    """The plug's own time, and the bound of the exchange."""
    server.routes["/rpc/Shelly.GetStatus"]["sys"]["unixtime"] = int(time.time()) + 3600

    found = sampler(server.address)
    reason = found.probe().reason
    found.close()
    offset_s = float(reason.split("ours is ")[1].split(" s")[0])
    assert 3598 < offset_s < 3602


def test_a_clock_that_is_not_set_is_said(server: Any) -> None:
    """A plug without the Internet has no time, and needs none."""
    server.routes["/rpc/Shelly.GetStatus"]["sys"]["unixtime"] = None

    found = sampler(server.address)

    assert "clock is not set" in found.probe().reason
    found.close()


def test_after_closing_nothing_is_read(server: Any) -> None:
    """A closed sampler says so."""
    found = sampler(server.address)
    found.probe()
    found.close()

    with pytest.raises(SensorError, match="closed"):
        found.read()
