"""The way of a run: from a plan to a result file, every step recorded, every fault ending in a valid document."""

import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from wattbench.harness.ceilings import ceilings_for, exceeded
from wattbench.harness.clock import RunClock
from wattbench.harness.commands import PREPARE_TIMEOUT_S, answer_wait_s, gate_command, prepare_command, window_command
from wattbench.harness.draft import Draft
from wattbench.harness.environment import collect_environment
from wattbench.harness.evidence import error_record, gather_evidence, summarise_draft
from wattbench.harness.idling import idle_length_s, idle_window, opened_context
from wattbench.harness.interrupts import Interrupts, interrupts_as_errors
from wattbench.harness.judgement import doubts_of, interval_goals
from wattbench.harness.messages import Measured, PreparedReply, Truth, TruthReply
from wattbench.harness.own_server import own_server, require_server
from wattbench.harness.plan import Resolved
from wattbench.harness.power.alias import rhythms
from wattbench.harness.power.derive import derive
from wattbench.harness.rate_search import find_rate
from wattbench.harness.reference import StoredReference, reference_for
from wattbench.harness.reporter import Reporter
from wattbench.harness.storage import Destination, choose_path
from wattbench.harness.surroundings import Surroundings
from wattbench.harness.turns import polls_within
from wattbench.harness.warming import told, warm_up
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.document import ErrorRecord, Result, Status
from wattbench.results.energy import PowerRecord
from wattbench.results.errors import InterruptedRunError, WattbenchError
from wattbench.results.measurement import Repeat, WarmupRecord
from wattbench.results.metrics import Summary
from wattbench.results.stats import relative_half_width
from wattbench.results.subject import PreparationRecord, QualityRecord
from wattbench.results.tuning import TuningRecord

__all__ = ["Outcome", "Run", "Signals", "execute", "open_run"]

T = TypeVar("T")

LEAD_FLOOR_S = 0.5
"""So long, but no longer than the window, the load runs before and after it: a pause between repeats cools nothing."""


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
    tuning: TuningRecord | None = None,
) -> Outcome:
    """Run a plan and return its outcome; whatever goes wrong on the way ends in a valid result file.

    Raises UsageError and SensorError before anything is started, StorageError when no result can be kept at all,
    and lets a bug's exception through after its file is written.
    """
    power = PowerSession.open(resolved.plan, resolved.covers)
    try:
        power.require_windows(resolved.plan)
        run = open_run(resolved, power=power, reporter=reporter, command=command, out=out, clock=clock, tuning=tuning)
        with interrupts_as_errors() as interrupts:
            return run.finish(interrupts)
    finally:
        power.close()


def open_run(
    resolved: Resolved,
    *,
    power: PowerSession,
    reporter: Reporter,
    command: tuple[str, ...] = (),
    out: Path | None = None,
    clock: RunClock | None = None,
    tuning: TuningRecord | None = None,
    shared_power: bool = False,
) -> "Run":
    """Return a run that has not begun: its place is chosen, nothing is started.

    With `shared_power` several runs read one session, which somebody else starts on the runs' common `clock` and ends;
    a document then keeps the polls of its own run's phases. Raises UsageError when no result can lie at `out`.
    """
    environment = collect_environment()
    clock = clock or RunClock()
    draft = Draft(resolved=resolved, environment=environment, clock=clock, command=command, tuning=tuning)
    path = choose_path(out, resolved.plan, draft.run_id, draft.stamp)
    return Run(draft, power, Destination(wanted=path), reporter, shared_power=shared_power)


class Signals(Protocol):
    """Whoever handles signals while a run goes on."""

    def ignore(self) -> None:
        """Raise nothing from now on: the run is ending, and its document must be written whole."""
        ...


