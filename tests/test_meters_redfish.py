"""The Redfish sampler against sushy-static with mock-up data of ours, and a server for log-ins and faults."""

import json
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import watches
from wattbench.harness.power.meters.redfish import RedfishSampler
from wattbench.harness.power.meters.redfish_sources import iso_duration_s, iso_time_s, kind_of
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

CHASSIS = "/redfish/v1/Chassis/1U"


def ref(path: str) -> dict[str, str]:
    """Return a link to a resource."""
    return {"@odata.id": path}


def service(**changes: object) -> dict[str, Any]:
    """Return the resources of a one-chassis server that says 374 W in one place and 344 W in another."""
    metrics, power, subsystem = f"{CHASSIS}/EnvironmentMetrics", f"{CHASSIS}/Power", f"{CHASSIS}/PowerSubsystem"
    sensor = f"{CHASSIS}/Sensors/TotalPower"
    found: dict[str, Any] = {
        "/redfish/v1/Chassis": {"Members": [ref(CHASSIS)]},
        CHASSIS: {
            "Id": "1U",
            "EnvironmentMetrics": ref(metrics),
            "Power": ref(power),
            "Sensors": ref(f"{CHASSIS}/Sensors"),
            "PowerSubsystem": ref(subsystem),
        },
        metrics: {"PowerWatts": {"DataSourceUri": sensor, "Reading": 374}, "EnergykWh": {"Reading": 325.675}},
        power: {
            "PowerControl": [
                {"PowerConsumedWatts": 344, "PowerCapacityWatts": 800, "PowerMetrics": {"IntervalInMin": 30}}
            ]
        },
        f"{CHASSIS}/Sensors": {"Members": [ref(sensor)]},
        sensor: {
            "Id": "TotalPower",
            "Reading": 374,
            "ReadingUnits": "W",
            "SensingInterval": "PT0.5S",
            "AveragingInterval": "PT1S",
            "ReadingAccuracy": 2.0,
            "ReadingRangeMax": 1000,
        },
        subsystem: {"PowerSupplies": ref(f"{subsystem}/PowerSupplies")},
        f"{subsystem}/PowerSupplies": {"Members": [ref(f"{subsystem}/PowerSupplies/Bay{n}") for n in (1, 2)]},
    }
    for bay, watts in ((1, 180.5), (2, 194.0)):
        path = f"{subsystem}/PowerSupplies/Bay{bay}"
        found[path] = {"Metrics": ref(f"{path}/Metrics")}
        found[f"{path}/Metrics"] = {"InputPowerWatts": {"Reading": watts}}
    return {**found, **changes}


@pytest.fixture
def server(peers: ModuleType) -> Iterator[Any]:  # any: the module is loaded by its path
    """Serve the resources."""
    with peers.JsonServer(service()) as found:
        yield found


def sampler(argument: str | None) -> RedfishSampler:
    """Return a sampler for an argument."""
    return RedfishSampler(SamplerOptions(argument=argument, covers=None))


