"""Answers as they arrive: framing at every byte, events, and every trap of the servers' streams."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.backends.endpoint.answer import Answer, read_answer
from wattbench.backends.endpoint.reply import HttpError, Reply
from wattbench.backends.endpoint.sse import events

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def event(value: object, ending: bytes = b"\n\n") -> bytes:
    """Return an event's bytes in a chunk of its own."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return chunk(b"data: " + data + ending)


def chunk(data: bytes) -> bytes:
    """Return a chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def delta(content: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    """Return a chat event with one delta."""
    said = {**({"content": content} if content is not None else {}), **more}
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def usage(prompt: int, tokens: int, **more: object) -> dict[str, object]:
    """Return the last event of a stream: counts and no choice."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": tokens, **more}}


def received(parts: Sequence[bytes]) -> tuple[Reply, bool]:
    """Return a reply to which each part came in a read of its own, read i at time i."""
    reply, whole = Reply(), False
    for time, part in enumerate(parts):
        assert not whole, "the reply was whole before its last byte"
        whole = reply.take(part, time, time)
    return reply, whole


def answer_of(*parts: bytes, stream: bool = True, keep_text: bool = False) -> Answer:
    """Return the answer of a stream whose parts came in reads of their own."""
    reply, whole = received((HEAD, *parts, END))
    return read_answer(reply, stream=stream, whole=whole, keep_text=keep_text)


PLAIN = (event(delta("", role="assistant")), event(delta("one")), event(delta(" two")), event(delta(finish="length")))


def test_a_role_alone_is_no_token() -> None:
    """A role alone is no token."""
    answer = answer_of(*PLAIN, event(usage(5, 2)), event(b"[DONE]"))
    assert (answer.error, answer.input_tokens, answer.output_tokens) == (None, 5, 2)
    assert (answer.reads, answer.counts) == ([2, 3], (1, 1))


def test_a_role_with_null_content_is_no_token() -> None:
    """A role with null content is no token."""
    first = event({"choices": [{"delta": {"role": "assistant", "content": None}, "finish_reason": None}]})
    assert answer_of(first, *PLAIN[1:], event(usage(5, 2)), event(b"[DONE]")).reads == [2, 3]


def test_an_empty_text_is_a_token_that_the_server_holds_back() -> None:
    """An empty text is a token that the server holds back."""
    parts = (PLAIN[0], event(delta("")), event(delta("")), event(delta("\u00fc")), event(delta("", finish="length")))
    answer = answer_of(*parts, event(usage(5, 4)), event(b"[DONE]"))
    assert answer.reads == [2, 3, 4]
    assert answer.output_tokens == 4
    assert answer.counts is None, "three pieces brought four tokens; which brought two is not known"


def test_pieces_are_counted_by_the_server_where_it_counts_each() -> None:
    """Pieces are counted by the server where it counts each."""
    counted = [
        event({**delta(text), "usage": {"prompt_tokens": 5, "completion_tokens": n}})
        for text, n in (("a", 1), ("bcd", 4))
    ]
    answer = answer_of(PLAIN[0], *counted, PLAIN[3], event(usage(5, 4)), event(b"[DONE]"))
    assert (answer.reads, answer.counts) == ([2, 3], (1, 3))


def test_one_piece_of_several_tokens_is_not_called_one() -> None:
    """One piece of several tokens is not called one."""
    answer = answer_of(event(delta("+-")), PLAIN[3], event(usage(5, 2)), event(b"[DONE]"))
    assert (answer.output_tokens, answer.reads, answer.counts) == (2, [1], None)


