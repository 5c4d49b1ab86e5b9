"""Asking a server what it is before anything is timed: reachable, which models, what it takes and how it counts."""

from dataclasses import replace

from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.probing_kserve import described_facts, with_first_answer
from wattbench.backends.endpoint.probing_openai import listed_facts, with_counting
from wattbench.backends.endpoint.reaching import resolve
from wattbench.backends.endpoint.server_facts import ServerFacts
from wattbench.backends.endpoint.target import Target
from wattbench.results.errors import UsageError

__all__ = ["negotiated", "server_facts", "with_model"]


def server_facts(target: Target, key: Key) -> ServerFacts:
    """Return what the server says of itself, and check that it has the model.

    Raises DeviceError when it cannot be reached or refuses the key, UsageError with its list for a model that it lacks.
    """
    resolve(target)
    return described_facts(target, key) if target.api == "kserve" else listed_facts(target, key)


def with_model(target: Target, facts: ServerFacts) -> Target:
    """Return the target with the only model of its server where it names none.

    Raises UsageError for a server that has several, or lists none.
    """
    if target.model:
        return target
    if facts.models is None or len(facts.models) != 1:
        listed = f"it has {', '.join(facts.models)}" if facts.models else facts.unlisted or "it lists none"
        raise UsageError(f"It is not known which model of {target.url} is meant", listed, "Name one with --model.")
    return replace(target, model=facts.models[0])


def negotiated(target: Target, key: Key, facts: ServerFacts) -> ServerFacts:
    """Return the facts with what the server takes and how it counts, found by a few short calls.

    Raises DeviceError when it answers none of them.
    """
    if facts.inputs is not None:
        return with_first_answer(target, key, facts, facts.inputs)
    return with_counting(target, key, facts)