@pytest.fixture(scope="module")
def sushy(peers: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Run sushy-static over TLS with the resources as files; give its address and the certificate."""
    program = shutil.which("sushy-static", path=sysconfig.get_path("scripts")) or shutil.which("sushy-static")
    if program is None:
        pytest.skip("needs sushy-tools (the dev extra)")
    folder = tmp_path_factory.mktemp("redfish")
    for path, document in service().items():
        place = folder / "mockup" / path.removeprefix("/redfish/v1/") / "index.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(document))
    certificate, key = peers.certificate(folder)
    port = peers.free_port()
    words = [sys.executable, program, "-i", "127.0.0.1", "-p", str(port), "-m", str(folder / "mockup")]
    words += ["-c", str(certificate), "-k", str(key)]
    with peers.program(words, peers.answers_tcp(port), folder / "log"):
        yield f"https://127.0.0.1:{port}", certificate


def test_a_real_service_is_read_over_tls(sushy: tuple[str, Path]) -> None:
    """The best source is taken and named; what the deprecated one says differs and is noted."""
    address, certificate = sushy
    found = sampler(f"{address},tls={certificate},name=bmc")
    answer = found.probe()
    power, energy = found.channels

    assert "present" == answer.state, answer
    assert f"environment-metrics at {CHASSIS}/EnvironmentMetrics" in answer.reason
    assert "power-control at /redfish/v1/Chassis/1U/Power says 344 W where this one says 374 W" in answer.reason
    assert "its clock minus ours is" in answer.reason
    assert ("redfish:bmc:1U:power", "node", 1.0, 1.0) == (
        power.id,
        power.scope,
        power.update_period_s,
        power.averaging_window_s,
    )
    assert 0.02 / 3**0.5 == pytest.approx(power.accuracy_rel)
    assert [374.0, 325.675 * 3.6e6] == [r.value for r in found.read()]
    assert energy.group == power.group
    found.close()


def test_a_real_service_keeps_the_contract(sushy: tuple[str, Path]) -> None:
    """The checks that every sampler passes."""
    address, certificate = sushy

    assert 4 == len(check_sampler(lambda: sampler(f"{address},tls={certificate}")))


def test_an_unknown_certificate_is_refused(sushy: tuple[str, Path]) -> None:
    """TLS is verified unless told otherwise."""
    refused = sampler(sushy[0]).probe()
    found = sampler(f"{sushy[0]},tls=insecure")

    assert "certificate is not trusted" in refused.reason
    assert found.probe().usable
    found.close()


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    assert "absent" == sampler(None).probe().state


@pytest.mark.parametrize(
    ("option", "watts"),
    [("source=power-control", [344.0]), ("source=sensor", [374.0]), ("sensor=TotalPower", [374.0])],
)
def test_a_source_may_be_asked_for(server: Any, option: str, watts: list[float]) -> None:
    """By its kind, or a sensor by its name."""
    found = sampler(f"{server.address},{option}")
    assert found.probe().usable

    assert watts == [r.value for r in found.read()]
    found.close()


def test_power_supplies_are_parts_of_the_wall(server: Any) -> None:
    """Each is a channel that covers one of two; the ladder adds them."""
    found = sampler(f"{server.address},source=power-supply")
    assert found.probe().usable

    assert [("wall", "supply 1/2"), ("wall", "supply 2/2")] == [(c.scope, c.covers) for c in found.channels]
    assert [180.5, 194.0] == [r.value for r in found.read()]
    found.close()


def test_a_sum_with_a_missing_supply_is_not_offered(peers: ModuleType) -> None:
    """One supply without a reading takes the whole kind out."""
    path = f"{CHASSIS}/PowerSubsystem/PowerSupplies/Bay2/Metrics"
    with peers.JsonServer(service(**{path: {"InputPowerWatts": {"Reading": None}}})) as server:
        assert "no power by power-supply" in sampler(f"{server.address},source=power-supply").probe().reason


def test_a_board_is_read_by_its_own_resource(peers: ModuleType) -> None:
    """Accelerators of a baseboard have metrics of their own."""
    path = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_1/EnvironmentMetrics"
    with peers.JsonServer(service(**{path: {"PowerWatts": {"Reading": 640.5}}})) as server:
        found = sampler(f"{server.address},resource={path},scope=board,covers=GPU-1")
        assert found.probe().usable
        assert [("board", "GPU-1")] == [(c.scope, c.covers) for c in found.channels]
        assert [640.5] == [r.value for r in found.read()]
        found.close()


def test_of_several_chassis_one_must_be_named(peers: ModuleType) -> None:
    """The message lists them; a wrong name lists them too."""
    routes = service(**{"/redfish/v1/Chassis": {"Members": [ref(CHASSIS), ref("/redfish/v1/Chassis/2U")]}})
    routes["/redfish/v1/Chassis/2U"] = {"Power": ref(f"{CHASSIS}/Power")}
    with peers.JsonServer(routes) as server:
        assert "several chassis with power: 1U, 2U" in sampler(server.address).probe().reason
        assert "no chassis 3U: it has 1U, 2U" in sampler(f"{server.address},chassis=3U").probe().reason
        found = sampler(f"{server.address},chassis=2U")
        assert found.probe().usable
        assert [344.0] == [r.value for r in found.read()]
        found.close()


def test_a_service_without_power_is_refused(peers: ModuleType) -> None:
    """It says where it looked."""
    with peers.JsonServer({"/redfish/v1/Chassis": {"Members": [ref(CHASSIS)]}, CHASSIS: {"Id": "1U"}}) as server:
        assert "looked into chassis 1U" in sampler(server.address).probe().reason
        assert "gives no power" in sampler(f"{server.address},resource={CHASSIS}").probe().reason


def test_basic_credentials_open_it(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the remedy says how to give them."""
    server.auth = "basic"
    refused = sampler(server.address).probe()
    assert ("broken", True) == (refused.state, "docs/meters.md#credentials" in refused.remedy)

    monkeypatch.setenv("WATTBENCH_REDFISH_USER", server.user)
    monkeypatch.setenv("WATTBENCH_REDFISH_PASSWORD", server.password)
    found = sampler(server.address)
    assert found.probe().usable
    found.close()


def test_a_session_is_opened_renewed_and_closed(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token stands in for the password; when it has run out a new one is fetched, and the last is given back."""
    opened: list[bytes] = []
    sessions = "/redfish/v1/SessionService/Sessions"
    monkeypatch.setenv("WATTBENCH_REDFISH_USER", "admin")
    monkeypatch.setenv("WATTBENCH_REDFISH_PASSWORD", "hunter2-long")
    with peers.JsonServer(service()) as server:
        server.auth = "token"

        def log_in(target: str, headers: dict[str, str], sent: bytes) -> object:
            opened.append(sent)
            server.token = f"t0ken-{len(opened)}"
            return 201, {"X-Auth-Token": server.token, "Location": f"{sessions}/7"}, b"{}"

        server.routes |= {sessions: log_in, f"{sessions}/7": {}}
        found = sampler(f"{server.address},auth=session")
        assert found.probe().usable
        server.token = "another"
        assert 374.0 == found.read()[0].value
        found.close()
        last = server.seen[-1]

    assert [{"UserName": "admin", "Password": "hunter2-long"}] * 2 == [json.loads(sent) for sent in opened]
    assert ("DELETE", f"{sessions}/7", "t0ken-2") == (last[0], last[1], last[2]["X-Auth-Token"])


def test_a_refused_log_in_never_shows_the_password(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there a session without credentials."""
    assert "needs a user and a password" in sampler("127.0.0.1:1,auth=session").probe().reason

    monkeypatch.setenv("WATTBENCH_REDFISH_USER", "admin")
    monkeypatch.setenv("WATTBENCH_REDFISH_PASSWORD", "wr0ng-one")
    with peers.JsonServer(service()) as server:
        answer = sampler(f"{server.address},auth=session").probe()

    assert "Cannot log in" in answer.reason
    assert "wr0ng-one" not in f"{answer}"


@pytest.mark.parametrize("reading", [None, "N/A", True, [1]])
def test_what_is_no_number_is_a_failed_reading(server: Any, reading: object) -> None:
    """BMCs send null while they start."""
    found = sampler(server.address)
    found.probe()
    server.routes[f"{CHASSIS}/EnvironmentMetrics"] = {"PowerWatts": {"Reading": reading}, "EnergykWh": {"Reading": 1}}
    power, energy = found.read()
    found.close()

    assert (None, 3.6e6) == (power.value, energy.value)
    assert power.error


@pytest.mark.parametrize("fault", [401, 404, 500, b"<html>"])
def test_a_failing_service_is_an_error_and_recovers(server: Any, fault: object) -> None:
    """The read fails as a whole; the next good one is a value."""
    found = sampler(server.address)
    found.probe()
    path, good = f"{CHASSIS}/EnvironmentMetrics", server.routes[f"{CHASSIS}/EnvironmentMetrics"]
    server.routes[path] = fault if isinstance(fault, bytes) else (lambda target, headers, sent: (fault, {}, b"{}"))
    with pytest.raises(SensorError):
        found.read()
    server.routes[path] = good

    assert 374.0 == found.read()[0].value
    found.close()


def stamped(age_s: float) -> dict[str, object]:
    """Return a sensor that was read some time ago, by its own clock."""
    taken = datetime.now(UTC) - timedelta(seconds=age_s)
    return {"Reading": 374, "ReadingUnits": "W", "ReadingTime": taken.isoformat(timespec="seconds")}


def test_a_stale_sensor_is_an_error(server: Any) -> None:
    """Its time stamp is held against the service's own clock, so that an offset between ours does not matter."""
    path = f"{CHASSIS}/Sensors/TotalPower"
    server.routes[path] = stamped(0)
    found = sampler(f"{server.address},source=sensor,max_age=5")
    assert found.probe().usable
    (fresh,) = found.read()
    server.routes[path] = stamped(60)
    (stale,) = found.read()
    server.date_offset_s = -60.0
    (offset,) = found.read()
    found.close()

    assert (374.0, None, 374.0) == (fresh.value, stale.value, offset.value)
    assert "stale" in str(stale.error)
    assert fresh.sensor_ns is not None
    assert abs(fresh.sensor_ns / 1e9 - time.time()) < 5


def test_a_sensor_whose_time_stands_still_is_frozen(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the service tells no time of its own."""
    path = f"{CHASSIS}/Sensors/TotalPower"
    server.routes[path] = stamped(0)
    server.date_offset_s = None
    found = sampler(f"{server.address},source=sensor,max_age=5")
    found.probe()
    now_ns = [0]
    monkeypatch.setattr(found, "_stamps", {"TotalPower": watches.StampWatch(5.0, now_ns=lambda: now_ns[0])})
    first = found.read()[0]
    now_ns[0] = 6_000_000_000
    second = found.read()[0]
    found.close()

    assert 374.0 == first.value
    assert "frozen" in str(second.error)


@pytest.mark.parametrize(
    ("text", "seconds"), [("PT0.5S", 0.5), ("P1DT1H1M1S", 90_061.0), ("PT", None), ("5", None), (5, None)]
)
def test_durations_of_iso_8601(text: object, seconds: float | None) -> None:
    """As Redfish writes intervals."""
    assert seconds == iso_duration_s(text)


def test_times_need_their_offset() -> None:
    """A time without one could be any hour's."""
    assert [0.0, None, None] == [iso_time_s(x) for x in ("1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00", None)]


def test_a_resource_without_watts_is_no_source() -> None:
    """A sensor in degrees is none."""
    assert kind_of({"Reading": 5, "ReadingUnits": "Cel"}) is None
    assert "sensor" == kind_of({"Reading": 5, "ReadingUnits": "kW"})
