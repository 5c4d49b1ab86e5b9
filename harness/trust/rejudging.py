"""The doubts that a document's own facts ask for, drawn again, and whether the document has them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from wattbench.harness.judgement import Evidence, doubts_of
from wattbench.results.document import Result
from wattbench.results.doubts import Doubt, Severity
from wattbench.results.energy import Polls
from wattbench.results.trust.verification import Check, judged

__all__ = ["demanded_doubts", "doubt_check"]

GRAVITY: dict[Severity, int] = {"note": 0, "doubt": 1, "severe": 2}


def demanded_doubts(result: Result, polls: Sequence[Polls]) -> tuple[Doubt, ...]:
    """Return the doubts that the facts in the document ask for, by the rules of this version.

    What only the run could see (a wall of time around the calls, foreign processes, aliases, drifts) is not among them.
    """
    return doubts_of(_evidence(result, polls)) if result.status != "started" else ()


def doubt_check(result: Result, demanded: Sequence[Doubt]) -> Check:
    """Say which demanded doubts the document lacks, or has less gravely; more doubts than demanded are no lie."""
    stored, wanted = _gravest(result.doubts), _gravest(demanded)
    problems = [
        f"{code} is {stored.get(code, 'not there')}, the facts ask for {severity}"
        for code, severity in wanted.items()
        if code not in stored or GRAVITY[stored[code]] < GRAVITY[severity]
    ]
    return judged("doubts", problems, f"{len(stored)} codes, and every one that the facts ask for is among them")


def _gravest(doubts: Sequence[Doubt]) -> dict[str, Severity]:
    found: dict[str, Severity] = {}
    for doubt in doubts:
        if doubt.code not in found or GRAVITY[found[doubt.code]] < GRAVITY[doubt.severity]:
            found[doubt.code] = doubt.severity
    return found


def _evidence(result: Result, polls: Sequence[Polls]) -> Evidence:
    """Return the evidence that the document holds; what only the run saw is left empty."""
    backend = result.backend
    mock = backend is not None and backend.mock
    return Evidence(
        plan=result.plan,
        environment=result.environment,
        backend=backend,
        quality=result.quality,
        quality_expected=result.preparation is not None and not mock,
        completion_truthful=None,
        completion_facts="",
        power=replace(result.power, polls=tuple(polls), polls_file=None),
        idle=result.idle,
        warmup=result.warmup,
        repeats=result.repeats,
        summary=result.summary,
        clock_offset_s=result.run.clock.end_offset_s or 0.0,
        throttle_reasons=(),
        foreign_gpu_processes=0,
        power_limit_changed=None,
        covers=result.power.covers,
        moved_because=None,
        aliases=(),
        error=result.error,
        started_at=datetime.fromisoformat(result.run.started_at),
    )
