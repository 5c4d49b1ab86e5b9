"""A small HTTP client for meters: a kept connection, a deadline, checked TLS, no redirect, no proxy, no secret told."""

import base64
import contextlib
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from wattbench.backends.clocks import Exchange, http_date_s
from wattbench.harness.power.meters.argument import Argument
from wattbench.harness.power.meters.credentials import Credentials
from wattbench.harness.power.meters.digest import digest_header, parse_challenge
from wattbench.harness.power.meters.values import parse_json
from wattbench.results.errors import SensorError, UsageError

__all__ = ["HTTP_KEYS", "HttpClient", "Reply", "Scheme", "make_client", "target_of"]

HTTP_KEYS = ("tls",)
"""The keys of every meter that is read by HTTP."""

Scheme = Literal["none", "basic", "digest", "bearer"]

_BODY_BYTES = 4 * 2**20
"""No meter's answer is longer; a longer one is refused instead of filling the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer with our UTC seconds around it, and the same two instants on the run's clock."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent_s: float
    received_s: float
    sent_ns: int
    received_ns: int

    @property
    def exchange(self) -> Exchange | None:
        """Return what this answer says of the server's clock (its `Date`, in whole seconds), or None."""
        remote_s = http_date_s(self.headers.get("date"))
        if remote_s is None:
            return None
        return Exchange(sent_s=self.sent_s, received_s=self.received_s, remote_s=remote_s, resolution_s=1.0)


def make_client(argument: Argument, credentials: Credentials, scheme: Scheme) -> "HttpClient":
    """Return a client for a meter's address, `http://` where it names no scheme.

    Raises UsageError for an address that is none, and for a TLS option that cannot be used.
    """
    url = argument.address if "://" in argument.address else f"http://{argument.address}"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise UsageError(
            f"--power {argument.sampler}: {argument.address!r} is no address",
            "it is HOST, HOST:PORT, or a URL of http or https",
            f"docs/meters.md#{argument.sampler} shows some.",
        )
    return HttpClient(
        host=parts.hostname,
        port=port,
        tls=_tls(argument) if parts.scheme == "https" else None,
        timeout_s=argument.timeout_s,
        credentials=credentials,
        scheme=scheme if credentials.given else "none",
    )


def target_of(argument: Argument, default: str) -> str:
    """Return the path and query of an address that is a URL, or `default` where it names none."""
    parts = urlsplit(argument.address if "://" in argument.address else f"//{argument.address}")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return target if target not in ("", "/") else default


