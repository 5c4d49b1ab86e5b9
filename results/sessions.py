"""The sessions of a run of traffic: chains of calls that belong together, whole, failed or cut by the window's end."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from wattbench.results.measurement import Repeat

__all__ = ["calls_per_session", "cut_spans_s", "session_spans_s", "sessions_worth", "whole_sessions"]


def whole_sessions(repeat: Repeat) -> tuple[tuple[int, ...], ...]:
    """Return the rows of each session of a repeat whose calls were all sent and succeeded, in the order of starts."""
    cut = set(repeat.traffic.cut_sessions) if repeat.traffic is not None else set()
    return tuple(rows for session, rows in _succeeded(repeat).items() if session not in cut)


def calls_per_session(repeats: Sequence[Repeat]) -> float | None:
    """Return how many calls a session has, on average over all that began; None where none was whole.

    Those that the window's end cut count with the calls that they were to have: long ones are cut more often, so that
    the whole ones alone would be too short.
    """
    if not any(whole_sessions(repeat) for repeat in repeats):
        return None
    records = [repeat.traffic for repeat in repeats if repeat.traffic is not None]
    calls = sessions = 0
    for record in records:
        cut = set(record.cut_sessions)
        uncut = [session for session in record.calls.session if session is not None and session not in cut]
        calls += len(uncut) + sum(record.cut_calls)
        sessions += len(set(uncut)) + len(cut)
    return calls / sessions


def sessions_worth(repeat: Repeat) -> float:
    """Return how many sessions the calls that succeeded are worth; 0 where no session was whole.

    A session that the window's end cut, or that failed, counts by its calls: the window's joules paid for them too.
    """
    each = calls_per_session([repeat])
    if each is None or repeat.traffic is None:
        return 0.0
    errors = repeat.completions.error
    calls = [row for row, session in enumerate(repeat.traffic.calls.session) if session is not None]
    return sum(errors[row] is None for row in calls) / each


def session_spans_s(repeat: Repeat) -> tuple[float, ...]:
    """Return how long each whole session took, from the planned start of its first call to the end of its last."""
    return tuple(_span_ns(repeat, rows) / 1e9 for rows in whole_sessions(repeat))


def cut_spans_s(repeat: Repeat) -> tuple[float, ...]:
    """Return for how long each session that the window's end cut is known to have gone on; failed ones are left out.

    It had further calls to come when its last one ended, and when the last call of the window went out.
    """
    if repeat.traffic is None:
        return ()
    found, cut, done = _succeeded(repeat), set(repeat.traffic.cut_sessions), repeat.completions
    last_ns = max(done.start_ns, default=0)
    return tuple(
        max(_span_ns(repeat, rows), last_ns - done.planned_start_ns[rows[0]]) / 1e9
        for session, rows in found.items()
        if session in cut
    )


def _succeeded(repeat: Repeat) -> Mapping[int, tuple[int, ...]]:
    """Return the rows of each session of which no call failed, in the order of starts."""
    rows: dict[int, list[int]] = defaultdict(list)
    for row, session in enumerate(repeat.traffic.calls.session if repeat.traffic is not None else ()):
        if session is not None:
            rows[session].append(row)
    errors = repeat.completions.error
    return {session: tuple(of) for session, of in rows.items() if all(errors[row] is None for row in of)}


def _span_ns(repeat: Repeat, rows: Sequence[int]) -> int:
    done = repeat.completions
    return max(done.end_ns[row] for row in rows) - min(done.planned_start_ns[row] for row in rows)
