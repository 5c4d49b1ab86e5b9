"""What an inference server answered: tokens by its own count, its times, its errors, and whether it ended."""

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wattbench.backends.endpoint.reply import Body, Reply
from wattbench.backends.endpoint.sse import events
from wattbench.results.codec import json_reader
from wattbench.results.traffic import ErrorKind

__all__ = ["Answer", "read_answer"]

ERROR_TEXT_MAX = 300
COUNT_MAX = 10**9
"""No call has more tokens; a server that counts more, or fewer than none, has not counted."""
SEVERAL = 2

Odd = Any  # any: servers differ in what they put there


@dataclass(slots=True)
class Usage:
    """Token counts as servers give them; Groq puts its times here as well, in seconds."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Odd = None
    queue_time: float | None = None
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None


@dataclass(slots=True)
class Groq:
    """Groq's own part of an event."""

    usage: Usage | None = None
    error: Odd = None


@dataclass(slots=True)
class TimeInfo:
    """Cerebras' times in seconds."""

    queue_time: float | None = None
    prompt_time: float | None = None
    completion_time: float | None = None
    total_time: float | None = None


@dataclass(slots=True)
class Timings:
    """llama.cpp's times in milliseconds and counts."""

    prompt_ms: float | None = None
    predicted_ms: float | None = None
    predicted_n: int | None = None
    cache_n: int | None = None


@dataclass(slots=True)
class Delta:
    """What one event adds to a message; or the whole message."""

    role: str | None = None
    content: Odd = None
    reasoning_content: Odd = None
    reasoning: Odd = None
    tool_calls: Odd = None


@dataclass(slots=True)
class Choice:
    """One of the answers of an event; only one is ever asked for."""

    delta: Delta | None = None
    message: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


@dataclass(slots=True)
class Output:
    """One tensor of KServe's answer; its numbers are passed over."""

    name: str | None = None


