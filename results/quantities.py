"""Quantities as users write them: durations with a unit, counts of tokens."""

import math
import re

from wattbench.results.errors import UsageError

__all__ = ["TOKENS_MAX", "duration_s", "token_count"]

TOKENS_MAX = 10_000_000
"""No request is longer: the longest context that a vendor states (Llama 4 Scout, 10 M tokens)."""

DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(us|ms|s|m|h)", re.ASCII)
UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DIGITS_MAX = 32


def duration_s(text: str) -> float:
    """Return the seconds that "200ms", "1.5s" or "5m" stand for. Raises UsageError for anything else."""
    match = DURATION.fullmatch(text.strip()) if len(text) <= DIGITS_MAX else None
    seconds = float(match[1]) * UNITS_S[match[2]] if match else math.nan
    if not math.isfinite(seconds):
        why = f"got {text[:DIGITS_MAX]!r}, it must be a number with us, ms, s, m or h"
        raise UsageError("That is no duration", why, "For example 200ms or 1.5s.")
    return seconds


def token_count(text: str) -> float:
    """Return a whole number of tokens. Raises UsageError for anything else, or more than any context holds."""
    word = text.strip()
    if not (word.isascii() and word.isdigit() and len(word) <= DIGITS_MAX and int(word) <= TOKENS_MAX):
        why = f"got {text[:DIGITS_MAX]!r}, it must be a whole number from 0 to {TOKENS_MAX}"
        raise UsageError("That is no number of tokens", why, "For example 512.")
    return float(word)
