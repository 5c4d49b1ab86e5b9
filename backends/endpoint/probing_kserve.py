"""Asking a server of KServe's protocol (version 2) for its models, and for the tensors that one of them takes."""

import json
from dataclasses import replace

from wattbench.backends.endpoint.bodies import request_bytes
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.kserve import Inputs, inputs_of, some_ids
from wattbench.backends.endpoint.reaching import ask, called_once
from wattbench.backends.endpoint.server_facts import (
    OK,
    PROBE_ID,
    ServerFacts,
    no_model,
    refuse_unanswered,
    refuse_unauthorised,
    words_of,
)
from wattbench.backends.endpoint.target import Target
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["described_facts", "with_first_answer"]

UNKNOWN = (400, 404)
PROBE_TOKENS = 16
"""Token ids of the first call to a model that takes any number of them."""


def described_facts(target: Target, key: Key) -> ServerFacts:
    """Return what a server says of itself and of the model; not all of them list their models."""
    status, _, data = ask(target, key, "GET", target.base)
    refuse_unauthorised(target, key, status, data)
    server = _name_and_version(data)
    status, _, data = ask(target, key, "POST", f"{target.base}/repository/index")
    models = _indexed(data) if status == OK else None
    if not target.model:
        return ServerFacts(server=server, models=models)
    status, _, data = ask(target, key, "GET", target.described)
    refuse_unauthorised(target, key, status, data)
    if status in UNKNOWN and models:
        raise no_model(target.model, models)
    if status in UNKNOWN:
        why = f"it lists none, and says: {key.scrub(words_of(data))}"
        remedy = "Give the name that it was deployed under."
        raise UsageError(f"The endpoint has no model {target.model!r}", why, remedy)
    if status != OK:
        what = f"The endpoint {target.url} does not describe the model {target.model!r}"
        raise DeviceError(what, f"HTTP {status}: {key.scrub(words_of(data))}", "Check the server's log.")
    return ServerFacts(server=server, models=models, inputs=inputs_of(data, target.model))


def with_first_answer(target: Target, key: Key, facts: ServerFacts, inputs: Inputs) -> ServerFacts:
    """Return the facts with whether a connection outlives an answer, by one call of token ids."""
    ids = some_ids(inputs.tokens or PROBE_TOKENS)
    request = request_bytes(target, ids, 0, key=key, fixed=(), request_id=PROBE_ID, inputs=inputs)
    answer, kept = called_once(target, request)
    refuse_unanswered(target, key, answer)
    return replace(facts, reuses=kept)


def _indexed(data: bytes) -> tuple[str, ...] | None:
    try:
        return tuple(str(model["name"]) for model in json.loads(data))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _name_and_version(data: bytes) -> str | None:
    """Return "NAME/VERSION" of a server's description."""
    try:
        said = json.loads(data)
        return f"{said['name']}/{said['version']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
