"""The records of a cross-check: what other tools said of the same windows."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative

__all__ = ["PeerEnergy", "PeerPart", "PeerRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPart:
    """One part of the machine that a peer counts, in our words for scope and device.

    `estimated` says that the peer multiplies assumptions there instead of reading a sensor; `method` says how.
    """

    name: str
    scope: str
    covers: str | None
    estimated: bool
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """One tool that watched beside us: its version, how often it was asked, and what it counts."""

    name: str
    version: str
    period_s: float
    parts: tuple[PeerPart, ...]

    def __post_init__(self) -> None:
        require(self.period_s > 0, "period_s must be positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerEnergy:
    """What a peer counted of one part in one window, beside ours.

    `energy_j` is None with a `reason` when the peer gave no figure. `ours` names the channels of ours that see the same
    part, `ours_j` their energy (None: nothing of ours sees it), `delta` is peer/ours - 1.
    """

    peer: str
    part: str
    estimated: bool
    energy_j: float | None
    ours: str | None
    ours_j: float | None
    delta: float | None
    reason: str | None

    def __post_init__(self) -> None:
        require_not_negative(energy_j=self.energy_j, ours_j=self.ours_j)
        require_finite(delta=self.delta)
        require((self.energy_j is None) == (self.reason is not None), "an energy is a number or has a reason, not both")