def test_usage_inside_the_last_choice_and_no_done() -> None:
    """Usage inside the last choice and no done."""
    last = {**delta(finish="length"), "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    answer = answer_of(*PLAIN[:3], event(last))
    assert (answer.error, answer.input_tokens, answer.output_tokens) == (None, 7, 2)


def test_groqs_usage_and_times() -> None:
    """Groqs usage and times."""
    times = {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.3, "total_time": 0.33}
    last = {**delta(finish="stop"), "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 2, **times}}}
    answer = answer_of(*PLAIN[:3], event(last), event(b"[DONE]"))
    assert (answer.output_tokens, answer.queue_s, answer.prompt_s, answer.output_s, answer.total_s) == (
        2,
        0.01,
        0.02,
        0.3,
        0.33,
    )


def test_cerebras_time_info() -> None:
    """Cerebras time info."""
    last = {**delta(finish="stop"), "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    last["time_info"] = {"queue_time": 0.5, "prompt_time": 0.25, "completion_time": 1.5, "total_time": 2.25}
    answer = answer_of(*PLAIN[:3], event(last), event(b"[DONE]"))
    assert (answer.queue_s, answer.total_s) == (0.5, 2.25)


def test_llamas_timings_are_milliseconds() -> None:
    """Llamas timings are milliseconds."""
    last = {**usage(7, 2), "timings": {"prompt_ms": 12.5, "predicted_ms": 250.0, "cache_n": 3}}
    answer = answer_of(*PLAIN, event(last), event(b"[DONE]"))
    assert (answer.prompt_s, answer.output_s, answer.cached_tokens) == (0.0125, 0.25, 3)


def test_cached_tokens() -> None:
    """Cached tokens."""
    last = usage(7, 2, prompt_tokens_details={"cached_tokens": 6})
    assert answer_of(*PLAIN, event(last), event(b"[DONE]")).cached_tokens == 6


@pytest.mark.parametrize(
    "counts",
    [
        usage(-5, 2),
        usage(5, -2),
        usage(10**30, 2),
        usage(5, 10**9 + 1),
        usage(5, 2, prompt_tokens_details={"cached_tokens": -3}),
        {**usage(5, 2), "timings": {"cache_n": 10**20}},
    ],
)
def test_counts_that_cannot_be_are_malformed(counts: dict[str, object]) -> None:
    """They harm their own call alone."""
    answer = answer_of(*PLAIN, event(counts), event(b"[DONE]"))
    assert answer.error_kind == "malformed"
    assert "the server counts" in str(answer.error)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_output_and_the_answer_begins_later(name: str) -> None:
    """Reasoning is output and the answer begins later."""
    thought = [event(delta(**{name: text})) for text in ("hm", "hm hm")]
    answer = answer_of(PLAIN[0], *thought, PLAIN[1], PLAIN[3], event(usage(5, 3)), event(b"[DONE]"))
    assert answer.reads == [2, 3, 4]
    assert answer.first_answer == 2


def test_a_call_of_a_tool_is_output() -> None:
    """A call of a tool is output."""
    call = event(delta(tool_calls=[{"index": 0, "function": {"arguments": "{"}}]))
    assert answer_of(PLAIN[0], call, event(delta(finish="tool_calls")), event(usage(5, 1)), event(b"[DONE]")).reads == [
        2
    ]


def test_completions_are_texts() -> None:
    """Completions are texts."""
    parts = [event({"choices": [{"text": text, "finish_reason": None}]}) for text in ("a", "b")]
    last = event({"choices": [{"text": "", "finish_reason": "length"}]})
    answer = answer_of(*parts, last, event(usage(5, 2)), event(b"[DONE]"), keep_text=True)
    assert (answer.reads, answer.text) == ([1, 2], ["a", "b"])


@pytest.mark.parametrize("error", ["out of blocks", {"message": "out of blocks", "code": 500}])
def test_an_error_inside_a_stream_is_a_failure(error: object) -> None:
    """An error inside a stream is a failure."""
    answer = answer_of(*PLAIN[:2], event({"error": error}))
    assert (answer.error_kind, answer.error) == ("in_stream", "out of blocks")


def test_a_stream_without_its_end_is_cut_short() -> None:
    """A stream without its end is cut short."""
    answer = answer_of(*PLAIN[:3])
    assert answer.error_kind == "truncated"
    assert "neither [DONE] nor a finish reason" in str(answer.error)


def test_a_connection_without_its_end_is_cut_short() -> None:
    """A connection without its end is cut short."""
    reply, whole = received((HEAD, *PLAIN))
    answer = read_answer(reply, stream=True, whole=whole)
    assert answer.error_kind == "truncated"
    assert len(answer.reads) == 2


def test_an_event_that_is_no_json_is_malformed_and_what_came_before_counts() -> None:
    """An event that is no json is malformed and what came before counts."""
    answer = answer_of(*PLAIN[:2], event(b'{"choices": ['), *PLAIN[2:])
    assert answer.error_kind == "malformed"
    assert answer.reads == [2]


def test_events_that_would_pass_as_a_list_together_are_malformed() -> None:
    """Events that would pass as a list together are malformed."""
    answer = answer_of(event(b"{}, {}"), *PLAIN, event(b"[DONE]"))
    assert answer.error_kind == "malformed"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "http_401"), (403, "http_401"), (404, "http_404"), (422, "http_4xx"), (429, "http_429"), (503, "http_5xx")],
)
def test_statuses(status: int, kind: str) -> None:
    """Statuses."""
    body = b'{"error": {"message": "no"}}'
    reply, whole = received((b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body),))
    assert whole
    answer = read_answer(reply, stream=True, whole=True)
    assert answer.error_kind == kind
    assert answer.error == f'HTTP {status}: {{"error": {{"message": "no"}}}}'


