"""How an agentic session is built: calls whose context grows, shared system prompts, pauses for tools; in words."""

from dataclasses import dataclass
from functools import partial

from wattbench.harness.traffic.distributions import Distribution, fixed, parse_distribution
from wattbench.models.load import RequestShape
from wattbench.results.checks import require
from wattbench.results.errors import UsageError
from wattbench.results.quantities import TOKENS_MAX, duration_s

__all__ = ["SessionShape", "SessionsAsked", "parse_sessions"]

CALLS_A_SESSION_MAX = 10_000
GROUPS_MAX = 1_000_000
IN_PROGRESS_MAX = 65_536

RANGES = {
    "calls": (1, CALLS_A_SESSION_MAX),
    "system": (0, TOKENS_MAX),
    "groups": (1, GROUPS_MAX),
    "first": (0, TOKENS_MAX),
    "new": (0, TOKENS_MAX),
    "answer": (1, TOKENS_MAX),
    "context": (1, TOKENS_MAX),
}
"""The words of `--sessions` after the number in progress that are whole numbers, and from where to where."""

KEYS = (*RANGES, "pause")
EXAMPLE = "For example 8,calls=5,new=64."


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionShape:
    """What one session is drawn from.

    Its first call has the `system` prompt of one of `groups` groups and `first` tokens more, every later one all that
    came before and `new` tokens; each answer has `answer` tokens. A tool works for `pause_s` between two calls. A
    session ends before the call that would pass `context_max` tokens in and out.
    """

    calls: Distribution
    system: int
    groups: int
    first: Distribution
    new: Distribution
    answer: Distribution
    pause_s: Distribution
    context_max: int | None = None

    def __post_init__(self) -> None:
        require(self.calls.low >= 1 and self.calls.high <= CALLS_A_SESSION_MAX, f"1 to {CALLS_A_SESSION_MAX} calls")
        require(self.system >= 0 and 1 <= self.groups <= GROUPS_MAX, f"1 to {GROUPS_MAX} groups")
        require(self.system + self.first.low >= 1, "a first call has at least one token in")
        require(self.answer.low >= 1, "an answer has at least one token")
        require(self.calls.high == 1 or self.new.low >= 1, "a later call has at least one new token")
        least = self.system + self.first.high + self.answer.high
        fits = self.context_max is None or least <= self.context_max
        require(fits, f"a first call of {least:g} tokens in and out does not fit into the context")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsAsked:
    """What `--sessions` says: how many are in progress (None: they arrive at a rate), and how one is built."""

    in_progress: int | None
    shape: SessionShape


def parse_sessions(text: str, load: RequestShape) -> SessionsAsked:
    """Return what "8", "8,calls=5,new=uniform:16-64" or, with a rate, "calls=5" stand for; the rest is the load's.

    Raises UsageError for unknown words and for sessions that cannot be.
    """
    first, *rest = [word.strip() for word in text.split(",")]
    in_progress = None if "=" in first else _whole("the number in progress", first, 1, IN_PROGRESS_MAX)
    said: dict[str, str] = {}
    for word in rest if in_progress is not None else [first, *rest]:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS or key in said:
            what = "is said twice" if key in said else "is not one of " + ", ".join(f"{key}=" for key in KEYS)
            raise UsageError("--sessions is not understood", f"{word[:80]!r} {what}", EXAMPLE)
        said[key] = value
    return SessionsAsked(in_progress=in_progress, shape=_shape(said, load))


def _shape(said: dict[str, str], load: RequestShape) -> SessionShape:
    drawn = {key: _drawn(key, said[key]) for key in ("calls", "first", "new", "answer", "pause") if key in said}
    counts = {key: _count(key, said[key]) for key in ("system", "groups", "context") if key in said}
    missing = [f"{key}=N" for key in ("calls", "new") if key not in said]
    if load.turns == 1 and missing:
        why = f"the shape {load.name} is of one call"
        raise UsageError(
            "--sessions needs more words", why, f"Add {','.join(missing)}, or choose a load of several turns."
        )
    system = counts.get("system", 0)
    if "first" not in said and system >= load.input_tokens:
        why = f"system={system} leaves nothing of the load's {load.input_tokens} tokens in"
        raise UsageError("--sessions needs more words", why, "Add first=N, or a shorter system prompt.")
    try:
        return SessionShape(
            calls=drawn.get("calls", fixed(load.turns)),
            system=system,
            groups=counts.get("groups", 1),
            first=drawn.get("first", fixed(load.input_tokens - system)),
            new=drawn.get("new", fixed(load.turn_input_tokens)),
            answer=drawn.get("answer", fixed(load.output_tokens)),
            pause_s=drawn.get("pause", fixed(0.0)),
            context_max=counts.get("context"),
        )
    except ValueError as exc:
        raise UsageError("--sessions is impossible", str(exc), "docs/scenarios.md tells what each word means.") from exc


def _drawn(key: str, text: str) -> Distribution:
    return parse_distribution(text, _pause_s if key == "pause" else partial(_count, key), key)


def _count(key: str, text: str) -> int:
    return _whole(key, text, *RANGES[key])


def _whole(what: str, text: str, low: int, high: int) -> int:
    """Return a whole number within a range. Raises UsageError for anything else; `what` names it."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) <= 9 and low <= int(word) <= high):
        why = f"got {word[:80]!r}, it must be a whole number from {low} to {high}"
        raise UsageError(f"--sessions has a wrong value for {what}", why, EXAMPLE)
    return int(word)


def _pause_s(text: str) -> float:
    try:
        return duration_s(text)
    except UsageError as exc:
        raise UsageError("--sessions has a wrong value for pause", exc.why, "For example pause=1.5s.") from exc
