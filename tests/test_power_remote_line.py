"""Following a remote clock: the truth lies within the bound, whatever the network and the drift do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.power.meters.remote_line import RATE_REL, ClockLine, Roundtrip

MS = 1_000_000


def trip(at_ns: int, ahead_ns: float, there_ns: int, back_ns: int, rate: float = 0.0, work_ns: int = 0) -> Roundtrip:
    """Return an exchange with a clock that is ahead by `ahead_ns` at our 0 and gains `rate`."""

    def remote(local_ns: int) -> int:
        return round(local_ns + ahead_ns + rate * local_ns)

    return Roundtrip(
        sent_ns=at_ns,
        received_ns=at_ns + there_ns + work_ns + back_ns,
        remote_received_ns=remote(at_ns + there_ns),
        remote_sent_ns=remote(at_ns + there_ns + work_ns),
    )


WAYS = st.lists(st.tuples(st.integers(0, 50 * MS), st.integers(0, 50 * MS)), min_size=1, max_size=30)


@given(ways=WAYS, ahead_s=st.floats(-1e6, 1e6), rate=st.floats(-RATE_REL, RATE_REL), pause=st.integers(1, 5000 * MS))
def test_the_true_offset_lies_within_the_bound(
    ways: list[tuple[int, int]], ahead_s: float, rate: float, pause: int
) -> None:
    """For every asymmetry of the ways and every drift that clocks may have, at each exchange and a while after it."""
    line, at_ns = ClockLine(), 0
    for there_ns, back_ns in ways:
        one = trip(at_ns, ahead_s * 1e9, there_ns, back_ns, rate)
        assert line.add(one) is None
        for later_ns in (0, 400 * MS):
            now_ns = one.received_ns + later_ns
            true_ns = ahead_s * 1e9 + rate * now_ns
            assert abs(line.offset_ns() - true_ns) <= line.bound_ns(now_ns) + 1000  # 1 us: floats of 1e15
        at_ns = one.received_ns + pause


def test_the_bound_is_half_the_least_round_trip() -> None:
    """Of many exchanges the shortest one counts."""
    line = ClockLine()
    for way_ns in (8 * MS, MS, 5 * MS):
        line.add(trip(0, 5e9, way_ns, way_ns))

    assert 2 * MS == line.least_ns
    assert MS == pytest.approx(line.bound_ns(), rel=0.02)
    assert 5e9 == pytest.approx(line.offset_ns(), abs=MS)


def test_drift_is_found_within_its_bound() -> None:
    """A clock that gains 100 ppm shows it over a minute."""
    line = ClockLine()
    for second in range(60):
        line.add(trip(second * 1000 * MS, 5e9, MS, MS, 1e-4))
        if second == 0:
            line.settle()
    drift = line.drift()

    assert drift is not None
    assert abs(drift.ppm - 100) <= drift.bound_ppm
    assert drift.bound_ppm < 50


def test_a_jump_is_told_and_followed() -> None:
    """A clock that jumps by 5 s is noticed at once, and the new offset holds from then on."""
    line = ClockLine()
    line.add(trip(0, 0, MS, MS))
    jump_ns = line.add(trip(1000 * MS, 5e9, MS, MS))

    assert 5e9 == pytest.approx(jump_ns, abs=3 * MS)
    assert (1, 5e9) == (line.steps, pytest.approx(line.offset_ns(), abs=MS))
    assert line.add(trip(2000 * MS, 5e9, MS, MS)) is None


def test_an_answer_from_before_the_question_is_refused() -> None:
    """An exchange that took less than no time is no exchange."""
    with pytest.raises(ValueError, match="less than no time"):
        ClockLine().add(Roundtrip(sent_ns=10, received_ns=11, remote_received_ns=0, remote_sent_ns=5))


def test_nothing_is_known_before_the_first_exchange() -> None:
    """There is no offset to begin with, and no drift."""
    with pytest.raises(ValueError, match="no exchange"):
        ClockLine().offset_ns()
    assert ClockLine().drift() is None
