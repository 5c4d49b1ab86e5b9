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
    they are the same words in every call that has them. A session of a group begins with that group's words: as many as
    its first call has of them. The rest is the call's own, so that no cache can have it.
    """
    shares = _shares(schedule, lengths)
    texts = _texts(shares, seed)
    prompts = []
    for call, share in enumerate(shares):
        own = prompt_of_words(share.words - share.shared, f"{seed} {call}")
        prompts.append(f"{texts[share.name].first(share.shared)} {own}" if share.shared else own)
    return prompts


@dataclass(frozen=True, slots=True)
class _Share:
    """How many `words` a call has, how many are `shared`, and whose they are; the first `head` are a group's."""

    name: str
    words: int
    shared: int
    group: str
    head: int


class _Text:
    """The longest text that some calls begin with; drawn once, since a session's calls share more and more of it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends = list(accumulate((len(word) + 1 for word in text.split(" ")), initial=-1))

    def first(self, count: int) -> str:
        """Return its first words."""
        return self._text[: max(0, self._ends[count])]


def _shares(schedule: Schedule, lengths: Lengths) -> list[_Share]:
    """Return what each call shares, with a session's earlier calls or with those of its group."""
    columns = (schedule.input_tokens, schedule.prefix_tokens, schedule.session, schedule.prefix_group)
    found: list[_Share] = []
    heads: dict[int, int] = {}
    for tokens, prefix, session, group in zip(*(c.tolist() for c in columns), strict=True):
        words = lengths.words_for(tokens)
        shared = min(words - 1, round(prefix / lengths.per_word)) if prefix else 0
        alone = session == NONE
        head = 0 if alone or group == NONE else min(shared, heads.setdefault(session, shared))
        name = f"group {group}" if alone else f"session {session}"
        found.append(_Share(name, words, shared, f"group {group}", head))
    return found


def _texts(shares: list[_Share], seed: int) -> dict[str, _Text]:
    """Return the text that the calls of each session and of each group begin with, as long as the longest needs."""
    needs: dict[str, int] = {}
    heads: dict[str, tuple[str, int]] = {}
    for share in shares:
        needs[share.name] = max(share.shared, needs.get(share.name, 0))
        if share.head:
            needs[share.group] = max(share.head, needs.get(share.group, 0))
            heads.setdefault(share.name, (share.group, share.head))
    drawn = {name: words for name, words in needs.items() if words and name not in heads}
    found = {name: _Text(prompt_of_words(words, f"{seed} {name}")) for name, words in drawn.items()}
    for name, (group, head) in heads.items():
        rest = prompt_of_words(needs[name] - head, f"{seed} {name}")
        found[name] = _Text(f"{found[group].first(head)} {rest}".strip())
    return found
