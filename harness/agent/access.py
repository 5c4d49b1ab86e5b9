"""Who may ask an agent: where it listens, its token, and TLS; what is unsafe is refused with the way out."""

import hashlib
import hmac
import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.power.agent_wire import PORT
from wattbench.harness.power.meters.credentials import read_credentials
from wattbench.results.errors import UsageError

__all__ = ["Access", "Listen", "Token", "find_token", "parse_listen", "require_safe", "tls_of"]

TOKEN_VARIABLE = "WATTBENCH_AGENT_TOKEN"

_TOKEN_LEAST = 16
"""A token has this many characters at least: 16 of 64 kinds are 96 bits, which nobody guesses over a network."""

_MAKE = (
    "Make one: umask 077; python3 -c \"import secrets; print('token =', secrets.token_urlsafe(32))\" > agent.key, "
    "then --credentials agent.key here and credentials=agent.key in the run's --power (docs/agent.md)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen: a host as the user wrote it, the address that it means, and a port (0: any free one)."""

    host: str
    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach it."""
        return ipaddress.ip_address(self.address.partition("%")[0]).is_loopback


class Token:
    """A token that is compared in constant time, and has no text form."""

    __slots__ = ("_digest",)

    def __init__(self, text: str) -> None:
        if len(text) < _TOKEN_LEAST:
            raise UsageError("The agent's token is too short", f"it has fewer than {_TOKEN_LEAST} characters", _MAKE)
        self._digest = hashlib.sha256(text.encode()).digest()

    def __repr__(self) -> str:
        return "Token(***)"

    def fits(self, header: str | None) -> bool:
        """Return whether an Authorization header brings it."""
        scheme, _, text = (header or "").partition(" ")
        given = hashlib.sha256(text.strip().encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given, self._digest) and scheme.lower() == "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The rules of one agent."""

    listen: Listen
    token: Token | None
    tls: ssl.SSLContext | None


def parse_listen(word: str) -> Listen:
    """Return where to listen from HOST, HOST:PORT or [IPV6]:PORT. Raises UsageError for anything else."""
    host, port_word = word, ""
    if word.startswith("["):
        host, _, port_word = word[1:].partition("]")
        port_word = port_word.removeprefix(":")
    elif word.count(":") == 1:
        host, _, port_word = word.partition(":")
    if not host or (port_word and not (port_word.isdecimal() and int(port_word) < 65536)):
        raise UsageError(f"Cannot listen on {word!r}", "it is HOST, HOST:PORT or [IPV6]:PORT", "Use 127.0.0.1:8477.")
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        why = f"its name is not known: {exc}"
        raise UsageError(f"Cannot listen on {word!r}", why, "Name an address of this machine.") from exc
    return Listen(host=host, address=str(found[0][4][0]), port=int(port_word) if port_word else PORT)


def find_token(path: Path | None) -> Token | None:
    """Return the token of a file that only its owner may read, else of the environment, else None.

    Raises UsageError for a file that is not safe or holds none.
    """
    if path is None:
        text = os.environ.get(TOKEN_VARIABLE)
        return Token(text) if text else None
    text = read_credentials(path).token
    if not text:
        raise UsageError(f"The credentials file {path} holds no token", "it has no line token = ...", _MAKE)
    return Token(text)


def tls_of(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the rules of TLS with a certificate and its key, None without both. Raises UsageError for half of them."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("TLS needs a certificate and its key", "one of them is missing", "Give both --tls-*.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError, ValueError) as exc:
        raise UsageError("The certificate cannot be used", str(exc), "Give PEM files without a password.") from exc
    return context


def require_safe(access: Access) -> None:
    """Raise UsageError for an agent that everybody in the network could read."""
    if not access.listen.is_loopback and access.token is None:
        why = "whoever reaches that address could read this machine's power, and there is no token"
        raise UsageError(f"Refused to listen on {access.listen.host}", why, _MAKE)
