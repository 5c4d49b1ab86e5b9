"""Asking a server what it is before anything is timed: reachable, which models, what it takes and how it counts."""

import contextlib
import http.client
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from wattbench.backends.endpoint.answer import Answer, read_answer
from wattbench.backends.endpoint.bodies import request_bytes
from wattbench.backends.endpoint.connection import Address
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.kserve import Inputs, inputs_of, some_ids
from wattbench.backends.endpoint.prompts import Lengths, fit_lengths, prompt_of_words
from wattbench.backends.endpoint.reply import HttpError, Reply
from wattbench.backends.endpoint.target import Target
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["ServerFacts", "ask_once", "negotiated", "resolve", "server_facts", "tls_context"]

PROBE_TIMEOUT_S = 10.0
"""What connecting, or an answer about the server itself, may take in all."""
BODY_MAX_BYTES = 4 * 2**20
MODELS_SHOWN = 12
OK, UNAUTHORISED, UNKNOWN = 200, (401, 403), (400, 404)
FIXING: tuple[tuple[str, ...], ...] = (("ignore_eos", "min_tokens"), ("ignore_eos",), ("min_tokens",), ())
"""What fixes the length of an answer; a server that refuses unknown fields is asked with fewer."""

CALIBRATION_WORDS = (16, 144)
PROBE_ID = "wattbench-probe"
CLOSING_S = 0.05
"""A server that closes behind an answer does so within this time."""
UNKNOWN_LENGTHS = Lengths()
"""One token a word, for a server that does not say how many it counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What a server says of itself; `models` is None where it does not list them.

    `fixed` are the fields by which it was made to give answers of a fixed length, `lengths` how it counts a prompt, and
    `reuses` whether a connection outlives an answer: llama.cpp's server closes it behind a stream, whatever it says.
    `inputs` are the tensors that a model takes, where KServe describes it. `unlisted` says why models are not known.
    """

    server: str | None
    models: tuple[str, ...] | None
    fixed: tuple[str, ...] = ()
    lengths: Lengths = UNKNOWN_LENGTHS
    reuses: bool = True
    inputs: Inputs | None = None
    unlisted: str = ""


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


def server_facts(target: Target, key: Key) -> ServerFacts:
    """Return what the server says of itself, and check that it has the model.

    Raises DeviceError when it cannot be reached or refuses the key, UsageError with its list for a model that it lacks.
    """
    resolve(target)
    if target.api == "kserve":
        return _described(target, key)
    status, server, data = _ask(target, key, "GET", f"{target.base}/models")
    _refuse_unauthorised(target, key, status, data)
    models = _models(data) if status == OK else None
    if models is not None and target.model and target.model not in models:
        raise _no_model(target.model, models)
    if models is not None:
        return ServerFacts(server=server, models=models)
    no_list = " and no list of models" if status == OK else ""
    return ServerFacts(
        server=server, models=None, unlisted=f"{target.base}/models answered with status {status}{no_list}"
    )


def _described(target: Target, key: Key) -> ServerFacts:
    """Return what a server says of itself and of the model by KServe's protocol, in which not all list their models."""
    status, _, data = _ask(target, key, "GET", target.base)
    _refuse_unauthorised(target, key, status, data)
    server = _name_and_version(data)
    status, _, data = _ask(target, key, "POST", f"{target.base}/repository/index")
    models = _indexed(data) if status == OK else None
    if not target.model:
        return ServerFacts(server=server, models=models)
    status, _, data = _ask(target, key, "GET", target.described)
    _refuse_unauthorised(target, key, status, data)
    if status in UNKNOWN and models:
        raise _no_model(target.model, models)
    if status in UNKNOWN:
        why = f"it lists none, and says: {key.scrub(_words(data))}"
        remedy = "Give the name that it was deployed under."
        raise UsageError(f"The endpoint has no model {target.model!r}", why, remedy)
    if status != OK:
        what = f"The endpoint {target.url} does not describe the model {target.model!r}"
        raise DeviceError(what, f"HTTP {status}: {key.scrub(_words(data))}", "Check the server's log.")
    return ServerFacts(server=server, models=models, inputs=inputs_of(data, target.model))


def negotiated(target: Target, key: Key, facts: ServerFacts) -> ServerFacts:
    """Return the facts with what the server takes and how it counts, found by a few short calls.

    Raises DeviceError when it answers none of them.
    """
    if facts.inputs is not None:
        answer, kept = _send_once(target, key, some_ids(facts.inputs.tokens or CALIBRATION_WORDS[0]), facts.inputs)
        _refuse_unanswered(target, key, answer)
        return replace(facts, reuses=kept)
    answer, fixed, kept = Answer(), FIXING[0], True
    for fixed in FIXING:
        answer, kept = ask_once(target, key, fixed, words=CALIBRATION_WORDS[0], output_tokens=2)
        if answer.error_kind != "http_4xx":
            break
    _refuse_unanswered(target, key, answer)
    other, still_kept = ask_once(target, key, fixed, words=CALIBRATION_WORDS[1], output_tokens=2)
    facts = replace(facts, fixed=fixed, reuses=kept and still_kept)
    if answer.input_tokens is None or other.input_tokens is None:
        return facts
    counted = zip(CALIBRATION_WORDS, (answer.input_tokens, other.input_tokens), strict=True)
    return replace(facts, lengths=fit_lengths(*counted))


def ask_once(
    target: Target, key: Key, fixed: tuple[str, ...], *, words: int, output_tokens: int
) -> tuple[Answer, bool]:
    """Return what one short call brings, by plain blocking sockets, and whether its connection could serve another."""
    prompt = prompt_of_words(words, f"probe {words}")
    request = request_bytes(target, prompt, output_tokens, key=key, fixed=fixed, request_id=PROBE_ID)
    return _sent(target, request)


def _send_once(target: Target, key: Key, ids: str, inputs: Inputs) -> tuple[Answer, bool]:
    """Return what one call with token ids brings, as `ask_once` does."""
    request = request_bytes(target, ids, 0, key=key, fixed=(), request_id=PROBE_ID, inputs=inputs)
    return _sent(target, request)


def _sent(target: Target, request: bytes) -> tuple[Answer, bool]:
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


def _refuse_unauthorised(target: Target, key: Key, status: int, data: bytes) -> None:
    if status in UNAUTHORISED:
        why = f"HTTP {status}: {key.scrub(_words(data))}"
        raise DeviceError(f"The endpoint {target.url} refuses the key", why, "Give it by --key-env or --key-file.")


def _refuse_unanswered(target: Target, key: Key, answer: Answer) -> None:
    if answer.error is not None:
        what = f"The endpoint {target.url} does not answer {target.api} requests for {target.model!r}"
        raise DeviceError(what, key.scrub(answer.error), "Check --api, --model and the server's log.")


def _no_model(name: str, models: tuple[str, ...]) -> UsageError:
    return UsageError(f"The endpoint has no model {name!r}", *nearest_lines(name, models[:MODELS_SHOWN]))


def _ask(target: Target, key: Key, method: str, path: str) -> tuple[int, str | None, bytes]:
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


def _models(data: bytes) -> tuple[str, ...] | None:
    try:
        found = json.loads(data)["data"]
        return tuple(str(model["id"]) for model in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _indexed(data: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(str(model["name"]) for model in json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _name_and_version(data: bytes) -> str | None:
    """Return "NAME/VERSION" of a server's description by KServe's protocol."""
    try:
        said = json.loads(data)
        return f"{said['name']}/{said['version']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _words(data: bytes) -> str:
    return " ".join(data[:300].decode(errors="replace").split())
