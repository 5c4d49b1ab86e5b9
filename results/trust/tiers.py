"""How far a result is to be trusted: self-reported, signed, reproduced or audited, and what each rests on."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from wattbench.results.document import Result
from wattbench.results.metrics import Metric
from wattbench.results.trust.signers import Signed
from wattbench.results.trust.verification import Consistency

__all__ = ["TIERS", "Tier", "TierFacts", "Trust", "reproduction_problems", "tier_of", "tier_text"]

Tier = Literal["self-reported", "signed", "reproduced", "audited"]

TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the least to the most."""

COMPARED = ("throughput.requests", "energy.per_request")
"""The two figures of which everything else is made."""

HASHED = re.compile(r"(?:^|[-:])(?:00000000-[0-9a-f]{4}-8|id-[0-9a-f]{16})")
"""How a name looks that `bench push` hashed with the uploader's key."""

K = 2
"""Stated uncertainties are doubled (k=2, about 95 %), as intervals are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierFacts:
    """What a tier is made of: known signers whose signatures hold, ids of reproductions that hold, auditors."""

    standing: Consistency
    signers: tuple[Signed, ...] = ()
    reproduced_by: tuple[str, ...] = ()
    auditors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A result's tier and, in words, what it rests on."""

    tier: Tier
    basis: str


def tier_of(facts: TierFacts) -> Trust:
    """Return the tier; an inconsistent document has none above the lowest, whoever signed it."""
    if facts.standing == "inconsistent":
        return Trust(tier="self-reported", basis="it contradicts itself")
    if facts.auditors:
        return Trust(tier="audited", basis=f"by {', '.join(facts.auditors)}")
    if facts.reproduced_by and facts.standing == "consistent":
        others = ", ".join(result_id.removeprefix("sha256:")[:12] for result_id in facts.reproduced_by)
        return Trust(tier="reproduced", basis=f"by {others}")
    if facts.signers:
        return Trust(tier="signed", basis=f"by {', '.join(signer.identity for signer in facts.signers)}")
    return Trust(tier="self-reported", basis="nobody known vouches for it")


def tier_text(trust: Trust) -> str:
    """Return a tier as it stands beside a number: "signed by ann@example.org"."""
    return trust.tier if trust.tier == "self-reported" else f"{trust.tier} {trust.basis}"


def reproduction_problems(
    subject: Result,
    other: Result,
    *,
    same_key: bool,
    signers: Sequence[Signed] = (),
    other_signers: Sequence[Signed] = (),
) -> tuple[str, ...]:
    """Return why another result does not reproduce one, empty when it does.

    It has to be another run by another known signer or on another machine, of the same comparability key (`same_key`),
    with raw data of its own, and the intervals of rate and energy have to overlap. That it is consistent and rankable
    is for its own verification to say.
    """
    return tuple(_problems(subject, other, same_key, signers, other_signers))


def _problems(
    subject: Result, other: Result, same_key: bool, signers: Sequence[Signed], other_signers: Sequence[Signed]
) -> Iterator[str]:
    if not same_key:
        yield "it is not comparable"
    if subject.run.id == other.run.id or subject.repeats == other.repeats:
        yield "it is the same run"
    elif not _independent(subject, other, signers, other_signers):
        yield "it is by the same signer on the same machine, as far as is known"
    for name in COMPARED:
        scope = _scope(subject, name)
        one, two = _metric(subject, name, scope), _metric(other, name, scope)
        if one is None:
            continue
        if two is None:
            yield f"it has no {name}" + (f" at the {scope}" if scope else "")
        elif not _overlap(one, two):
            yield f"{name}: {_bounds_text(one)} and {_bounds_text(two)} do not overlap"


def _independent(subject: Result, other: Result, signers: Sequence[Signed], other_signers: Sequence[Signed]) -> bool:
    keys, other_keys = {one.public_key for one in signers}, {one.public_key for one in other_signers}
    if keys and other_keys and not keys & other_keys:
        return True
    boards, other_boards = _boards(subject), _boards(other)
    return bool(boards and other_boards and not boards & other_boards)


def _boards(result: Result) -> set[str]:
    """Return the boards' own names; one that was hashed before it was shared differs by the key, not by the board."""
    names = (a.uuid for a in result.environment.accelerators)
    return {name for name in names if name is not None and not HASHED.search(name)}


def _scope(result: Result, name: str) -> str | None:
    metric = None if result.summary is None else result.summary.metric(name)
    return None if metric is None else metric.scope


def _metric(result: Result, name: str, scope: str | None) -> Metric | None:
    metric = None if result.summary is None else result.summary.metric(name, scope)
    return metric if metric is not None and metric.value is not None else None


def _bounds(metric: Metric) -> tuple[float, float]:
    """Return the interval of a figure widened to its stated uncertainty, since another sensor has another gain."""
    assert metric.value is not None
    low = high = metric.value
    if metric.interval is not None:
        low, high = min(low, metric.interval.low), max(high, metric.interval.high)
    wide = K * (metric.u_absolute_rel or 0.0) * abs(metric.value)
    return min(low, metric.value - wide), max(high, metric.value + wide)


def _overlap(one: Metric, two: Metric) -> bool:
    (low, high), (other_low, other_high) = _bounds(one), _bounds(two)
    return low <= other_high and other_low <= high


def _bounds_text(metric: Metric) -> str:
    low, high = _bounds(metric)
    return f"{low:.4g} to {high:.4g} {metric.unit}"
