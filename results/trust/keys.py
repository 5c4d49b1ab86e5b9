"""Public keys in OpenSSH's one-line form: their parts, their fingerprint, and the name of their files in a store."""

import base64
import binascii
import hashlib
import re

from wattbench.results.errors import SignatureError

__all__ = ["fingerprint", "key_id", "key_line", "line_of_blob"]

KIND = re.compile(r"[a-z0-9@.-]{1,64}")
LINE_MAX = 20_000


def key_line(text: str) -> str:
    """Return "<kind> <base64>" of a public key's line, without its comment. Raises SignatureError for anything else."""
    words = text[:LINE_MAX].split()
    if len(words) < 2 or KIND.fullmatch(words[0]) is None:
        raise _no_key(text)
    line = line_of_blob(_blob(words[1], text))
    if line.split()[0] != words[0]:
        raise _no_key(text)
    return line


def line_of_blob(blob: bytes) -> str:
    """Return the line of a key from its wire form, which begins with its kind. Raises SignatureError."""
    size = int.from_bytes(blob[:4], "big")
    kind = blob[4 : 4 + size]
    if len(blob) < 8 or size > 64 or len(kind) < size or KIND.fullmatch(kind.decode("ascii", "replace")) is None:
        raise _no_key(repr(blob[:20]))
    return f"{kind.decode()} {base64.b64encode(blob).decode()}"


def fingerprint(line: str) -> str:
    """Return the fingerprint as ssh-keygen prints it: SHA256:<base64 without padding>."""
    digest = hashlib.sha256(_blob(line.split()[1], line)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def key_id(line: str) -> str:
    """Return the fingerprint in letters that a file's name can have: `SHA256-<base64url>`."""
    return fingerprint(line).replace(":", "-").replace("+", "-").replace("/", "_")


def _blob(text: str, line: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _no_key(line) from exc


def _no_key(text: str) -> SignatureError:
    remedy = "Give the one line of a .pub file: ssh-ed25519 AAAA..."
    return SignatureError("This is no public key", f"{text.strip()!r:.60}", remedy)
