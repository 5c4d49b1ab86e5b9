"""Seeded streams of random numbers: one for each thing that is drawn, so that none shifts another."""

import zlib

import numpy

from wattbench.results.errors import UsageError

__all__ = ["CALLS_MAX", "checked_count", "stream"]

CALLS_MAX = 2_000_000
"""More calls than this in one window are refused: their prompts alone would take gigabytes."""


def stream(seed: int, name: str) -> numpy.random.Generator:
    """Return the generator of a seed for what `name` names; other names give independent numbers."""
    words = numpy.random.SeedSequence([seed, zlib.crc32(name.encode())])
    return numpy.random.Generator(numpy.random.PCG64(words))


def checked_count(calls: int) -> int:
    """Return a number of calls. Raises UsageError for more than can be held."""
    if calls > CALLS_MAX:
        why = f"{calls} calls in one window, at most {CALLS_MAX} can be held"
        raise UsageError("The schedule is too long", why, "Choose a shorter --window or a lower --rate.")
    return calls
