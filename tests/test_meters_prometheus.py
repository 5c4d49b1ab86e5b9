"""The Prometheus sampler against Debian's prometheus-node-exporter over a made-up tree, and a server for its faults."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import watches
from wattbench.harness.power.meters.prometheus import PrometheusSampler
from wattbench.results.errors import SensorError
from wattbench.testing import check_sampler

pytest.importorskip("prometheus_client", reason="needs prometheus-client: pip install 'wattbench[meters]'")

RAPL = "metric=node_rapl_package_joules_total,unit=J,scope=package,covers=cpu:{index}"
GAUGE = b'# TYPE pdu_power gauge\npdu_power{outlet="1"} 120.5\npdu_power{outlet="2"} 80.25\n'


def sampler(argument: str | None) -> PrometheusSampler:
    """Return a sampler for an argument."""
    return PrometheusSampler(SamplerOptions(argument=argument, covers=None))


@pytest.fixture
def server(peers: ModuleType) -> Iterator[Any]:  # any: the module is loaded by its path
    """Serve two outlets."""
    with peers.JsonServer({"/metrics": GAUGE}) as found:
        yield found


def zone(tree: Path, number: int, microjoule: int) -> Path:
    """Write one package of RAPL and return its counter."""
    folder = tree / "class" / "powercap" / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"package-{number}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    (folder / "energy_uj").write_text(f"{microjoule}\n")
    return folder / "energy_uj"


@pytest.fixture
def exporter(peers: ModuleType, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Run the exporter over two packages; give its address and the first counter's file."""
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        pytest.skip("needs Debian's prometheus-node-exporter (.ci/peers.txt)")
    counter = zone(tmp_path / "sys", 0, 5_000_000)
    zone(tmp_path / "sys", 1, 7_500_000)
    port = peers.free_port()
    words = [program, f"--path.sysfs={tmp_path / 'sys'}", "--collector.disable-defaults", "--collector.rapl"]
    words.append(f"--web.listen-address=127.0.0.1:{port}")
    with peers.program(words, peers.answers_tcp(port), tmp_path / "log"):
        yield f"http://127.0.0.1:{port}/metrics", counter


def test_a_real_exporter_is_read(exporter: tuple[str, Path]) -> None:
    """Each series is a channel; its labels tell which package it covers; the counter advances with the tree."""
    address, counter = exporter
    found = sampler(f"{address},name=node,{RAPL},wraps=262143.32885")
    answer = found.probe()
    first = [r.value for r in found.read()]
    counter.write_text("6000000\n")
    second = [r.value for r in found.read()]
    found.close()

    assert "present" == answer.state, answer
    assert "2 series of node_rapl_package_joules_total" in answer.reason
    assert [("cpu:0", "package", "counter"), ("cpu:1", "package", "counter")] == [
        (c.covers, c.scope, c.kind) for c in found.channels
    ]
    assert 262143.32885 == found.channels[0].wraps_at_j
    assert ([5.0, 7.5], [6.0, 7.5]) == (first, second)


def test_a_real_exporter_keeps_the_contract(exporter: tuple[str, Path]) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(f"{exporter[0]},{RAPL}")))


def test_a_metric_that_is_not_there_is_named_with_those_that_are(exporter: tuple[str, Path]) -> None:
    """The message lists what the exporter shows of power or energy."""
    reason = sampler(f"{exporter[0]},metric=node_power,unit=W").probe().reason

    assert "shows no node_power" in reason
    assert "node_rapl_package_joules_total" in reason


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    assert "absent" == sampler(None).probe().state


@pytest.mark.parametrize(
    ("unit", "text", "value"),
    [
        ("W", "5", 5.0),
        ("mW", "5000", 5.0),
        ("uW", "5e6", 5.0),
        ("kW", "0.005", 5.0),
        ("J", "5", 5.0),
        ("mJ", "5000", 5.0),
        ("uJ", "5e6", 5.0),
        ("Wh", "5", 18_000.0),
        ("kWh", "0.005", 18_000.0),
    ],
)
def test_units_become_watts_and_joules(server: Any, unit: str, text: str, value: float) -> None:
    """The user states the unit; energy is a counter, power a gauge."""
    server.routes["/metrics"] = f"x {text}\n".encode()
    found = sampler(f"{server.address},metric=x,unit={unit}")
    assert found.probe().usable

    assert [pytest.approx(value)] == [r.value for r in found.read()]
    assert ("counter" if "J" in unit or "h" in unit else "power") == found.channels[0].kind
    found.close()


def test_labels_choose_among_series(server: Any) -> None:
    """Without them every series is a channel."""
    found = sampler(f"{server.address},metric=pdu_power,unit=W,label[outlet]=2,scope=wall")
    assert found.probe().usable
    assert [80.25] == [r.value for r in found.read()]
    found.close()

    every = sampler(f"{server.address},name=pdu,metric=pdu_power,unit=W")
    every.probe()
    assert ["prometheus:pdu:pdu_power,outlet=1:power", "prometheus:pdu:pdu_power,outlet=2:power"] == [
        c.id for c in every.channels
    ]
    every.close()
    assert "none has these labels" in sampler(f"{server.address},metric=pdu_power,unit=W,label[x]=2").probe().reason


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("unit=W", "needs metric="),
        ("metric=x", "needs unit="),
        ("metric=x,unit=BTU", "known are W"),
        ("metric=x,unit=W,kind=counter", "a gauge in watts"),
        ("metric=x,unit=J,kind=gauge", "a counter is in joules"),
    ],
)
def test_what_is_not_stated_is_not_guessed(options: str, said: str) -> None:
    """Metric and unit must be named; a kind that contradicts the unit is refused."""
    assert said in sampler(f"127.0.0.1:1,{options}").probe().reason


