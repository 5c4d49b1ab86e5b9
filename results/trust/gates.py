"""All gates of one measured result: what physics, the vendors' figures and the document itself rule out."""

from collections.abc import Sequence
from datetime import datetime

from wattbench.results.document import Result
from wattbench.results.energy import Polls
from wattbench.results.trust.devices import count_check, memory_check
from wattbench.results.trust.identity_gate import identity_check
from wattbench.results.trust.power_gates import (
    coverage_check,
    energy_floor_check,
    floor_check,
    limit_check,
    poll_times_check,
    poll_values_check,
)
from wattbench.results.trust.verification import Check
from wattbench.results.trust.work_gates import (
    ceiling_check,
    quality_check,
    roofline_check,
    start_check,
    token_check,
    window_check,
)

__all__ = ["gates_of"]


def gates_of(
    result: Result, polls: Sequence[Polls], *, now: datetime, logged_at: datetime | None = None
) -> tuple[Check, ...]:
    """Return what every gate says; a fact that the document does not have makes a gate unknown, never ok.

    `polls` are the raw polls, from the document or its sidecar. `logged_at` is when a store took the result in.
    """
    logs = tuple(polls)
    return (
        identity_check(result),
        count_check(result, logs),
        memory_check(result),
        token_check(result),
        window_check(result),
        start_check(result, now, logged_at),
        quality_check(result),
        roofline_check(result),
        ceiling_check(result),
        limit_check(result),
        floor_check(result),
        energy_floor_check(result),
        coverage_check(result),
        poll_values_check(result, logs),
        poll_times_check(result, logs),
    )
