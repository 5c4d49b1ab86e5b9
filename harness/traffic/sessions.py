"""How an agentic session is built: calls whose context grows, shared system prompts, pauses for tools; in words."""

from dataclasses import dataclass

from wattbench.harness.traffic.distributions import Distribution, fixed, parse_distribution
from wattbench.models.load import RequestShape
from wattbench.results.checks import require
from wattbench.results.errors import UsageError
from wattbench.results.quantities import TOKENS_MAX, duration_s, token_count

__all__ = ["SessionShape", "SessionsAsked", "parse_sessions"]

CALLS_A_SESSION_MAX = 10_000
GROUPS_MAX = 1_000_000
IN_PROGRESS_MAX = 65_536

KEYS = ("calls", "system", "groups", "first", "new", "answer", "pause", "context")
"""The words of `--sessions` after the number in progress."""


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
    in_progress = None if "=" in first else _count(first, "sessions in progress", IN_PROGRESS_MAX)
    said: dict[str, str] = {}
    for word in rest if in_progress is not None else [first, *rest]:
        key, equals, value = word.partition("=")
        if not equals or key not in KEYS or key in said:
            what = "is said twice" if key in said else "is not one of " + ", ".join(KEYS)
            raise UsageError("--sessions is not understood", f"{word[:80]!r} {what}", "For example 8,calls=5,new=64.")
        said[key] = value
    return SessionsAsked(in_progress=in_progress, shape=_shape(said, load))


def _shape(said: dict[str, str], load: RequestShape) -> SessionShape:
    if load.turns == 1 and not {"calls", "new"} <= said.keys():
        why = f"the shape {load.name} is of one call"
        raise UsageError("--sessions needs more words", why, "Add calls=N,new=N, or choose a load of several turns.")
    system = _count(said.get("system", "0"), "tokens of the system prompt", TOKENS_MAX)
    if "first" not in said and system >= load.input_tokens:
        why = f"system={system} leaves nothing of the load's {load.input_tokens} tokens in"
        raise UsageError("--sessions needs more words", why, "Add first=N, or a shorter system prompt.")

    def tokens(key: str, default: int) -> Distribution:
        return parse_distribution(said[key], token_count, key) if key in said else fixed(default)

    try:
        return SessionShape(
            calls=tokens("calls", load.turns),
            system=system,
            groups=_count(said.get("groups", "1"), "groups", GROUPS_MAX),
            first=tokens("first", load.input_tokens - system),
            new=tokens("new", load.turn_input_tokens),
            answer=tokens("answer", load.output_tokens),
            pause_s=parse_distribution(said.get("pause", "0s"), duration_s, "pause"),
            context_max=_count(said["context"], "tokens of context", TOKENS_MAX) if "context" in said else None,
        )
    except ValueError as exc:
        raise UsageError("--sessions is impossible", str(exc), "docs/scenarios.md tells what each word means.") from exc


def _count(text: str, what: str, highest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) <= highest):
        raise UsageError(
            f"That is no number of {what}", f"got {text[:80]!r}, at most {highest}", "Give a whole number."
        )
    return int(text)
