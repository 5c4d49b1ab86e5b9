"""The search for the highest rate that holds is pure: it sees the rates' verdicts and a clock alone."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattbench.harness.traffic.searching import Break, Found, Range, Verdict, search_rate


@dataclass
class Server:
    """A server that holds up to an edge; some measurements lie, each takes a while on its clock."""

    edge: float
    lies: dict[int, bool] = field(default_factory=dict)
    seconds: float = 10.0
    now_s: float = 0.0
    asked: list[float] = field(default_factory=list)

    def measure(self, rate: float) -> Verdict:
        """Say whether the rate holds."""
        self.now_s += self.seconds
        holds = self.lies.get(len(self.asked), rate <= self.edge)
        self.asked.append(rate)
        return Verdict(holds=holds, reason="")

    def found(self, within: Range) -> Found:
        """Search on this server's clock."""
        return search_rate(self.measure, within, lambda: self.now_s)


@given(edge=st.floats(0.01, 1e5), start=st.floats(0.01, 1e5), width=st.floats(0.005, 0.5))
@settings(deadline=None)
def test_the_edge_is_found(edge: float, start: float, width: float) -> None:
    """Of an honest server the edge lies between what held and what did not, which are as near as asked for."""
    found = Server(edge).found(Range(start_per_s=start, width=width, probes_max=200, seconds_max=1e9))

    assert found.ended == "found"
    assert found.rate_per_s is not None
    assert found.failed_per_s is not None
    assert found.rate_per_s <= edge < found.failed_per_s <= found.rate_per_s * (1 + width) * (1 + 1e-9)
    assert () == found.breaks


def test_the_steps() -> None:
    """Doubling, bisecting, and both ends of the edge measured again."""
    server = Server(edge=5.0)
    found = server.found(Range(start_per_s=1.0, width=0.2, confirm=2))

    assert [1, 2, 4, 8, 6, 5, 5, 6] == server.asked
    assert ["bracket"] * 4 + ["bisect"] * 2 + ["confirm"] * 2 == [probe.step for probe in found.probes]
    assert (5.0, 6.0) == (found.rate_per_s, found.failed_per_s)
    assert "hold at 5 requests/s and not at 6 requests/s" in found.reason


def test_high_rates_are_written_out() -> None:
    """Rates and limits of time stand in the reason as people write them, without a power of ten."""
    found = Server(edge=10_550.0).found(Range(start_per_s=10_550.0, confirm=0))

    expected = "they hold at 10,550 requests/s and not at 10,880 requests/s, within 5 % of each other"
    assert expected == found.reason


def test_halving() -> None:
    """A start that is too high is halved until the limits hold."""
    server = Server(edge=1.1)

    assert 1.0 == server.found(Range(start_per_s=8.0, width=0.25, confirm=0)).rate_per_s
    assert [8, 4, 2, 1, 1.5, 1.25] == server.asked


def test_nothing_holds() -> None:
    """The search ends at its lowest rate."""
    found = Server(edge=0.0).found(Range(start_per_s=1.0, low_per_s=0.1))

    assert (None, "none") == (found.rate_per_s, found.ended)
    assert 0.1 == min(probe.rate_per_s for probe in found.probes)
    assert "do not hold even at 0.1 requests/s" in found.reason


def test_everything_holds() -> None:
    """The search ends at its highest rate, which is then only a lower bound."""
    found = Server(edge=1e9).found(Range(start_per_s=1.0, high_per_s=100.0))

    assert (100.0, None, "ceiling") == (found.rate_per_s, found.failed_per_s, found.ended)
    assert "the highest rate allowed" in found.reason


def test_a_false_success_is_found_out() -> None:
    """A rate that held once by luck is measured again, fails, and the search goes on below it."""
    found = Server(edge=5.0, lies={4: True}).found(Range(start_per_s=1.0, width=0.1, confirm=2))

    assert found.rate_per_s is not None
    assert 4.5 <= found.rate_per_s <= 5.0
    assert (Break(failed_per_s=5.5, held_per_s=6.0),) == found.breaks


def test_a_false_failure_is_found_out() -> None:
    """A rate that failed once by accident is measured again, holds, and the search goes on above it."""
    found = Server(edge=50.0, lies={2: False}).found(Range(start_per_s=1.0, width=0.05, confirm=2))

    assert found.rate_per_s is not None
    assert 47 <= found.rate_per_s <= 50
    assert found.breaks
    assert all(b.failed_per_s == 4.0 for b in found.breaks)


def test_the_probes_are_bounded() -> None:
    """When they are spent, the highest rate that held so far is told as just that."""
    found = Server(edge=1e5).found(Range(start_per_s=1.0, probes_max=5))

    assert (16.0, "probes", 5) == (found.rate_per_s, found.ended, len(found.probes))
    assert "5 probes of the search were spent" in found.reason


def test_the_time_is_bounded() -> None:
    """No probe is begun that would end too late; the first always is."""
    server = Server(edge=1e5, seconds=30.0)
    found = server.found(Range(start_per_s=1.0, seconds_max=100.0))

    assert ("time", 3, 90.0) == (found.ended, len(found.probes), server.now_s)
    assert 1 == len(Server(edge=1.0, seconds=500.0).found(Range(start_per_s=1.0, seconds_max=100.0)).probes)


@given(st.integers(0, 10_000), st.floats(0, 1))
@settings(deadline=None)
def test_whatever_a_server_says_the_search_ends(seed: int, luck: float) -> None:
    """A server that answers at random is searched within bounds, and the rate told is one that mostly held."""
    generator = random.Random(seed)
    measure: Callable[[float], Verdict] = lambda _: Verdict(holds=generator.random() < luck, reason="")  # noqa: E731
    found = search_rate(measure, Range(start_per_s=3.0, low_per_s=0.5, high_per_s=64.0, probes_max=60), lambda: 0.0)
    votes = [probe.verdict.holds for probe in found.probes if probe.rate_per_s == found.rate_per_s]

    assert len(found.probes) <= 60
    assert (found.rate_per_s is None) == (2 * sum(votes) <= len(votes))


def test_what_measuring_raises_ends_the_search() -> None:
    """A server that is gone is no verdict."""

    def gone(rate: float) -> Verdict:
        raise RuntimeError(f"gone at {rate}")

    with pytest.raises(RuntimeError, match=r"gone at 1\.0"):
        search_rate(gone, Range(start_per_s=1.0))


@pytest.mark.parametrize("fields", [{"start_per_s": 0.0}, {"start_per_s": 2e6}, {"width": 0.0}, {"probes_max": 0}])
def test_refuses(fields: dict[str, float]) -> None:
    """A range that nothing can be searched in is none."""
    with pytest.raises(ValueError, match=r"."):
        Range(**{"start_per_s": 1.0, **fields})  # type: ignore[arg-type]  # whole numbers are among them
