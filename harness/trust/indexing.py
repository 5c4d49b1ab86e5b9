"""What verification says of a document as the index takes it in: its standing, its tier, what keeps it unranked."""

import contextlib
from dataclasses import replace
from datetime import datetime

from wattbench.harness.trust.stored import inspect_stored
from wattbench.harness.trust.verifying import admit_read
from wattbench.results.beside import named_files
from wattbench.results.errors import DocumentError, MissingKeyError
from wattbench.results.imported import Document
from wattbench.results.index.build import Facts, Logged
from wattbench.results.index.facts import facts_of
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import blob_key
from wattbench.results.trust.signers import Expectation
from wattbench.results.trust.verification import ok

__all__ = ["verified_facts"]


def verified_facts(
    store: ObjectStore, logged: Logged, document: Document | None, *, noted: bool, signed: bool
) -> Facts:
    """Return the facts of a document with its verification; one that cannot be read has none.

    Every figure is computed again from the raw data. Notes and signatures are only looked for where the store has any.
    Raises what reading a store raises.
    """
    said = facts_of(store, logged, document, noted=noted, signed=signed)
    if document is None:
        return said
    if noted or signed:
        found = inspect_stored(store, logged.id, Expectation())
        verification, tier = found.verification, found.trust.tier
    else:
        at = datetime.fromisoformat(logged.at) if logged.at else None
        digest = ok("digest", logged.id)  # reading the document checked it
        verification = admit_read(document, _blobs(store, document), digest, result_id=logged.id, logged_at=at)
        tier = "self-reported"
    codes = tuple(barrier.code for barrier in verification.barriers)
    return replace(said, standing=verification.standing, tier=tier, reasons=codes)


def _blobs(store: ObjectStore, document: Document) -> dict[str, bytes]:
    found = {}
    for named in named_files(document):
        with contextlib.suppress(MissingKeyError, DocumentError):
            found[named.name] = store.get(blob_key(named.name))
    return found
