"""The offset of a remote clock, and the watches over a source that stands still."""

from hypothesis import given
from hypothesis import strategies as st

from wattbench.backends.clocks import Exchange, clock_offset, http_date_s
from wattbench.harness.power.meters.watches import CounterWatch, StampWatch


class Hand:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        """Return the time."""
        return self.ns

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.ns += round(seconds * 1e9)


@given(
    offset_s=st.floats(-1e4, 1e4),
    trips=st.lists(st.tuples(st.floats(0.001, 2), st.floats(0.001, 2), st.floats(0, 5)), min_size=1, max_size=8),
)
def test_the_true_offset_lies_within_the_bound(offset_s: float, trips: list[tuple[float, float, float]]) -> None:
    """Whatever the way there and back takes, and although the answer is cut to whole seconds."""
    exchanges, now_s = [], 1000.0
    for there_s, back_s, pause_s in trips:
        remote_s = float(int(now_s + there_s + offset_s) if now_s + there_s + offset_s >= 0 else -1)
        if remote_s < 0:
            return
        exchanges.append(
            Exchange(sent_s=now_s, received_s=now_s + there_s + back_s, remote_s=remote_s, resolution_s=1.0)
        )
        now_s += there_s + back_s + pause_s
    found = clock_offset(exchanges)

    assert found is not None
    assert abs(found.offset_s - offset_s) <= found.bound_s + 1e-6
    assert found.bound_s <= min(e.received_s - e.sent_s + 1 for e in exchanges) / 2 + 1e-6


def test_a_clock_that_was_stepped_is_bounded_by_the_shortest_way() -> None:
    """Bounds that contradict each other are not averaged."""
    slow = Exchange(sent_s=0, received_s=4, remote_s=0, resolution_s=0)
    fast = Exchange(sent_s=10, received_s=11, remote_s=110, resolution_s=0)

    assert "its clock minus ours is +99.50 s within 0.50 s" == str(clock_offset([slow, fast]))


def test_without_an_answer_the_offset_is_unknown() -> None:
    """No exchange, no offset; a date that is none is none."""
    assert clock_offset([]) is None
    assert [None, None, 0.0] == [http_date_s(x) for x in (None, "soon", "Thu, 01 Jan 1970 00:00:00 GMT")]


def test_a_counter_that_moves_is_not_frozen() -> None:
    """At 100 W a counter of whole watt-hours moves every 36 s, which is not frozen."""
    hand = Hand()
    watch = CounterWatch(3600.0, 1.0, now_ns=hand.now_ns)
    for second in range(400):
        assert watch.why_frozen(3600.0 * (second * 100 // 3600), 100.0) is None
        hand.turn(1)


def test_power_without_energy_is_frozen() -> None:
    """After the energy of three steps without one, and some seconds, the two cannot both be true."""
    hand = Hand()
    watch = CounterWatch(3.6, 1.0, now_ns=hand.now_ns)
    answers = []
    for _ in range(8):
        answers.append(watch.why_frozen(500.0, 100.0))
        hand.turn(1)

    assert [None] * 6 == answers[:6]
    assert "stood still for 7 s while it shows 100 W" in str(answers[7])
    assert watch.why_frozen(503.6, 100.0) is None


def test_no_power_needs_no_energy() -> None:
    """At 0 W, or where one is unknown, nothing can be said."""
    hand = Hand()
    watch = CounterWatch(3.6, 1.0, now_ns=hand.now_ns)
    for power_w in (0.0, 0.0, None):
        assert watch.why_frozen(500.0, power_w) is None
        hand.turn(100)
    assert watch.why_frozen(None, 5.0) is None


def test_a_stamp_that_stands_still_is_frozen_until_it_moves() -> None:
    """The allowed time counts from its last change; without a stamp nothing is watched."""
    hand = Hand()
    watch = StampWatch(5.0, now_ns=hand.now_ns)
    watch.why_frozen("10:00:00")
    hand.turn(5)
    assert watch.why_frozen("10:00:00") is None
    hand.turn(1)
    assert "10:00:00 has stood still for 6 s" in str(watch.why_frozen("10:00:00"))
    assert watch.why_frozen("10:00:06") is None
    assert watch.why_frozen(None) is None
