"""The doubts that a document's own facts ask for, drawn again, and whether the document has them."""

from collections.abc import Sequence
from dataclasses import replace

from wattbench.harness.document_evidence import evidence_in
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
    mock = result.backend is not None and result.backend.mock
    expected = result.preparation is not None and not mock
    whole = replace(result, power=replace(result.power, polls=tuple(polls), polls_file=None))
    return evidence_in(whole, covers=result.power.covers, quality_expected=expected)
