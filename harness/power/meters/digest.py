"""HTTP Digest access authentication (RFC 7616), as plugs of Shelly use it with SHA-256."""

import hashlib
import re
import secrets

__all__ = ["digest_header", "parse_challenge"]

_PAIR = re.compile(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def parse_challenge(header: str | None) -> dict[str, str] | None:
    """Return the parameters of a `WWW-Authenticate: Digest ...` header, or None when it is none we can answer."""
    if header is None or not header.lower().startswith("digest "):
        return None
    found = {key.lower(): quoted or plain for key, quoted, plain in _PAIR.findall(header[7:])}
    known = found.get("algorithm", "MD5").upper() in _HASHES
    quality = {word.strip() for word in found.get("qop", "auth").split(",")}
    return found if known and "auth" in quality and {"realm", "nonce"} <= set(found) else None


def digest_header(
    challenge: dict[str, str], *, user: str, password: str, method: str, target: str, count: int, cnonce: str = ""
) -> str:
    """Return the `Authorization` header that answers a challenge for one request; `count` grows with each one."""
    algorithm = challenge.get("algorithm", "MD5")
    make = _HASHES[algorithm.upper()]
    cnonce = cnonce or secrets.token_hex(16)
    number = f"{count:08x}"

    def hashed(*parts: str) -> str:
        return make(":".join(parts).encode()).hexdigest()

    owner = hashed(user, challenge["realm"], password)
    response = hashed(owner, challenge["nonce"], number, cnonce, "auth", hashed(method, target))
    fields = {
        "username": user,
        "realm": challenge["realm"],
        "nonce": challenge["nonce"],
        "uri": target,
        "cnonce": cnonce,
        "response": response,
        **({"opaque": challenge["opaque"]} if "opaque" in challenge else {}),
    }
    quoted = ", ".join(f'{key}="{value}"' for key, value in fields.items())
    return f"Digest {quoted}, algorithm={algorithm}, qop=auth, nc={number}"
