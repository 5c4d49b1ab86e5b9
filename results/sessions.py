"""The sessions of a run of traffic: chains of calls that belong together, counted where all calls succeeded."""

from collections import defaultdict

from wattbench.results.measurement import Repeat

__all__ = ["session_spans_s", "sessions_worth", "whole_sessions"]


def whole_sessions(repeat: Repeat) -> tuple[tuple[int, ...], ...]:
    """Return the rows of each session of a repeat whose calls were all sent and succeeded, in the order of starts."""
    if repeat.traffic is None:
        return ()
    rows: dict[int, list[int]] = defaultdict(list)
    for row, session in enumerate(repeat.traffic.calls.session):
        if session is not None:
            rows[session].append(row)
    errors, cut = repeat.completions.error, set(repeat.traffic.cut_sessions)
    return tuple(
        tuple(found)
        for session, found in rows.items()
        if session not in cut and all(errors[row] is None for row in found)
    )


def sessions_worth(repeat: Repeat) -> float:
    """Return how many whole sessions the calls that succeeded are worth; 0 where no session was whole.

    A session that the window's end cut, or that failed, counts by its calls: the window's joules paid for them too.
    """
    whole = whole_sessions(repeat)
    if not whole or repeat.traffic is None:
        return 0.0
    errors = repeat.completions.error
    calls = sum(
        1 for row, session in enumerate(repeat.traffic.calls.session) if session is not None and errors[row] is None
    )
    return calls * len(whole) / sum(map(len, whole))


def session_spans_s(repeat: Repeat) -> tuple[float, ...]:
    """Return how long each whole session took, from the planned start of its first call to the end of its last."""
    done = repeat.completions
    return tuple(
        (max(done.end_ns[row] for row in rows) - min(done.planned_start_ns[row] for row in rows)) / 1e9
        for rows in whole_sessions(repeat)
    )
