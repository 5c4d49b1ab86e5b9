"""A deterministic OpenAI-compatible server that knows its own truth: when it read, and when it wrote each token.

Started as `python -m wattbench.harness.selftest.stub` by `stub_process`: the script comes on standard input, the port
goes out on standard output, and the truth follows whenever it is asked for. It listens on loopback alone.
"""

import contextlib
import heapq
import json
import os
import pickle
import re
import select
import socket
import struct
import sys
from dataclasses import dataclass
from time import perf_counter_ns

from wattbench.backends.endpoint.timer import Timer
from wattbench.backends.serving import become_child, private_answers
from wattbench.harness.selftest.script import Fault, StubScript, Truth

__all__ = ["SERVER", "StubServer"]

SERVER = "wattbench-stub"
"""The Server header, by which results that were measured on it are told from real ones."""

WORD = "word "
DEFAULT_TOKENS = 16
ENDLESS = 1 << 60
READ_BYTES = 65_536
REQUEST_MAX_BYTES = 16 * 2**20
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST instead of FIN."""

NUMBER = re.compile(rb"x-request-id:[^\r\n]*?(\d+)\r\n", re.IGNORECASE)
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
PROMPT = re.compile(rb'"(?:content|prompt)": ?"([^"]*)"')
"""A token is a word."""
TOKENS = re.compile(rb'"max_(?:completion_)?tokens": *(\d+)')


@dataclass(slots=True)
class _Client:
    """One connection: what was read of it, what waits to be sent, and the stream in progress."""

    sock: socket.socket
    data: bytes = b""
    unsent: bytes = b""
    truth: Truth | None = None
    stream: bool = True
    chat: bool = True
    left: int = 0
    fault: Fault | None = None
    wants_room: bool = False


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(value: object) -> bytes:
    return _chunk(b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n")


def _choice(chat: bool, text: str | None, finish: str | None) -> dict[str, object]:
    what: dict[str, object] = {"text": text or ""}
    if chat:
        what = {"delta": {"content": text} if text is not None else {}}
    kind = "chat.completion.chunk" if chat else "text_completion"
    return {"id": "stub", "object": kind, "choices": [{"index": 0, **what, "finish_reason": finish}]}


HEAD = (
    f"HTTP/1.1 200 OK\r\nServer: {SERVER}\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
).encode()
ROLE = _event(
    {
        "id": "stub",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}],
    }
)
TOKEN = {chat: _event(_choice(chat, WORD, None)) for chat in (True, False)}
FINISH = {chat: _event(_choice(chat, None, "length")) for chat in (True, False)}
DONE = _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _usage(prompt: int, tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


def _plain(status: str, body: bytes, extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nServer: {SERVER}\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "stub"}}).encode()


class StubServer:
    """The server: one thread, one epoll. `truths` are in the order in which requests were read."""

    def __init__(self, script: StubScript) -> None:
        self.truths: list[Truth] = []
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._timer = Timer()
        assert self._timer.descriptor is not None, "the stub needs Linux's timerfd"
        self._epoll.register(self._timer.descriptor, select.EPOLLIN)
        self._clients: dict[int, _Client] = {}
        self._due: list[tuple[int, int, int]] = []
        self._turn = 0
        self._origin: int | None = None
        self._ends: dict[tuple[int, int, bool], bytes] = {}

    def serve(self, commands: int) -> None:
        """Serve until `commands` (a descriptor) has something to read, or ends."""
        self._epoll.register(commands, select.EPOLLIN)
        try:
            while True:
                self._timer.set(self._due[0][0] if self._due else None)
                for fd, event in self._epoll.poll(-1, 256):
                    if fd == commands:
                        return
                    if fd == self._timer.descriptor:
                        self._timer.fired()
                    elif fd == self._listener.fileno():
                        self._accept()
                    else:
                        self._handle(fd, event)
                    if self._due and self._due[0][0] <= perf_counter_ns():
                        self._write_due()
                self._write_due()
        finally:
            self._epoll.unregister(commands)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients[sock.fileno()] = _Client(sock)
                self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _handle(self, fd: int, event: int) -> None:
        client = self._clients.get(fd)
        if client is None:
            return
        try:
            if event & select.EPOLLOUT:
                self._send(client, b"")
            if event & ~select.EPOLLOUT:
                data = client.sock.recv(READ_BYTES)
                if not data:
                    self._close(client)
                    return
                client.data = client.data + data if client.data else data
                self._requests(client)
        except BlockingIOError:
            pass
        except OSError:
            self._close(client)

    def _requests(self, client: _Client) -> None:
        """Begin the request whose bytes are all there; a client has one in progress."""
        head = client.data.find(b"\r\n\r\n")
        if head < 0 or len(client.data) > REQUEST_MAX_BYTES:
            return
        found = LENGTH.search(client.data, 0, head + 2)
        whole = head + 4 + (int(found[1]) if found else 0)
        if len(client.data) < whole:
            return
        now = perf_counter_ns()
        request, client.data = client.data[:whole], client.data[whole:]
        if request.startswith(b"GET"):
            models = {"object": "list", "data": [{"id": self._script.model, "object": "model"}]}
            self._send(client, _plain("200 OK", json.dumps(models).encode()))
            return
        self._begin(client, request[: head + 2], request[head + 4 :], now)

    def _begin(self, client: _Client, head: bytes, body: bytes, now: int) -> None:
        number, tokens, prompt = NUMBER.search(head), TOKENS.search(body), PROMPT.search(body)
        truth = Truth(
            number=int(number[1]) if number else -1,
            read_ns=now,
            prompt_tokens=prompt[1].count(b" ") + 1 if prompt else 0,
            tokens=int(tokens[1]) if tokens else DEFAULT_TOKENS,
        )
        if number is not None:
            self.truths.append(truth)
            self._origin = self._origin or now
        client.truth, client.left = truth, truth.tokens
        client.stream = b'"stream":true' in body or b'"stream": true' in body
        client.chat = b"/chat/" in head[:64]
        client.fault = self._script.faults.get(truth.number) if number is not None else None
        if client.fault is not None and self._failed(client, client.fault):
            return
        due = self._after_stalls(now + round(self._script.ttft_s * 1e9))
        if due <= now:
            self._write(client, now)
        else:
            self._later(client, due)

    def _failed(self, client: _Client, fault: Fault) -> bool:
        """Answer a call that goes wrong from its start; return whether that is all of it."""
        answers = {
            "http_500": _plain("500 Internal Server Error", _error("the stub was told to fail")),
            "http_429": _plain("429 Too Many Requests", _error("too many"), "Retry-After: 1\r\n"),
            "http_401": _plain("401 Unauthorized", _error("no key")),
            "not_http": b"SSH-2.0-OpenSSH_9.2\r\n",
        }
        if fault in answers:
            self._send(client, answers[fault])
        elif fault == "dropped":
            self._close(client)
        elif fault == "endless":
            client.left = ENDLESS
            return False
        elif fault != "slow_head":
            client.left = max(1, client.left // 2)
            return False
        return True

    def _later(self, client: _Client, due: int) -> None:
        self._turn += 1
        heapq.heappush(self._due, (due, self._turn, client.sock.fileno()))

    def _after_stalls(self, due: int) -> int:
        for start, length in self._script.stalls:
            begin = (self._origin or 0) + round(start * 1e9)
            if begin <= due < begin + round(length * 1e9):
                return begin + round(length * 1e9)
        return due

    def _write_due(self) -> None:
        now = perf_counter_ns()
        while self._due and self._due[0][0] <= now:
            due, _, fd = heapq.heappop(self._due)
            client = self._clients.get(fd)
            if client is not None and client.truth is not None:
                try:
                    self._write(client, due)
                except OSError:
                    self._close(client)
            now = perf_counter_ns()

    def _write(self, client: _Client, due: int) -> None:
        """Write what is due of a stream: some tokens, or all of them, and its end behind the last one."""
        truth, script = client.truth, self._script
        assert truth is not None
        if not client.stream:
            truth.write_ns.append(perf_counter_ns())
            self._send(client, _plain("200 OK", json.dumps(self._whole(client)).encode()))
            truth.end_ns = perf_counter_ns()
            client.truth = None
            return
        first = not truth.write_ns
        together = (
            client.left if script.gap_s == 0 and client.fault != "endless" else min(client.left, script.per_write)
        )
        client.left -= together
        parts = [HEAD + ROLE if client.chat else HEAD] if first else []
        parts.append(TOKEN[client.chat] * together)
        if client.left == 0 and client.fault is None:
            parts.append(self._end(client))
        data = b"".join(parts)
        truth.write_ns.append(perf_counter_ns())
        self._send(client, data)
        if client.left == 0:
            truth.end_ns = truth.write_ns[-1]
            self._finish(client)
        else:
            self._later(client, self._after_stalls(due + max(1, round(script.gap_s * 1e9))))

    def _end(self, client: _Client) -> bytes:
        truth = client.truth
        assert truth is not None
        key = (truth.prompt_tokens, truth.tokens, client.chat)
        if key not in self._ends:
            kind = "chat.completion.chunk" if client.chat else "text_completion"
            usage = {"id": "stub", "object": kind, "choices": [], "usage": _usage(truth.prompt_tokens, truth.tokens)}
            self._ends[key] = FINISH[client.chat] + _event(usage) + DONE
        return self._ends[key]

    def _finish(self, client: _Client) -> None:
        """End a stream as its script says."""
        fault, client.truth = client.fault, None
        truth_end = {"no_usage": FINISH[client.chat] + DONE, "no_done": FINISH[client.chat] + b"0\r\n\r\n"}
        if fault in truth_end:
            self._send(client, truth_end[fault])
        elif fault == "in_stream":
            self._send(client, _event({"error": {"message": "out of blocks"}}) + b"0\r\n\r\n")
        elif fault == "malformed":
            self._send(client, _chunk(b'data: {"choices": [\n\n') + b"0\r\n\r\n")
        elif fault == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._close(client)
        elif fault == "half_closed":
            self._send(client, b"")
            self._close(client)
        elif client.data:
            self._requests(client)

    def _whole(self, client: _Client) -> dict[str, object]:
        truth = client.truth
        assert truth is not None
        text = WORD * truth.tokens
        said: dict[str, object] = {"message": {"role": "assistant", "content": text}} if client.chat else {"text": text}
        choice = {"index": 0, **said, "finish_reason": "length"}
        kind = "chat.completion" if client.chat else "text_completion"
        return {"id": "stub", "object": kind, "choices": [choice], "usage": _usage(truth.prompt_tokens, truth.tokens)}

    def _send(self, client: _Client, data: bytes) -> None:
        if client.unsent:
            client.unsent += data
            data, client.unsent = client.unsent, b""
        if data:
            try:
                sent = client.sock.send(data)
            except BlockingIOError:
                sent = 0
            client.unsent = data[sent:]
        wanted = select.EPOLLIN | (select.EPOLLOUT if client.unsent else 0)
        if client.unsent or client.wants_room:
            self._epoll.modify(client.sock.fileno(), wanted)
        client.wants_room = bool(client.unsent)

    def _close(self, client: _Client) -> None:
        fd = client.sock.fileno()
        if fd >= 0:
            self._epoll.unregister(fd)
            self._clients.pop(fd, None)
            client.sock.close()


def main() -> int:
    """Read the script, say the port, serve; answer "truth" with what happened so far, and end with the input."""
    become_child()
    answers = private_answers()
    server = StubServer(pickle.load(os.fdopen(os.dup(0), "rb", buffering=0)))
    pickle.dump(server.port, answers)
    while True:
        server.serve(sys.stdin.fileno())
        if os.read(sys.stdin.fileno(), 1) != b"t":
            return 0
        pickle.dump(server.truths, answers)
        server.truths = []


if __name__ == "__main__":
    sys.exit(main())
