"""From what was served to a result's columns: which sessions the window's end cut, and how long they were to be."""

import numpy
import pytest
from served_case import make_served
from traffic_case import drawn

from wattbench.backends.traffic import Schedule
from wattbench.harness.served_columns import traffic_of
from wattbench.results.calls import TrafficRecord


def sessions(*owners: int) -> Schedule:
    """Return the schedule of calls that belong to these sessions; -1 is none."""
    schedule = drawn("agentic", sessions=1, session=f"calls={len(owners)},new=1", calls=1)
    schedule.session[:] = owners
    return schedule


def record_of(schedule: Schedule, sent: list[int]) -> TrafficRecord:
    """Return the record of a window in which these calls of a schedule were sent, one a millisecond."""
    at = [1_000_000 * (i + 1) for i in range(len(sent))]
    served = make_served(planned_ns=at, start_ns=at, tokens_ns=[[t] for t in at], end_ns=at, errors=[None] * len(sent))
    served.call[:] = sent
    return traffic_of(served, schedule, 0, seed=0, rate_per_s=None)


@pytest.mark.parametrize(
    ("sent", "cut", "calls"),
    [
        ([0, 1, 2, 3, 4, 5], (), ()),  # all were sent
        ([0, 1, 2, 3], (1,), (3,)),  # session 1 has a call to come
        ([0, 2], (0, 1), (2, 3)),
        ([0, 1], (), ()),  # session 1 never began
        ([5], (), ()),  # a call of no session
    ],
)
def test_sessions_that_began_and_have_calls_to_come_are_cut(
    sent: list[int], cut: tuple[int, ...], calls: tuple[int, ...]
) -> None:
    """Sessions 0 and 1 have two and three calls, one call belongs to none; what never began is not cut."""
    record = record_of(sessions(0, 0, 1, 1, 1, -1), sent)

    assert (cut, calls) == (record.cut_sessions, record.cut_calls)
    assert bool(numpy.isin(record.cut_sessions, record.calls.session).all())
