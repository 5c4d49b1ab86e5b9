"""The result document: one immutable record of a run, from identity to verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from wattbench.results.attachment import AttachmentRecord
from wattbench.results.calls import RateSearch
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.checks import require
from wattbench.results.doubts import Doubt, Verdict, judge
from wattbench.results.energy import PowerRecord
from wattbench.results.environment import Environment
from wattbench.results.measurement import IdleRecord, PhaseRecord, Repeat, RequestsFile, WarmupRecord
from wattbench.results.metrics import Summary
from wattbench.results.plan import Plan
from wattbench.results.privacy import PrivacyRecord
from wattbench.results.subject import BackendRecord, LoadRecord, PreparationRecord, QualityRecord, WeightsRecord
from wattbench.results.tuning import TuningRecord

if TYPE_CHECKING:
    import pandas

Status = Literal["started", "complete", "partial", "error"]
Kind = Literal["measured", "derived"]
"""What a `Result` is; the third kind, "imported", is a record of its own (results/imported.py)."""

SCHEMA = "wattbench.result/1"
"""The schema's name and major version. History: 1 = first published."""

__all__ = [
    "SCHEMA",
    "ClockRecord",
    "ErrorRecord",
    "HarnessRecord",
    "Kind",
    "Result",
    "RunRecord",
    "Status",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRecord:
    """The run's clock: every `*_ns` of the document counts from `origin_utc` on a monotonic clock.

    `end_offset_s` is how far the wall clock had moved against the monotonic one by the end of the run (None before
    the end); a jump or a suspend shows here.
    """

    source: str
    origin_utc: str
    end_offset_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Which run this is: a UUID, when it started (UTC, ISO 8601), how long it took, how it was called."""

    id: str
    started_at: str
    duration_s: float | None
    command: tuple[str, ...]
    clock: ClockRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessRecord:
    """Which wattbench measured: version and digest of its own source files."""

    name: str
    version: str
    source_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """Why the run ended early: the kind of error, what happened, why, what to do, and the worker's last words."""

    kind: str
    what: str
    why: str
    remedy: str
    phase: str
    worker_log_tail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run, whole: identity, plan, what ran where, raw repeats, what was derived, what to doubt.

    Fields that are None were not reached (the run is `started`, `partial` or ended in `error`). `privacy` says what was
    hashed or removed before the document was shared (None: nothing). `search` tells how `--rate auto` found its rate.
    `requests_file` names the file that has the rows of the repeats; the document itself then has none.
    """

    schema: str = SCHEMA
    kind: Kind
    status: Status
    run: RunRecord
    harness: HarnessRecord
    plan: Plan
    load: LoadRecord
    environment: Environment
    weights: WeightsRecord | None
    backend: BackendRecord | None
    preparation: PreparationRecord | None
    quality: QualityRecord | None
    power: PowerRecord
    idle: tuple[IdleRecord, ...]
    phases: tuple[PhaseRecord, ...]
    warmup: WarmupRecord | None
    repeats: tuple[Repeat, ...]
    summary: Summary | None
    doubts: tuple[Doubt, ...]
    verdict: Verdict | None
    error: ErrorRecord | None
    tuning: TuningRecord | None = None
    ceilings: CeilingsRecord | None = None
    attachments: tuple[AttachmentRecord, ...] = ()
    privacy: PrivacyRecord | None = None
    search: RateSearch | None = None
    requests_file: RequestsFile | None = None

    def __post_init__(self) -> None:
        require(self.schema == SCHEMA, f"this record is {SCHEMA}, not {self.schema}")
        require(self.status != "complete" or self.summary is not None, "a complete result has a summary")
        inside = any(len(repeat.completions) for repeat in self.repeats)
        require(self.requests_file is None or not inside, "requests are in the document or in a file of their own")
        require((self.status == "error") <= (self.error is not None), "a result with status error says which")
        if self.status == "started":
            require(self.verdict is None, "a run that has not ended has no verdict")
        else:
            self._require_consequences()

    def _require_consequences(self) -> None:
        """Refuse a verdict that does not follow from the doubts, and a mock or emulated device without its doubt."""
        expected = judge(self.doubts, finished=self.status == "complete")
        require(self.verdict == expected, f"the verdict that follows from the doubts is {expected.standing}")
        severe = {doubt.code for doubt in self.doubts if doubt.severity == "severe"}
        if self.backend is not None:
            require("mock" in severe or not self.backend.mock, "a mock backend has the severe doubt `mock`")
            require("emulated" in severe or not self.backend.emulated, "an emulated device has that severe doubt")

    def to_frame(self) -> pandas.DataFrame:
        """Return one row per repeat: work, time, rates, energy (J) and power (W) by channel (pandas)."""
        from wattbench.results.frames import repeats_frame

        return repeats_frame(self)

    def _repr_html_(self) -> str:  # shown by notebooks
        """Return the repeats as an HTML table."""
        return str(self.to_frame().to_html())
