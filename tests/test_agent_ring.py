"""The agent's memory: numbered rows, and what is said of those that fell out."""

from hypothesis import given
from hypothesis import strategies as st

from wattbench.harness.agent.ring import Ring, rows_of
from wattbench.results.energy import Polls


def row(value: float) -> tuple[int, int, int, float | None, int | None, str | None]:
    """Return a row of the first channel."""
    return 0, 0, 1, value, None, None


@given(
    depth=st.integers(1, 20),
    batches=st.lists(st.integers(0, 12), max_size=20),
    most=st.integers(1, 7),
    asks=st.lists(st.booleans(), max_size=20),
)
def test_every_row_is_told_once_or_counted_as_lost(depth: int, batches: list[int], most: int, asks: list[bool]) -> None:
    """However rows come and are asked for, what was told and what was lost add up to all, in order."""
    ring, after, told, lost, made = Ring(depth), 0, [], 0, 0
    for number, count in enumerate([*batches, 0]):
        ring.extend([row(made + n) for n in range(count)])
        made += count
        if number < len(batches) and not (asks[number : number + 1] or [True])[0]:
            continue
        while True:
            found = ring.since(after, most)
            told += [r[3] for r in found.rows]
            lost += found.lost
            after = found.next
            if not found.more:
                break

    assert made == len(told) + lost
    assert sorted(told) == told
    assert len(set(told)) == len(told)
    assert made == ring.next == after


def test_a_number_from_the_future_gives_nothing() -> None:
    """Who asks for rows that are not there yet gets none, and the number to go on with."""
    ring = Ring(5)
    ring.extend([row(1.0)])
    found = ring.since(99, 10)

    assert ((), 1, 0, False) == (found.rows, found.next, found.lost, found.more)


def test_a_failed_poll_keeps_its_cause() -> None:
    """A value that is missing goes with the reason, a buffered one with its own instant."""
    polls = Polls(
        channel="x",
        before_ns=(1, 3),
        after_ns=(2, 4),
        value=(5.0, None),
        sensor_ns=None,
        errors={"1": "gone"},
        taken_ns=(0, None),
    )

    assert [(7, 1, 2, 5.0, 0, None), (7, 3, 4, None, None, "gone")] == list(rows_of(7, polls))
