"""Why a document may not stand in a ranking, by what it is and what was noted about it."""

from collections.abc import Iterator

from wattbench.results.document import Result
from wattbench.results.doubts import Doubt
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.trust.verification import Barrier

__all__ = ["COVERAGE_LEAST", "barriers_of", "withdrawal"]

COVERAGE_LEAST = 0.9
"""A window whose power is known for less of its time has no energy that could be ranked (our choice)."""

PROVENANCES = {"replayed": "replayed", "modelled": "modelled", "declared": "modelled"}


def barriers_of(document: Document, demanded: tuple[Doubt, ...] = ()) -> tuple[Barrier, ...]:
    """Return the barriers that follow from a document; `demanded` are the doubts that its facts ask for."""
    return tuple(_barriers(document, demanded))


def withdrawal(text: str, by: str | None) -> Barrier:
    """Return the barrier of a result that was withdrawn by a note."""
    return Barrier(code="withdrawn", detail=f"{by or 'somebody'}: {text}" if text else f"by {by or 'somebody'}")


def _barriers(document: Document, demanded: tuple[Doubt, ...]) -> Iterator[Barrier]:
    if isinstance(document, ImportedResult):
        yield Barrier(code="imported", detail=f"{document.source.tool} measured, not wattbench")
    else:
        yield from _of_run(document)
    provenances = sorted({channel.provenance for channel in document.power.channels} & set(PROVENANCES))
    for provenance in provenances:
        yield Barrier(code=PROVENANCES[provenance], detail=f"a power channel is {provenance}")
    if document.status != "complete":
        yield Barrier(code="unfinished", detail=f"the run is {document.status}")
    severe = [d.code for d in (*document.doubts, *demanded) if d.severity == "severe"]
    if severe:
        yield Barrier(code="invalid", detail=f"severe doubts: {', '.join(dict.fromkeys(severe))}")


def _of_run(result: Result) -> Iterator[Barrier]:
    if result.kind != "measured":
        yield Barrier(code="derived", detail=f"its kind is {result.kind}")
    backend = result.backend
    if (backend is not None and (backend.mock or backend.name == "mock")) or result.plan.backend == "mock":
        yield Barrier(code="mock", detail="nothing was computed")
    if backend is not None and backend.emulated:
        yield Barrier(code="emulated", detail=f"{backend.device} on {backend.true_device}")
    known = [e.coverage for r in result.repeats for e in r.energy if e.energy_j is not None and e.coverage is not None]
    least = min(known, default=1.0)
    if least < COVERAGE_LEAST:
        yield Barrier(code="low_coverage", detail=f"{100 * least:.0f} % of a window")
