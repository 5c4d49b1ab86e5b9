"""A small server of KServe's protocol for tests: it describes one encoder, keeps what it was sent, and can fail."""

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback_server import serving

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target


def tokens_of(*names: str, shape: tuple[int, ...] = (-1, -1), datatype: str = "INT64") -> list[dict[str, object]]:
    """Return the description of inputs that are alike."""
    return [{"name": name, "datatype": datatype, "shape": list(shape)} for name in names]


def encoder_client(url: str, model: str = "encoder") -> Client:
    """Return a client of an encoder, here or in Triton."""
    return Client(make_target(url, api="kserve", model=model, timeout_s=60))


@dataclass(kw_only=True)
class Encoder:
    """What the server describes; every `fails`-th request is an HTTP 500, as Triton's are for a wrong shape.

    `listed` is whether it tells its models' names; `bodies` is what it was sent, probes too.
    """

    inputs: list[dict[str, object]] = field(default_factory=lambda: tokens_of("input_ids", "attention_mask"))
    listed: bool = True
    fails: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)  # any: JSON
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    encoder: Encoder

    def log_message(self, format: str, *args: Any) -> None:  # any: http.server's own signature
        return

    def do_GET(self) -> None:
        if self.path == "/v2":
            self._say(200, {"name": "made-up", "version": "2.0", "extensions": []})
        elif self.path == "/v2/models/encoder":
            self._say(200, {"name": "encoder", "inputs": self.encoder.inputs, "outputs": []})
        else:
            self._say(404, {"error": "Request for unknown model: it is not found"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.path == "/v2/repository/index":
            self._say(*((200, [{"name": "encoder", "state": "READY"}]) if self.encoder.listed else (403, {})))
            return
        self.encoder.bodies.append(json.loads(body))
        if self.encoder.fails is not None and next(self.encoder.numbers) % self.encoder.fails == 0:
            self._say(500, {"error": "made-up failure"})
            return
        self._say(200, {"model_name": "encoder", "outputs": [{"name": "pooled", "shape": [1, 2], "data": [0.5, 1.5]}]})

    def _say(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextlib.contextmanager
def kserve_server(encoder: Encoder) -> Iterator[str]:
    """Yield the URL of a server that lives as long as the context."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"encoder": encoder}))
    server.daemon_threads = True
    with serving(server) as url:
        yield url
