"""What two documents must share to be compared, as fields, as one key, and the fields in which they differ."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from wattbench.results.document import Result
from wattbench.results.files import canonical_bytes
from wattbench.results.identity.classes import hardware_classes
from wattbench.results.imported import Document, ImportedResult

__all__ = [
    "FIELDS",
    "METHOD",
    "NO_SCOPE",
    "FieldDifference",
    "comparability_fields",
    "comparability_key",
    "differing_fields",
    "scopes_of",
]

METHOD = "wattbench 1"
"""The protocol and its major version: raised when figures of the new one are unlike those of the old (CHANGELOG.md,
"Changed measurements" tells smaller changes, which the harness's version has)."""

NO_SCOPE = "none"
"""The scope of a document without energy."""

FIELDS = {
    "class": "the classes of the devices that executed the load, with their counts",
    "load": "the load's name; of imported results the tool's",
    "load_version": "the load's version; of imported results the tool's",
    "load_digest": "the digest of the load's model and request shape",
    "model": "the model; of an endpoint what it calls it",
    "precision": "the effective precision of weights",
    "compute_precision": "the precision of products",
    "weights": "synthetic or real",
    "parallelism": "how many ranks shared the load out",
    "scenario": "how requests arrived",
    "scope": "the boundary of the power measurement",
    "method": "the protocol's name and major version",
}
"""The fields of the key. Batch, threads, engine and tuning are how a machine was used, not what is compared: the
leaderboard takes the best of them, and `bench compare` names those that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """A field of two comparability keys that differs, with both values as text."""

    field: str
    first: str
    other: str


def scopes_of(document: Document) -> tuple[str, ...]:
    """Return the scopes that the document has a mean power at, its own first; `NO_SCOPE` alone without any."""
    if isinstance(document, ImportedResult):
        metrics = document.metrics
    else:
        metrics = document.summary.metrics if document.summary is not None else ()
    known = (m.scope for m in metrics if m.name == "power.mean" and m.value is not None and m.scope is not None)
    return tuple(dict.fromkeys(known)) or (NO_SCOPE,)


def comparability_fields(document: Document, scope: str | None = None) -> dict[str, object]:
    """Return the fields of the key at one of the document's scopes, the first unless one is given."""
    at = scope if scope is not None else scopes_of(document)[0]
    classes = [each.text for each in hardware_classes(document)]
    own = _imported(document) if isinstance(document, ImportedResult) else _measured(document)
    return {name: (own | {"class": classes, "scope": at})[name] for name in FIELDS}


def comparability_key(fields: Mapping[str, object]) -> str:
    """Return "sha256:<hex>" over the canonical JSON (RFC 8785) of the fields."""
    return "sha256:" + hashlib.sha256(canonical_bytes(dict(fields))).hexdigest()


def differing_fields(first: Document, other: Document, scope: str | None = None) -> tuple[FieldDifference, ...]:
    """Return the fields in which two documents differ, in the order of `FIELDS`; none where they may be compared."""
    mine, theirs = comparability_fields(first, scope), comparability_fields(other, scope)
    return tuple(
        FieldDifference(field=name, first=_text(mine[name]), other=_text(theirs[name]))
        for name in FIELDS
        if mine[name] != theirs[name]
    )


def _measured(result: Result) -> dict[str, object]:
    backend, load = result.backend, result.load
    precision = backend.precision_effective if backend is not None else result.plan.precision
    return {
        "load": load.name,
        "load_version": str(load.version),
        "load_digest": load.digest,
        "model": (backend.served_model if backend is not None else None) or load.model,
        "precision": precision,
        "compute_precision": (backend.compute_precision if backend is not None else None) or precision,
        "weights": result.weights.origin if result.weights is not None else None,
        "parallelism": result.plan.tensor_parallel,
        "scenario": result.plan.scenario,
        "method": METHOD,
    }


def _imported(document: ImportedResult) -> dict[str, object]:
    work, source = document.work, document.source
    return {
        "load": source.tool,
        "load_version": source.version,
        "load_digest": None,
        "model": work.model,
        "precision": work.precision,
        "compute_precision": None,
        "weights": None,
        "parallelism": None,
        "scenario": work.scenario,
        "method": source.format,
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return " + ".join(map(str, value))
    return "not stated" if value is None else str(value)
