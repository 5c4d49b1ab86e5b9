"""A small inference server of known behaviour for tests: OpenAI chat over HTTP on loopback, in threads of the test."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from loopback_server import serving

CYCLE = 20
"""Faults come again after so many requests."""


@dataclass(kw_only=True)
class Behaviour:
    """What the server does; times in seconds. `faults` maps the number of a request, modulo 20, to what becomes of it.

    A fault is "500", "429", "error" (an error object in the stream) or "cut" (the connection ends within the stream).
    `usage_extra` is added to its own count of tokens out, `cached` is what it says of cached prompt tokens. Without
    `models` it has no list of them.
    """

    first_s: float = 0.01
    gap_s: float = 0.001
    models: tuple[str, ...] | None = ("made-up-1b",)
    name: str = "made-up/1"
    usage: bool = True
    usage_extra: int = 0
    cached: int = 0
    timings: bool = False
    at_once: int | None = None
    faults: dict[int, str] = field(default_factory=dict)
    long_requests: int = 0
    keys: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    behaviour: Behaviour
    places: threading.Semaphore | None
    lock: threading.Lock

    def version_string(self) -> str:
        return self.behaviour.name

    def log_message(self, format: str, *args: Any) -> None:  # any: http.server's own signature
        return

    def do_GET(self) -> None:
        if self.behaviour.models is None:
            self._whole(404, {"error": {"message": "no such path"}})
            return
        self._whole(200, {"object": "list", "data": [{"id": name} for name in self.behaviour.models]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.behaviour.keys.append(self.headers.get("Authorization", ""))
        prompt = body["messages"][0]["content"]
        fault = None
        if not self.headers.get("X-Request-Id", "").startswith("wattbench-probe"):
            with self.lock:
                fault = self.behaviour.faults.get(self.behaviour.long_requests % CYCLE)
                self.behaviour.long_requests += 1
        if fault in ("500", "429"):
            self._whole(int(fault), {"error": {"message": f"made-up failure {fault}"}})
            return
        with self.places or contextlib.nullcontext():
            if body["stream"]:
                self._stream(body["max_tokens"], len(prompt.split()), fault)
            else:
                self._at_once(body["max_tokens"], len(prompt.split()))

    def _at_once(self, tokens: int, words: int) -> None:
        time.sleep(self.behaviour.first_s + self.behaviour.gap_s * (tokens - 1))
        message = {"role": "assistant", "content": " ".join(f"word{token}" for token in range(tokens))}
        usage = {"prompt_tokens": words + 7, "completion_tokens": tokens + self.behaviour.usage_extra}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        self._whole(200, {"choices": [choice], "usage": usage})

    def _stream(self, tokens: int, words: int, fault: str | None) -> None:
        told = self.behaviour
        time.sleep(told.first_s)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for token in range(tokens):
            if token:
                time.sleep(told.gap_s)
            if token == 1 and fault == "error":
                self._event({"error": {"message": "made-up failure", "code": 500}})
                self._chunk(b"")
                return
            if token == 1 and fault == "cut":
                self.close_connection = True
                self.connection.close()
                return
            finish = "length" if token == tokens - 1 else None
            self._event({"choices": [{"index": 0, "delta": {"content": f"word{token} "}, "finish_reason": finish}]})
        if told.usage:
            usage: dict[str, object] = {"prompt_tokens": words + 7, "completion_tokens": tokens + told.usage_extra}
            usage["prompt_tokens_details"] = {"cached_tokens": told.cached}
            last: dict[str, object] = {"choices": [], "usage": usage}
            if told.timings:
                last["timings"] = {"prompt_ms": 1e3 * told.first_s, "predicted_ms": 1e3 * told.gap_s * tokens}
            self._event(last)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, value: object) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _whole(self, status: int, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:  # any: socketserver's own signature
        """Say nothing of connections that ended: some are meant to."""


@contextlib.contextmanager
def endpoint_server(behaviour: Behaviour, port: int = 0) -> Iterator[str]:
    """Yield the URL of a server that lives as long as the context, at a free port unless one is given."""
    places = threading.Semaphore(behaviour.at_once) if behaviour.at_once is not None else None
    facts = {"behaviour": behaviour, "places": places, "lock": threading.Lock()}
    server = _Server(("127.0.0.1", port), type("Handler", (_Handler,), facts))
    with serving(server) as url:
        yield url
