"""Servers that tests start on loopback: JSON over HTTP with faults, certificates, programs that are stopped again."""

import base64
import contextlib
import datetime
import hashlib
import ipaddress
import json
import re
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 20.0


class JsonServer:
    """Answers GET, POST and DELETE on a free port of loopback: `routes` maps a path to an object, bytes or a function.

    `status` other than 200 is sent to everybody, `delay_s` holds every answer back, `auth` is None, "basic", "digest"
    or "token"; `seen` keeps (method, target, headers) of each request.
    """

    def __init__(self, routes: dict[str, Any], *, tls: tuple[Path, Path] | None = None, port: int = 0) -> None:
        self.routes = routes
        self.status = 200
        self.delay_s = 0.0
        self.auth: str | None = None
        self.user, self.password, self.token = "admin", "hunter2-long", "t0ken-of-session"
        self.headers: dict[str, str] = {}
        self.date_offset_s: float | None = 0.0
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.nonce = secrets.token_hex(8)
        self._stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._http.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self._http.server_address[1])

    @property
    def address(self) -> str:
        """Return HOST:PORT."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> "JsonServer":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(time.time() + (outer.date_offset_s or 0.0))

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                sent = self.rfile.read(length)
                outer.seen.append((self.command, self.path, dict(self.headers)))
                if outer._stopping.wait(outer.delay_s):
                    self.close_connection = True
                    return
                status, headers, body = outer.answer(self.command, self.path, dict(self.headers), sent)
                with contextlib.suppress(OSError):  # the client may have given up
                    self.send_response_only(status)
                    if outer.date_offset_s is not None:
                        self.send_header("Date", self.date_time_string())
                    for key, value in {**headers, "Content-Length": str(len(body))}.items():
                        self.send_header(key, value)
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _answer

        return Handler

    def answer(
        self, method: str, target: str, headers: dict[str, str], sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for one request."""
        parts = urlsplit(target)
        refusal = self._refusal(method, target, headers)
        if refusal is not None and parts.path not in self.headers.get("open", ""):
            return refusal
        if self.status != 200:
            return self.status, {"Location": "http://elsewhere.example/"}, b"no"
        found = self.routes.get(parts.path)
        if found is None:
            return 404, {}, b"{}"
        value = found(target, headers, sent) if callable(found) else found
        if isinstance(value, tuple):
            return value
        return 200, {}, value if isinstance(value, bytes) else json.dumps(value).encode()

    def _refusal(self, method: str, target: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes] | None:
        given = headers.get("Authorization", "")
        if self.auth == "basic":
            wanted = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return None if given == wanted else (401, {"WWW-Authenticate": 'Basic realm="x"'}, b"{}")
        if self.auth == "token" and method != "POST":
            return None if headers.get("X-Auth-Token") == self.token else (401, {}, b"{}")
        if self.auth == "digest" and not self._digest_fits(method, target, given):
            challenge = f'Digest qop="auth", realm="plug", nonce="{self.nonce}", algorithm=SHA-256'
            return 401, {"WWW-Authenticate": challenge}, b"{}"
        return None

    def _digest_fits(self, method: str, target: str, given: str) -> bool:
        """Check a Digest answer as RFC 7616 says, written anew here so that client and test share no code."""
        field = dict(re.findall(r'(\w+)="?([^",]*)"?', given.removeprefix("Digest ")))

        def sha(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        if field.get("nonce") != self.nonce or field.get("uri") != target:
            return False
        ha1 = sha(f"{self.user}:plug:{self.password}")
        ha2 = sha(f"{method}:{target}")
        wanted = sha(f"{ha1}:{self.nonce}:{field['nc']}:{field['cnonce']}:auth:{ha2}")
        return field.get("response") == wanted


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def program(
    words: list[str], ready: Callable[[], bool], log: Path, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends; `ready` says when it has started. Fails with its log if it never has."""
    with log.open("wb") as output:
        running = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options)
        try:
            end_s = time.monotonic() + WAIT_S
            while not ready():
                if running.poll() is not None or time.monotonic() > end_s:
                    raise RuntimeError(f"{words[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.02)
            yield running
        finally:
            running.kill()
            running.wait()


def answers_tcp(port: int) -> Callable[[], bool]:
    """Return the question whether something listens on this port of loopback."""

    def ready() -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def says(log: Path, word: str) -> Callable[[], bool]:
    """Return the question whether the program has written this word."""
    return lambda: log.exists() and word in log.read_text(errors="replace")


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return (certificate, key)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return paths
