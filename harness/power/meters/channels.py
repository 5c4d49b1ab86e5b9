"""The channel records of a meter: what all meters say alike, from the user's argument and the meter's own facts."""

from dataclasses import dataclass
from typing import Literal

from wattbench.harness.power.contract import Availability, ChannelRecord
from wattbench.harness.power.meters.argument import Argument
from wattbench.results.energy import Scope
from wattbench.results.errors import WattbenchError

__all__ = ["Facts", "absent", "broken", "channel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one quantity of a meter; None is unknown. `basis` names where each figure comes from."""

    basis: str
    scope: Scope = "wall"
    resolution: float | None = None
    update_period_s: float | None = None
    averaging_window_s: float | None = None
    lag_s: float | None = None
    seen_share: float | None = None
    wraps_at_j: float | None = None
    limit_w: float | None = None
    accuracy_rel: float | None = None


def channel(
    argument: Argument,
    kind: Literal["power", "counter"],
    facts: Facts,
    *,
    part: str = "",
    covers: str | None = None,
) -> ChannelRecord:
    """Return the channel of one quantity; `part` tells several things behind one meter apart (a board, a phase).

    What the user states (scope, covers, limit) goes before the meter's own facts, except a `covers` that the source
    itself knows (a UUID).
    """
    usual: Scope = "wall" if "supply" in argument.options and facts.scope != "node" else facts.scope
    group = ":".join(word for word in (argument.sampler, argument.label, part) if word)
    return ChannelRecord(
        id=f"{group}:{'energy' if kind == 'counter' else 'power'}",
        sampler=argument.sampler,
        group=group,
        scope=argument.scope(usual),
        kind=kind,
        provenance="measured",
        unit="J" if kind == "counter" else "W",
        covers=covers or argument.covers,
        resolution=facts.resolution,
        update_period_s=_period_s(argument, facts.update_period_s),
        averaging_window_s=facts.averaging_window_s,
        lag_s=facts.lag_s,
        seen_share=facts.seen_share,
        wraps_at_j=facts.wraps_at_j,
        limit_w=argument.limit_w or facts.limit_w,
        accuracy_rel=facts.accuracy_rel,
        accuracy_basis=facts.basis,
    )


def _period_s(argument: Argument, update_s: float | None) -> float | None:
    """Return how often a new value is seen: no more often than the meter is asked, where the user says so."""
    if "every" not in argument.options:
        return update_s
    return max(update_s or 0.0, argument.seconds("every", 0.0))


def absent(sampler: str, what: str) -> Availability:
    """Return the answer of a meter whose address nobody named: the network is not searched."""
    reason = f"{what} is read only when its address is named; the network is not searched"
    return Availability(state="absent", reason=reason, remedy=f"--power {sampler}:ADDRESS (docs/meters.md#{sampler})")


def broken(error: WattbenchError) -> Availability:
    """Return the answer of a meter that was named and does not do."""
    reason = f"{error.what}: {error.why}" if error.why else error.what
    return Availability(state="broken", reason=reason, remedy=error.remedy)
