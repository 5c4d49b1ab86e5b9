"""The way of a run: from a plan to a result file, every step recorded, every fault ending in a valid document."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from wattbench.harness.clock import RunClock
from wattbench.harness.draft import Draft
from wattbench.harness.environment import collect_environment
from wattbench.harness.interrupts import Interrupts, interrupts_as_errors
from wattbench.harness.judgement import Evidence, doubts_of, interval_goals
from wattbench.harness.messages import Gate, Measure, Measured, Prepare, PreparedReply, Truth, TruthReply, WarmUp
from wattbench.harness.plan import Resolved
from wattbench.harness.reference import StoredReference, gate_prompt_tokens, reference_for
from wattbench.harness.reporter import Reporter
from wattbench.harness.storage import Destination, choose_path
from wattbench.harness.surroundings import Surroundings
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.models.work import load_record
from wattbench.results.document import ErrorRecord, Result, Status
from wattbench.results.energy import PowerRecord
from wattbench.results.errors import InterruptedRunError, WattbenchError
from wattbench.results.measurement import IdleRecord, Repeat, WarmupRecord, Window
from wattbench.results.metrics import Summary
from wattbench.results.stats import relative_half_width
from wattbench.results.subject import PreparationRecord, QualityRecord
from wattbench.results.summarise import summarise

__all__ = ["Outcome", "execute"]

T = TypeVar("T")

PREPARE_TIMEOUT_S = 3600.0
ANSWER_SLACK_S = 120.0
OUTSIDE_SHARE_MAX = 0.05
"""More of a window's calls than this outside the reported times: the stamps leave work out."""

LEAD_FLOOR_S = 0.5
"""The load runs at least this long before and after a window, so that a pause between repeats has cooled nothing."""

SENSORLESS_IDLE_S = 2.0
"""Without a sensor an idle window only tells how busy the machine is; two seconds are enough for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A run's end: the document, where it lies, and the error that ended it early (None: it completed)."""

    result: Result
    path: Path
    error: WattbenchError | None


def execute(
    resolved: Resolved,
    *,
    reporter: Reporter,
    command: tuple[str, ...] = (),
    out: Path | None = None,
    clock: RunClock | None = None,
) -> Outcome:
    """Run a plan and return its outcome; whatever goes wrong on the way ends in a valid result file.

    Raises UsageError and SensorError before anything is started, StorageError when no result can be kept at all,
    and lets a bug's exception through after its file is written.
    """
    power = PowerSession.open(resolved.plan, resolved.device.power_covers)
    try:
        draft = Draft(resolved=resolved, environment=collect_environment(), clock=clock or RunClock(), command=command)
        path = choose_path(out, resolved.plan, draft.run_id, draft.stamp)
        run = _Run(draft, power, Destination(wanted=path), reporter)
        return run.execute()
    finally:
        power.close()


