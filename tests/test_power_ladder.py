"""The ladder of scopes: what may be added and which rung is the device's own."""

import math
from dataclasses import replace

import pytest
from records import PACKAGE_ENERGY

from wattbench.harness.power.ladder import absent_rung, no_rung_reason, primary_rung, rungs
from wattbench.results.energy import ChannelEnergy

PACKAGE = PACKAGE_ENERGY
SECOND_PACKAGE = replace(PACKAGE, channel="rapl:package-1", covers="cpu:1")
DRAM = replace(PACKAGE, channel="rapl:package-0/dram", scope="dram", energy_j=100.0, energy_net_j=None)
SECOND_DRAM = replace(DRAM, channel="rapl:package-1/dram", covers="cpu:1")
PSYS = replace(PACKAGE, channel="rapl:psys", scope="psys", covers=None, energy_j=2500.0)
CORE = replace(PACKAGE, channel="rapl:package-0/core", scope="other", energy_j=800.0)
BOARD = replace(PACKAGE, channel="nvml:GPU-a:counter", scope="board", covers="GPU-a", energy_j=3000.0)
NODE = replace(PACKAGE, channel="battery:discharge", scope="node", covers=None, energy_j=4000.0)


def unknown(energy: ChannelEnergy) -> ChannelEnergy:
    """Return an energy that could not be known."""
    return replace(energy, energy_j=None, energy_net_j=None, mean_power_w=None, method=None, reason="gap")


def test_overlapping_rapl_domains_are_never_summed() -> None:
    """Packages and their DRAM add up; psys stands alone; cores and uncore are in their package already."""
    found = rungs([PSYS, PACKAGE, CORE, SECOND_PACKAGE, DRAM, SECOND_DRAM])

    assert {"package+dram:cpu": 2200.0, "package:cpu": 2000.0, "psys": 2500.0} == {r.name: r.energy_j for r in found}


def test_dram_of_some_packages_only_is_not_added() -> None:
    """A sum that holds the memory of one socket of two has no boundary that can be named."""
    assert ["package:cpu"] == [r.name for r in rungs([PACKAGE, SECOND_PACKAGE, DRAM])]


def test_a_sum_with_an_unknown_member_is_unknown() -> None:
    """One socket without a figure leaves the sum without one: no sum and no mean of survivors."""
    found = rungs([PACKAGE, unknown(SECOND_PACKAGE)])[0]

    assert (None, None, "gap", None) == (found.energy_j, found.mean_power_w, found.reason, found.u_absolute_rel)


def test_two_samplers_of_the_same_packages_are_not_added() -> None:
    """The sampler that sees more packages is taken, whole."""
    elsewhere = replace(PACKAGE, channel="hwmon:amd_energy:energy1", energy_j=990.0)

    assert [2000.0] == [r.energy_j for r in rungs([elsewhere, PACKAGE, SECOND_PACKAGE])]


def test_two_samplers_of_the_platform_are_one_rung() -> None:
    """Psys through powercap and through perf events is one view of one register, and a rung's name is its own."""
    elsewhere = replace(PSYS, channel="perf:psys", energy_j=2501.0)

    assert [("psys", 2501.0)] == [(r.name, r.energy_j) for r in rungs([elsewhere, PSYS])]


@pytest.mark.parametrize("covers", ["cpu", "GPU-a", None])
def test_one_chip_with_every_processor_stands_for_any_device(covers: str | None) -> None:
    """Apple's chip and a Jetson's module hold CPU and GPU: their package and module see either."""
    chip = replace(PACKAGE, channel="ioreport:soc", covers="soc")
    memory = replace(DRAM, channel="ioreport:dram", covers="soc")
    module = replace(PACKAGE, channel="jetson:VDD_IN", scope="module", covers="soc")
    apple, jetson = primary_rung(rungs([chip, memory]), covers), primary_rung(rungs([module]), covers)

    assert apple is not None
    assert jetson is not None
    assert ("package+dram:soc", 1100.0) == (apple.name, apple.energy_j)
    assert apple.boundary.startswith("one chip with CPU, GPU and neural engine, and DRAM; not: ")
    assert ("module:soc", 1000.0) == (jetson.name, jetson.energy_j)


def test_boards_stand_alone_and_as_a_sum() -> None:
    """Every board is a rung; several have their sum beside them; a second view of one board is left out."""
    other = replace(BOARD, channel="nvml:GPU-b:counter", covers="GPU-b")
    again = replace(BOARD, channel="hwmon:x", energy_j=1.0)

    assert {"board:GPU-a": 3000.0, "board:GPU-b": 3000.0, "board:all": 6000.0} == {
        r.name: r.energy_j for r in rungs([BOARD, other, again])
    }