@dataclass(slots=True)
class Event:
    """The data of one event, or the body of an answer that is no stream."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Odd = None
    x_groq: Groq | None = None
    time_info: TimeInfo | None = None
    timings: Timings | None = None
    outputs: list[Output] | None = None


@dataclass(slots=True)
class Answer:
    """What came of one call. `reads` are the reads that brought tokens, `counts` how many each (None: not known).

    Token counts are None where the server does not give them; the server's times are in seconds. `text` is all that
    was generated, for a count of our own.
    """

    error: str | None = None
    error_kind: ErrorKind | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    first_answer: int | None = None
    reads: list[int] = field(default_factory=list)
    counts: tuple[int, ...] | None = None
    text: list[str] = field(default_factory=list)
    queue_s: float | None = None
    prompt_s: float | None = None
    output_s: float | None = None
    total_s: float | None = None


def read_answer(reply: Reply, *, stream: bool, whole: bool, keep_text: bool = False) -> Answer:
    """Return what a reply says; `whole` is whether HTTP came to its end. Raises HttpError for broken framing."""
    body = reply.body()
    if reply.status // 100 != SEVERAL:
        return Answer(error=_http_error(reply.status, body.data), error_kind=_http_kind(reply.status))
    reading = _Reading(keep_text)
    if stream and not body.data.lstrip().startswith(b"{"):
        found = events(body.data)
        reading.take_all([data for data, _ in found], _reads_of(reply, body, [place for _, place in found]))
    else:
        reading.take_whole(body.data, len(reply.ends) - 1)
    return reading.answer(whole)


class _Reading:
    """The events of one answer, as they are read one after the other."""

    def __init__(self, keep_text: bool) -> None:
        self._answer = Answer()
        self._keep_text = keep_text
        self._counts: list[int] = []
        self._counted = 0
        self._ended = False
        self._decode = _reader()

    def take_all(self, found: list[bytes], reads: list[int]) -> None:
        """Read the data of a stream's events, each with the read that brought it, up to the first that is wrong."""
        if b"[DONE]" in found:
            found = found[: found.index(b"[DONE]")]
            self._ended = True
        for event, read in zip(self._decoded(found), reads, strict=False):
            if event.error is not None:
                self._fail("in_stream", _clip(event.error))
                return
            if event.usage is not None or event.x_groq is not None or event.time_info is not None or event.timings:
                self._facts(event)
            if event.choices and self._piece(event.choices[0]):
                self._brought(read, event.usage)

    def _decoded(self, found: list[bytes]) -> list[Event]:
        """Return the events: all at once, which is faster, or those before the first that is malformed."""
        with contextlib.suppress(ValueError):
            at_once = _reader_of_all()(b"[" + b",".join(found) + b"]")
            if len(at_once) == len(found):
                return at_once
        good = []
        for data in found:
            try:
                good.append(self._decode(data))
            except ValueError as exc:
                self._fail("malformed", f"an event is not as it should be: {exc}: {_clip(data)}")
                break
        return good

    def take_whole(self, data: bytes, read: int) -> None:
        """Read an answer that is no stream."""
        try:
            event = self._decode(data)
        except ValueError as exc:
            if data.strip():
                self._fail("malformed", f"the answer is not as it should be: {exc}: {_clip(data)}")
            return
        if event.error is not None:
            self._fail("in_stream", _clip(event.error))
            return
        self._facts(event)
        if event.outputs:  # KServe's: tensors, and no tokens
            self._ended, self._answer.output_tokens = True, 0
        for choice in (event.choices or [])[:1]:
            self._ended = True
            self._keep(choice.message, choice.text)

    def answer(self, whole: bool) -> Answer:
        """Return the answer; one without its end is an error, whatever it brought."""
        answer = self._answer
        if answer.error is None and not (whole and self._ended):
            missing = (
                "the connection ended before the answer did" if not whole else "neither [DONE] nor a finish reason"
            )
            answer.error, answer.error_kind = f"the answer is cut short: {missing}", "truncated"
        if self._counts and sum(self._counts) == answer.output_tokens:
            answer.counts = tuple(self._counts)
        elif answer.output_tokens == len(answer.reads):
            answer.counts = _ones(len(answer.reads))
        return answer

    def _fail(self, kind: ErrorKind, text: str) -> None:
        if self._answer.error is None:
            self._answer.error, self._answer.error_kind = text, kind

    def _piece(self, choice: Choice) -> bool:
        """Return whether an event brought tokens: text, or an empty one that the server holds back; no mere role."""
        if choice.finish_reason is not None:
            self._ended = True
        delta = choice.delta
        if delta is None:
            self._keep(None, choice.text)
            return choice.text is not None and (choice.text != "" or choice.finish_reason is None)
        said = [value for value in (delta.content, delta.reasoning_content, delta.reasoning) if value is not None]
        if delta.content and self._answer.first_answer is None:
            self._answer.first_answer = len(self._answer.reads)
        self._keep(delta, None)
        if any(said) or delta.tool_calls:
            return True
        return bool(said) and delta.role is None and choice.finish_reason is None

    def _brought(self, read: int, usage: Usage | None) -> None:
        """Note a piece of output; a count in the same event says how many tokens it was."""
        if usage is not None and usage.completion_tokens is not None:
            new = usage.completion_tokens - self._counted
            if new <= 0:
                return
            self._counts.append(new)
            self._counted = usage.completion_tokens
        self._answer.reads.append(read)

    def _keep(self, delta: Delta | None, text: str | None) -> None:
        if not self._keep_text:
            return
        parts = (delta.reasoning_content, delta.reasoning, delta.content) if delta is not None else (text,)
        self._answer.text += [part for part in parts if isinstance(part, str) and part]

    def _facts(self, event: Event) -> None:
        """Take the counts and times of an event; a later event's are the better ones."""
        answer, groq = self._answer, event.x_groq
        usage = event.usage or (groq.usage if groq is not None else None)
        if groq is not None and groq.error is not None:
            self._fail("in_stream", _clip(groq.error))
        if usage is not None:
            answer.input_tokens = _or(self._count(usage.prompt_tokens), answer.input_tokens)
            answer.output_tokens = _or(self._count(usage.completion_tokens), answer.output_tokens)
            if isinstance(details := usage.prompt_tokens_details, dict):
                cached = details.get("cached_tokens")
                known = isinstance(cached, int) and not isinstance(cached, bool)
                answer.cached_tokens = _or(self._count(cached) if known else None, answer.cached_tokens)
        for times in (usage, event.time_info):
            if times is not None:
                answer.queue_s = _or(times.queue_time, answer.queue_s)
                answer.prompt_s = _or(times.prompt_time, answer.prompt_s)
                answer.output_s = _or(times.completion_time, answer.output_s)
                answer.total_s = _or(times.total_time, answer.total_s)
        if (timings := event.timings) is not None:
            answer.prompt_s = _seconds(timings.prompt_ms, answer.prompt_s)
            answer.output_s = _seconds(timings.predicted_ms, answer.output_s)
            answer.cached_tokens = _or(self._count(timings.cache_n), answer.cached_tokens)

    def _count(self, said: int | None) -> int | None:
        """Return a server's count, None where it gives none; one that cannot be makes the answer malformed."""
        if said is None or 0 <= said <= COUNT_MAX:
            return said
        self._fail("malformed", f"the server counts {_clip(said)} tokens")
        return None


@functools.cache
def _reader() -> Callable[[bytes], Event]:
    """Return the reader of events; answers are read by one thread."""
    return json_reader(Event)


@functools.cache
def _reader_of_all() -> Callable[[bytes], list[Event]]:
    return json_reader(list[Event])


def _reads_of(reply: Reply, body: Body, places: list[int]) -> list[int]:
    """Return which read brought the byte before each place in the body; places ascend."""
    if len(reply.ends) == 1:
        return [0] * len(places)
    reads, piece, pieces = [], 0, body.pieces
    for place in places:
        while piece + 1 < len(pieces) and pieces[piece + 1][0] < place:
            piece += 1
        in_body, received = pieces[piece]
        reads.append(reply.read_of(received + place - in_body))
    return reads


@functools.lru_cache(maxsize=1024)
def _ones(length: int) -> tuple[int, ...]:
    """Return one token a piece; the same tuple for all answers of a length, of which there are many."""
    return (1,) * length


def _http_kind(status: int) -> ErrorKind:
    named: dict[int, ErrorKind] = {401: "http_401", 403: "http_401", 404: "http_404", 429: "http_429"}
    return named.get(status, "http_5xx" if status >= 500 else "http_4xx")


def _http_error(status: int, data: bytes) -> str:
    return f"HTTP {status}: {_clip(data)}" if data.strip() else f"HTTP {status}"


def _clip(said: object) -> str:
    """Return what a server said as one short printable line."""
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        said = said["message"]
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= ERROR_TEXT_MAX else f"{text[:ERROR_TEXT_MAX]}..."


def _or(value: Odd, other: Odd) -> Odd:
    return other if value is None else value


def _seconds(milliseconds: float | None, other: float | None) -> float | None:
    return other if milliseconds is None else milliseconds / 1e3
