"""The turns of one run among several: which polls of a shared recorder are its own."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from wattbench.results.energy import Polls, PowerRecord
from wattbench.results.measurement import Window

__all__ = ["polls_within"]


def polls_within(record: PowerRecord, windows: Sequence[Window]) -> PowerRecord:
    """Return the record with only those polls that overlap one of the windows.

    Nothing else changes: `health` stays that of the whole recording, which is what happened.
    """
    return replace(record, polls=tuple(_within(polls, windows) for polls in record.polls))


def _within(polls: Polls, windows: Sequence[Window]) -> Polls:
    """Return a channel's polls in the windows, by read or by when a value was taken; error rows are counted anew."""
    rows: dict[int, None] = {}
    for window in windows:  # the reads of a channel follow one another, so both columns ascend
        first, end = bisect_left(polls.after_ns, window.start_ns), bisect_left(polls.before_ns, window.end_ns)
        end += _taken_before(window.end_ns, (polls.taken_ns or ())[end:])
        rows.update(dict.fromkeys(range(first, end)))
    kept = sorted(rows)
    return Polls(
        channel=polls.channel,
        before_ns=tuple(polls.before_ns[i] for i in kept),
        after_ns=tuple(polls.after_ns[i] for i in kept),
        value=tuple(polls.value[i] for i in kept),
        sensor_ns=None if polls.sensor_ns is None else tuple(polls.sensor_ns[i] for i in kept),
        errors={str(row): polls.errors[str(i)] for row, i in enumerate(kept) if str(i) in polls.errors},
        sensor_origin_us=polls.sensor_origin_us,
        taken_ns=None if polls.taken_ns is None else tuple(polls.taken_ns[i] for i in kept),
    )


def _taken_before(end_ns: int, taken_ns: Sequence[int | None]) -> int:
    """Return how many of the values that were read after a window were taken within it."""
    return sum(1 for _ in takewhile(lambda t: t is not None and t < end_ns, taken_ns))
