"""The small records of a store beside the documents: log entries, notes, signatures; as canonical JSON and back."""

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeVar

from wattbench.results.checks import require, require_not_negative
from wattbench.results.codec import decode, parse_json, to_builtins
from wattbench.results.errors import DocumentError
from wattbench.results.files import canonical_bytes

__all__ = [
    "RECORD_MAX_BYTES",
    "BlobRef",
    "LogEntry",
    "Marker",
    "Note",
    "NoteKind",
    "Signature",
    "from_bytes",
    "is_withdrawal",
    "to_bytes",
    "withdrawal_digest",
]

RECORD_MAX_BYTES = 256 * 1024
"""The largest record that is read, so that a foreign one cannot fill the memory."""

FORMAT = "wattbench.store/1"

NoteKind = Literal["withdrawn", "disputed", "reproduced-by", "audited", "comment"]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """What makes a folder or bucket a store: the layout's name, and when it was made (UTC, ISO 8601)."""

    format: str = FORMAT
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """A file beside a document: its name (`<sha256 of its bytes>.<suffix>`) and its size."""

    name: str
    size_bytes: int

    def __post_init__(self) -> None:
        require_not_negative(size_bytes=self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """That a document is in the store: the one thing which readers list. `id` is the document's.

    `pushed_at` is the writer's clock (UTC, ISO 8601); the entry's key has the store's. `uploader` is what the writer
    calls himself, checked by nobody. `schema` and `kind` are the document's own. `withdrawal` is the digest of a proof
    that the writer alone can show later (`withdrawal_digest`), so that he can withdraw without a name.
    """

    format: str = "wattbench.log/1"
    id: str
    size_bytes: int
    schema: str
    kind: str
    blobs: tuple[BlobRef, ...]
    pushed_at: str
    uploader: str | None
    wattbench: str
    withdrawal: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(size_bytes=self.size_bytes)
        require(self.format == "wattbench.log/1", f"this record is wattbench.log/1, not {self.format!r:.80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody says about a document afterwards; nothing is ever edited, only noted.

    `other` is the id of another document that the note leans on (the one that reproduced it), None without one; `proof`
    of a withdrawal shows that it is by whoever pushed the document.
    """

    format: str = "wattbench.note/1"
    about: str
    kind: NoteKind
    text: str
    other: str | None
    at: str
    by: str | None
    proof: str | None = None

    def __post_init__(self) -> None:
        require(self.format == "wattbench.note/1", f"this record is wattbench.note/1, not {self.format!r:.80}")
        require((self.kind == "reproduced-by") <= (self.other is not None), "a reproduction names the other result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature of a document's canonical bytes: the key that made it and what it made.

    `method` is "ssh" (`ssh-keygen -Y sign`, armoured text) or "dsse" (Ed25519 over an in-toto statement, JSON text).
    `public_key` is the key's one-line OpenSSH form; `signer` is the identity that the signer states.
    """

    format: str = "wattbench.signature/1"
    about: str
    method: Literal["ssh", "dsse"]
    public_key: str
    signer: str | None
    signature: str
    at: str

    def __post_init__(self) -> None:
        require(
            self.format == "wattbench.signature/1", f"this record is wattbench.signature/1, not {self.format!r:.80}"
        )


def is_withdrawal(note: Note, uploader: str | None, withdrawal: str | None) -> bool:
    """Say whether a note withdraws the result that it is about: one in its uploader's name, or with his proof.

    `uploader` and `withdrawal` are what the result's log entry says. By others a withdrawal is a dispute.
    """
    if note.kind != "withdrawn":
        return False
    named = uploader is not None and note.by == uploader
    return named or (note.proof is not None and withdrawal_digest(note.proof) == withdrawal)


def withdrawal_digest(proof: str) -> str:
    """Return what a log entry says of a proof that is kept secret until the document is withdrawn."""
    return f"sha256:{hashlib.sha256(proof.encode(errors='surrogatepass')).hexdigest()}"


def to_bytes(record: object) -> bytes:
    """Return a record as canonical JSON."""
    return canonical_bytes(to_builtins(record))


def from_bytes(data: bytes, kind: type[Record]) -> Record:
    """Return the record of a kind in some bytes. Raises DocumentError for anything else."""
    if len(data) > RECORD_MAX_BYTES:
        why = f"{len(data)} bytes are more than the {RECORD_MAX_BYTES} that a record may have"
        raise DocumentError(f"This is not a valid {kind.__name__}", why)
    return decode(parse_json(data), kind)
