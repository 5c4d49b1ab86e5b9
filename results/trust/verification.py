"""The records of distrust in a document: what was checked, what came of it, and whether it may be ranked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require

__all__ = [
    "BARRIERS",
    "CHECKS",
    "Barrier",
    "Check",
    "CheckStanding",
    "Consistency",
    "Verification",
    "conclude",
    "failed",
    "judged",
    "ok",
    "unknown",
]

CheckStanding = Literal["ok", "failed", "unknown"]
Consistency = Literal["consistent", "inconsistent", "unverifiable"]

CHECKS: dict[str, str] = {
    "digest": "The bytes are those that the id names.",
    "schema": "The document is whole and valid, and its verdict follows from its doubts.",
    "polls": "The raw polls are there, and are the bytes that the document names.",
    "requests": "The requests of a run of traffic are there, and are the bytes that the document names.",
    "energy": "Every energy, and what follows from it, comes out of the raw polls again.",
    "rates": "Counts, throughput and memory come out of the raw completions again.",
    "latency": "Latencies come out of the raw completions again.",
    "utilisation": "Shares of ceilings and claims come out of the completions, the ceilings and the claims again.",
    "calibration": "The lines of calibrations come out of their levels again.",
    "doubts": "Every doubt that the document's own facts ask for is in it, as grave as they ask.",
    "quality": "The verdict of the quality gate follows from its figures and the load's tolerance.",
    "load": "The load's size and work are those of the catalogue.",
    "harness": "The source of the wattbench that measured is known for its version.",
    "identity": "What is made up, emulated, replayed, modelled or declared says so.",
    "device_count": "Plan, ranks, environment and power channels speak of the same devices.",
    "device_memory": "What must lie in memory fits into that of the devices.",
    "token_counts": "Every execution has the tokens that the load's shape gives it.",
    "windows": "Windows and executions lie within the run, in order, and do not overlap.",
    "started_at": "The run started before now and before it was uploaded, by a clock that agrees with itself.",
    "power_limit": "Mean power does not lie above the devices' power limits.",
    "power_floor": "Work does not draw less than rest.",
    "energy_floor": "A request does not take less energy than the best hardware could do its arithmetic with.",
    "roofline": "No rate lies above the vendor's peaks.",
    "ceiling": "No rate lies far above the ceilings that were measured on the device.",
    "coverage": "Power samples cover the windows.",
    "poll_values": "Polls are neither all zero nor all one value.",
    "poll_times": "Polls ascend, lie within the run, and are spaced as a clock spaces them, not a generator.",
    "signature": "A signature holds for these very bytes.",
    "signer": "The key that signed is the one that was expected.",
}
"""Every code of a check with what it looks for; docs/trust.md describes each, and a test compares the two."""

BARRIERS: dict[str, str] = {
    "inconsistent": "A check failed.",
    "unverifiable": "The figures could not be computed again.",
    "mock": "The backend is a mock.",
    "emulated": "The device is emulated.",
    "replayed": "Power comes from a recording.",
    "modelled": "Power is a model's estimate or a declared share.",
    "imported": "Another tool measured.",
    "derived": "The document is derived, not measured.",
    "invalid": "The verdict is invalid, by the document or by the doubts that its facts ask for.",
    "unfinished": "The run did not finish.",
    "low_coverage": "Power samples leave too much of a window open.",
    "withdrawn": "It was withdrawn.",
}
"""Every reason for which a result is kept and not ranked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: ok, failed, or unknown where a fact is missing; `detail` says what was seen."""

    code: str
    standing: CheckStanding
    detail: str

    def __post_init__(self) -> None:
        require(self.code in CHECKS, f"unknown code of a check {self.code!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """One reason for which a result is not ranked."""

    code: str
    detail: str

    def __post_init__(self) -> None:
        require(self.code in BARRIERS, f"unknown barrier {self.code!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What all checks of one document say: `standing` of the document, and the barriers between it and a ranking.

    A consistent document follows from its own raw data and breaks no law that is known here; that it was measured is
    not shown by that (docs/trust.md#what-a-forger-can-still-do).
    """

    result_id: str
    standing: Consistency
    rankable: bool
    checks: tuple[Check, ...]
    barriers: tuple[Barrier, ...]

    def __post_init__(self) -> None:
        require(self.rankable == (not self.barriers), "what is rankable has no barrier")

    def failures(self) -> tuple[Check, ...]:
        """Return the checks that failed."""
        return tuple(check for check in self.checks if check.standing == "failed")


NEEDED = ("digest", "schema", "energy", "rates")
"""Checks without which nothing can be said: one that is unknown leaves the document unverifiable."""


def conclude(result_id: str, checks: Iterable[Check], barriers: Iterable[Barrier] = ()) -> Verification:
    """Return the verification that follows from checks, with the barriers that they add to those given."""
    every = tuple(checks)
    standing = _standing(every)
    found = [barrier for barrier in barriers if barrier.code not in ("inconsistent", "unverifiable")]
    if standing == "inconsistent":
        codes = ", ".join(dict.fromkeys(check.code for check in every if check.standing == "failed"))
        found.insert(0, Barrier(code="inconsistent", detail=f"failed: {codes}"))
    elif standing == "unverifiable":
        why = next(c.detail for c in every if c.standing == "unknown" and c.code in NEEDED)
        found.insert(0, Barrier(code="unverifiable", detail=why))
    return Verification(result_id=result_id, standing=standing, rankable=not found, checks=every, barriers=tuple(found))


def ok(code: str, detail: str) -> Check:
    """Return a check that holds."""
    return Check(code=code, standing="ok", detail=detail)


def failed(code: str, detail: str) -> Check:
    """Return a check that does not hold."""
    return Check(code=code, standing="failed", detail=detail)


def unknown(code: str, detail: str) -> Check:
    """Return a check that could not be made; `detail` says which fact is missing."""
    return Check(code=code, standing="unknown", detail=detail)


def judged(code: str, problems: Iterable[str], fine: str) -> Check:
    """Return a check that failed with the first problems, or holds when there is none."""
    found = list(problems)
    if not found:
        return ok(code, fine)
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return failed(code, "; ".join(found[:3]) + more)


def _standing(checks: tuple[Check, ...]) -> Consistency:
    if any(check.standing == "failed" for check in checks):
        return "inconsistent"
    if any(check.standing == "unknown" and check.code in NEEDED for check in checks):
        return "unverifiable"
    return "consistent"
