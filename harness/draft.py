"""A result in the making: what is known so far, turned into a valid document at any moment."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wattbench.harness.clock import RunClock
from wattbench.harness.plan import Resolved
from wattbench.harness.version import harness_record
from wattbench.models.work import load_record
from wattbench.results.calls import RateSearch
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.document import ErrorRecord, Result, RunRecord, Status
from wattbench.results.doubts import Doubt, judge
from wattbench.results.energy import PowerRecord
from wattbench.results.environment import Environment
from wattbench.results.measurement import IdleRecord, PhaseRecord, Repeat, WarmupRecord, Window
from wattbench.results.metrics import Summary
from wattbench.results.subject import BackendRecord, PreparationRecord, QualityRecord, WeightsRecord
from wattbench.results.tuning import TuningRecord

__all__ = ["Draft"]


@dataclass(slots=True, kw_only=True)
class Draft:
    """Collects a run's records; `document` gives the immutable result as far as it goes."""

    resolved: Resolved
    environment: Environment
    clock: RunClock
    command: tuple[str, ...]
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started_at: datetime = field(default_factory=lambda: datetime.now(tz=UTC))
    weights: WeightsRecord | None = None
    backend: BackendRecord | None = None
    preparation: PreparationRecord | None = None
    quality: QualityRecord | None = None
    warmup: WarmupRecord | None = None
    idle: list[IdleRecord] = field(default_factory=list)
    phases: list[PhaseRecord] = field(default_factory=list)
    repeats: list[Repeat] = field(default_factory=list)
    tuning: TuningRecord | None = None
    ceilings: CeilingsRecord | None = None
    search: RateSearch | None = None

    @property
    def stamp(self) -> str:
        """Return the start as 20261122T013000Z, for file names."""
        return self.started_at.strftime("%Y%m%dT%H%M%SZ")

    def end_phase(self, name: str, start_ns: int) -> None:
        """Note that a phase that began at `start_ns` ends now."""
        end_ns = max(self.clock.now_ns(), start_ns + 1)
        self.phases.append(PhaseRecord(name=name, window=Window(start_ns=start_ns, end_ns=end_ns)))

    def document(
        self,
        status: Status,
        power: PowerRecord,
        *,
        summary: Summary | None = None,
        doubts: tuple[Doubt, ...] = (),
        error: ErrorRecord | None = None,
    ) -> Result:
        """Return the document as it stands; a verdict is passed once the run has ended."""
        ended = status != "started"
        stamp = self.started_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        run = RunRecord(
            id=self.run_id,
            started_at=stamp,
            duration_s=round(self.clock.now_ns() / 1e9, 6) if ended else None,
            command=self.command,
            clock=self.clock.record(ended=ended),
        )
        return Result(
            kind="measured",
            status=status,
            run=run,
            harness=harness_record(),
            plan=self.resolved.plan,
            load=load_record(self.resolved.load, self.resolved.plan.precision),
            environment=self.environment,
            weights=self.weights,
            backend=self.backend,
            preparation=self.preparation,
            quality=self.quality,
            power=power,
            idle=tuple(self.idle),
            phases=tuple(self.phases),
            warmup=self.warmup,
            repeats=tuple(self.repeats),
            summary=summary,
            doubts=doubts,
            verdict=judge(doubts, finished=status == "complete") if ended else None,
            error=error,
            tuning=self.tuning,
            ceilings=self.ceilings,
            search=self.search,
        )
