"""Ed25519 by the package cryptography: the only file that knows it, imported when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wattbench.results.errors import SignatureError, SignatureToolError, UsageError
from wattbench.results.trust.keys import key_line

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

__all__ = ["holds_ed25519", "sign_ed25519"]

MISSING = "Install it with: pip install 'wattbench[sign]'"
REMEDY = "Give an Ed25519 private key without a passphrase: openssl genpkey -algorithm ed25519 -out KEY.pem"
KEY_MAX_BYTES = 64 * 1024


def sign_ed25519(message: bytes, key: Path) -> tuple[str, bytes]:
    """Return the public key (one line) and the signature of a message by the private key in a file (PEM or OpenSSH).

    Raises UsageError for a file that is no such key, SignatureToolError without the package.
    """
    private = _private(key)
    try:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    except ImportError as exc:
        raise _missing() from exc
    line = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return key_line(line), private.sign(message)


def holds_ed25519(public_key: str, message: bytes, signature: bytes) -> bool:
    """Return whether a signature of a message is that of a public key (OpenSSH's line).

    Raises SignatureError for a key of another kind, SignatureToolError without the package.
    """
    try:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_ssh_public_key
    except ImportError as exc:
        raise _missing() from exc
    try:
        public = load_ssh_public_key(key_line(public_key).encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SignatureError("This is no public key", str(exc)[:120], "") from exc
    if not isinstance(public, Ed25519PublicKey):
        raise SignatureError("The key is of another kind", f"{public_key.split()[0]} is not Ed25519", "")
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _private(key: Path) -> Ed25519PrivateKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key
    except ImportError as exc:
        raise _missing() from exc
    try:
        with key.open("rb") as file:
            data = file.read(KEY_MAX_BYTES)
        load = load_ssh_private_key if b"OPENSSH PRIVATE KEY" in data else load_pem_private_key
        private = load(data, password=None)
    except OSError as exc:
        raise UsageError(f"Cannot read the key {key}", exc.strerror or str(exc), "Check the path.") from exc
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise UsageError(f"Cannot sign with {key}", str(exc)[:120], REMEDY) from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(f"Cannot sign with {key}", "it is a key of another kind", REMEDY)
    return private


def _missing() -> SignatureToolError:
    return SignatureToolError("Ed25519 signatures need the package cryptography", "it is not installed", MISSING)
