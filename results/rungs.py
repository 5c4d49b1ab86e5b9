"""The records of one window's energy at one boundary: a rung of the scope ladder, and its prefill and decode."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.energy import Provenance

__all__ = ["PhaseEnergies", "PhaseEnergy", "RungEnergy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEnergy:
    """The energy of one window at one scope, summed over the channels that may be added there.

    `name` is stable over the windows of a run ("package+dram:cpu"); `scope` is its kind ("package+dram"), `covers` the
    device that it sees, and `boundary` says in words what is inside and what is not. `energy_j` is gross, by `method`,
    and None with a `reason` when one member is unknown. `energy_net_j` is gross minus idle power times duration, never
    clamped, None without an idle window. `u_*_rel` are relative standard uncertainties (k=1) of the gross energy,
    `u_net_*_j` standard uncertainties of the net energy in joules.
    """

    name: str
    scope: str
    covers: str | None
    boundary: str
    provenance: Provenance
    channels: tuple[str, ...]
    energy_j: float | None
    energy_net_j: float | None
    mean_power_w: float | None
    method: str
    u_absolute_rel: float | None
    u_comparison_rel: float | None
    reason: str | None
    u_net_absolute_j: float | None = None
    u_net_comparison_j: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            energy_j=self.energy_j, u_absolute_rel=self.u_absolute_rel, u_comparison_rel=self.u_comparison_rel
        )
        require_not_negative(u_net_absolute_j=self.u_net_absolute_j, u_net_comparison_j=self.u_net_comparison_j)
        require_finite(energy_net_j=self.energy_net_j, mean_power_w=self.mean_power_w)
        require((self.energy_j is None) == (self.reason is not None), "an energy is a number or has a reason, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergy:
    """The gross energy of one phase over a window, in joules, or None with the reason.

    `duration_s` is how long the phase ran in all. `u_*_rel` are relative standard uncertainties (k=1).
    """

    energy_j: float | None
    duration_s: float
    u_absolute_rel: float | None
    u_comparison_rel: float | None
    reason: str | None

    def __post_init__(self) -> None:
        require_not_negative(
            energy_j=self.energy_j, u_absolute_rel=self.u_absolute_rel, u_comparison_rel=self.u_comparison_rel
        )
        require((self.energy_j is None) == (self.reason is not None), "an energy is a number or has a reason, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEnergies:
    """The energy of both phases of one window, at the device's own rung."""

    prefill: PhaseEnergy
    decode: PhaseEnergy
