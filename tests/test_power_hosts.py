"""Serving hosts that are read from afar: their powers add up to one deployment, and nothing else is added to them."""

from dataclasses import replace

import pytest
from records import PACKAGE_ENERGY, PLAIN_POWER

from wattbench.harness.power.hosts import at_host, host_of, require_hosts_alone
from wattbench.harness.power.ladder import primary_rung, rungs, seeing
from wattbench.results.energy import ChannelEnergy, ChannelRecord
from wattbench.results.errors import UsageError


def energy(host: str, channel: str, scope: str, joules: float, covers: str | None = None) -> ChannelEnergy:
    """Return the energy of a channel of a serving host."""
    return replace(
        PACKAGE_ENERGY,
        channel=f"agent:{host}:{channel}",
        scope=scope,
        covers=at_host(covers, host),
        energy_j=joules,
    )


LEFT = [energy("left", "nvml:GPU-a:energy", "board", 300.0, "GPU-a"), energy("left", "ipmi:power", "node", 900.0)]
RIGHT = [
    energy("right", "nvml:GPU-b:energy", "board", 200.0, "GPU-b"),
    energy("right", "nvml:GPU-c:energy", "board", 100.0, "GPU-c"),
    energy("right", "ipmi:power", "node", 700.0),
]


def channel(name: str, covers: str | None) -> ChannelRecord:
    """Return a board's power channel."""
    return replace(PLAIN_POWER, id=name, sampler=name.split(":")[0], group=name, covers=covers)


@pytest.mark.parametrize("covers", ["cpu", "GPU-x", None])
def test_the_hosts_of_a_deployment_add_up(covers: str | None) -> None:
    """Boards of every host are one sum and nodes another; the boards lead, whatever device is under test."""
    found = rungs([*LEFT, *RIGHT], covers)
    lead = primary_rung(found, covers)

    assert {"board:deployment": 600.0, "node:deployment": 1600.0} == {r.name: r.energy_j for r in found}
    assert lead is not None
    assert "board:deployment" == lead.name
    assert lead.boundary.startswith("all 2 serving hosts")


def test_a_scope_that_one_host_lacks_makes_no_sum() -> None:
    """A host without boards leaves the nodes, which both have."""
    found = rungs([*LEFT, RIGHT[-1]])

    assert ["node:deployment"] == [r.name for r in found]


def test_a_host_without_a_figure_leaves_the_sum_without_one() -> None:
    """Half of a deployment never passes for the whole."""
    lost = replace(RIGHT[0], energy_j=None, energy_net_j=None, mean_power_w=None, method=None, reason="agent lost")
    found = rungs([*LEFT, lost, RIGHT[1]])[0]

    assert (None, "agent lost") == (found.energy_j, found.reason)


def test_two_views_of_a_hosts_packages_are_not_added() -> None:
    """RAPL by two ways is one view on a serving host as it is at home."""
    packages = [
        energy("left", "rapl:package-0", "package", 50.0, "cpu:0"),
        energy("left", "rapl:package-1", "package", 60.0, "cpu:1"),
        energy("left", "hwmon:amd_energy:energy1", "package", 51.0, "cpu:0"),
    ]

    assert [("package:deployment", 110.0)] == [(r.name, r.energy_j) for r in rungs(packages)]


def test_a_hosts_packages_are_not_those_of_this_machine() -> None:
    """A run on the processor here does not take a serving host's processor for its own."""
    here = replace(PACKAGE_ENERGY, energy_j=40.0)
    there = energy("left", "rapl:package-0", "package", 50.0, "cpu:0")

    assert {"package:cpu": 40.0, "package:deployment": 50.0} == {r.name: r.energy_j for r in rungs([here, there])}


def test_channels_of_a_host_are_seen_whatever_is_under_test() -> None:
    """The display shows a serving host's board."""
    one = channel("agent:left:nvml:GPU-a:power", at_host("GPU-a", "left"))

    assert [one] == seeing([one], "cpu")
    assert "left" == host_of(one.covers)


def test_agents_and_sensors_here_are_not_mixed() -> None:
    """Whether this machine belongs to the deployment cannot be known, so it is refused with the way out."""
    mixed = [channel("agent:left:nvml:a", at_host("a", "left")), channel("nvml:b", "b")]

    with pytest.raises(UsageError, match="cannot be used together"):
        require_hosts_alone(mixed, ["1"])


def test_one_agent_by_two_names_is_refused() -> None:
    """The same agent by name and by address would count its host twice."""
    twice = [channel("agent:left:nvml:a", at_host("a", "left")), channel("agent:127.0.0.1:nvml:a", at_host("a", "127"))]

    with pytest.raises(UsageError, match="named twice"):
        require_hosts_alone(twice, ["boot", "boot"])
