"""A result in a store with all that the store says of it: signatures, pins, notes, reproductions, audits."""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from wattbench.harness.trust.inspecting import Inspection, inspected
from wattbench.results.beside import named_files
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError, MissingKeyError, StoreError, UsageError, WattbenchError
from wattbench.results.files import document_of
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import (
    AUDITORS,
    blob_key,
    entry_key,
    object_key,
    signature_key,
    signature_prefix,
)
from wattbench.results.store.read import readable_notes, readable_records
from wattbench.results.store.records import LogEntry, Note, Signature, from_bytes, is_withdrawal, to_bytes
from wattbench.results.trust.likeness import unlike
from wattbench.results.trust.pins import pin_of
from wattbench.results.trust.ranking import withdrawal
from wattbench.results.trust.signers import Allowed, Expectation, Findings, parse_allowed, signature_findings
from wattbench.results.trust.tiers import reproduction_problems

__all__ = ["Stored", "audit_key", "auditors_of", "inspect_stored", "read_entry_of"]

REPRODUCTIONS_MAX = 8
"""So many notes of reproductions are followed; each costs a verification."""

ATTEMPTS_MAX = 10
"""So many attempts at a log entry are looked at; a second one is rare."""

AUDIT = "audit-"
"""How the names of auditors' signatures of notes begin, beside those of the result itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store has of one result, before anything of it is believed."""

    id: str
    data: bytes
    blobs: dict[str, bytes]
    entry: LogEntry | None
    logged_at: datetime | None


def inspect_stored(
    store: ObjectStore,
    result_id: str,
    expected: Expectation,
    *,
    auditors: Sequence[Allowed] | None = None,
    now: datetime | None = None,
) -> Inspection:
    """Verify a result in a store and return its tier; `auditors` replace those that the store's owner lists.

    Raises MissingKeyError when the store does not have it, and what reading a store raises.
    """
    stored = _fetched(store, result_id)
    findings = _findings(store, stored, expected)
    said = readable_notes(store, result_id)
    listed = auditors_of(store) if auditors is None else tuple(auditors)
    entry = stored.entry
    withdrawn = [
        withdrawal(n.text, n.by)
        for n in said
        if entry is not None and is_withdrawal(n, entry.uploader, entry.withdrawal)
    ]
    audits = [who for n in said if n.kind == "audited" for who in _auditors(store, n, listed, expected)]
    return inspected(
        result_id,
        stored.data,
        stored.blobs,
        findings,
        result_id=result_id,
        now=now,
        logged_at=stored.logged_at,
        barriers=withdrawn,
        reproduced_by=_reproductions(store, stored, findings, said, expected, now),
        auditors=tuple(dict.fromkeys(audits)),
    )


def audit_key(note: Note) -> str:
    """Return the key of an auditor's signature of a note: among those of the result, named by the note's digest."""
    return signature_key(note.about, AUDIT + hashlib.sha256(to_bytes(note)).hexdigest())


def auditors_of(store: ObjectStore) -> tuple[Allowed, ...]:
    """Return the auditors that the store's owner lists; none where there is no list, or it cannot be read."""
    try:
        return parse_allowed(store.get(AUDITORS).decode("utf-8", "replace"), f"{store.uri}: {AUDITORS}")
    except (MissingKeyError, UsageError):
        return ()


def read_entry_of(store: ObjectStore, result_id: str) -> tuple[LogEntry | None, datetime | None]:
    """Return the log entry that writers agreed upon for a result, and when the store wrote it; None without one."""
    for number in range(ATTEMPTS_MAX):
        key = entry_key(result_id, number)
        try:
            entry = from_bytes(store.get(key), LogEntry)
        except MissingKeyError:
            break
        except DocumentError:
            continue
        if entry.id == result_id:
            return entry, store.stamp(key)
    return None, None


def _fetched(store: ObjectStore, result_id: str) -> Stored:
    data = store.get(object_key(result_id))
    entry, logged_at = read_entry_of(store, result_id)
    blobs = {}
    for name in _named(data):
        with contextlib.suppress(MissingKeyError, DocumentError):
            blobs[name] = store.get(blob_key(name))
    return Stored(id=result_id, data=data, blobs=blobs, entry=entry, logged_at=logged_at)


def _named(data: bytes) -> tuple[str, ...]:
    """Return the files that a document itself names: its log entry may name any, as large and as many as it likes."""
    try:
        return tuple(named.name for named in named_files(document_of(data)))
    except DocumentError:
        return ()


def _findings(store: ObjectStore, stored: Stored, expected: Expectation) -> Findings:
    uploader = stored.entry.uploader if stored.entry is not None else None
    known = pin_of(store, uploader)
    whole = expected if known is None else replace(expected, pinned=known.public_key, pinned_as=known.uploader)
    return signature_findings(stored.data, _texts(store, stored.id), whole, strangers=True)


def _texts(store: ObjectStore, about: str) -> list[str]:
    """Return the signatures of a document; a record that is none does not hide the others."""
    found = readable_records(store, signature_prefix(about), Signature, leaving_out=AUDIT)
    return [signature.signature for signature in found if signature.about == about]


def _auditors(store: ObjectStore, note: Note, listed: Sequence[Allowed], expected: Expectation) -> list[str]:
    """Return the auditors whose signature of a note holds."""
    if not listed:
        return []
    allowed = Expectation(allowed=tuple(listed), at=expected.at)
    try:
        text = from_bytes(store.get(audit_key(note)), Signature).signature
    except (MissingKeyError, DocumentError):
        return []
    findings = signature_findings(to_bytes(note), [text], allowed, strangers=True)
    return [signer.identity for signer in findings.signers]


def _reproductions(
    store: ObjectStore,
    stored: Stored,
    findings: Findings,
    said: Sequence[Note],
    expected: Expectation,
    now: datetime | None,
) -> tuple[str, ...]:
    """Return the ids of results that reproduce this one, each verified itself."""
    named = [note.other for note in said if note.kind == "reproduced-by" and note.other not in (None, stored.id)]
    others = list(dict.fromkeys(other for other in named if other is not None))[:REPRODUCTIONS_MAX]
    if not others:
        return ()
    try:
        subject = document_of(stored.data)
    except DocumentError:
        return ()
    return tuple(
        other
        for other in others
        if isinstance(subject, Result) and _holds(store, subject, findings, other, expected, now)
    )


def _holds(
    store: ObjectStore, subject: Result, findings: Findings, other: str, expected: Expectation, now: datetime | None
) -> bool:
    try:
        stored = _fetched(store, other)
        document = document_of(stored.data)
        theirs = _findings(store, stored, expected)
    except (StoreError, WattbenchError):
        return False
    if not isinstance(document, Result):
        return False
    verified = inspected(
        other, stored.data, stored.blobs, theirs, result_id=other, now=now, logged_at=stored.logged_at
    ).verification
    problems = reproduction_problems(
        subject,
        document,
        same_key=not unlike(subject, document),
        signers=findings.signers,
        other_signers=theirs.signers,
    )
    return verified.standing == "consistent" and verified.rankable and not problems
