"""The run's clock counts from its origin and shows how the wall clock moved against it."""

import pytest

from wattbench.harness.clock import RunClock


class Hand:
    """Two clocks turned by hand, in ns."""

    def __init__(self) -> None:
        self.monotonic = 5_000_000_000
        self.wall = 1_700_000_000_000_000_000


@pytest.fixture(name="hand")
def _hand() -> Hand:
    return Hand()


@pytest.fixture(name="clock")
def _clock(hand: Hand) -> RunClock:
    return RunClock(monotonic_ns=lambda: hand.monotonic, wall_ns=lambda: hand.wall)


def test_time_counts_from_the_origin(hand: Hand, clock: RunClock) -> None:
    """Whatever the machine's uptime, the run starts at 0."""
    hand.monotonic += 7

    assert 7 == clock.now_ns()


def test_the_origin_is_known_in_utc(clock: RunClock) -> None:
    """One pair of both clocks is recorded."""
    assert "2023-11-14T22:13:20.000000Z" == clock.origin_utc


def test_clocks_that_agree_have_no_offset(hand: Hand, clock: RunClock) -> None:
    """When both advance alike the offset is 0."""
    hand.monotonic += 10**9
    hand.wall += 10**9

    assert 0.0 == clock.offset_s()


@pytest.mark.parametrize("jump_s", [3600, -3600])
def test_a_jump_of_the_wall_clock_is_the_offset(hand: Hand, clock: RunClock, jump_s: int) -> None:
    """A wall clock set forward or back shows by how much, and moves no time stamp."""
    hand.wall += jump_s * 10**9

    assert float(jump_s) == clock.record(ended=True).end_offset_s
    assert 0 == clock.now_ns()
