"""Every input of the cost model: its path in cost.yaml, its flag, its unit, and what is plausible."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["FIELDS", "CostField"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostField:
    """One number (or one text, where `unit` is "") that the model may need; a value outside low..high is refused.

    `below` and `above` name what is suspected then: another unit, a percentage.
    """

    path: str
    unit: str
    low: float
    high: float
    text: str
    below: str = "it is too small to be true"
    above: str = "it is too large to be true"

    @property
    def flag(self) -> str:
        """Return the flag that gives the field on the command line: its last word, or both where that is not unique."""
        section, _, name = self.path.partition(".")
        return f"--{section}-{name}".replace("_", "-") if name in _SHARED else f"--{name}".replace("_", "-")


_SHARED = ("accelerators",)

PERCENT = "a percentage was given where a share is meant: 8 % is 0.08"
KILOWATT = "kW were given where W are meant"
CENTS = "cents were given where USD are meant"

FIELDS: Mapping[str, CostField] = MappingProxyType(
    {
        field.path: field
        for field in (
            CostField(
                path="hardware.price_usd",
                unit="USD",
                low=10,
                high=1e9,
                text="what one machine costs, accelerators, host and installation",
                below="thousands or millions of USD were given where USD are meant",
            ),
            CostField(
                path="hardware.residual_usd",
                unit="USD",
                low=0,
                high=1e9,
                text="what it is worth at the end of its life",
            ),
            CostField(
                path="hardware.life_years",
                unit="years",
                low=0.25,
                high=20,
                text="how long it is used",
                above="months were given where years are meant",
            ),
            CostField(
                path="hardware.interest_rate",
                unit="1/year",
                low=0,
                high=0.5,
                text="cost of capital a year, as a share; 0 is straight-line depreciation",
                above=PERCENT,
            ),
            CostField(
                path="cloud.usd_per_h",
                unit="USD/h",
                low=0.001,
                high=5000,
                text="the hourly price of what was measured, for all its accelerators",
                below="a price a second or a million tokens was given where USD an hour are meant",
                above="a price a month was given where USD an hour are meant",
            ),
            CostField(
                path="power.usd_per_kwh",
                unit="USD/kWh",
                low=0.001,
                high=2,
                text="the price of electricity",
                below="USD per MJ or a price in thousands was given where USD per kWh are meant",
                above=f"{CENTS}, or USD per MWh",
            ),
            CostField(
                path="power.pue",
                unit="1",
                low=1,
                high=4,
                text="energy of the building over energy of its equipment; 1 for a desk",
                below="it is total energy over equipment energy, so at least 1",
                above="a percentage was given where a ratio is meant: 120 % is 1.2",
            ),
            CostField(
                path="power.host_w",
                unit="W",
                low=5,
                high=30_000,
                text="what the rest of the machine draws where only its accelerator was measured",
                below=KILOWATT,
                above="mW were given where W are meant",
            ),
            CostField(
                path="power.active_w",
                unit="W",
                low=0.5,
                high=500_000,
                text="power at work at the machine's plug, where it was not measured",
                below=KILOWATT,
                above="mW were given where W are meant",
            ),
            CostField(
                path="power.idle_w",
                unit="W",
                low=0.1,
                high=500_000,
                text="power at rest at the machine's plug, where it was not measured",
                below=KILOWATT,
                above="mW were given where W are meant",
            ),
            CostField(
                path="use.utilisation",
                unit="1",
                low=0.001,
                high=1,
                text="the share of its paid hours in which the machine works",
                below="it is a share above 0",
                above=PERCENT,
            ),
            CostField(
                path="opex.hosting_usd_per_year", unit="USD/year", low=0, high=1e8, text="space, network, maintenance"
            ),
            CostField(path="opex.licence_usd_per_year", unit="USD/year", low=0, high=1e8, text="software licences"),
            CostField(
                path="opex.staff_usd_per_year",
                unit="USD/year",
                low=0,
                high=1e8,
                text="people, as far as this machine's",
            ),
        )
    }
)
"""By path, in the order of the file that `bench cost init` writes."""
