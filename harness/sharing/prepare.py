"""A result file made ready to be shared: read back, checked, and without what identifies its machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.recompute import Recomputation, recompute
from wattbench.harness.recompute_imported import recompute_imported
from wattbench.results.doubts import Doubt
from wattbench.results.errors import DocumentError, WattbenchError
from wattbench.results.files import document_of
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.polls_file import decode_polls
from wattbench.results.store.privacy import Owner, without_identifiers
from wattbench.results.store.publish import Package, package_of

__all__ = ["Prepared", "prepare"]

UNRANKED = ("mock", "emulated", "replayed_power", "modelled_power")
"""Doubts by which a result is kept and shown, and never ranked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is uploaded of a result file, the document in it, and what its owner should know of it."""

    path: Path
    package: Package
    document: Document
    notes: tuple[str, ...]


def prepare(path: Path, owner: Owner | None, *, allow_incomplete: bool = False) -> Prepared:
    """Return what is to be uploaded of the result in a file; without an `owner` its identifiers stay in it.

    Raises what `read_document` and `sidecar.read_polls` raise, and DocumentError for a result that did not end well
    unless `allow_incomplete`.
    """
    package = package_of(path)
    document = document_of(package.data)
    if document.status != "complete" and not allow_incomplete:
        why = f"its status is {document.status}"
        remedy = "Measure again, or share it all the same: --allow-incomplete (it is never ranked)."
        raise DocumentError(f"{path}: This result is not complete", why, remedy)
    if owner is not None:
        package = without_identifiers(package, document, owner)
        document = document_of(package.data)  # read back: what is uploaded is what others can read
    return Prepared(path=path, package=package, document=document, notes=tuple(_notes(package, document)))


def _notes(package: Package, document: Document) -> Iterator[str]:
    """Yield why a result that is uploaded all the same will not be ranked."""
    codes = [doubt.code for doubt in document.doubts if doubt.code in UNRANKED]
    if codes:
        yield f"it will not be ranked: {', '.join(dict.fromkeys(codes))}"
    if document.status != "complete":
        yield f"it will not be ranked: its status is {document.status}"
    elif document.verdict is not None and document.verdict.standing == "invalid":
        severe = [doubt.code for doubt in document.doubts if _is_news(doubt, codes)]
        if severe:
            yield f"it will not be ranked: it is invalid ({', '.join(dict.fromkeys(severe))})"
    yield from _inconsistencies(package, document)


def _is_news(doubt: Doubt, told: list[str]) -> bool:
    return doubt.severity == "severe" and doubt.code not in told


def _inconsistencies(package: Package, document: Document) -> Iterator[str]:
    """Yield that a document's figures do not follow from its raw data: it is kept as it is, and marked by readers."""
    try:
        found = _recomputed(package, document)
    except WattbenchError as exc:
        yield f"it cannot be computed again: {exc.why or exc.what}"
        return
    if found.differences:
        first = found.differences[0]
        count = len(found.differences)
        told = f"{first.path} is {first.stored}, the raw data gives {first.computed}"
        yield f"it will not be ranked: {count} of its figures do not follow from its raw data ({told})"


def _recomputed(package: Package, document: Document) -> Recomputation:
    if isinstance(document, ImportedResult):
        return recompute_imported(document)
    named = document.power.polls_file
    polls = document.power.polls if named is None else decode_polls(package.blobs[0].data, named.rows)
    return recompute(document, polls)
