"""Signing a document's canonical bytes, and telling whose signature holds for them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wattbench.results.errors import SignatureError, UsageError
from wattbench.results.trust.dsse import Envelope, encode_envelope, pae, parse_envelope, statement_of, subject_digest
from wattbench.results.trust.ed25519 import holds_ed25519, sign_ed25519
from wattbench.results.trust.keys import key_line
from wattbench.results.trust.ssh import sign_ssh, verify_ssh
from wattbench.results.trust.sshsig import is_armoured, parse_armoured

__all__ = ["Method", "Signed", "sign", "signer_of"]

Method = Literal["ssh", "dsse"]

KEY_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature: how it was made, the public key (one line), and its text as it stands in a file."""

    method: Method
    public_key: str
    text: str


def sign(message: bytes, key: Path, method: Method | None = None) -> Signed:
    """Sign a document's canonical bytes (without `id`) with the key in a file.

    Without a `method` it follows from the file: PEM keys make DSSE envelopes, all others SSH signatures.
    Raises UsageError when the key cannot be used, SignatureError when what is needed is not installed.
    """
    if (method or _method_of(key)) == "dsse":
        payload = statement_of(message)
        public, signature = sign_ed25519(pae(payload), key)
        text = encode_envelope(Envelope(payload=payload, public_key=public, signature=signature))
        return Signed(method="dsse", public_key=public, text=text)
    armoured = sign_ssh(message, key)
    return Signed(method="ssh", public_key=parse_armoured(armoured).public_key, text=armoured)


def signer_of(message: bytes, text: str) -> str:
    """Return the public key (one line) whose signature of a document's canonical bytes a text is.

    Raises SignatureError when it does not hold for these bytes, or cannot be checked here.
    """
    if is_armoured(text):
        return verify_ssh(message, text)
    envelope = parse_envelope(text)
    line = key_line(envelope.public_key)
    if not holds_ed25519(line, pae(envelope.payload), envelope.signature):
        raise SignatureError("The signature does not hold", "the statement in it was altered, or the key is another")
    named, found = subject_digest(envelope.payload), hashlib.sha256(message).hexdigest()
    if named != found:
        raise SignatureError("The signature is for another document", f"it names sha256:{named:.64}, this is {found}")
    return line


def _method_of(key: Path) -> Method:
    try:
        with key.open("rb") as file:
            head = file.read(KEY_HEAD_BYTES)
    except OSError as exc:
        raise UsageError(f"Cannot read the key {key}", exc.strerror or str(exc), "Check the path.") from exc
    return "dsse" if b"BEGIN PRIVATE KEY" in head else "ssh"