def test_gain_errors_add_in_full_and_edges_do_not() -> None:
    """Sensors of one make err alike: absolute shares add linearly, comparison shares as squares."""
    found = rungs([PACKAGE, SECOND_PACKAGE])[0]

    assert 0.03 == pytest.approx(found.u_absolute_rel)
    assert 0.001 / math.sqrt(2) == pytest.approx(found.u_comparison_rel)


def test_an_unknown_uncertainty_stays_unknown_in_a_sum() -> None:
    """A member whose accuracy nobody states leaves the sum without a stated one."""
    assert rungs([PACKAGE, replace(SECOND_PACKAGE, u_absolute_rel=None)])[0].u_absolute_rel is None


def test_the_boundary_says_what_is_left_out() -> None:
    """Every rung names its inside and its outside."""
    found = rungs([PACKAGE, DRAM])[0]

    assert "CPU packages and DRAM; not: board, disks, fans, power supply (2 sensors added)" == found.boundary


@pytest.mark.parametrize(
    ("covers", "name"),
    [("cpu", "package+dram:cpu"), ("gpu-A", "board:GPU-a"), ("a", "board:GPU-a"), (None, "board:GPU-a")],
)
def test_the_narrowest_rung_of_the_device_is_primary(covers: str | None, name: str) -> None:
    """The CPU's is package and DRAM, a GPU's its board, however its UUID is written."""
    found = primary_rung(rungs([NODE, PACKAGE, DRAM, BOARD]), covers)

    assert found is not None
    assert name == found.name


def test_the_node_stands_in_where_nothing_closer_is_read() -> None:
    """With only a battery the whole machine is the device's rung; a known energy goes before an unknown one."""
    found = [primary_rung(rungs(e), "cpu") for e in ([NODE], [unknown(PACKAGE), NODE])]

    assert ["node", "node"] == [r.name for r in found if r is not None]


def test_another_devices_board_does_not_stand_in() -> None:
    """A GPU's watts say nothing of the CPU: there is no rung, and the reason names what was read."""
    found = rungs([BOARD, CORE])

    assert primary_rung(found, "cpu") is None
    assert "no sensor sees cpu (read were: board:GPU-a)" == no_rung_reason(found, "cpu")
    assert "none with a known scope" in no_rung_reason((), None)


@pytest.mark.parametrize("energies", [[PACKAGE, DRAM], [BOARD, replace(BOARD, channel="nvml:b", covers="GPU-b")]])
def test_an_unknown_device_is_not_matched_by_guess(energies: list[ChannelEnergy]) -> None:
    """A device without a UUID may be any: neither the packages nor one of two boards stand for it."""
    assert primary_rung(rungs(energies), None) is None


@pytest.mark.parametrize("wide", [PSYS, NODE])
def test_the_whole_machine_holds_an_unknown_device(wide: ChannelEnergy) -> None:
    """Whatever the device is, it is within the platform and the node."""
    found = primary_rung(rungs([PACKAGE, wide]), None)

    assert found is not None
    assert wide.scope == found.scope


def test_a_board_of_an_unknown_identity_is_not_a_known_device() -> None:
    """A board that says not which it is stands for no device with a UUID."""
    assert primary_rung(rungs([replace(BOARD, covers=None)]), "GPU-a") is None


@pytest.mark.parametrize(
    ("covers", "name", "scope"), [("GPU-b", "device:GPU-b", "board"), ("cpu", "device:cpu", "package")]
)
def test_the_absent_rung_has_no_energy_but_a_reason(covers: str, name: str, scope: str) -> None:
    """Where no sensor sees the device a rung without energy takes its place and says what was read."""
    found = absent_rung(rungs([BOARD]), covers)

    assert (name, scope, None) == (found.name, found.scope, found.energy_j)
    assert f"no sensor sees {covers} (read were: board:GPU-a)" == found.reason


def test_declared_watts_are_named_in_their_boundary() -> None:
    """A rung of watts that were stated and not measured says so, and claims no sensor."""
    stated = replace(BOARD, channel="declared:board", provenance="declared")
    rung = rungs([stated])[0]

    assert "declared" == rung.provenance
    assert rung.boundary.endswith("; watts declared, not measured")
    assert "by its own sensor" not in rung.boundary
