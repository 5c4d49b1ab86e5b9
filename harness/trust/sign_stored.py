"""Putting signatures into a store: of a result, with the uploader's first key pinned, or of an audit's note."""

import uuid
from datetime import datetime
from pathlib import Path

from wattbench.harness.trust.stored import audit_key, auditors_of, read_entry_of
from wattbench.results.errors import UsageError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.layout import note_key, signature_key
from wattbench.results.store.read import read_object
from wattbench.results.store.records import Note, Signature, to_bytes
from wattbench.results.trust.keys import fingerprint, key_id
from wattbench.results.trust.pins import pin
from wattbench.results.trust.signing import Method, Signed, sign

__all__ = ["audit_stored", "sign_stored"]


def sign_stored(
    store: ObjectStore, result_id: str, key: Path, method: Method | None, *, signer: str | None, now: datetime
) -> list[str]:
    """Sign a result in a store and return what was done, in words.

    The signer is the result's uploader unless another is named. Who signs for the uploader first pins his key.
    Raises UsageError when another key is pinned for the signer: nothing is written then.
    """
    data = read_object(store, result_id)
    entry, _ = read_entry_of(store, result_id)
    uploader = entry.uploader if entry is not None else None
    name = signer or uploader
    made = sign(data, key, method)
    lines = [f"{result_id}: signed by {fingerprint(made.public_key)}"]
    if name is not None:
        held = pin(store, name, made.public_key)
        if held.public_key != made.public_key:
            why = f"{name} signs with {fingerprint(held.public_key)} in this store, since {held.at}"
            remedy = "Sign with that key, or as somebody else: --as NAME."
            raise UsageError(f"{fingerprint(made.public_key)} does not count for {name}", why, remedy)
        lines.append(f"{name} signs with this key in {store.uri}, since {held.at}")
    else:
        lines.append("It was uploaded in nobody's name: the key counts for readers who list it (--allowed-signers).")
    store.create(signature_key(result_id, key_id(made.public_key)), to_bytes(_record(result_id, made, name, now)))
    return lines


def audit_stored(
    store: ObjectStore,
    result_id: str,
    key: Path,
    method: Method | None,
    *,
    text: str,
    signer: str | None,
    now: datetime,
) -> list[str]:
    """Put a note into a store that a result was audited, with a signature of the note; return what was done."""
    read_object(store, result_id)
    at = now.isoformat(timespec="milliseconds")
    note = Note(about=result_id, kind="audited", text=text, other=None, at=at, by=signer)
    made = sign(to_bytes(note), key, method)
    store.create(audit_key(note), to_bytes(_record(result_id, made, signer, now)))
    store.create(note_key(result_id, str(uuid.uuid4())), to_bytes(note))
    lines = [f"{result_id}: audited, by {fingerprint(made.public_key)}"]
    if not any(made.public_key == auditor.public_key for auditor in auditors_of(store)):
        lines.append(f"The owner of {store.uri} lists no such auditor: it counts for readers who do (--auditors).")
    return lines


def _record(about: str, made: Signed, signer: str | None, now: datetime) -> Signature:
    return Signature(
        about=about,
        method=made.method,
        public_key=made.public_key,
        signer=signer,
        signature=made.text,
        at=now.isoformat(timespec="milliseconds"),
    )