class Run:
    """One run in progress: its draft, its power session, its file, and whoever watches.

    It goes the whole way at once (`finish`) or step by step (`advance`), while other runs have their turns between;
    between two steps its worker waits. `outcome` is None until it has ended.
    """

    def __init__(
        self, draft: Draft, power: PowerSession, file: Destination, reporter: Reporter, *, shared_power: bool = False
    ) -> None:
        self.outcome: Outcome | None = None
        self._draft = draft
        self._plan = draft.resolved.plan
        self._power = power
        self._shared_power = shared_power
        self._file = file
        self._reporter = reporter
        self._surroundings = Surroundings(draft.resolved.covers, self._plan.device)
        self._truth: TruthReply | None = None
        self._phase = "start"
        self._worker: WorkerClient | None = None
        self._signals: Signals = Interrupts()
        self._created = False
        self._outside_share = 0.0
        self._rate_per_s = self._plan.traffic.rate_per_s if self._plan.traffic is not None else None
        self._summaries: dict[int, Summary] = {}
        self._way = self._whole_way()

    def finish(self, signals: Signals) -> Outcome:
        """Go the whole way; end in good order whatever happens. Raises StorageError when nothing can be kept."""
        self._guarded(lambda: [None for _ in self._way], signals)
        assert self.outcome is not None
        return self.outcome

    def advance(self, signals: Signals) -> bool:
        """Take the next step and return whether the run goes on; the steps end before each yield of `_steps`.

        Errors end the run as in `finish`, in a valid document.
        """
        going_on = self._guarded(lambda: next(self._way, None), signals)
        self._surroundings.look_away()
        return going_on

    def interrupt(self, error: InterruptedRunError, signals: Signals) -> None:
        """End a run between two steps as interrupted, with what it has."""
        if self.outcome is None:
            self._guarded(lambda: self._way.throw(error), signals)

    def drop(self) -> None:
        """End the worker, if there is one, and write nothing; safe to call at any time."""
        self._way.close()

    def _guarded(self, go: Callable[[], object], signals: Signals) -> bool:
        """Go some way and return whether the run is still open; any error ends it in good order."""
        self._signals = signals
        try:
            go()
        except InterruptedRunError as exc:
            self._close("partial", exc)
        except WattbenchError as exc:
            if not self._created:
                raise
            self._close("error", exc)
        except Exception as exc:
            bug = WattbenchError(f"wattbench has a bug: {type(exc).__name__}: {exc}", "", "Please report it.")
            self._close("error", bug, kind="Bug")
            raise
        return self.outcome is None

    def _whole_way(self) -> Generator[None, None, None]:
        self._create()
        if not self._shared_power:
            self._power.start(self._draft.clock)
        yield from self._steps()
        self._close("complete", None)

    def _create(self) -> None:
        self._file.create(self._draft.document("started", self._recorded()))
        self._created = True
        self._reporter.started(self._draft.resolved, str(self._file.path), self._power.latest_w)

    def _steps(self) -> Iterator[None]:
        """Go the way from the first idle window to the last; each yield is a place where other runs may take turns."""
        if (endpoint := self._plan.endpoint) is not None:
            self._in_phase("server", None, partial(require_server, endpoint), endpoint.url)
        self._idle("machine")
        self._take_ceilings()
        reference = self._in_phase("reference", None, partial(reference_for, self._draft.resolved, self._reporter))
        yield
        with own_server(self._plan.endpoint, self._reporter), WorkerClient() as worker, self._surroundings.watching():
            self._worker = worker
            self._idle_context(worker)
            self._in_phase("prepare", None, lambda: self._prepare(worker, reference))
            yield
            self._idle("loaded")
            self._draft.warmup = self._in_phase("warm-up", self._plan.warmup_min_s, lambda: self._warm_up(worker))
            yield
            self._find_rate(worker)
            yield from self._repeats(worker)
            self._idle("after")
        if exceeded(self._draft.ceilings, self._summary()):
            self._take_ceilings()
        if self._power.active and not self._shared_power:  # in a sweep other models are still loaded
            self._idle("machine_after")

    def _in_phase(self, name: str, expected_s: float | None, step: Callable[[], T], detail: str = "") -> T:
        self._phase = name
        self._reporter.phase(name, expected_s, detail)
        start_ns = self._draft.clock.now_ns()
        try:
            return step()
        finally:
            self._draft.end_phase(name, start_ns)

    def _idle(self, state: str) -> None:
        if (seconds := idle_length_s(self._plan, self._power)) > 0:
            expected_s = seconds + self._power.settle_before_idle_s + self._power.lag_s
            window = partial(idle_window, state, seconds, self._power, self._surroundings, self._draft.clock)
            self._draft.idle.append(self._in_phase("idle", expected_s, window, state))

    def _idle_context(self, worker: WorkerClient) -> None:
        """Measure the device with the backend's context and no model, where there is a sensor and a context."""
        if not self._power.active or idle_length_s(self._plan, self._power) <= 0:
            return
        reply = self._in_phase("context", None, lambda: opened_context(worker, self._draft.resolved))
        if reply.created is None:
            self._reporter.note(f"no idle window with a context: {reply.reason}")
        else:
            self._idle("context")

    def _take_ceilings(self) -> None:
        draft = self._draft
        take = partial(ceilings_for, draft.resolved, self._power, draft.clock, self._reporter, so_far=draft.ceilings)
        draft.ceilings = self._in_phase("ceilings", None, take)

    def _prepare(self, worker: WorkerClient, reference: StoredReference | None) -> None:
        clock = self._draft.clock
        ready = worker.ask(prepare_command(self._plan, clock.origin_ns), PreparedReply, PREPARE_TIMEOUT_S)
        self._draft.backend, self._draft.weights = ready.backend, ready.weights
        self._truth = worker.ask(Truth(), TruthReply, PREPARE_TIMEOUT_S)
        gate_start_ns = clock.now_ns()
        self._draft.quality = self._gate(worker, reference)
        self._draft.preparation = PreparationRecord(
            worker_start_s=worker.start_s,
            build_s=ready.build_s,
            first_execution_s=ready.first_execution_s,
            gate_s=(clock.now_ns() - gate_start_ns) / 1e9 if self._draft.quality else None,
            compile_s=ready.compile_s,
        )

    def _gate(self, worker: WorkerClient, reference: StoredReference | None) -> QualityRecord | None:
        quality = worker.ask_maybe(gate_command(self._draft.resolved.load, reference), QualityRecord, PREPARE_TIMEOUT_S)
        if quality is not None:
            state = "passed" if quality.passed else "FAILED"
            facts = f"relative error {quality.relative_error:.2e} over {quality.positions} positions"
            self._reporter.note(f"quality gate {state}: {facts}")
        return quality

    def _warm_up(self, worker: WorkerClient) -> WarmupRecord:
        timeout_s = 2 * self._plan.warmup_max_s + PREPARE_TIMEOUT_S
        covers = self._draft.resolved.covers
        return told(warm_up(worker, self._plan, self._power, self._draft.clock, covers, timeout_s), self._reporter)

    def _find_rate(self, worker: WorkerClient) -> None:
        """Search the highest rate that holds, where the plan asks for it; the measured windows are at that rate."""
        if (plan := self._plan).traffic is not None and plan.traffic.rate_auto:
            ask = partial(
                worker.ask, expected=Measured, timeout_s=answer_wait_s(plan, self._draft.warmup, plan.window_s)
            )
            search = partial(find_rate, ask, plan, self._draft.warmup, self._reporter)
            found = self._draft.search = self._in_phase("rate search", None, search)
            self._rate_per_s = found.rate_per_s

    def _repeats(self, worker: WorkerClient) -> Iterator[None]:
        jitter = random.Random(self._plan.seed)  # seeded: the pauses are part of the plan
        while len(self._draft.repeats) < self._plan.repeats_max and not self._narrow_enough():
            done = self._draft.repeats
            pause_s = jitter.uniform(0.0, self._plan.jitter_max_s)
            measure = partial(self._one, worker, len(done), pause_s)
            expected_s = done[-1].window.duration_s + 0.5 if done else self._plan.window_s
            repeat = self._in_phase("measure", expected_s, measure, f"repeat {len(done) + 1}")
            done.append(repeat)
            self._file.rewrite(self._draft.document("started", self._recorded(), summary=self._summary()))
            self._report(repeat)
            yield

    def _one(self, worker: WorkerClient, index: int, pause_s: float) -> Repeat:
        plan = self._plan
        lead_s = max(self._power.lead_s, min(LEAD_FLOOR_S, plan.window_s))
        before = self._surroundings.moment(worker.pid)
        command = window_command(plan, index, pause_s=pause_s, lead_s=lead_s, rate_per_s=self._rate_per_s)
        timeout_s = answer_wait_s(plan, self._draft.warmup, plan.window_s + 2 * lead_s + pause_s)
        done = worker.ask(command, Measured, timeout_s)
        after = self._surroundings.moment(worker.pid)
        cpu = after.cpu_since(before)
        energy = self._power.energies(done.window, self._draft.idle, rhythms(done.completions, done.window))
        self._outside_share = max(self._outside_share, done.outside_share)
        if self._draft.backend is not None and done.memory_peak_bytes is not None:
            self._draft.backend = replace(self._draft.backend, memory_peak_bytes=done.memory_peak_bytes)
        return Repeat(
            index=index,
            window=done.window,
            jitter_s=pause_s,
            completions=done.completions,
            energy=energy,
            worker_cpu_s=done.worker_cpu_s,
            observed_s=cpu.duration_s,
            parent_cpu_s=cpu.parent_s,
            other_cpu_s=cpu.other_s,
            steal_s=cpu.steal_s,
            temperature_c=after.temperatures_since(before),
            throttled_s=after.slowed_since(before),
            peers=self._power.peer_energies(done.window, energy),
            telemetry=self._surroundings.telemetry(before, after),
            traffic=done.traffic,
            tool=done.tool,
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
        out, requests = sum(done.output_tokens) / seconds, sum(done.requests) / seconds
        rate = f"{out:.1f} tokens/s" if out else f"{requests:.2f} requests/s"
        self._reporter.repeat(repeat.index + 1, self._plan.repeats_max, rate, self._power.primary_w(repeat.energy))

    def _close(self, status: Status, error: WattbenchError | None, kind: str | None = None) -> None:
        """Write the final document, summarised as far as the run went; from here on signals are ignored."""
        self._signals.ignore()
        if status != "complete":
            self._way.close()
        if not self._shared_power:
            self._power.stop()
        last_words = self._worker.last_words if self._worker else None
        record = error_record(error, kind, self._phase, last_words) if error else None
        power = self._recorded()
        summary = self._rederived(power)
        result = self._file.conclude(self._final(status, record, power, summary))
        if self._file.moved_because is not None:  # say so in the document itself, wherever it lies now
            result = self._file.conclude(self._final(status, record, power, summary))
        self._reporter.ended()
        self.outcome = Outcome(result=result, path=self._file.path, error=error)

    def _rederived(self, power: PowerRecord) -> Summary | None:
        """Take every energy from the whole log once more, so that the document follows from its own polls alone."""
        draft = self._draft
        derived = derive(power, draft.idle, draft.repeats, rate_hz=self._plan.power_rate_hz)
        draft.idle, draft.repeats = list(derived.idle), list(derived.repeats)
        return summarise_draft(draft, self._power, derived) if draft.repeats else None

    def _final(self, status: Status, record: ErrorRecord | None, power: PowerRecord, summary: Summary | None) -> Result:
        evidence = gather_evidence(
            self._draft,
            self._power,
            self._surroundings,
            power_record=power,
            summary=summary,
            truth=self._truth,
            outside_share=self._outside_share,
            moved_because=self._file.moved_because,
            error=record,
        )
        doubts = doubts_of(evidence)
        return self._draft.document(status, power, summary=summary, doubts=doubts, error=record)

    def _recorded(self) -> PowerRecord:
        """Return what is known of power so far: of a shared session, the polls of this run's own phases."""
        record = self._power.record()
        return polls_within(record, [p.window for p in self._draft.phases]) if self._shared_power else record
