"""What a server says of itself, whatever its protocol, and the refusals that both protocols share."""

from dataclasses import dataclass

from wattbench.backends.endpoint.answer import Answer
from wattbench.backends.endpoint.key import Key
from wattbench.backends.endpoint.kserve import Inputs
from wattbench.backends.endpoint.prompts import Lengths
from wattbench.backends.endpoint.target import Target
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = [
    "OK",
    "PROBE_ID",
    "ServerFacts",
    "no_model",
    "refuse_unanswered",
    "refuse_unauthorised",
    "words_of",
]

OK, UNAUTHORISED = 200, (401, 403)
PROBE_ID = "wattbench-probe"
MODELS_SHOWN = 12
WORDS_BYTES = 300
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


def refuse_unauthorised(target: Target, key: Key, status: int, data: bytes) -> None:
    """Raise DeviceError for an answer that refuses the key."""
    if status in UNAUTHORISED:
        why = f"HTTP {status}: {key.scrub(words_of(data))}"
        raise DeviceError(f"The endpoint {target.url} refuses the key", why, "Give it by --key-env or --key-file.")


def refuse_unanswered(target: Target, key: Key, answer: Answer) -> None:
    """Raise DeviceError for a first call that failed."""
    if answer.error is not None:
        what = f"The endpoint {target.url} does not answer {target.api} requests for {target.model!r}"
        raise DeviceError(what, key.scrub(answer.error), "Check --api, --model and the server's log.")


def no_model(name: str, models: tuple[str, ...]) -> UsageError:
    """Return the error for a model that a server does not have, with its list."""
    return UsageError(f"The endpoint has no model {name!r}", *nearest_lines(name, models[:MODELS_SHOWN]))


def words_of(data: bytes) -> str:
    """Return the beginning of an answer as a line of text."""
    return " ".join(data[:WORDS_BYTES].decode(errors="replace").split())
