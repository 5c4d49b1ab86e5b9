"""An agent for tests: `bench agent` as a process over a recording, and a proxy that changes what it says."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "a-token-of-the-tests-0123456789"


class Agent:
    """`bench agent` as a process; use it as a context manager."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        listen: str = "127.0.0.1:0",
        environment: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
    ):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("WATTBENCH_")}
        words = [*prefix, sys.executable, "-P", "-m", "wattbench.harness.cli.main", "agent", "--listen", listen, *flags]
        self.process = subprocess.Popen(
            words,
            env={**kept, **(environment or {})},
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.port = self._port()

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code; -9 where it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode

    def get(self, target: str, **headers: str) -> tuple[int, dict[str, Any]]:  # any: JSON
        """Return the status and the JSON of an answer."""
        return ask(self.port, target, **headers)

    def _port(self) -> int:
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"listening on https?://\S+:(\d+);", line)
        assert found, line + self.process.stderr.read()
        return int(found[1])


def ask(port: int, target: str, **headers: str) -> tuple[int, dict[str, Any]]:  # any: JSON
    """Return the status and the JSON of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", target, headers=headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


def recording(folder: Path, watts: float, scope: str = "board") -> str:
    """Write a recording of a constant power and return the sampler that replays it."""
    path = folder / f"{scope}-{watts:g}.csv"
    path.write_text(f"time_s,power_w,scope\n0,{watts},{scope}\n")
    return f"replay:{path}"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


Change = Callable[[str, int, bytes], tuple[int, bytes]]
"""What a proxy makes of an answer: from the target, the status and the body."""


@contextlib.contextmanager
def proxy(port: int, change: Change) -> Iterator[int]:
    """Serve what another port answers, changed; give the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            with contextlib.closing(connection):
                connection.request("GET", self.path, headers={"Host": "localhost"})
                reply = connection.getresponse()
                status, body = change(self.path, reply.status, reply.read())
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def shifted(body: bytes, by_ns: int) -> bytes:
    """Return an answer as it would be with a clock that is so far ahead."""
    found = json.loads(body)
    for key in ("received_ns", "sent_ns"):
        if key in found:
            found[key] += by_ns
    for row in found.get("rows", ()):
        row[1], row[2] = row[1] + by_ns, row[2] + by_ns
    return json.dumps(found).encode()
