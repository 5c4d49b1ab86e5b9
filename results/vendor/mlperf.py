"""Published MLPerf Inference results: one record a figure, with the wall power of its own submission or none."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from wattbench.results.checks import require, require_not_negative
from wattbench.results.codec import decode
from wattbench.results.errors import DocumentError

__all__ = ["PublishedFigure", "PublishedMetric", "parse_published", "published_results"]

FILE = "mlperf.json"

PublishedMetric = Literal["throughput", "token_throughput", "latency", "p90_latency", "p99_latency_8_samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFigure:
    """One figure of a published submission; `source` names repository and path, `read` when they were read.

    `accelerators` and `wall_power_w` are those of the whole system; the power was measured at the wall in the same
    run, idle not subtracted, and `efficiency` and `energy_j_per_unit` follow from it. All three are None where the
    submission published no power: no other power takes its place. `inferred`: carried over from another scenario.
    """

    round: str
    division: Literal["closed", "open"]
    availability: Literal["available", "preview"]
    submitter: str
    system: str
    accelerator: str | None
    accelerators: int | None
    nodes: int | None
    cpu: str | None
    model: str
    scenario: str
    metric: PublishedMetric
    value: float
    unit: str
    wall_power_w: float | None
    efficiency: float | None
    efficiency_unit: str | None
    energy_j_per_unit: float | None
    duration_s: float | None
    power_samples: int | None
    inferred: bool
    software: str | None
    weight_data_types: str | None
    published: str
    source: str
    result_id: str | None
    read: str

    def __post_init__(self) -> None:
        require_not_negative(
            value=self.value,
            wall_power_w=self.wall_power_w,
            efficiency=self.efficiency,
            energy_j_per_unit=self.energy_j_per_unit,
            duration_s=self.duration_s,
            accelerators=self.accelerators,
        )
        require(self.value > 0, "a published figure is more than nothing")
        without = self.wall_power_w is None
        followers = (self.efficiency, self.energy_j_per_unit)
        require(not without or followers == (None, None), "without power of its own a figure has no efficiency")

    @property
    def citation(self) -> str:
        """Return the figure's name as MLCommons asks for it: round, division, result id, and when it was read."""
        name = f"MLPerf Inference {self.round}, {self.division}"
        return f"{name}, {self.result_id or self.source}, retrieved {self.read}"


def parse_published(text: str) -> tuple[PublishedFigure, ...]:
    """Return the figures of a table in JSON: `columns` are the names of the fields, each of `rows` their values.

    Raises DocumentError naming the row that is wrong.
    """
    try:
        table = json.loads(text)
        columns, read = table["columns"], table["read"]
        rows = [dict(zip(columns, row, strict=True)) | {"read": read} for row in table["rows"]]
    except (ValueError, KeyError, TypeError) as exc:
        raise _wrong(f"it is no table of columns and rows: {exc}") from exc
    try:
        return tuple(decode(row, PublishedFigure) for row in rows)
    except DocumentError as exc:
        raise _wrong(exc.why) from exc


@cache
def published_results() -> tuple[PublishedFigure, ...]:
    """Return every figure of the package's table, read once."""
    return parse_published(files("wattbench.results.vendor").joinpath(FILE).read_text(encoding="utf-8"))


def _wrong(why: str) -> DocumentError:
    return DocumentError(
        "The table of published MLPerf results cannot be used", f"{FILE}: {why}", "Reinstall wattbench."
    )
