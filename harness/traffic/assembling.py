"""From drawn calls in any order to a schedule: sorted by when they are due, predecessors renumbered."""

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE, Schedule, lone_calls
from wattbench.harness.traffic.streams import checked_count

__all__ = ["Drawn", "Limits", "alone", "assemble"]

Integers = NDArray[numpy.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """The columns of a schedule whose calls need not be in the order of `due_ns`; `after` counts in this order."""

    due_ns: Integers
    after: Integers
    pause_ns: Integers
    input_tokens: Integers
    output_tokens: Integers
    session: Integers
    prefix_group: Integers
    prefix_tokens: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What holds for a whole schedule: see `backends.traffic.Schedule`."""

    open_loop: bool
    in_flight_max: int | None
    issue_until_ns: int | None
    give_up_ns: int | None
    query_size: int = 1


def alone(due_ns: Integers, input_tokens: Integers, output_tokens: Integers) -> Drawn:
    """Return calls that follow no others and share no prefix."""
    return Drawn(**lone_calls(due_ns, input_tokens, output_tokens))


def assemble(drawn: Drawn, limits: Limits) -> Schedule:
    """Return the schedule; calls due at once keep their order. Raises UsageError for more calls than can be held."""
    count = checked_count(len(drawn.due_ns))
    order = numpy.argsort(drawn.due_ns, kind="stable")
    place = numpy.empty(count, dtype=numpy.int64)
    place[order] = numpy.arange(count)
    after = numpy.where(drawn.after == NONE, NONE, place[drawn.after])[order]
    return Schedule(
        due_ns=drawn.due_ns[order],
        after=after,
        pause_ns=drawn.pause_ns[order],
        input_tokens=drawn.input_tokens[order],
        output_tokens=drawn.output_tokens[order],
        session=drawn.session[order],
        prefix_group=drawn.prefix_group[order],
        prefix_tokens=drawn.prefix_tokens[order],
        open_loop=limits.open_loop,
        in_flight_max=limits.in_flight_max,
        issue_until_ns=limits.issue_until_ns,
        give_up_ns=limits.give_up_ns,
        query_size=limits.query_size,
    )
