"""Asking a server of OpenAI's interface which models it has, what it takes, and how it counts."""

import json
from dataclasses import replace

from wattbench.backends.endpoint.answer import Answer
from wattbench.backends.endpoint.bodies import request_bytes
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.prompts import fit_lengths, prompt_of_words
from wattbench.backends.endpoint.reaching import ask, called_once
from wattbench.backends.endpoint.server_facts import (
    OK,
    PROBE_ID,
    ServerFacts,
    no_model,
    refuse_unanswered,
    refuse_unauthorised,
)
from wattbench.backends.endpoint.target import Target

__all__ = ["listed_facts", "with_counting"]

FIXING: tuple[tuple[str, ...], ...] = (("ignore_eos", "min_tokens"), ("ignore_eos",), ("min_tokens",), ())
"""What fixes the length of an answer; a server that refuses unknown fields is asked with fewer."""

CALIBRATION_WORDS = (16, 144)
CALIBRATION_TOKENS = 2


def listed_facts(target: Target, key: Key) -> ServerFacts:
    """Return what a server says of itself, and check its list for the model, where there are both."""
    status, server, data = ask(target, key, "GET", f"{target.base}/models")
    refuse_unauthorised(target, key, status, data)
    models = _models(data) if status == OK else None
    if models is not None and target.model and target.model not in models:
        raise no_model(target.model, models)
    if models is not None:
        return ServerFacts(server=server, models=models)
    no_list = " and no list of models" if status == OK else ""
    return ServerFacts(
        server=server, models=None, unlisted=f"{target.base}/models answered with status {status}{no_list}"
    )


def with_counting(target: Target, key: Key, facts: ServerFacts) -> ServerFacts:
    """Return the facts with the fields that it takes and how it counts a prompt, by a few short calls."""
    answer, fixed, kept = Answer(), FIXING[0], True
    for fixed in FIXING:
        answer, kept = _called(target, key, fixed, CALIBRATION_WORDS[0])
        if answer.error_kind != "http_4xx":
            break
    refuse_unanswered(target, key, answer)
    other, still_kept = _called(target, key, fixed, CALIBRATION_WORDS[1])
    facts = replace(facts, fixed=fixed, reuses=kept and still_kept)
    if answer.input_tokens is None or other.input_tokens is None:
        return facts
    counted = zip(CALIBRATION_WORDS, (answer.input_tokens, other.input_tokens), strict=True)
    return replace(facts, lengths=fit_lengths(*counted))


def _called(target: Target, key: Key, fixed: tuple[str, ...], words: int) -> tuple[Answer, bool]:
    prompt = prompt_of_words(words, f"probe {words}")
    request = request_bytes(target, prompt, CALIBRATION_TOKENS, key=key, fixed=fixed, request_id=PROBE_ID)
    return called_once(target, request)


def _models(data: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(str(model["id"]) for model in json.loads(data)["data"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
