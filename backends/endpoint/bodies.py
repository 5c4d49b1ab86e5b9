"""The bytes of requests: a prompt as a JSON body under an HTTP head, one for each call of a schedule."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.kserve import Inputs, infer_body
from wattbench.backends.endpoint.target import Target
from wattbench.backends.traffic import Schedule

__all__ = ["request_bytes", "requests_of"]


def requests_of(
    target: Target,
    schedule: Schedule,
    prompts: Sequence[str],
    *,
    key: Key,
    fixed: Sequence[str],
    mark: str,
    inputs: Inputs | None = None,
) -> list[bytes]:
    """Return one request for each call; `mark` and the call's number are its X-Request-Id.

    `inputs` is what a model that KServe describes takes; prompts are its token ids then.
    """
    lengths = schedule.output_tokens.tolist()
    return [
        request_bytes(target, prompt, length, key=key, fixed=fixed, request_id=f"{mark}-{call}", inputs=inputs)
        for call, (prompt, length) in enumerate(zip(prompts, lengths, strict=True))
    ]


def request_bytes(
    target: Target,
    prompt: str,
    output_tokens: int,
    *,
    key: Key,
    fixed: Sequence[str],
    request_id: str,
    inputs: Inputs | None = None,
) -> bytes:
    """Return one request, head and body."""
    if inputs is not None:
        body = infer_body(inputs, prompt)
    else:
        body = json.dumps(dict(_fields(target, prompt, output_tokens, fixed)), separators=(",", ":")).encode()
    accept = "text/event-stream" if target.stream else "application/json"
    host = f"[{target.host}]" if ":" in target.host else target.host
    head = (
        f"POST {target.path} HTTP/1.1\r\nHost: {host}:{target.port}\r\nUser-Agent: wattbench\r\n"
        f"Accept: {accept}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-Id: {request_id}\r\n{key.header}\r\n"
    )
    return head.encode("ascii") + body


def _fields(target: Target, prompt: str, output_tokens: int, fixed: Sequence[str]) -> Iterator[tuple[str, Any]]:
    yield "model", target.model
    if target.api == "chat":
        yield "messages", [{"role": "user", "content": prompt}]
    else:
        yield "prompt", prompt
    yield "max_tokens", output_tokens
    yield "temperature", 0
    yield "stream", target.stream
    if target.stream:
        yield "stream_options", {"include_usage": True}
    for name in fixed:
        yield name, output_tokens if name == "min_tokens" else True
    yield from target.extra.items()
