"""Reaching a server before anything is timed: its address, its certificate, and single requests by blocking sockets."""

import contextlib
import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator

from wattbench.backends.endpoint.answer import Answer, read_answer
from wattbench.backends.endpoint.connection import Address
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.reply import HttpError, Reply
from wattbench.backends.endpoint.target import Target
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["ask", "called_once", "resolve", "tls_context"]

PROBE_TIMEOUT_S = 10.0
"""What connecting, or an answer about the server itself, may take in all."""
BODY_MAX_BYTES = 4 * 2**20
CLOSING_S = 0.05
"""A server that closes behind an answer does so within this time."""


def resolve(target: Target) -> Address:
    """Return the server's address that answers first in the resolver's order. Raises DeviceError when none does."""
    what = f"The endpoint {target.url} cannot be reached"
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise DeviceError(what, f"{target.host}: {exc.strerror or exc}", "Check the address.") from exc
    reason = "it has no address"
    for family, kind, protocol, _, place in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(PROBE_TIMEOUT_S)
            try:
                sock.connect(place)
            except OSError as exc:
                reason = f"{place[0]} port {target.port}: {exc.strerror or exc}"
                continue
            return family, place
    raise DeviceError(what, reason, "Is the server running, and is this its port?")


def tls_context(target: Target) -> ssl.SSLContext | None:
    """Return how TLS certificates are verified; None without TLS. Raises UsageError for a CA file that is none."""
    if not target.tls:
        return None
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as exc:
        raise UsageError(
            f"Cannot use the CA file {target.ca_file}", exc.strerror or str(exc), "Give a PEM file."
        ) from exc


def ask(target: Target, key: Key, method: str, path: str) -> tuple[int, str | None, bytes]:
    """Return status, server name and body of a request that has none. Raises DeviceError when there is no answer."""
    header = key.header.partition(": ")[2].strip()
    headers = {"Authorization": header} if header else {}
    context = tls_context(target)
    connection = (
        http.client.HTTPConnection(target.host, target.port, timeout=PROBE_TIMEOUT_S)
        if context is None
        else http.client.HTTPSConnection(target.host, target.port, timeout=PROBE_TIMEOUT_S, context=context)
    )
    ended = threading.Event()
    try:
        connection.connect()
        with _ended_after(PROBE_TIMEOUT_S, connection.sock, ended):
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            data = response.read(BODY_MAX_BYTES)
        if ended.is_set():  # a body that is cut short raises nothing
            raise TimeoutError
        return response.status, response.getheader("Server"), data
    except (OSError, http.client.HTTPException) as exc:
        why = getattr(exc, "verify_message", None) or getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        why = f"no end of its answer after {PROBE_TIMEOUT_S:g} s" if ended.is_set() else why
        remedy = "Is it an inference server, and is this its port?"
        raise DeviceError(f"The endpoint {target.url} does not answer", key.scrub(str(why)), remedy) from exc
    finally:
        connection.close()


def called_once(target: Target, request: bytes) -> tuple[Answer, bool]:
    """Return what one call brings, and whether its connection could serve another."""
    reply, whole = Reply(), False
    deadline_s = time.monotonic() + target.timeout_s
    try:
        with _connect(target) as sock:
            sock.settimeout(target.timeout_s)
            sock.sendall(request)
            while not whole:
                sock.settimeout(_left_s(deadline_s))
                data = sock.recv(65_536)
                if not data:
                    whole = reply.closed()
                    break
                whole = reply.take(data, 0, 0)
            kept = reply.keeps_open and not select.select([sock], [], [], CLOSING_S)[0]
        return read_answer(reply, stream=target.stream, whole=whole), kept
    except TimeoutError:
        return Answer(error=f"no end after {target.timeout_s:g} s", error_kind="timeout"), False
    except OSError as exc:
        return Answer(error=exc.strerror or str(exc), error_kind="unreachable"), False
    except HttpError as exc:
        return Answer(error=f"the answer is not HTTP: {exc}", error_kind="malformed"), False


def _left_s(deadline_s: float) -> float:
    """Return the time until a deadline. Raises TimeoutError once it has passed, however much arrives."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _connect(target: Target) -> socket.socket:
    sock = socket.create_connection((target.host, target.port), PROBE_TIMEOUT_S)
    context = tls_context(target)
    return sock if context is None else context.wrap_socket(sock, server_hostname=target.host)


@contextlib.contextmanager
def _ended_after(seconds: float, sock: socket.socket, ended: threading.Event) -> Iterator[None]:
    """End a connection after so many seconds and say so, though its bytes go on arriving one by one."""

    def end() -> None:
        ended.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
