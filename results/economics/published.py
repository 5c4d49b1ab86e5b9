"""Published figures computed again: each case with its source, inputs, printed figure and ours."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

from wattbench.results.economics.published_formulas import FORMULAS

__all__ = ["CaseSource", "PublishedCase", "published_cases"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSource:
    """Where a case was published, and its grade: primary, vendor, measured, second_hand or derived."""

    title: str
    url: str
    grade: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCase:
    """One published figure in `unit`, known to within `rounding`, beside our own from the same inputs."""

    id: str
    source: CaseSource
    inputs: dict[str, float]
    published: float
    rounding: float
    unit: str
    own: float
    note: str

    @property
    def agrees(self) -> bool:
        """Return whether ours rounds to what was printed (with a part in 1e9 for binary fractions)."""
        return abs(self.own - self.published) <= self.rounding + 1e-9 * abs(self.published)


def published_cases() -> tuple[PublishedCase, ...]:
    """Return every case of published.toml, computed now."""
    text = files("wattbench.results.economics").joinpath("published.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    sources = {name: CaseSource(**fields) for name, fields in document["sources"].items()}
    return tuple(
        PublishedCase(
            id=case["id"],
            source=sources[case["source"]],
            inputs=case["inputs"],
            published=case["published"],
            rounding=case["rounding"],
            unit=case["unit"],
            own=float(FORMULAS[case["formula"]](**case["inputs"])),
            note=case.get("note", ""),
        )
        for case in document["case"]
    )
