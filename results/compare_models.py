"""Telling whether two names of models mean the same model: catalogue, MLPerf and vendors spell them differently."""

import re

__all__ = ["same_model", "same_scenario"]

ALIASES = {"bert": "bertlarge", "whisper": "whisperlargev3", "llama270bchat": "llama270b"}
"""What MLPerf calls a model in one word, and its catalogue's name (docs/loads.md has the models)."""

ACCURACY = re.compile(r"-99(\.9)?$|-edge$")
"""MLPerf's targets of accuracy, and its category: parts of a benchmark's name, not of the model's."""


def same_model(one: str, other: str) -> bool:
    """Return whether two names mean one model, such as "llama-3.1-8b" and "llama3.1-8b-edge"."""
    return _plain(one) == _plain(other) != ""


def same_scenario(one: str, other: str) -> bool:
    """Return whether two names mean one scenario, such as "single-stream" and "SingleStream"."""
    return _letters(one) == _letters(other) != ""


def _plain(name: str) -> str:
    text = _letters(ACCURACY.sub("", name.strip()))
    text = text.removesuffix("instruct")
    return ALIASES.get(text, text)


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
