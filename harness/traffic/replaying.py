"""From a trace to calls: clipped, its times scaled, sessions chained, shared prefixes found."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import takewhile

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE
from wattbench.harness.traffic.assembling import Drawn
from wattbench.harness.traffic.trace_file import Trace
from wattbench.harness.traffic.trace_formats import MOONCAKE_BLOCK_TOKENS, Row

__all__ = ["replayed"]

Integers = NDArray[numpy.int64]


def replayed(trace: Trace, scale: float, clip_s: tuple[float, float] | None, window_s: float) -> Drawn:
    """Return the calls of a trace that fall into the window.

    Of the trace only what lies in `clip_s` (from, up to, in its own seconds) is replayed, from the window's start on;
    arrivals and pauses are then multiplied with `scale`: below 1 they come faster. A call of a session follows the one
    before it there.
    """
    begin, end = clip_s or (0.0, float("inf"))
    rows = [row for row in trace.rows if begin <= row.at_s < end and (row.at_s - begin) * scale < window_s]
    sessions = _numbered([row.session for row in rows])
    group, prefix = _prefixes(rows)
    return Drawn(
        due_ns=numpy.array([round((row.at_s - begin) * scale * 1e9) for row in rows], dtype=numpy.int64),
        after=_chained(sessions),
        pause_ns=numpy.array([round(row.pause_s * scale * 1e9) for row in rows], dtype=numpy.int64),
        input_tokens=numpy.array([row.input_tokens for row in rows], dtype=numpy.int64),
        output_tokens=numpy.array([row.output_tokens for row in rows], dtype=numpy.int64),
        session=sessions,
        prefix_group=group,
        prefix_tokens=prefix,
    )


def _prefixes(rows: Sequence[Row]) -> tuple[Integers, Integers]:
    """Return each call's group and the tokens that it shares with all others of the group.

    Where a trace has hashes of blocks, calls with the same first block are a group, and what it shares are the blocks
    that all of them begin with; what only some of them share beyond that is not replayed.
    """
    if not any(row.blocks for row in rows):
        prefix = numpy.array([row.prefix_tokens for row in rows], dtype=numpy.int64)
        return _numbered([row.group for row in rows]), prefix
    families: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for row in rows:
        if row.blocks:
            families[row.blocks[0]].append(row.blocks)
    shared = {first: _common(blocks) for first, blocks in families.items() if len(blocks) > 1}
    tokens = [MOONCAKE_BLOCK_TOKENS * shared.get(row.blocks[0], 0) if row.blocks else 0 for row in rows]
    groups = [row.blocks[0] if row.blocks and row.blocks[0] in shared else None for row in rows]
    limits = [row.input_tokens for row in rows]
    return _numbered(groups), numpy.minimum(numpy.array(tokens, dtype=numpy.int64), limits)


def _common(blocks: Sequence[tuple[int, ...]]) -> int:
    """Return how many blocks all begin with: what the least and the greatest share, all share."""
    pairs = zip(min(blocks), max(blocks), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _numbered(names: Sequence[Hashable]) -> Integers:
    """Return a number for each name, by its first appearance; NONE for None."""
    numbers: dict[Hashable, int] = {}
    return numpy.array(
        [NONE if name is None else numbers.setdefault(name, len(numbers)) for name in names], dtype=numpy.int64
    )


def _chained(sessions: Integers) -> Integers:
    """Return for each call the one before it in its session."""
    last: dict[int, int] = {}
    after = numpy.full(len(sessions), NONE, dtype=numpy.int64)
    for i, session in enumerate(sessions.tolist()):
        if session != NONE:
            after[i] = last.get(session, NONE)
            last[session] = i
    return after
