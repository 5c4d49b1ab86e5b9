"""A result file made ready to be shared: read back, checked, and without what identifies its machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.trust.verifying import admit_read
from wattbench.results.doubts import Doubt
from wattbench.results.errors import DocumentError
from wattbench.results.files import document_bytes, document_of
from wattbench.results.imported import Document
from wattbench.results.store.privacy import Owner, without_identifiers
from wattbench.results.store.publish import Package, package_beside
from wattbench.results.trust.verification import ok

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

    Raises what `publish.package_of` raises, and DocumentError for a result that did not end well
    unless `allow_incomplete`.
    """
    data = document_bytes(path)
    document = document_of(data)
    package = package_beside(path, data, document)
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
    yield from _failures(package, document)


def _is_news(doubt: Doubt, told: list[str]) -> bool:
    return doubt.severity == "severe" and doubt.code not in told


def _failures(package: Package, document: Document) -> Iterator[str]:
    """Yield that checks of a document fail or could not be made: it is kept as it is, and marked by readers."""
    blobs = {blob.ref.name: blob.data for blob in package.blobs}
    found = admit_read(document, blobs, ok("digest", package.id), result_id=package.id)
    failures = found.failures()
    if failures:
        told = f"{failures[0].code}: {failures[0].detail}"
        yield f"it will not be ranked: {len(failures)} of its checks fail ({told}); `bench verify` names them"
    elif found.standing == "unverifiable":
        yield "it will not be ranked: it cannot be verified, since its raw data is not in it (`bench verify`)"