def _tls(argument: Argument) -> ssl.SSLContext:
    """Return the rules of TLS: verified by the system's authorities, by `tls=FILE`, or not at all (`tls=insecure`)."""
    word = argument.options.get("tls")
    if word != "insecure":
        try:
            return ssl.create_default_context(cafile=word)
        except OSError as exc:  # ssl.SSLError is one
            raise argument.wrong("tls", f"it is 'insecure' or a file of certificates, and {exc}") from exc
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class HttpClient:
    """Asks one server; belongs to one thread at a time. Every failure is a SensorError without secrets."""

    def __init__(
        self,
        *,
        host: str,
        port: int | None,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        credentials: Credentials,
        scheme: Scheme,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._timeout_s = timeout_s
        self._credentials = credentials
        self._scheme = scheme
        self._connection: http.client.HTTPConnection | None = None
        self._challenge: dict[str, str] | None = None
        self._count = 0
        self.extra_headers: dict[str, str] = {}
        """Headers of every request, such as a session's token."""

    @property
    def name(self) -> str:
        """Return the server's address for messages."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}{'' if self._port is None else f':{self._port}'}"

    def get_json(self, target: str) -> dict[str, object]:
        """Return the JSON object at a target. Raises SensorError."""
        return parse_json(self.get(target).body, self._what(target))

    def get(self, target: str) -> Reply:
        """Return the answer to a GET. Raises SensorError unless it is a 200."""
        return self.checked(self.request("GET", target), target)

    def request(self, method: str, target: str, body: object = None) -> Reply:
        """Return whatever the server answers, after one more try with its Digest challenge. Raises SensorError."""
        reply = self._once(method, target, body)
        challenge = parse_challenge(reply.headers.get("www-authenticate")) if reply.status == 401 else None
        if challenge is None or self._scheme != "digest":
            return reply
        if challenge["nonce"] != (self._challenge or {}).get("nonce"):
            self._count = 0
        self._challenge = challenge
        return self._once(method, target, body)

    def close(self) -> None:
        """Close the connection; it is opened again by the next request."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _once(self, method: str, target: str, body: object) -> Reply:
        """Send one request; a kept connection that the server has closed meanwhile is opened anew, once."""
        deadline_s = time.monotonic() + self._timeout_s
        kept = self._connection is not None
        try:
            return self._exchange(method, target, body, deadline_s)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as exc:
            self.close()
            if not kept:
                raise self._unreachable(exc) from None
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            raise self._unreachable(exc) from None  # the cause may hold headers, so it is not chained
        try:
            return self._exchange(method, target, body, deadline_s)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            self.close()
            raise self._unreachable(exc) from None

    def _exchange(self, method: str, target: str, body: object, deadline_s: float) -> Reply:
        connection = self._open(deadline_s)
        data = None if body is None else json.dumps(body).encode()
        headers = {
            "Accept": "*/*",
            "User-Agent": "wattbench",
            **self.extra_headers,
            **self._authorization(method, target),
        }
        if data is not None:
            headers["Content-Type"] = "application/json"
        sent_s, sent_ns = time.time(), time.perf_counter_ns()
        connection.request(method, target, body=data, headers=headers)
        _limit(connection.sock, deadline_s)
        response = connection.getresponse()
        received_s, received_ns = time.time(), time.perf_counter_ns()
        content = _body(response, connection.sock, deadline_s)
        if response.will_close:
            self.close()
        found = {key.lower(): value for key, value in response.getheaders()}
        return Reply(
            status=response.status,
            headers=found,
            body=content,
            sent_s=sent_s,
            received_s=received_s,
            sent_ns=sent_ns,
            received_ns=received_ns,
        )

    def _open(self, deadline_s: float) -> http.client.HTTPConnection:
        if self._connection is None:
            left_s = max(deadline_s - time.monotonic(), 0.001)
            if self._tls is None:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=left_s)
            else:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=left_s, context=self._tls
                )
            self._connection.connect()
        _limit(self._connection.sock, deadline_s)
        return self._connection

    def _authorization(self, method: str, target: str) -> dict[str, str]:
        held = self._credentials
        user, password = held.user or "admin", held.password or ""
        if self._scheme == "bearer" and held.token is not None:
            return {"Authorization": f"Bearer {held.token}"}
        if self._scheme == "basic" and held.password is not None:
            return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
        if self._scheme == "digest" and self._challenge is not None:
            self._count += 1
            header = digest_header(
                self._challenge, user=user, password=password, method=method, target=target, count=self._count
            )
            return {"Authorization": header}
        return {}

    def checked(self, reply: Reply, target: str) -> Reply:
        """Return an answer that is a 200. Raises SensorError, with what to do, for every other one."""
        if reply.status == 200:
            return reply
        what = self._what(target)
        if reply.status in (401, 403):
            why = "it refused the credentials" if self._credentials.given else "it asks for credentials"
            raise SensorError(f"Cannot read {what}", f"{why} (HTTP {reply.status})", _CREDENTIALS)
        if reply.status == 404:
            raise SensorError(f"Cannot read {what}", "there is no such thing (HTTP 404)", _WRONG)
        if 300 <= reply.status < 400:
            where = self._credentials.scrub(reply.headers.get("location", "elsewhere"))
            raise SensorError(
                f"Cannot read {what}", f"it sends us to {where}, and we do not follow", "Name that address."
            )
        phrase = http.client.responses.get(reply.status, "unknown")
        raise SensorError(f"Cannot read {what}", f"HTTP {reply.status}, {phrase}", "Look into the device's own log.")

    def _what(self, target: str) -> str:
        """Return what was asked for, without its query, which may hold a password."""
        return f"{self.name}{target.partition('?')[0]}"

    def _unreachable(self, exc: Exception) -> SensorError:
        what = f"Cannot reach {self.name}"
        if isinstance(exc, ssl.SSLCertVerificationError):
            remedy = "Name its authority's certificate by tls=FILE, or trust whoever answers by tls=insecure."
            return SensorError(what, f"its certificate is not trusted: {exc.verify_message}", remedy)
        if isinstance(exc, ssl.SSLError):
            return SensorError(what, f"TLS failed: {exc.reason or exc}", "Does it speak TLS on this port? Try http://.")
        if isinstance(exc, TimeoutError):
            return SensorError(what, f"no whole answer within {self._timeout_s:g} s", _SLOW)
        if isinstance(exc, socket.gaierror):
            return SensorError(
                what, f"its name is not known: {exc.strerror}", "Check the name, or give its IP address."
            )
        if isinstance(exc, OSError) and exc.strerror:
            return SensorError(what, exc.strerror, _WRONG)
        text = self._credentials.scrub(f"{type(exc).__name__}: {exc}")
        return SensorError(what, f"it does not speak HTTP as it should ({text})", _WRONG)


_CREDENTIALS = "Give the right user and password by environment or file (docs/meters.md#credentials)."
_SLOW = "Is it switched on and near? timeout=S waits longer."
_WRONG = "Check the address, and that the device is switched on."


def _limit(sock: socket.socket, deadline_s: float) -> None:
    """Let the socket wait no longer than the deadline. Raises TimeoutError when that has passed."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    sock.settimeout(left_s)


def _body(response: http.client.HTTPResponse, sock: socket.socket | None, deadline_s: float) -> bytes:
    """Return the body, read piece by piece so that a server that drips cannot outlast the deadline."""
    pieces, size = [], 0
    while piece := response.read1(65536):
        pieces.append(piece)
        size += len(piece)
        if size > _BODY_BYTES:
            raise ValueError(f"the answer is longer than {_BODY_BYTES} bytes")
        if sock is not None and sock.fileno() != -1:
            _limit(sock, deadline_s)
    response.read()  # marks the end, so that the connection can be used again
    return b"".join(pieces)