@pytest.mark.parametrize("text", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_number_is_a_failed_reading(server: Any, text: str) -> None:
    """Prometheus has signs for no value."""
    server.routes["/metrics"] = b"x 5\n"
    found = sampler(f"{server.address},metric=x,unit=W")
    found.probe()
    server.routes["/metrics"] = f"x {text}\n".encode()
    (reading,) = found.read()
    found.close()

    assert reading.value is None
    assert reading.error


def test_a_series_that_vanishes_or_doubles_is_a_failed_reading(server: Any) -> None:
    """It must be there exactly once."""
    server.routes["/metrics"] = b'x{a="1"} 5\n'
    found = sampler(f"{server.address},metric=x,unit=W")
    found.probe()
    for text, times in ((b"y 5\n", 0), (b'x{a="1"} 5\nx{a="1"} 6\n', 2)):
        server.routes["/metrics"] = text
        assert f"shown {times} times" in str(found.read()[0].error)
    found.close()


def test_a_stale_sample_is_no_value(server: Any) -> None:
    """A federated sample carries its time (ms); its age is by the server's own clock."""

    def sample(age_s: float) -> bytes:
        return f"x 5 {round((time.time() - age_s) * 1000)}\n".encode()

    server.routes["/metrics"] = sample(0)
    found = sampler(f"{server.address},metric=x,unit=W,max_age=10")
    assert found.probe().usable
    (fresh,) = found.read()
    server.routes["/metrics"] = sample(60)
    (stale,) = found.read()
    server.date_offset_s = -60.0
    (offset,) = found.read()
    found.close()

    assert (5.0, None, 5.0) == (fresh.value, stale.value, offset.value)
    assert "stale: it was 60 s old" in str(stale.error) or "stale: it was 59 s old" in str(stale.error)
    assert fresh.sensor_ns is not None


def test_a_stale_exporter_is_refused_at_the_start(server: Any) -> None:
    """The time may stand in another metric, in seconds."""
    server.routes["/metrics"] = b"x 5\nx_updated_seconds 1000\n"
    argument = f"{server.address},metric=x,unit=W,time_metric=x_updated_seconds"

    assert "stale" in sampler(argument).probe().reason
    server.routes["/metrics"] = f"x 5\nx_updated_seconds {time.time()}\n".encode()
    found = sampler(argument)
    assert found.probe().usable
    server.routes["/metrics"] = b"x 5\n"
    assert found.read()[0].value is None
    found.close()


@pytest.mark.parametrize(("line", "unit"), [("x 5 {now}", "W"), ("x 5", "J")])
def test_a_scrape_that_stands_still_is_frozen(
    server: Any, line: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time stamp, or where there is none its counter, must move."""
    server.date_offset_s = None
    server.routes["/metrics"] = f"{line.format(now=round(time.time() * 1000))}\n".encode()
    found = sampler(f"{server.address},metric=x,unit={unit},max_age=5")
    assert found.probe().usable
    now_ns = [0]
    still = watches.StampWatch(5.0, now_ns=lambda: now_ns[0])
    monkeypatch.setattr(found, "_watches", {found.channels[0].id: still})
    first = found.read()[0]
    now_ns[0] = 6_000_000_000
    second = found.read()[0]
    found.close()

    assert 5.0 == first.value
    assert "frozen" in str(second.error)


@pytest.mark.parametrize("body", [b"<html><body>hello</body></html>", b'x{a="1} 5', b"x five", b"\xff\xfe\x00"])
def test_garbage_is_an_error(server: Any, body: bytes) -> None:
    """What is no Prometheus text is said, and recovered from."""
    server.routes["/metrics"] = b"x 5\n"
    found = sampler(f"{server.address},metric=x,unit=W")
    found.probe()
    server.routes["/metrics"] = body
    with pytest.raises(SensorError, match="no Prometheus text"):
        found.read()
    server.routes["/metrics"] = b"x 6\n"
    assert 6.0 == found.read()[0].value
    found.close()


def test_an_exporter_may_ask_for_credentials(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Basic, or a bearer token."""
    server.auth = "basic"
    monkeypatch.setenv("WATTBENCH_PROMETHEUS_USER", server.user)
    monkeypatch.setenv("WATTBENCH_PROMETHEUS_PASSWORD", server.password)
    found = sampler(f"{server.address},metric=pdu_power,unit=W")
    assert found.probe().usable
    found.close()

    server.auth = None
    monkeypatch.setenv("WATTBENCH_PROMETHEUS_TOKEN", "t0ken-long")
    found = sampler(f"{server.address},metric=pdu_power,unit=W")
    assert found.probe().usable
    found.close()
    assert "Bearer t0ken-long" == server.seen[-1][2]["Authorization"]
