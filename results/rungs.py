"""The record of one rung of the scope ladder: the energy of one window at one boundary."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.energy import Provenance

__all__ = ["RungEnergy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungEnergy:
    """The energy of one window at one scope, summed over the channels that may be added there.

    `name` is stable over the windows of a run ("package+dram:cpu"); `scope` is its kind ("package+dram"), `covers` the
    device that it sees, and `boundary` says in words what is inside and what is not. `energy_j` is gross, by `method`,
    and None with a `reason` when one member is unknown. `energy_net_j` is gross minus idle power times duration, never
    clamped, None without an idle window. `u_*_rel` are relative standard uncertainties (k=1) of the gross energy.
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

    def __post_init__(self) -> None:
        require_not_negative(
            energy_j=self.energy_j, u_absolute_rel=self.u_absolute_rel, u_comparison_rel=self.u_comparison_rel
        )
        require_finite(energy_net_j=self.energy_net_j, mean_power_w=self.mean_power_w)
        require((self.energy_j is None) == (self.reason is not None), "an energy is a number or has a reason, not both")
