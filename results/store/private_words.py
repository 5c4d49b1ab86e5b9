"""The words of a command line that may name a machine: addresses of meters, folders of weights, files."""

import re
from collections.abc import Sequence

from wattbench.results.store.identifiers import LEFT_OUT, Hasher

__all__ = ["command_words", "known_in_meters", "power_item", "weights_word"]

NO_ADDRESS = ("model", "neuron")
"""Samplers whose argument is a number of watts."""

METER_KEYS = ("covers", "every", "limit", "scope", "supply", "timeout")
"""Options of meters whose values are words of ours, numbers, or devices."""

KEPT = frozenset(
    (
        *("--load", "-l", "--backend", "-b", "--device", "-d", "--precision", "-p", "--scenario", "--batch", "--seed"),
        *("--threads", "--affinity", "--window", "--repeats", "--repeats-max", "--warm-up-min", "--warm-up-max"),
        *("--idle", "--power-rate", "--tuning", "--slots", "--tensor-parallel", "--ceilings", "--cross-check"),
        *("--input-tokens", "--power-limit", "--together", "--latency", "--slo-latency-s", "--push-timeout"),
        *("--output-tokens", "--rate", "--arrival", "--arrival-shape", "--concurrency", "--ramp", "--trace-scale"),
        *(
            "--sessions",
            "--slo",
            "--in-flight-max",
            "--input-lengths",
            "--output-lengths",
            "--api",
            "--timeout",
            "--workers",
        ),
    )
)
"""Options whose values say what was measured; those of all others are left out."""

FLAGS = frozenset(
    (
        *(
            "--quick",
            "--allow-fallback",
            "--json",
            "--quiet",
            "-q",
            "--resume",
            "--debug",
            "--i-may-change-the-power-limit",
        ),
        *("--keep-identifiers", "--allow-incomplete", "--no-stream"),
    )
)

_KEY = re.compile(r",(?=[a-z_.]+(?:\[[^\]]*\])?=)")
"""As `--power` parts the options of a meter (harness/power/meters/argument.py)."""


def known_in_meters(power: Sequence[str], hasher: Hasher) -> dict[str, str]:
    """Return what names a meter in a plan's power sources, and what stands for it; channels are called after it."""
    known: dict[str, str] = {}
    for item in power:
        sampler, colon, argument = item.partition(":")
        if not colon or sampler in NO_ADDRESS:
            continue
        address, *options = (argument,) if sampler == "replay" else _KEY.split(argument)
        address = address.strip()
        named = next((option.removeprefix("name=") for option in options if option.startswith("name=")), None)
        bare = re.sub(r"^\w+://", "", address).rstrip("/")
        label = named or bare
        known[f"{sampler}:{label}"] = f"{sampler}:{hasher.hash_of(label)}"
        host = re.split(r"[/?#]", bare)[0]
        for word in (address, bare, host, re.sub(r":\d+$", "", host)):
            if len(word) > 3 and re.search(r"[\d.:/-]", word):
                known[word] = hasher.hash_of(word)
    return known


def power_item(item: str, hasher: Hasher) -> str:
    """Return one of `--power`'s words without the meter's address, name, files and credentials."""
    sampler, colon, argument = item.partition(":")
    if not colon or sampler in NO_ADDRESS:
        return item
    if sampler == "replay":
        return f"replay:{hasher.hash_of(argument)}"
    address, *options = _KEY.split(argument)
    return ",".join((f"{sampler}:{hasher.hash_of(address.strip())}", *(_option(word, hasher) for word in options)))


def weights_word(weights: str, hasher: Hasher) -> str:
    """Return a source of weights, a folder or file of this machine hashed; the digest still says which they were."""
    kind, colon, rest = weights.partition(":")
    if weights in ("", "synthetic", "mock", "as-served") or (colon and kind in ("hub", "wheel")):
        return weights
    if colon and kind in ("path", "folder", "file"):
        return f"{kind}:{hasher.hash_of(rest)}"
    return hasher.hash_of(weights)


def command_words(words: Sequence[str], hasher: Hasher) -> tuple[str, ...]:
    """Return a command line without the values of options that name files or places."""
    found: list[str] = []
    option = ""
    for number, word in enumerate(words):
        if word.startswith("-") and len(word) > 1 and not _is_number(word):
            shown, option = _option_word(word, hasher)
        elif option:
            shown, option = _option_value(option, word, hasher), ""
        else:
            shown = hasher.text(word) if number < 2 and re.fullmatch(r"[\w-]+", word) else LEFT_OUT
        found.append(shown)
    return tuple(found)


def _option_word(word: str, hasher: Hasher) -> tuple[str, str]:
    """Return an option as it is shown, and its name where its value is the next word."""
    name, equals, value = word.partition("=")
    if not word.startswith("--") and len(word) > 2:
        name, equals, value = word[:2], "", word[2:]
        return name + _option_value(name, value, hasher), ""
    if equals:
        return f"{name}={_option_value(name, value, hasher)}", ""
    return word, "" if word in FLAGS else word


def _option_value(option: str, value: str, hasher: Hasher) -> str:
    if option == "--power":
        return power_item(value, hasher)
    if option == "--weights":
        return weights_word(value, hasher)
    return hasher.text(value) if option in KEPT else LEFT_OUT


def _option(option: str, hasher: Hasher) -> str:
    key, equals, value = option.partition("=")
    if key == "name":
        return f"name={hasher.hash_of(value)}"
    return f"{key}{equals}{hasher.text(value)}" if key in METER_KEYS else f"{key}={LEFT_OUT}"


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", word) is not None