class _Run:
    """One run in progress: its draft, its power session, its file, and whoever watches."""

    def __init__(self, draft: Draft, power: PowerSession, file: Destination, reporter: Reporter) -> None:
        self._draft = draft
        self._plan = draft.resolved.plan
        self._power = power
        self._file = file
        self._reporter = reporter
        self._surroundings = Surroundings(draft.resolved.device.power_covers)
        self._truth: TruthReply | None = None
        self._phase = "start"
        self._worker: WorkerClient | None = None
        self._interrupts = Interrupts()
        self._created = False
        self._outside_share = 0.0
        self._summaries: dict[int, Summary] = {}

    def execute(self) -> Outcome:
        """Go the whole way; end in good order whatever happens. Raises StorageError when nothing can be kept."""
        with interrupts_as_errors() as self._interrupts:
            try:
                self._create()
                self._power.start(self._draft.clock)
                self._steps()
                return self._end("complete", None)
            except InterruptedRunError as exc:
                return self._end("partial", exc)
            except WattbenchError as exc:
                if not self._created:
                    raise
                return self._end("error", exc)
            except Exception as exc:
                bug = WattbenchError(f"wattbench has a bug: {type(exc).__name__}: {exc}", "", "Please report it.")
                self._end("error", bug, kind="Bug")
                raise

    def _create(self) -> None:
        self._file.create(self._draft.document("started", self._power.record()))
        self._created = True
        self._reporter.started(self._draft.resolved, str(self._file.path), self._power.latest_w)

    def _steps(self) -> None:
        self._idle("machine")
        reference = self._in_phase("reference", None, self._reference)
        with WorkerClient() as worker:
            self._worker = worker
            self._in_phase("prepare", None, lambda: self._prepare(worker, reference))
            self._idle("loaded")
            self._draft.warmup = self._in_phase("warm-up", self._plan.warmup_min_s, lambda: self._warm_up(worker))
            self._repeats(worker)
            self._idle("after")

    def _in_phase(self, name: str, expected_s: float | None, step: Callable[[], T], detail: str = "") -> T:
        self._phase = name
        self._reporter.phase(name, expected_s, detail)
        start_ns = self._draft.clock.now_ns()
        try:
            return step()
        finally:
            self._draft.end_phase(name, start_ns)

    def _idle(self, state: str) -> None:
        seconds = self._plan.idle_s if self._power.active else min(self._plan.idle_s, SENSORLESS_IDLE_S)
        if seconds > 0:
            expected_s = seconds + self._power.settle_before_idle_s + self._power.lag_s
            record = self._in_phase("idle", expected_s, lambda: self._idle_window(state, seconds), state)
            self._draft.idle.append(record)

    def _idle_window(self, state: str, seconds: float) -> IdleRecord:
        self._power.wait(self._power.settle_before_idle_s)
        before = self._surroundings.moment()
        start_ns = self._draft.clock.now_ns()
        self._power.wait(seconds)
        window = Window(start_ns=start_ns, end_ns=self._draft.clock.now_ns())
        after = self._surroundings.moment()
        self._power.wait(self._power.lag_s)
        energy = self._power.energies(window, None)
        return IdleRecord(state=state, window=window, energy=energy, cpu_busy_share=after.cpu_since(before).busy_share)

    def _reference(self) -> StoredReference | None:
        return reference_for(self._draft.resolved, self._reporter)

    def _prepare(self, worker: WorkerClient, reference: StoredReference | None) -> None:
        plan, clock = self._plan, self._draft.clock
        command = Prepare(
            load=plan.load,
            backend=plan.backend,
            weights=plan.weights,
            seed=plan.seed,
            precision=plan.precision,
            device=plan.device,
            batch=plan.batch,
            threads=plan.threads,
            affinity=plan.affinity,
            origin_ns=clock.origin_ns,
        )
        ready = worker.ask(command, PreparedReply, PREPARE_TIMEOUT_S)
        self._draft.backend, self._draft.weights = ready.backend, ready.weights
        self._truth = worker.ask(Truth(), TruthReply, PREPARE_TIMEOUT_S)
        gate_start_ns = clock.now_ns()
        self._draft.quality = self._gate(worker, reference)
        self._draft.preparation = PreparationRecord(
            worker_start_s=worker.start_s,
            build_s=ready.build_s,
            first_execution_s=ready.first_execution_s,
            gate_s=(clock.now_ns() - gate_start_ns) / 1e9 if self._draft.quality else None,
        )

    def _gate(self, worker: WorkerClient, reference: StoredReference | None) -> QualityRecord | None:
        command = Gate(
            path=str(reference.path) if reference else None,
            prompt_tokens=gate_prompt_tokens(self._draft.resolved.load),
            reference_weights_digest=reference.weights_digest if reference else None,
        )
        quality = worker.ask_maybe(command, QualityRecord, PREPARE_TIMEOUT_S)
        if quality is not None:
            state = "passed" if quality.passed else "FAILED"
            facts = f"relative error {quality.relative_error:.2e} over {quality.positions} positions"
            self._reporter.note(f"quality gate {state}: {facts}")
        return quality

    def _warm_up(self, worker: WorkerClient) -> WarmupRecord:
        command = WarmUp(min_s=self._plan.warmup_min_s, max_s=self._plan.warmup_max_s)
        return worker.ask(command, WarmupRecord, 2 * self._plan.warmup_max_s + PREPARE_TIMEOUT_S)

    def _answer_timeout(self, seconds: float) -> float:
        """Return how long to wait for a command that should take `seconds` and some whole executions."""
        execution_s = self._draft.warmup.execution_s if self._draft.warmup else None
        return 3 * seconds + 10 * (execution_s or 0.0) + ANSWER_SLACK_S

    def _repeats(self, worker: WorkerClient) -> None:
        jitter = random.Random(self._plan.seed)  # seeded: the pauses are part of the plan
        while len(self._draft.repeats) < self._plan.repeats_max and not self._narrow_enough():
            index = len(self._draft.repeats)
            pause_s = jitter.uniform(0.0, self._plan.jitter_max_s)
            measure = partial(self._one, worker, index, pause_s)
            repeat = self._in_phase("measure", self._expected_repeat_s(), measure, f"repeat {index + 1}")
            self._draft.repeats.append(repeat)
            self._file.rewrite(self._draft.document("started", self._power.record(), summary=self._summary()))
            self._report(repeat)

    def _expected_repeat_s(self) -> float:
        done = self._draft.repeats
        return done[-1].window.duration_s + 0.5 if done else self._plan.window_s

    def _one(self, worker: WorkerClient, index: int, pause_s: float) -> Repeat:
        plan = self._plan
        lead_s = max(self._power.lead_s, LEAD_FLOOR_S)
        before = self._surroundings.moment(worker.pid)
        command = Measure(window_s=plan.window_s, jitter_s=pause_s, lead_in_s=lead_s, lead_out_s=lead_s)
        done = worker.ask(command, Measured, self._answer_timeout(plan.window_s + 2 * lead_s + pause_s))
        after = self._surroundings.moment(worker.pid)
        cpu = after.cpu_since(before)
        self._outside_share = max(self._outside_share, done.outside_share)
        if self._draft.backend is not None and done.memory_peak_bytes is not None:
            self._draft.backend = replace(self._draft.backend, memory_peak_bytes=done.memory_peak_bytes)
        return Repeat(
            index=index,
            window=done.window,
            jitter_s=pause_s,
            completions=done.completions,
            energy=self._power.energies(done.window, self._draft.idle),
            worker_cpu_s=done.worker_cpu_s,
            observed_s=cpu.duration_s,
            parent_cpu_s=cpu.parent_s,
            other_cpu_s=cpu.other_s,
            steal_s=cpu.steal_s,
            temperature_c=after.temperatures_since(before),
        )

    def _narrow_enough(self) -> bool:
        """Return whether the protocol's repeats are done and both main intervals are within their goals."""
        if len(self._draft.repeats) < self._plan.repeats_min:
            return False
        summary = self._summary()
        for name, goal in interval_goals(self._plan).items():
            metric = summary.metric(name) if summary else None
            if metric is None or metric.value is None:
                continue
            width = relative_half_width(metric.interval, metric.value)
            if width is None or width > goal:
                return False
        return True

    def _summary(self) -> Summary | None:
        count = len(self._draft.repeats)
        if count and count not in self._summaries:
            self._summaries[count] = summarise_draft(self._draft, self._power)
        return self._summaries.get(count)

    def _report(self, repeat: Repeat) -> None:
        done, seconds = repeat.completions, repeat.window.duration_s
        out, requests = sum(done.output_tokens), sum(done.requests)
        rate = f"{out / seconds:.1f} tokens/s" if out else f"{requests / seconds:.2f} requests/s"
        watts = self._power.primary_w(repeat.energy)
        self._reporter.repeat(repeat.index + 1, self._plan.repeats_max, rate, watts)

    def _end(self, status: Status, error: WattbenchError | None, kind: str | None = None) -> Outcome:
        """Write the final document, summarised as far as the run went; from here on signals are ignored."""
        self._interrupts.ignore()
        self._power.stop()
        record = self._error_record(error, kind) if error else None
        result = self._final(status, record)
        self._file.rewrite(result)
        if self._file.moved_because is not None:  # say so in the document itself, wherever it lies now
            result = self._final(status, record)
            self._file.rewrite(result)
        self._reporter.ended()
        return Outcome(result=result, path=self._file.path, error=error)

    def _final(self, status: Status, record: ErrorRecord | None) -> Result:
        summary = self._summary()
        power = self._power.record()
        doubts = doubts_of(self._evidence(summary, power, record))
        return self._draft.document(status, power, summary=summary, doubts=doubts, error=record)

    def _error_record(self, error: WattbenchError, kind: str | None) -> ErrorRecord:
        return ErrorRecord(
            kind=kind or type(error).__name__,
            what=error.what,
            why=error.why,
            remedy=error.remedy,
            phase=self._phase,
            worker_log_tail=self._worker.last_words if self._worker else None,
        )

    def _evidence(self, summary: Summary | None, power: PowerRecord, error: ErrorRecord | None) -> Evidence:
        draft, surroundings = self._draft, self._surroundings
        mock = draft.backend is not None and draft.backend.mock
        return Evidence(
            plan=self._plan,
            environment=draft.environment,
            backend=draft.backend,
            quality=draft.quality,
            quality_expected=draft.preparation is not None and not mock,
            completion_truthful=self._truthful(),
            completion_facts=self._truth_facts(),
            power=power,
            idle=tuple(draft.idle),
            warmup=draft.warmup,
            repeats=tuple(draft.repeats),
            summary=summary,
            clock_offset_s=draft.clock.offset_s(),
            throttle_reasons=surroundings.throttle_reasons,
            foreign_gpu_processes=surroundings.foreign_gpu_processes,
            power_limit_changed=surroundings.power_limit_changed,
            covers=draft.resolved.device.power_covers,
            moved_because=self._file.moved_because,
            aliases=self._power.aliases(draft.repeats),
            error=error,
        )

    def _truthful(self) -> bool | None:
        return None if self._truth is None else self._truth.truthful and self._outside_share <= OUTSIDE_SHARE_MAX

    def _truth_facts(self) -> str:
        outside = (
            f"{100 * self._outside_share:.1f} % of the calls' time lies outside the times that the backend reported"
        )
        return f"{self._truth.facts if self._truth else ''}; {outside}"


def summarise_draft(draft: Draft, power: PowerSession) -> Summary:
    """Return the summary of the repeats so far, with their energies added up by scope."""
    return summarise(
        load_record(draft.resolved.load, draft.resolved.plan.precision),
        tuple(draft.repeats),
        rung_energies=[power.rungs(repeat.energy) for repeat in draft.repeats],
        idle_power_w=power.idle_w(draft.idle),
        memory_peak_bytes=draft.backend.memory_peak_bytes if draft.backend else None,
        no_energy_reason=power.unavailable_reason,
    )
