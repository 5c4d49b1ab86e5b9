"""Published figures computed again: each case with its source, inputs, printed figure and ours."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from wattbench.results.economics.published_formulas import FORMULAS

__all__ = ["CaseSource", "PublishedCase", "UnreproducibleCase", "published_cases", "unreproducible_cases"]


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
        """Return whether ours rounds to what was printed (with a part in 1e12 for binary fractions)."""
        return abs(self.own - self.published) <= self.rounding + 1e-12 * abs(self.published)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreproducibleCase:
    """One published figure that does not follow from what its source prints; `reason` says what is missing."""

    id: str
    source: CaseSource
    published: float
    unit: str
    reason: str


def published_cases() -> tuple[PublishedCase, ...]:
    """Return every case of published.toml, computed now."""
    document = _document()
    sources = _sources(document)
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


def unreproducible_cases() -> tuple[UnreproducibleCase, ...]:
    """Return the published figures that nobody can compute again from what was published."""
    document = _document()
    sources = _sources(document)
    return tuple(
        UnreproducibleCase(**{**case, "source": sources[case["source"]]}) for case in document["unreproducible"]
    )


def _document() -> dict[str, Any]:  # any: TOML of the package
    text = files("wattbench.results.economics").joinpath("published.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _sources(document: dict[str, Any]) -> dict[str, CaseSource]:  # any: TOML of the package
    return {name: CaseSource(**fields) for name, fields in document["sources"].items()}
