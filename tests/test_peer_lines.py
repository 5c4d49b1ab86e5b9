"""What other tools said, as lines of text."""

from dataclasses import replace
from types import ModuleType

from wattbench.harness.cli.peer_lines import peer_lines
from wattbench.results.crosscheck import PeerEnergy, PeerPart, PeerRecord
from wattbench.results.document import Result

PART = PeerPart(name="cpu", scope="package", covers="cpu", estimated=True, method="cpu_load")


def lines(factories: ModuleType, energies: list[PeerEnergy], part: PeerPart = PART) -> list[str]:
    """Return the lines of a result whose windows have these figures, one each."""
    result: Result = factories.make_result()
    repeats = [replace(r, peers=(e,)) for r, e in zip(result.repeats, energies, strict=False)]
    peer = PeerRecord(name="codecarbon", version="3.3.2", period_s=1.0, parts=(part,))
    return list(peer_lines(replace(result, repeats=tuple(repeats), power=replace(result.power, peers=(peer,)))))


def figure(energy_j: float | None, ours_j: float | None) -> PeerEnergy:
    """Return one figure of CodeCarbon's CPU."""
    delta = None if energy_j is None or ours_j is None else energy_j / ours_j - 1
    reason = "it was silent" if energy_j is None else None
    return PeerEnergy(
        peer="codecarbon",
        part="cpu",
        estimated=True,
        energy_j=energy_j,
        ours=None if ours_j is None else "rapl:package-0",
        ours_j=ours_j,
        delta=delta,
        reason=reason,
    )


def test_both_figures_stand_side_by_side(factories: ModuleType) -> None:
    """The median of the windows, ours beside it, and the least and largest difference."""
    found = lines(factories, [figure(90.0, 100.0), figure(102.0, 100.0), figure(96.0, 100.0)])

    expected = "codecarbon 3.3.2, cpu (ESTIMATED: cpu_load): 96.0 J a window beside 100.0 J, -10.00 .. +2.00 %"
    assert [expected] == found


def test_a_part_that_nothing_of_ours_sees_has_no_difference(factories: ModuleType) -> None:
    """Nothing to compare with is said, not a zero."""
    measured = replace(PART, estimated=False)
    found = lines(factories, [figure(90.0, None), figure(None, None)], measured)

    expected = "codecarbon 3.3.2, cpu: 90.0 J a window, none in 1 (it was silent); nothing measured here sees that part"
    assert [expected] == found


def test_a_peer_without_any_figure_says_why(factories: ModuleType) -> None:
    """A tool that never answered has a reason in place of joules."""
    found = lines(factories, [figure(None, 100.0)])

    assert ["codecarbon 3.3.2, cpu (ESTIMATED: cpu_load): no figure (it was silent)"] == found
