"""The DCGM sampler against a server that shows what NVIDIA's exporter shows."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.meters import watches
from wattbench.harness.power.meters.dcgm import DcgmSampler
from wattbench.testing import check_sampler

pytest.importorskip("prometheus_client", reason="needs prometheus-client: pip install 'wattbench[meters]'")

A, B = "GPU-aaaa1111", "GPU-bbbb2222"


def text(*lines: tuple[str, str, object], labels: str = "") -> bytes:
    """Return the exporter's text for (metric, UUID, value)."""
    head = "# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter\n"
    rows = [
        f'{metric}{{gpu="0",UUID="{uuid}",modelName="NVIDIA H200"{labels}}} {value}' for metric, uuid, value in lines
    ]
    return (head + "\n".join(rows) + "\n").encode()


def boards(power_w: object = 350.5, energy_mj: object = 7_000_000) -> bytes:
    """Return two boards."""
    lines = [
        (metric, uuid, value)
        for metric, value in (("DCGM_FI_DEV_POWER_USAGE", power_w), ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", energy_mj))
        for uuid in (A, B)
    ]
    return text(*lines)


@pytest.fixture
def server(peers: ModuleType) -> Iterator[Any]:  # any: the module is loaded by its path
    """Serve two boards."""
    with peers.JsonServer({"/metrics": boards()}) as found:
        yield found


def sampler(argument: str | None, covers: str | None = None) -> DcgmSampler:
    """Return a sampler for an argument."""
    return DcgmSampler(SamplerOptions(argument=argument, covers=covers))


def test_power_and_energy_of_every_board(server: Any) -> None:
    """W as they are, mJ in joules; the exporter's interval is the update period."""
    found = sampler(f"{server.address},name=x")
    answer = found.probe()

    assert "present" == answer.state, answer
    assert [(f"dcgm:x:{A}:power", A, "board", 30.0), (f"dcgm:x:{A}:energy", A, "board", 30.0)] == [
        (c.id, c.covers, c.scope, c.update_period_s) for c in found.channels[:2]
    ]
    assert [350.5, 7000.0, 350.5, 7000.0] == [r.value for r in found.read()]
    found.close()


def test_it_keeps_the_contract(server: Any) -> None:
    """The checks that every sampler passes."""
    assert 4 == len(check_sampler(lambda: sampler(server.address)))


def test_only_the_board_under_test_is_read(server: Any) -> None:
    """By UUID, with or without its prefix; another machine's exporter is refused."""
    found = sampler(f"{server.address},period=1", "bbbb2222")
    assert found.probe().usable
    assert [B, B] == [c.covers for c in found.channels]
    assert 1.0 == found.channels[0].update_period_s
    found.close()

    refused = sampler(server.address, "GPU-cccc")
    assert f"it shows {A}, {B}; under test is GPU-cccc" in refused.probe().reason


def test_an_exporter_without_a_counter_gives_power(server: Any) -> None:
    """Some sets of metrics leave it out."""
    server.routes["/metrics"] = text(("DCGM_FI_DEV_POWER_USAGE", A, 300))
    found = sampler(server.address)
    found.probe()

    assert [300.0] == [r.value for r in found.read()]
    found.close()


def test_slices_are_refused(server: Any) -> None:
    """The exporter repeats the board's watts for each MIG slice."""
    server.routes["/metrics"] = text(("DCGM_FI_DEV_POWER_USAGE", A, 300), labels=',GPU_I_ID="1"')

    assert "MIG slices" in sampler(server.address).probe().reason


@pytest.mark.parametrize("blank", ["140737488355328", "9223372036854775792", "NaN"])
def test_marks_of_no_value_are_failed_readings(server: Any, blank: str) -> None:
    """DCGM has numbers that mean none."""
    found = sampler(server.address)
    found.probe()
    server.routes["/metrics"] = boards(power_w=blank)
    power, energy = found.read()[:2]
    found.close()

    assert (None, 7000.0) == (power.value, energy.value)
    assert power.error


def test_a_board_that_vanishes_is_a_failed_reading(server: Any) -> None:
    """It fell off the bus; the other one is still read."""
    found = sampler(server.address)
    found.probe()
    server.routes["/metrics"] = text(("DCGM_FI_DEV_POWER_USAGE", B, 300))
    readings = found.read()
    found.close()

    assert [None, None, 300.0, None] == [r.value for r in readings]
    assert "shown 0 times" in str(readings[0].error)


def test_an_exporter_that_stands_still_is_frozen(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Power is shown and no energy is counted."""
    found = sampler(f"{server.address},period=1", A)
    found.probe()
    now_ns = [0]
    monkeypatch.setattr(found, "_watches", {A: watches.CounterWatch(0.001, 1.0, now_ns=lambda: now_ns[0])})
    first = found.read()[0]
    now_ns[0] = 10_000_000_000
    second = found.read()[0]
    found.close()

    assert 350.5 == first.value
    assert "frozen" in str(second.error)


def test_without_an_address_nothing_is_touched() -> None:
    """`auto` never reaches into the network."""
    assert "absent" == sampler(None).probe().state


def test_another_exporter_is_refused(server: Any) -> None:
    """It shows no board."""
    server.routes["/metrics"] = b"x 5\n"

    assert "no board" in sampler(server.address).probe().reason
