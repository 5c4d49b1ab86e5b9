"""The agent's HTTP service: three questions, answered to those who bring the token; bounded in clients and in time."""

import contextlib
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wattbench.harness.agent.access import Access
from wattbench.harness.agent.feed import Feed
from wattbench.results.codec import to_builtins
from wattbench.results.errors import UsageError

__all__ = ["AgentServer"]

CLIENTS = 32
"""So many connections at once; another one is closed at once."""

REQUEST_S = 10.0
"""How long a connection may take for a request, waiting for it included; then it is closed."""


class AgentServer(ThreadingHTTPServer):
    """Serves a feed. Raises UsageError when the address cannot be had."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = CLIENTS

    def __init__(self, access: Access, feed: Feed) -> None:
        self.access, self.feed = access, feed
        self._seats = threading.BoundedSemaphore(CLIENTS)
        self._deadlines: dict[socket.socket, float] = {}
        listen = access.listen
        self.address_family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
        try:
            super().__init__((listen.address, listen.port), _Handler)
        except OSError as exc:
            what = f"Cannot listen on {listen.host}:{listen.port}"
            raise UsageError(what, exc.strerror or str(exc), "Name another: --listen HOST:PORT.") from exc

    @property
    def url(self) -> str:
        """Return the address that clients name."""
        host = self.access.listen.host
        scheme = "http" if self.access.tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, as the base class does, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.access.listen.host, self.server_address[1]

    def get_request(self) -> tuple[socket.socket, Any]:  # any: the address, as the base class has it
        """Accept a connection; TLS is spoken by its own thread, within its deadline."""
        connection, address = self.socket.accept()
        connection.settimeout(REQUEST_S)
        if self.access.tls is not None:
            connection = self.access.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:  # any: as the base class has it
        """Give a connection a thread, or close it where all seats are taken."""
        if not self._seats.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._seats.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # any: as the base class has it
        """Serve a connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.unwatch(request)
            self._seats.release()

    def service_actions(self) -> None:
        """Close what is past its deadline; the base class calls it twice a second."""
        now_s = time.monotonic()
        for connection, deadline_s in tuple(self._deadlines.items()):
            if now_s > deadline_s:
                self.unwatch(connection)
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def watch(self, connection: socket.socket) -> None:
        """Give a connection its time for one request."""
        self._deadlines[connection] = time.monotonic() + REQUEST_S

    def unwatch(self, connection: socket.socket) -> None:
        """Forget a connection's deadline."""
        self._deadlines.pop(connection, None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # any: as the base class has it
        """Say nothing: a client that breaks off, or does not speak TLS, is no news."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection's questions."""

    protocol_version = "HTTP/1.1"
    server_version = "wattbench-agent"
    sys_version = ""
    timeout = REQUEST_S
    disable_nagle_algorithm = True

    @property
    def _server(self) -> AgentServer:
        assert isinstance(self.server, AgentServer)
        return self.server

    def handle_one_request(self) -> None:
        """Answer one question within its time."""
        self._server.watch(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer a question."""
        received_ns = time.perf_counter_ns()
        if (refusal := self._refusal()) is not None:
            self._send(*refusal)
            return
        target = urlsplit(self.path)
        answers: dict[str, Callable[[], object]] = {
            "/v1/facts": self._server.feed.facts,
            "/v1/clock": lambda: self._server.feed.clock(received_ns),
            "/v1/polls": lambda: self._server.feed.polls(received_ns, _after(target.query)),
        }
        answer = answers.get(target.path)
        if answer is None:
            self._send(404, {"error": f"there are {', '.join(answers)}"})
            return
        try:
            found = to_builtins(answer())
        except ValueError as exc:
            self._send(400, {"error": str(exc)})
            return
        self._send(200, found)

    def log_message(self, format: str, *args: object) -> None:
        """Write no log: it would grow without an end."""

    def _refusal(self) -> tuple[int, dict[str, object]] | None:
        """Return the answer to a question that is not to be answered, or None."""
        if self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return 400, {"error": "a question has no body"}
        token = self._server.access.token
        if token is None:
            known = _is_local(self.headers.get("Host"))
            return None if known else (403, {"error": "without a token only this machine's own names are answered"})
        if token.fits(self.headers.get("Authorization")):
            return None
        self.close_connection = True
        return 401, {"error": "the token is missing or wrong"}

    def _send(self, status: int, body: dict[str, object]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            self.wfile.write(data)


def _after(query: str) -> int | None:
    """Return the number in `after=N`. Raises ValueError for anything else."""
    words = parse_qs(query, keep_blank_values=True, max_num_fields=8).get("after")
    if words is None:
        return None
    if len(words) != 1 or not words[0].isascii() or not words[0].isdecimal() or len(words[0]) > 18:
        raise ValueError("after= is the number of a row")
    return int(words[0])


def _is_local(host: str | None) -> bool:
    """Return whether a Host header names this machine; a page in a browser here may use other names for it."""
    name = urlsplit(f"//{host or ''}").hostname or ""
    if name == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False
