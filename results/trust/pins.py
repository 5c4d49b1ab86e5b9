"""The key that an uploader signed with first, kept by the store itself: whoever writes it first decides for good."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from wattbench.results.checks import require
from wattbench.results.errors import DocumentError, MissingKeyError, SignatureError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.records import from_bytes, to_bytes
from wattbench.results.trust.keys import key_line

__all__ = ["PINS", "Pin", "pin", "pin_key", "pin_of"]

PINS = "v1/pins/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Who signs with which key (OpenSSH's line), since when."""

    format: str = "wattbench.pin/1"
    uploader: str
    public_key: str
    at: str

    def __post_init__(self) -> None:
        require(self.format == "wattbench.pin/1", f"this record is wattbench.pin/1, not {self.format!r:.80}")


def pin_key(uploader: str) -> str:
    """Return the key of an uploader's pin; the name itself may hold anything."""
    return f"{PINS}{hashlib.sha256(uploader.encode()).hexdigest()}.json"


def pin_of(store: ObjectStore, uploader: str | None) -> Pin | None:
    """Return an uploader's pin, or None without one; what is no pin of this uploader counts for nothing."""
    if uploader is None:
        return None
    try:
        found = from_bytes(store.get(pin_key(uploader)), Pin)
        key_line(found.public_key)
    except (MissingKeyError, DocumentError, SignatureError):
        return None
    return found if found.uploader == uploader else None


def pin(store: ObjectStore, uploader: str, public_key: str) -> Pin:
    """Pin an uploader to a key, unless somebody did before, and return the pin that holds now."""
    at = datetime.now(tz=UTC).isoformat(timespec="seconds")
    new = Pin(uploader=uploader, public_key=key_line(public_key), at=at)
    store.create(pin_key(uploader), to_bytes(new))
    return pin_of(store, uploader) or new
