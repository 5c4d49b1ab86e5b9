"""Drawing the calls of agentic sessions: chains that arrive at a rate, or that follow one another in places."""

import heapq
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE
from wattbench.harness.traffic.assembling import Drawn
from wattbench.harness.traffic.sessions import SessionShape
from wattbench.harness.traffic.streams import checked_count, stream
from wattbench.results.errors import UsageError
from wattbench.results.quantities import TOKENS_MAX

__all__ = ["sessions_arriving", "sessions_in_places"]

Integers = NDArray[numpy.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Session:
    """The calls of one session, by column; `pause_ns` is that before each call."""

    input_tokens: Integers
    output_tokens: Integers
    pause_ns: Integers
    prefix_tokens: Integers
    group: int

    def __len__(self) -> int:
        return len(self.input_tokens)


def sessions_arriving(shape: SessionShape, due_ns: Integers, seed: int) -> Drawn:
    """Return the calls of sessions that begin when they are due; the calls of one follow each other."""
    source = _Source(shape, seed)
    sessions: list[_Session] = []
    calls = 0
    for _ in due_ns:
        sessions.append(source.draw())
        calls = checked_count(calls + len(sessions[-1]))
    return _drawn(sessions, [NONE] * len(sessions), due_ns)


def sessions_in_places(shape: SessionShape, places: int, calls: int, seed: int) -> Drawn:
    """Return sessions that follow one another in each of some places, with at least `calls` calls in all of them.

    The first call of a place's next session follows the last one of its session before, without a pause. The calls are
    in the order of their turn, so that every place begins at once.
    """
    source = _Source(shape, seed)
    sessions: list[_Session] = []
    before: list[int] = []
    wanted = checked_count(-(-calls // places) * places) // places
    total, shortest = 0, [(0, place, NONE) for place in range(places)]
    while shortest[0][0] < wanted:
        count, place, last = shortest[0]
        before.append(last)
        sessions.append(source.draw())
        total = checked_count(total + len(sessions[-1]))
        heapq.heapreplace(shortest, (count + len(sessions[-1]), place, len(sessions) - 1))
    return _drawn(sessions, before, numpy.zeros(len(sessions), dtype=numpy.int64))


class _Source:
    """Draws one session after the other, each quantity from a stream of its own."""

    def __init__(self, shape: SessionShape, seed: int) -> None:
        self._shape = shape
        names = ("calls", "group", "first", "new", "answer", "pause")
        self._streams = {name: stream(seed, f"session {name}") for name in names}

    def draw(self) -> _Session:
        shape, streams = self._shape, self._streams
        count = int(shape.calls.draw_whole(1, streams["calls"])[0])
        added = shape.new.draw_whole(count, streams["new"])
        added[0] = shape.system + int(shape.first.draw_whole(1, streams["first"])[0])
        answers = shape.answer.draw_whole(count, streams["answer"])
        pauses = numpy.rint(shape.pause_s.draw(count, streams["pause"]) * 1e9).astype(numpy.int64)
        group = int(streams["group"].integers(shape.groups))
        ends = numpy.cumsum(added + answers)
        history = numpy.concatenate([[0], ends[:-1]])
        kept = count if shape.context_max is None else int(numpy.searchsorted(ends, shape.context_max, side="right"))
        if int(ends[kept - 1]) > TOKENS_MAX:
            why = f"a session grew to {int(ends[kept - 1])} tokens, no context holds more than {TOKENS_MAX}"
            raise UsageError("A session grows too long", why, "Add context=N to --sessions, or choose fewer calls.")
        pauses[0], prefix = 0, history.copy()
        prefix[0] = shape.system
        return _Session(
            input_tokens=(history + added)[:kept],
            output_tokens=answers[:kept],
            pause_ns=pauses[:kept],
            prefix_tokens=prefix[:kept],
            group=group if shape.system else NONE,
        )


def _drawn(sessions: list[_Session], before: list[int], due_ns: Integers) -> Drawn:
    """Return the calls of sessions, in the order of their turn; `before` is the session that one waits for."""
    lengths = numpy.array([len(session) for session in sessions], dtype=numpy.int64)
    firsts = numpy.cumsum(lengths) - lengths
    owner = numpy.repeat(numpy.arange(len(sessions)), lengths)
    index = numpy.arange(len(owner), dtype=numpy.int64)
    after = numpy.where(index == firsts[owner], NONE, index - 1)
    turn = index - firsts[owner]
    for i, session_before in enumerate(before):
        if session_before != NONE:
            last = int(firsts[session_before] + lengths[session_before] - 1)
            after[firsts[i]] = last
            turn[firsts[i] : firsts[i] + lengths[i]] += turn[last] + 1
    order = numpy.argsort(turn, kind="stable")
    place = numpy.empty(len(order), dtype=numpy.int64)
    place[order] = index
    empty = [numpy.zeros(0, dtype=numpy.int64)]

    def joined(columns: list[Integers]) -> Integers:
        return numpy.concatenate(empty + columns)[order]

    return Drawn(
        due_ns=due_ns[owner][order],
        after=numpy.where(after == NONE, NONE, place[after])[order],
        pause_ns=joined([session.pause_ns for session in sessions]),
        input_tokens=joined([session.input_tokens for session in sessions]),
        output_tokens=joined([session.output_tokens for session in sessions]),
        session=owner[order],
        prefix_group=numpy.array([session.group for session in sessions], dtype=numpy.int64)[owner][order],
        prefix_tokens=joined([session.prefix_tokens for session in sessions]),
    )
