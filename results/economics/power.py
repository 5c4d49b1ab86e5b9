"""Power inside and outside the building's meter, as two types, so that the overhead of the building counts once."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative

__all__ = ["FacilityPower", "ItPower", "two_state"]

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilityPower:
    """Power at the building's meter in watts, cooling and distribution included; only `ItPower.facility` makes one."""

    power_w: float

    def __post_init__(self) -> None:
        require_not_negative(power_w=self.power_w)

    def energy_kwh(self, duration_s: float) -> float:
        """Return the energy over a duration, in kWh."""
        return self.power_w * duration_s / SECONDS_PER_HOUR / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ItPower:
    """Power of computing equipment at its own plug or inside it, in watts, without the building's overhead."""

    power_w: float

    def __post_init__(self) -> None:
        require_not_negative(power_w=self.power_w)

    def facility(self, pue: float) -> FacilityPower:
        """Return the power at the building's meter.

        `pue` is total facility energy over the energy of the equipment (ISO/IEC 30134-2), so at least 1.
        """
        require_finite(pue=pue)
        require(pue >= 1, f"pue is total energy over equipment energy, so at least 1, not {pue:g}")
        return FacilityPower(power_w=self.power_w * pue)

    def energy_kwh(self, duration_s: float) -> float:
        """Return the energy over a duration, in kWh."""
        return self.power_w * duration_s / SECONDS_PER_HOUR / 1000


def two_state(*, idle_w: float, active_w: float, utilisation: float) -> ItPower:
    """Return the mean power of equipment that works for a share of its hours and idles for the rest.

    W(u) = W_idle + (W_active - W_idle) u.
    """
    require(0 <= utilisation <= 1, f"utilisation is a share within 0..1, not {utilisation:g}")
    require_not_negative(idle_w=idle_w, active_w=active_w)
    return ItPower(power_w=idle_w + (active_w - idle_w) * utilisation)
