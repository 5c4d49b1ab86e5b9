"""From what was served to the columns of a result: times from the run's origin, nothing where nothing is known."""

import math

import numpy

from wattbench.backends.traffic import NONE, Schedule, Served
from wattbench.results.calls import Calls, TrafficRecord
from wattbench.results.measurement import Completions

__all__ = ["NO_COUNT", "completions_of", "traffic_of"]

NO_COUNT = "the answer came without a count of its tokens, and there is no tokenizer here (--tokenizer)"


def completions_of(served: Served, schedule: Schedule, origin_ns: int) -> Completions:
    """Return a row for each call that was sent, in the order of the starts.

    Tokens are the server's count, else our own. A call whose prompt the server did not count has the schedule's length;
    one whose answer nobody counted has failed.
    """
    output, errors = [], []
    for theirs, own, error in zip(served.output_tokens, served.own_output_tokens, served.error, strict=True):
        count = int(theirs if theirs != NONE else own)
        output.append(max(0, count))
        errors.append(NO_COUNT if error is None and count == NONE else error)
    wanted = schedule.input_tokens[served.call]
    return Completions(
        planned_start_ns=_times(served.planned_ns, origin_ns),
        start_ns=_times(served.start_ns, origin_ns),
        first_output_ns=_maybe_times(served.first_output_ns, origin_ns),
        step_end_ns=tuple(_times(stamps[1:], origin_ns) for stamps in served.token_ns),
        end_ns=_times(served.end_ns, origin_ns),
        requests=(1,) * len(served),
        input_tokens=tuple(numpy.where(served.input_tokens == NONE, wanted, served.input_tokens).tolist()),
        output_tokens=tuple(output),
        error=tuple(errors),
    )


def traffic_of(
    served: Served, schedule: Schedule, origin_ns: int, *, seed: int, rate_per_s: float | None
) -> TrafficRecord:
    """Return what is known of the calls beside their times and tokens."""
    cut = _cut_sessions(served, schedule)
    uncounted = (served.output_tokens == NONE) & (served.own_output_tokens == NONE)
    return TrafficRecord(
        schedule_digest=schedule.digest,
        seed=seed,
        scheduled=len(schedule),
        open_loop=schedule.open_loop,
        rate_per_s=rate_per_s,
        calls=Calls(
            call=tuple(served.call.tolist()),
            session=_maybe(schedule.session[served.call]),
            error_kind=tuple(
                "malformed" if kind is None and error is None and bare else kind
                for kind, error, bare in zip(served.error_kind, served.error, uncounted, strict=True)
            ),
            first_answer_ns=_maybe_times(served.first_answer_ns, origin_ns),
            cached_tokens=_maybe(served.cached_tokens),
            own_output_tokens=_maybe(served.own_output_tokens),
            fresh=tuple(served.fresh.tolist()),
            server_queue_s=_maybe_seconds(served.server_queue_s),
            server_prompt_s=_maybe_seconds(served.server_prompt_s),
            server_output_s=_maybe_seconds(served.server_output_s),
            server_total_s=_maybe_seconds(served.server_total_s),
        ),
        health=served.health,
        query_size=schedule.query_size,
        cut_sessions=tuple(cut),
        cut_calls=tuple(int((schedule.session == session).sum()) for session in cut),
    )


def _cut_sessions(served: Served, schedule: Schedule) -> list[int]:
    """Return the sessions that began and have calls that were never sent."""
    unsent = numpy.ones(len(schedule), dtype=bool)
    unsent[served.call] = False
    begun = schedule.session[served.call]
    cut = numpy.intersect1d(schedule.session[unsent], begun)
    return [int(session) for session in cut[cut != NONE]]


def _times(column: numpy.ndarray, origin_ns: int) -> tuple[int, ...]:
    return tuple((column - origin_ns).tolist())


def _maybe_times(column: numpy.ndarray, origin_ns: int) -> tuple[int | None, ...]:
    return tuple(None if at == NONE else at - origin_ns for at in column.tolist())


def _maybe(column: numpy.ndarray) -> tuple[int | None, ...]:
    return tuple(None if value == NONE else value for value in column.tolist())


def _maybe_seconds(column: numpy.ndarray) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value) else None for value in column.tolist())
