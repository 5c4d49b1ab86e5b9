"""Several meters on one machine: told apart by name, supplies all there, and added up by the ladder."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from records import PACKAGE_ENERGY

from wattbench.harness.power.ladder import primary_rung, rungs, seeing
from wattbench.harness.power.meters.argument import parse_argument
from wattbench.harness.power.meters.channels import Facts, channel
from wattbench.harness.power.supplies import require_told_apart, supply_of
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import UsageError

WALL = replace(
    PACKAGE_ENERGY,
    channel="shelly:a:power",
    scope="wall",
    covers="supply 1/2",
    method="integral",
    counter_j=None,
    integral_j=1000.0,
)
SECOND = replace(WALL, channel="shelly:b:power", covers="supply 2/2", energy_j=500.0)


def plug(argument: str, sampler: str = "shelly") -> ChannelRecord:
    """Return the power channel of a meter with this argument."""
    return channel(parse_argument(sampler, argument), "power", Facts(basis="a test", scope="wall"))


def test_the_supplies_of_one_machine_are_added() -> None:
    """Their sum is the wall; each alone is no rung, since it sees half of the machine."""
    found = rungs([WALL, SECOND])

    assert [("wall", None, 1500.0)] == [(r.name, r.covers, r.energy_j) for r in found]
    assert "(2 sensors added)" in found[0].boundary
    assert found[0] == primary_rung(found, "cpu")


def test_a_supply_without_energy_leaves_the_sum_unknown() -> None:
    """Half of a machine is no figure for it."""
    silent = replace(SECOND, energy_j=None, energy_net_j=None, mean_power_w=None, method=None, reason="it was away")
    (found,) = rungs([WALL, silent])

    assert (None, "it was away") == (found.energy_j, found.reason)


def test_two_views_of_the_whole_are_two_rungs() -> None:
    """They are compared, not added, and have names of their own."""
    whole = replace(WALL, covers="supply 1/1")
    other = replace(whole, channel="scpi:lab:power", energy_j=1020.0)
    found = rungs([whole, other])

    assert [("wall", None, 1000.0), ("wall:scpi:lab:power", None, 1020.0)] == [
        (r.name, r.covers, r.energy_j) for r in found
    ]


def test_one_supply_does_not_see_the_device() -> None:
    """The display of the moment shows no half of it."""
    assert [] == seeing([plug("a,supply=1/2")], "cpu")
    assert 1 == len(seeing([plug("a")], "cpu"))


@pytest.mark.parametrize(
    ("text", "supply"), [("supply 2/3", (2, 3)), ("supply 1/1", None), ("cpu:0", None), (None, None)]
)
def test_a_supply_is_written_as_number_of_how_many(text: str | None, supply: tuple[int, int] | None) -> None:
    """The only one is the whole machine."""
    assert supply == supply_of(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "b"], "is not clear"),
        (["a,supply=1/1", "b"], "is not clear"),
        (["a,supply=1/2"], "Supply 2 of 2 is not metered once (wall): no meter has it"),
        (["a,supply=1/2", "b,supply=1/2"], "Supply 1 of 2 is not metered once (wall): several"),
        (["a,supply=1/2", "b,supply=2/3"], "2, 3 are stated"),
        (["a,name=x,supply=1/1", "b,name=x,supply=1/1"], "Two power sources are called shelly:x:power"),
        (["a,scope=package,covers=cpu:0", "b,scope=package,covers=cpu:0"], "see the package cpu:0"),
    ],
)
def test_meters_that_do_not_fit_together_are_refused(arguments: Sequence[str], said: str) -> None:
    """A machine must not be shown at half, nor twice."""
    with pytest.raises(UsageError) as caught:
        require_told_apart([plug(argument) for argument in arguments])

    assert said in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        ["a,supply=1/2", "b,supply=2/2"],
        ["a,supply=1/1", "b,supply=1/1"],
        ["a,scope=node", "b,scope=node"],
        ["a,scope=other", "b"],
    ],
)
def test_meters_that_fit_together_pass(arguments: Sequence[str]) -> None:
    """Parts that are all there, views of the whole that say so, and other scopes."""
    require_told_apart([plug(argument) for argument in arguments])
