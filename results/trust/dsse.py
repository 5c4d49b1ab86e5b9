"""Ed25519 signatures in the form that supply-chain tools read: a DSSE envelope around an in-toto statement."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from wattbench.results.errors import DocumentError, SignatureError
from wattbench.results.files import canonical_bytes

__all__ = ["PAYLOAD_TYPE", "Envelope", "encode_envelope", "pae", "parse_envelope", "statement_of", "subject_digest"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:wattbench:result:1"
SIZE_MAX = 64 * 1024
REMEDY = "Give the file that `bench sign` wrote."


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One signed statement: its bytes, the public key in `keyid` (OpenSSH's one-line form), the signature."""

    payload: bytes
    public_key: str
    signature: bytes


def statement_of(message: bytes) -> bytes:
    """Return the in-toto statement (v1) about a document's canonical bytes, as JSON: its subject is their sha256."""
    digest = hashlib.sha256(message).hexdigest()
    subject = {"name": f"sha256:{digest}", "digest": {"sha256": digest}}
    return canonical_bytes(
        {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": PREDICATE_TYPE, "predicate": {}}
    )


def pae(payload: bytes) -> bytes:
    """Return what is signed: DSSE's pre-authentication encoding (secure-systems-lab/dsse, protocol.md, v1)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def encode_envelope(envelope: Envelope) -> str:
    """Return an envelope as JSON text."""
    signature = {"keyid": envelope.public_key, "sig": base64.b64encode(envelope.signature).decode()}
    whole: dict[str, object] = {
        "payload": base64.b64encode(envelope.payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [signature],
    }
    return canonical_bytes(whole).decode() + "\n"


def parse_envelope(text: str) -> Envelope:
    """Return the envelope in a text. Raises SignatureError for what is none, or has not exactly one signature."""
    if len(text) > SIZE_MAX:
        raise SignatureError("This is no signature", f"{len(text)} characters are too many", REMEDY)
    try:
        whole = json.loads(text)
        (signature,) = whole["signatures"]
        if whole["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"its payload is {whole['payloadType']!r:.60}")
        payload = base64.b64decode(whole["payload"], validate=True)
        value = base64.b64decode(signature["sig"], validate=True)
        return Envelope(payload=payload, public_key=str(signature["keyid"]), signature=value)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as exc:
        raise SignatureError("This is no signature", f"no DSSE envelope: {exc}"[:200], REMEDY) from exc


def subject_digest(payload: bytes) -> str:
    """Return the sha256 of the one subject of a statement about a wattbench result. Raises SignatureError."""
    try:
        statement = json.loads(payload)
        (subject,) = statement["subject"]
        if (statement["_type"], statement["predicateType"]) != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise ValueError(f"it is a {statement['predicateType']!r:.80}")
        return str(subject["digest"]["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError, DocumentError) as exc:
        raise SignatureError(
            "The signature is for something else", f"no statement about a result: {exc}"[:200]
        ) from exc
