"""SSH signatures as text: whose key made one and for what (OpenSSH's PROTOCOL.sshsig)."""

import base64
import binascii
import re
from dataclasses import dataclass

from wattbench.results.errors import SignatureError
from wattbench.results.trust.keys import line_of_blob

__all__ = ["NAMESPACE", "SshSignature", "is_armoured", "parse_armoured"]

NAMESPACE = "wattbench-result"
"""What our signatures are for: one made for something else (a git commit) does not count."""

BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
ARMOUR = re.compile(rf"\s*{BEGIN}\s+([A-Za-z0-9+/=\s]+?)\s+{END}\s*")
MAGIC = b"SSHSIG"
SIZE_MAX = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSignature:
    """What a signature says of itself: the public key (one line) and the namespace."""

    public_key: str
    namespace: str


def is_armoured(text: str) -> bool:
    """Return whether a text begins as an SSH signature does."""
    return text.lstrip().startswith(BEGIN)


def parse_armoured(text: str) -> SshSignature:
    """Return what an armoured signature says of itself; whether it holds is for `ssh.verify` to find out.

    Raises SignatureError.
    """
    match = ARMOUR.fullmatch(text) if len(text) <= SIZE_MAX else None
    if match is None:
        raise _broken("it is not one armoured block")
    try:
        blob = base64.b64decode("".join(match[1].split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _broken(str(exc)) from exc
    if blob[:6] != MAGIC or int.from_bytes(blob[6:10], "big") != 1:
        raise _broken("it is not of version 1")
    key, rest = _string(blob[10:])
    namespace, _ = _string(rest)
    return SshSignature(public_key=line_of_blob(key), namespace=namespace.decode("utf-8", "replace"))


def _string(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise _broken("it ends early")
    return data[4 : 4 + size], data[4 + size :]


def _broken(why: str) -> SignatureError:
    return SignatureError(
        "This is no SSH signature", why, "Give the file that `bench sign` or `ssh-keygen -Y sign` wrote."
    )
