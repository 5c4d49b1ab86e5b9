"""Every input of the cost model: its path in cost.yaml, its flag, its unit, and what is plausible."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

__all__ = ["FIELDS", "HOURS", "SCHEDULE", "SECTIONS", "CostField"]

SCHEDULE = "use.schedule"
"""The path of the day's hours: the one input that is a list, of `HOURS` shares, and gives `use.utilisation`."""

HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class CostField:
    """One number that the model may need, in a UCUM-like unit; a value outside low..high is refused.

    `below` and `above` name what is suspected then: another unit, a percentage. `prefixed`: the flag begins with the
    section.
    """

    path: str
    unit: str
    low: float
    high: float
    text: str
    below: str = "it is too small to be true"
    above: str = "it is too large to be true"
    prefixed: bool = False

    @property
    def section(self) -> str:
        """Return the section of cost.yaml that holds the field."""
        return self.path.partition(".")[0]

    @property
    def name(self) -> str:
        """Return the field's name inside its section."""
        return self.path.partition(".")[2]

    @property
    def flag(self) -> str:
        """Return the flag that gives the field on the command line."""
        words = f"{self.section}-{self.name}" if self.prefixed else self.name
        return f"--{words}".replace("_", "-")


def _read() -> Mapping[str, CostField]:
    text = files("wattbench.results.economics").joinpath("fields.toml").read_text(encoding="utf-8")
    fields = (CostField(**entry) for entry in tomllib.loads(text)["field"])
    return MappingProxyType({field.path: field for field in fields})


FIELDS: Mapping[str, CostField] = _read()
"""By path, in the order of the file that `bench cost init` writes."""

SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(field.section for field in FIELDS.values()))
"""The sections of numbers, in that order."""
