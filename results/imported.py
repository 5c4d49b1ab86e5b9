"""The document of a result that another tool measured: what it stated, its own figures, and ours beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.document import SCHEMA, HarnessRecord, Result
from wattbench.results.doubts import Doubt, Verdict, judge
from wattbench.results.energy import ChannelEnergy, PowerRecord
from wattbench.results.measurement import Window
from wattbench.results.metrics import Metric, QuantileMetric
from wattbench.results.privacy import PrivacyRecord

__all__ = [
    "Document",
    "ImportedClock",
    "ImportedResult",
    "OfficialFigure",
    "SourceFile",
    "SourceRecord",
    "StatedSystem",
    "StatedWork",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file that was read: its path in the imported folder, its size, and the sha256 of its bytes."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """Which tool wrote what was imported, in which version, and the files that were read."""

    tool: str
    format: str
    version: str | None
    session: str | None
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedSystem:
    """The machine as its owner describes it, checked by nobody; `basis` says where each statement stands.

    `accelerators`, `processors` and `nodes` count the whole system; 0 accelerators is a statement, None is unknown.
    `meter` is the meter as it identified itself, `software` what served or executed the model.
    """

    name: str | None
    submitter: str | None
    division: str | None
    accelerator: str | None
    accelerators: int | None
    processor: str | None
    processors: int | None
    nodes: int | None
    meter: str | None
    basis: str
    software: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(accelerators=self.accelerators, processors=self.processors, nodes=self.nodes)

    @property
    def n_devices(self) -> int | None:
        """Return how many devices did the work: the accelerators, or the processors of a system without any."""
        return self.processors if self.accelerators == 0 else self.accelerators


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedWork:
    """What was run, as stated: model and precision in the tool's own words, scenario, and how much of it.

    `scenario` is the one that ran, `scenario_published` the one that it was published under (None: not stated).
    `tool_verdict` is what the tool said of its run ("VALID"). `requests` succeeded, `failed_requests` did not;
    `input_tokens` and `output_tokens` are sums over those that succeeded. `concurrency` is how many requests were
    allowed in flight, `rate_per_s` the rate at which they were to arrive. `settings` are others by the tool's names.
    """

    model: str | None
    precision: str | None
    scenario: str
    scenario_published: str | None
    requests: int | None
    queries: int | None
    samples_per_query: int | None
    tool_verdict: str | None
    failed_requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    concurrency: int | None = None
    rate_per_s: float | None = None
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_not_negative(requests=self.requests, queries=self.queries, samples_per_query=self.samples_per_query)
        require_not_negative(failed_requests=self.failed_requests, concurrency=self.concurrency)
        require_not_negative(
            input_tokens=self.input_tokens, output_tokens=self.output_tokens, rate_per_s=self.rate_per_s
        )

    @property
    def tokens_per_request(self) -> str | None:
        """Return "IN in / OUT out", the means over the requests that succeeded; None where one of them is not known."""
        if not self.requests or self.input_tokens is None or self.output_tokens is None:
            return None
        return f"{self.input_tokens / self.requests:.6g} in / {self.output_tokens / self.requests:.6g} out"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedClock:
    """The clock of the record: every `*_ns` counts from `origin_utc` on the clock of the measured system.

    The meter's times were moved by `meter_offset_s` onto it (None: no offset was recorded, they were taken as they
    are); `basis` says how that is known.
    """

    origin_utc: str
    meter_offset_s: float | None
    basis: str

    def __post_init__(self) -> None:
        require_finite(meter_offset_s=self.meter_offset_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFigure:
    """One scenario's figures by the tool's own formula, which `method` names; what does not follow is None.

    `performance` is a rate, or a latency in s for scenarios that publish one; `performance_unit` says which.
    `samples` counts the power samples that `power_w` is the mean of, `samples_expected` those that the window should
    have. `inferred`: the scenario was not run, its figures are carried over from the one that was.
    """

    scenario: str
    inferred: bool
    performance: float | None
    performance_unit: str
    power_w: float | None
    energy_per_query_j: float | None
    efficiency: float | None
    efficiency_unit: str
    samples: int
    samples_expected: int | None
    method: str

    def __post_init__(self) -> None:
        require_not_negative(
            performance=self.performance,
            power_w=self.power_w,
            energy_per_query_j=self.energy_per_query_j,
            efficiency=self.efficiency,
            samples=self.samples,
            samples_expected=self.samples_expected,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedResult:
    """A run that another tool made: nothing of it was measured here, so plan, environment and backend are missing.

    `official` holds the tool's figures by the tool's formula, the one that ran (or was published) first; `metrics` and
    `energy` are ours from the same logs, with coverage and uncertainty. The names and units of metrics are those of a
    measured result (docs/metrics.md). `power` keeps the meter's samples around the window. A tool that keeps no logs
    states its figures alone: they are then the metrics, and `official` is empty. `started_at` (UTC, ISO 8601) and
    `duration_s` are its own words; None where it has none. `privacy` says what was hashed or removed before the
    document was shared (None: nothing).
    """

    schema: str = SCHEMA
    kind: Literal["imported"] = "imported"
    status: Literal["complete", "partial"]
    harness: HarnessRecord
    source: SourceRecord
    system: StatedSystem
    work: StatedWork
    clock: ImportedClock | None
    window: Window | None
    official: tuple[OfficialFigure, ...]
    metrics: tuple[Metric, ...]
    latencies: tuple[QuantileMetric, ...]
    energy: ChannelEnergy | None
    power: PowerRecord
    doubts: tuple[Doubt, ...]
    verdict: Verdict
    privacy: PrivacyRecord | None = None
    started_at: str | None = None
    duration_s: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(duration_s=self.duration_s)
        require(self.schema == SCHEMA, f"this record is {SCHEMA}, not {self.schema}")
        expected = judge(self.doubts, finished=self.status == "complete")
        require(self.verdict == expected, f"the verdict that follows from the doubts is {expected.standing}")
        require((self.window is None) <= (self.energy is None), "an energy has a window")
        require((self.window is None) == (self.clock is None), "a window has a clock, and a clock a window")

    @property
    def measured_at(self) -> str | None:
        """Return when the run began (UTC, ISO 8601), None where nothing says it."""
        return self.started_at if self.clock is None else self.clock.origin_utc

    def metric(self, name: str, scope: str | None = None) -> Metric | None:
        """Return our metric of that name (and scope, if given), or None."""
        return next((m for m in self.metrics if m.name == name and (scope is None or m.scope == scope)), None)


Document = Result | ImportedResult
"""Every kind of result document."""
