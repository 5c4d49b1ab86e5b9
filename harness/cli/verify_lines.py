"""A verification as lines of text for people: the standing, what failed, what is unknown, why it is not ranked."""

from collections.abc import Iterator

from wattbench.harness.trust.inspecting import Inspection
from wattbench.results.trust.tiers import tier_text
from wattbench.results.trust.verification import Check

__all__ = ["inspection_lines"]

MARKS = {"ok": "ok", "failed": "FAILED", "unknown": "?"}
ORDER = {"failed": 0, "unknown": 1, "ok": 2}


def inspection_lines(found: Inspection, *, brief: bool = False) -> Iterator[str]:
    """Yield the outcome, then a line a check, those that failed first; `brief` leaves out those that hold."""
    verification = found.verification
    yield f"{found.name}: {verification.standing.upper()}, {tier_text(found.trust)}"
    if verification.result_id not in (found.name, "unknown"):
        yield f"  {verification.result_id}"
    ordered = sorted(verification.checks, key=lambda check: ORDER[check.standing])
    width = max((len(check.code) for check in ordered), default=0)
    yield from (_line(check, width) for check in ordered if not (brief and check.standing == "ok"))
    if verification.rankable:
        yield "  Nothing that is checked here keeps it out of a ranking."
    else:
        why = "; ".join(f"{barrier.code} ({barrier.detail})" for barrier in verification.barriers)
        yield f"  Not to be ranked: {why}."


def _line(check: Check, width: int) -> str:
    return f"  {MARKS[check.standing]:<7}{check.code:<{width}}  {check.detail}"
