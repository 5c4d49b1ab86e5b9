"""Rungs that contradict each other: a view of more of the machine cannot show less than one of a part of it."""

from dataclasses import replace

import pytest

from wattbench.harness.judgement_sensors import scope_doubts
from wattbench.harness.power.containment import contradicted_rungs
from wattbench.results.measurement import Repeat
from wattbench.results.rungs import RungEnergy

BOARD = RungEnergy(
    name="board:GPU-a",
    scope="board",
    covers="GPU-a",
    boundary="",
    provenance="measured",
    channels=("nvml:GPU-a:counter",),
    energy_j=3000.0,
    energy_net_j=None,
    mean_power_w=300.0,
    method="counter",
    u_absolute_rel=0.05,
    u_comparison_rel=0.01,
    reason=None,
)
PACKAGE = replace(BOARD, name="package:cpu", scope="package", covers="cpu", energy_j=1000.0, mean_power_w=100.0)
PSYS = replace(BOARD, name="psys", scope="psys", covers=None, energy_j=10.0)
MODULE = replace(BOARD, name="module:GPU-a", scope="module", energy_j=4000.0)
NODE = replace(BOARD, name="node", scope="node", covers=None, energy_j=4500.0, mean_power_w=450.0)
WALL = replace(BOARD, name="wall", scope="wall", covers=None, energy_j=5000.0, mean_power_w=500.0)
LADDER = (BOARD, PACKAGE, PSYS, MODULE, NODE, WALL)


def drawing(rung: RungEnergy, joules: float, **changes: float | str | None) -> RungEnergy:
    """Return the rung with other joules over 10 s."""
    return replace(rung, energy_j=joules, mean_power_w=joules / 10, **changes)


def test_a_ladder_in_order_contradicts_nothing() -> None:
    """Each rung shows at least what lies within it; what psys takes in is its maker's choice."""
    assert [] == list(contradicted_rungs(LADDER))


def test_kilowatts_in_a_column_of_watts_show() -> None:
    """A wall of 1.2 kW that reads 1.2 W lies below its own board; both figures are said, the largest part first."""
    (facts,) = contradicted_rungs((PACKAGE, BOARD, drawing(WALL, 12.0)))

    assert "wall shows 1.2 W (+/-10 %), less than board:GPU-a within it, 300 W (+/-10 %)" == facts


@pytest.mark.parametrize(
    ("found", "outer"),
    [
        ((BOARD, drawing(NODE, 2000.0)), "node"),
        ((PACKAGE, drawing(NODE, 700.0)), "node"),
        ((NODE, drawing(WALL, 3000.0)), "wall"),
        ((BOARD, drawing(MODULE, 2000.0)), "module:GPU-a"),
        ((replace(PACKAGE, name="package:soc", covers="soc"), drawing(WALL, 500.0)), "wall"),
        ((BOARD, drawing(WALL, 2000.0, covers="gpu-A", name="wall:gpu-A")), "wall:gpu-A"),
    ],
)
def test_every_rung_within_another_is_compared(found: tuple[RungEnergy, ...], outer: str) -> None:
    """Node and wall take in boards, modules and packages, the wall the node, a module its own board."""
    (facts,) = contradicted_rungs(found)

    assert facts.startswith(f"{outer} shows ")


@pytest.mark.parametrize(
    "found",
    [
        (BOARD, drawing(WALL, 2500.0)),
        (BOARD, drawing(WALL, 2300.0, u_absolute_rel=None, u_comparison_rel=0.01)),
        (BOARD, drawing(WALL, 500.0, covers="GPU-b")),
        (BOARD, drawing(MODULE, 500.0, covers="GPU-b")),
        (BOARD, drawing(WALL, 500.0, covers="supply 1/2")),
        (PACKAGE, drawing(MODULE, 500.0)),
        (BOARD, replace(WALL, energy_j=None, reason="gap")),
        (replace(BOARD, energy_j=None, reason="gap"), WALL),
    ],
)
def test_what_cannot_contradict_does_not(found: tuple[RungEnergy, ...]) -> None:
    """Intervals that touch, another device, a part of the supplies and an unknown energy accuse nobody."""
    assert [] == list(contradicted_rungs(found))


def test_an_accuracy_that_nobody_states_is_taken_as_a_fifth() -> None:
    """A recording without --accuracy is accused only when it is far off."""
    far = drawing(WALL, 2000.0, u_absolute_rel=None, u_comparison_rel=None)
    (facts,) = contradicted_rungs((BOARD, far))

    assert "wall shows 200 W (accuracy not stated)" in facts


def test_each_rung_is_doubted_once(factories: object) -> None:
    """Five windows of one contradiction are one doubt, with the first of them and what to check."""
    repeats: list[Repeat] = [factories.make_repeat(i) for i in range(5)]  # type: ignore[attr-defined]  # a module
    wall = replace(repeats[0].energy[0], channel="meter:wall", scope="wall", covers=None)
    low = [
        replace(r, energy=(*r.energy, replace(wall, energy_j=5.0, mean_power_w=0.5))) if r.index else r for r in repeats
    ]
    (doubt,) = scope_doubts(low)

    assert ("scope_contradiction", "doubt") == (doubt.code, doubt.severity)
    assert doubt.facts.startswith("repeat 2: wall shows 0.5 W")
    assert doubt.facts.endswith("(and in 3 more windows)")
    assert "kW taken for W" in doubt.advice
