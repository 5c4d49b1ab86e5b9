"""Prompts of a wanted length: seeded words, unique unless a call shares a prefix or goes on with its session."""

import random
from dataclasses import dataclass
from itertools import accumulate

from wattbench.backends.traffic import NONE, Schedule

__all__ = ["Lengths", "fit_lengths", "prompt_of_words", "prompts_of"]

TEXT = (
    "about above after again air all along also always animal another answer any around ask away back because been "
    "before began being below between big book both boy came can car carry change children city close come could "
    "country cut day did different does down each earth eat end enough even every example eye face family far father "
    "feet few find first follow food for form found four from get girl give good got great group grow had hand hard "
    "has have head hear help her here high him his home house how idea important into its just keep kind know land "
    "large last later learn leave left letter life light like line list little live long look made make man many may "
    "mean men might mile more most mother mountain move much must name near need never new next night now number off "
    "often old once one only open other our out over own page paper part people place plant play point put read real "
    "right river run said same saw say school sea second see seem sentence set should show side small some something "
    "sometimes song soon sound spell start state still stop story study such take talk tell ten than that them then "
    "there these they thing think this thought three through time together too took tree turn two under until use "
    "very walk want was watch water way well went were what when where which while white who why will with without "
    "word work world would write year you young your"
)
WORDS = tuple(TEXT.split())
"""Frequent English words: most vocabularies have each of them, with its space, as one token."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many tokens a server counts for a prompt: `fixed` whatever it says, and `per_word` for each word."""

    fixed: float = 0.0
    per_word: float = 1.0

    def words_for(self, tokens: int) -> int:
        """Return how many words come nearest to so many tokens; at least one."""
        return max(1, round((tokens - self.fixed) / self.per_word))


def fit_lengths(short: tuple[int, int], long: tuple[int, int]) -> Lengths:
    """Return the line through two (words, tokens) that a server counted; one token a word where they make no line."""
    (words_a, tokens_a), (words_b, tokens_b) = short, long
    per_word = (tokens_b - tokens_a) / (words_b - words_a)
    return Lengths(tokens_a - per_word * words_a, per_word) if per_word > 0 else Lengths()


def prompt_of_words(count: int, seed: object) -> str:
    """Return so many words, drawn from a seed."""
    return " ".join(random.Random(str(seed)).choices(WORDS, k=count))


def prompts_of(schedule: Schedule, seed: int, lengths: Lengths) -> list[str]:
    """Return the prompt of each call.

    The first `prefix_tokens` of a call are those of its session, where it goes on with one, else of its prefix group;
    they are the same words in every call that has them. The rest is the call's own, so that no cache can have it.
    """
    prompts = []
    shares = _shares(schedule, lengths)
    longest: dict[str, int] = {}
    for name, _, shared in shares:
        longest[name] = max(shared, longest.get(name, 0))
    texts: dict[str, _Shared] = {}
    for call, (name, whole, shared) in enumerate(shares):
        if shared and name not in texts:
            texts[name] = _Shared(longest[name], f"{seed} {name}")
        own = prompt_of_words(whole - shared, f"{seed} {call}")
        prompts.append(f"{texts[name].words(shared)} {own}" if shared else own)
    return prompts


class _Shared:
    """The longest text that some calls begin with; drawn once, since a session's calls share more and more of it."""

    def __init__(self, count: int, seed: str) -> None:
        self._text = prompt_of_words(count, seed)
        self._ends = list(accumulate((len(word) + 1 for word in self._text.split(" ")), initial=-1))

    def words(self, count: int) -> str:
        """Return its first words."""
        return self._text[: self._ends[count]]


def _shares(schedule: Schedule, lengths: Lengths) -> list[tuple[str, int, int]]:
    """Return for each call whose words it begins with, how many words it has, and how many of them are those."""
    columns = (schedule.input_tokens, schedule.prefix_tokens, schedule.session, schedule.prefix_group)
    found = []
    for tokens, prefix, session, group in zip(*(c.tolist() for c in columns), strict=True):
        whole = lengths.words_for(tokens)
        shared = min(whole - 1, round(prefix / lengths.per_word)) if prefix else 0
        found.append((f"session {session}" if session != NONE else f"group {group}", whole, shared))
    return found
