"""What lengths and pauses are drawn from: distributions in a few words, each with a lowest and a highest value."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy
from numpy.typing import NDArray

from wattbench.results.checks import require
from wattbench.results.errors import UsageError

__all__ = ["Distribution", "fixed", "parse_distribution"]

Kind = Literal["fixed", "uniform", "exponential", "lognormal"]

FORMS = "VALUE, uniform:LOW-HIGH, exponential:MEAN:LOW-HIGH or lognormal:MEDIAN/SIGMA:LOW-HIGH"
WORDS = re.compile(r"(uniform|exponential|lognormal):(?:([^:/]+)(?:/([0-9.]+))?:)?([^:-]+)-([^:-]+)", re.ASCII)

SIGMA_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One of four: `centre` is the mean of an exponential, the median of a lognormal with `sigma`, else unused.

    What is drawn beyond `low` or `high` becomes `low` or `high`.
    """

    kind: Kind
    low: float
    high: float
    centre: float | None = None
    sigma: float | None = None

    def __post_init__(self) -> None:
        require(0 <= self.low <= self.high, f"from {self.low:g} to {self.high:g} is no range")
        needs = self.kind in ("exponential", "lognormal")
        require((self.centre is not None) == needs, f"{self.kind} has {'a' if needs else 'no'} centre")
        require((self.sigma is not None) == (self.kind == "lognormal"), "a lognormal alone has a sigma")
        require(self.centre is None or self.centre > 0, "the centre must be positive")
        require(self.sigma is None or 0 < self.sigma <= SIGMA_MAX, f"sigma must be within 0..{SIGMA_MAX:g}")

    def draw(self, count: int, generator: numpy.random.Generator) -> NDArray[numpy.float64]:
        """Return `count` values."""
        if self.kind == "fixed":
            return numpy.full(count, self.low)
        if self.kind == "uniform":
            return generator.uniform(self.low, self.high, count)
        assert self.centre is not None
        if self.kind == "exponential":
            values = generator.exponential(self.centre, count)
        else:
            assert self.sigma is not None
            values = generator.lognormal(numpy.log(self.centre), self.sigma, count)
        return numpy.clip(values, self.low, self.high)

    def draw_whole(self, count: int, generator: numpy.random.Generator) -> NDArray[numpy.int64]:
        """Return `count` whole numbers; each whole number of a uniform one is as likely as the next."""
        if self.kind == "uniform":
            return generator.integers(round(self.low), round(self.high), count, endpoint=True, dtype=numpy.int64)
        return numpy.rint(self.draw(count, generator)).astype(numpy.int64)


def fixed(value: float) -> Distribution:
    """Return the distribution that always gives `value`."""
    return Distribution(kind="fixed", low=value, high=value)


def parse_distribution(text: str, quantity: Callable[[str], float], what: str) -> Distribution:
    """Return what a user's words stand for; `quantity` reads one value, `what` names it in a complaint.

    Raises UsageError for other words and for what cannot be.
    """
    word = text.strip()
    match = WORDS.fullmatch(word)
    if match is None and ":" in word:
        raise UsageError(
            f"Unknown distribution of {what}", f"got {word[:80]!r}, it must be {FORMS}", "Use one of them."
        )
    try:
        if match is None:
            return fixed(quantity(word))
        kind, centre, sigma, low, high = match.groups()
        return Distribution(
            kind=kind,  # type: ignore[arg-type]  # the pattern has these three alone
            low=quantity(low),
            high=quantity(high),
            centre=None if centre is None else quantity(centre),
            sigma=None if sigma is None else float(sigma),
        )
    except ValueError as exc:
        raise UsageError(f"Impossible distribution of {what}", f"{word[:80]!r}: {exc}", f"Give {FORMS}.") from exc
