"""Limits that latencies are to keep: read from a user's words, or taken by the names of MLPerf's."""

import re
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, get_args

from wattbench.results.checks import require, require_finite
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines
from wattbench.results.quantities import duration_s

__all__ = ["LatencyKind", "Limit", "Slo", "named_slos", "parse_slo"]

LatencyKind = Literal["ttft", "tpot", "latency", "itl"]

KINDS: tuple[LatencyKind, ...] = get_args(LatencyKind)
BY_NAME: dict[str, LatencyKind] = {kind: kind for kind in KINDS}
ENTRY = re.compile(r"([a-z]+)\.p(\d{1,2}(?:\.\d{1,3})?)=([^=]+)", re.ASCII)
ANY_PERCENTILE = re.compile(r"[a-z]+\.p(\d+(?:\.\d+)?)=[^=]+", re.ASCII)
NAME = re.compile(r"[a-z]+:[^=,]+", re.ASCII)
LIMITS_MAX = 16

NAMED_Q = 0.99
"""MLPerf's limits hold at the 99th percentile (inference_rules.adoc)."""

NAMED_SOURCE = "MLCommons inference, loadgen/mlperf.conf and the submission checker, read 2026-11-21"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit: at least a share `q` of the requests (of the gaps, for itl) has `kind` within `limit_s` seconds."""

    kind: LatencyKind
    q: float
    limit_s: float

    def __post_init__(self) -> None:
        require_finite(q=self.q, limit_s=self.limit_s)
        require(0 < self.q < 1, f"a limit holds at a quantile within 0..1, not at {self.q}")
        require(self.limit_s >= 1e-9, "a limit is at least 1 ns")

    @property
    def words(self) -> str:
        """Return it as people say it: "ttft.p99 of at most 200 ms"."""
        limit = f"{1000 * self.limit_s:.9g} ms" if self.limit_s < 1 else f"{self.limit_s:,.9g} s"
        return f"{self.kind}.p{100 * self.q:.5g} of at most {limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Several limits that hold together; a `name` that they are known by has a `source`."""

    limits: tuple[Limit, ...]
    name: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        require(1 <= len(self.limits) <= LIMITS_MAX, f"there are 1 to {LIMITS_MAX} limits")
        require(len({(limit.kind, limit.q) for limit in self.limits}) == len(self.limits), "a limit is given twice")
        require((self.name is None) == (self.source is None), "a name has a source")

    def limit_s(self, kind: LatencyKind) -> float | None:
        """Return the shortest limit of one kind; None without one."""
        return min((limit.limit_s for limit in self.limits if limit.kind == kind), default=None)


def parse_slo(text: str) -> Slo:
    """Return what "ttft.p99=2s,tpot.p99=200ms" or "mlperf:llama2-70b/server" stand for.

    Raises UsageError for other words, an unknown name, and limits that cannot be.
    """
    word = text.strip()
    if NAME.fullmatch(word):
        known = named_slos()
        if word not in known:
            raise UsageError(f"Unknown limits {word[:80]!r}", *nearest_lines(word[:80], list(known)))
        return known[word]
    try:
        return Slo(limits=tuple(_limit(entry.strip()) for entry in word.split(",")))
    except ValueError as exc:
        raise UsageError("--slo is impossible", f"{word[:80]!r}: {exc}", "For example ttft.p99=2s.") from exc


def named_slos() -> dict[str, Slo]:
    """Return every set of limits that has a name, such as "mlperf:llama2-70b/server"."""
    text = files("wattbench.results").joinpath("named_slos.toml").read_text(encoding="utf-8")
    found: dict[str, Slo] = {}
    for family, models in tomllib.loads(text).items():
        for model, scenarios in models.items():
            for scenario, limits in scenarios.items():
                name = f"{family}:{model}/{scenario}"
                found[name] = Slo(limits=_named_limits(limits), name=name, source=NAMED_SOURCE)
    return found


def _named_limits(limits: dict[str, int]) -> tuple[Limit, ...]:
    return tuple(
        Limit(kind=kind, q=NAMED_Q, limit_s=limits[f"{kind}_ms"] / 1000) for kind in KINDS if f"{kind}_ms" in limits
    )


def _limit(entry: str) -> Limit:
    match = ENTRY.fullmatch(entry)
    kind = BY_NAME.get(match[1]) if match is not None else None
    asked = ANY_PERCENTILE.fullmatch(entry)
    if asked is not None and (match is None or float(asked[1]) == 0):
        _refuse_percentile(asked[1])
    if match is None or kind is None:
        why = f"got {entry[:80]!r}, it must be ttft, tpot, latency or itl with a percentile and a duration"
        raise UsageError("--slo is not understood", why, "For example ttft.p99=2s,tpot.p99=200ms.")
    return Limit(kind=kind, q=float(match[2]) / 100, limit_s=duration_s(match[3]))


def _refuse_percentile(text: str) -> None:
    """Raise UsageError for a percentile that lies outside 0..100, or has more digits than any run could tell apart."""
    if not 0 < float(text) < 100:
        why = "a percentile lies above 0 and below 100: no number of requests proves what the slowest of all takes"
    else:
        why = "a percentile has at most three digits behind the point"
    raise UsageError(f"--slo asks for p{text[:20]}", why, "For example ttft.p99=2s, or ttft.p99.9=2s.")