def test_an_answer_that_is_no_stream() -> None:
    """An answer that is no stream."""
    body = json.dumps(
        {
            "choices": [{"message": {"content": "a b"}, "finish_reason": "length"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        }
    ).encode()
    reply, whole = received((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body))
    answer = read_answer(reply, stream=False, whole=whole, keep_text=True)
    assert (answer.error, answer.output_tokens, answer.text, answer.reads) == (None, 2, ["a b"], [])


@pytest.mark.parametrize(
    "first", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_not_http_is_told(first: bytes) -> None:
    """What is not http is told."""
    with pytest.raises(HttpError):
        received((first,))


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked", b"Content-Length: 9999", b"Connection: close"])
def test_an_answer_without_an_end_is_not_kept_for_ever(framing: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its end is told, an answer has a size at which it is given up."""
    monkeypatch.setattr("wattbench.backends.endpoint.reply.BODY_MAX_BYTES", 1000)
    endless = Reply()
    endless.take(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", 0, 0)
    with pytest.raises(HttpError, match="longer than 1000 bytes"):
        endless.take(b"a\r\n0123456789\r\n" * 100, 0, 0)


def test_a_chunk_without_a_size_is_told() -> None:
    """A chunk without a size is told."""
    with pytest.raises(HttpError, match="chunk's size"):
        received((HEAD, b"zz\r\nab\r\n\r\n"))


def test_what_stands_behind_a_chunks_size_is_passed_over() -> None:
    """A chunk may carry extensions behind its size."""
    reply, whole = received((HEAD, b"2;name=value\r\nab\r\n0;last\r\n\r\n"))
    assert (whole, reply.body().data) == (True, b"ab")


def test_an_interim_answer_is_passed_over() -> None:
    """An interim answer is passed over."""
    reply, whole = received((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    assert (reply.status, whole, reply.body().data) == (200, True, b"ok")


def test_trailers_end_an_answer() -> None:
    """Trailers end an answer."""
    reply, whole = received((HEAD, chunk(b"data: x\n\n"), b"0\r\nServer-Timing: a\r\n\r\n"))
    assert whole
    assert reply.body().data == b"data: x\n\n"


@given(
    st.lists(st.sampled_from([b"data: 0\r\n\r\n", b"data: {}\n\n", b": ping\n\n", b"0\r\n\r\n"]), max_size=5), st.data()
)
def test_an_answer_is_whole_at_its_last_byte_however_it_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    """Chunks may hold what looks like the last one, and reads may end anywhere."""
    raw = HEAD + b"".join(chunk(body) for body in bodies) + END
    cuts = sorted(set(data.draw(st.lists(st.integers(1, len(raw) - 1), max_size=6))))
    parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    reply, whole = received(parts)
    assert whole
    assert reply.body().data == b"".join(bodies)


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_stamps_are_those_of_the_read_that_completed_the_event(cut: int) -> None:
    """Stamps are those of the read that completed the event."""
    raw = HEAD + b"".join((*PLAIN, event(usage(5, 2)), event(b"[DONE]"))) + END
    cut = min(cut, len(raw) - 1)
    reply, whole = received((raw[:cut], raw[cut:]))
    answer = read_answer(reply, stream=True, whole=whole)
    ends = [raw.index(b'"content": "one"') + len(PLAIN[1]), raw.index(b'"content": " two"') + len(PLAIN[2])]
    for read, end in zip(answer.reads, ends, strict=True):
        if abs(end - cut) > 60:  # the place of the event's last byte, give or take the framing around it
            assert read == (0 if end < cut else 1)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\r\n"), min_size=1, max_size=8), max_size=6))
def test_events_are_the_same_with_lf_and_crlf(texts: list[str]) -> None:
    """Events are the same with lf and crlf."""
    plain = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    assert [data for data, _ in events(plain)] == [text.encode() for text in texts]
    assert [data for data, _ in events(plain.replace(b"\n", b"\r\n"))] == [text.encode() for text in texts]


def test_events_of_several_lines_comments_and_names() -> None:
    """Events of several lines comments and names."""
    body = b": hello\n\nevent: x\nid: 3\ndata: a\ndata:b\n\ndata: c\n\ndata: last"
    assert [data for data, _ in events(body + b"\n")] == [b"a\nb", b"c", b"last"]
