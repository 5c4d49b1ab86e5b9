"""The argument of a meter: `--power NAME:ADDRESS[,KEY=VALUE...]`, taken apart and checked; secrets are refused."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from wattbench.results.energy import Scope
from wattbench.results.errors import UsageError

__all__ = ["COMMON_KEYS", "SUPPLY", "Argument", "parse_argument", "refuse_secrets"]

COMMON_KEYS = ("covers", "credentials", "every", "limit", "name", "scope", "supply", "timeout")
"""The keys that every meter understands."""

SUPPLY = re.compile(r"(?:supply )?([1-9]\d?)/([1-9]\d?)")
"""One of several power supplies of a machine, as in `supply=1/2`, and as channels cover it ("supply 1/2")."""

_KEY = re.compile(r",(?=[a-z_.]+(?:\[[^\]]*\])?=)")
"""A comma parts two items only where a key follows, so that values may hold commas (SCPI queries do)."""

_USER_IN_URL = re.compile(r"//[^/?#]*@")
_USER_IN_ADDRESS = re.compile(r"^[^/?#,]*@")
"""A user before a host without a scheme, as in `admin:secret@192.0.2.7`."""

_SECRET_KEY = re.compile(r"(?i)[:,?&;](pass(word|wd|phrase)?|pw|pwd|token|secret|api_?key|user(name)?|login)=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """A meter's address and its options, both as the user wrote them."""

    sampler: str
    address: str
    options: Mapping[str, str]

    @property
    def label(self) -> str:
        """Return the name of this meter in channels: the option `name`, else the address without its scheme."""
        return self.options.get("name") or re.sub(r"^\w+://", "", self.address).rstrip("/")

    @property
    def covers(self) -> str | None:
        """Return what the meter feeds: one supply of several, a named device, or None for the whole machine."""
        supply = self.options.get("supply")
        return self.options.get("covers") if supply is None else f"supply {supply}"

    @property
    def timeout_s(self) -> float:
        """Return how long one read may take, in seconds."""
        return self.seconds("timeout", 2.0)

    @property
    def limit_w(self) -> float | None:
        """Return the most that the user says can flow, in watts."""
        return None if "limit" not in self.options else self.seconds("limit", 0.0)

    def scope(self, default: Scope) -> Scope:
        """Return the scope that the user states, or the meter's usual one. Raises UsageError for an unknown one."""
        word = self.options.get("scope")
        return default if word is None else _scope(self, word)

    def seconds(self, key: str, default: float) -> float:
        """Return an option that is a positive number. Raises UsageError for anything else."""
        word = self.options.get(key)
        if word is None:
            return default
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not 0 < value < math.inf:
            raise self.wrong(key, "it is a positive number")
        return value

    def choice(self, key: str, known: tuple[str, ...], default: str) -> str:
        """Return an option that is one of some words. Raises UsageError for anything else."""
        word = self.options.get(key, default)
        if word not in known:
            raise self.wrong(key, f"known are {', '.join(known)}")
        return word

    def wrong(self, key: str, why: str) -> UsageError:
        """Return the error for an option that cannot be meant."""
        what = f"--power {self.sampler}: {key}={self.options.get(key, '')} cannot be used"
        return UsageError(what, why, f"docs/meters.md#{self.sampler} lists the options.")


def parse_argument(sampler: str, text: str, keys: tuple[str, ...] = ()) -> Argument:
    """Return the address and options of `ADDRESS[,KEY=VALUE...]`; `keys` are the meter's own, beside the common ones.

    A key may have a part in brackets, as in `label[gpu]=0`. Raises UsageError for a secret, an unknown or repeated key,
    an empty address, and options that contradict each other.
    """
    refuse_secrets(f"{sampler}:{text}")
    address, *items = _KEY.split(text)
    pairs = [(key, value) for key, _, value in (item.partition("=") for item in items)]
    options = dict(pairs)
    argument = Argument(sampler=sampler, address=address.strip(), options=options)
    known = (*COMMON_KEYS, *keys)
    for key, _ in pairs:
        if key.partition("[")[0] not in known:
            remedy = f"Known are {', '.join(sorted(known))} (docs/meters.md#{sampler})."
            raise UsageError(f"--power {sampler}: unknown option {key!r}", remedy=remedy)
    if len(options) < len(pairs):
        raise UsageError(f"--power {sampler}: an option is given twice", remedy="Give each option once.")
    if not argument.address:
        raise UsageError(f"--power {sampler}: no address is named", remedy=f"Use --power {sampler}:ADDRESS.")
    _check_extent(argument)
    return argument


def refuse_secrets(word: str) -> None:
    """Raise UsageError when an item of `--power` holds a user or password; the message does not repeat it."""
    name = word.partition(":")[0]
    reads_file = name == "replay"  # its argument is a path, in which an at sign is one
    user = None if reads_file else _USER_IN_ADDRESS.search(word)
    if user or _USER_IN_URL.search(word) or _SECRET_KEY.search(word):
        safe = name if re.fullmatch(r"[\w-]+", name) else "..."
        raise UsageError(
            f"--power {safe}: a user or password stands on the command line",
            "everybody on this machine can read it there, and the result would keep it",
            "Take it out and change it; give it by environment or file instead (docs/meters.md#credentials).",
        )


def _check_extent(argument: Argument) -> None:
    """Refuse a part of the machine that is named in two ways, or of a scope that has no parts."""
    supply = argument.options.get("supply")
    scope = argument.scope("wall")
    if supply is None:
        if scope in ("board", "module", "package", "dram") and not argument.options.get("covers"):
            raise argument.wrong("scope", "a part of the machine needs a name: covers=UUID, or covers=cpu:0")
        return
    found = SUPPLY.fullmatch(supply)
    if found is None or supply.startswith("supply") or int(found[1]) > int(found[2]):
        raise argument.wrong("supply", "it is this supply's number and how many there are, as in supply=1/2")
    if "covers" in argument.options or scope not in ("wall", "node"):
        raise argument.wrong("supply", "supplies feed the whole machine: scope wall or node, without covers")


def _scope(argument: Argument, word: str) -> Scope:
    known: tuple[Scope, ...] = get_args(Scope)
    for scope in known:
        if scope == word:
            return scope
    raise argument.wrong("scope", f"known are {', '.join(known)}")
