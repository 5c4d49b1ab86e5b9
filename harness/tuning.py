"""Choosing how to run a load: a short gated trial of each candidate in a process of its own, the fastest one wins."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattbench.harness.candidates import Candidates, candidates
from wattbench.harness.commands import PREPARE_TIMEOUT_S, gate_command, prepare_command
from wattbench.harness.endpoint_ready import refuse_unreadable
from wattbench.harness.environment import PACKAGES, collect_packages
from wattbench.harness.messages import Measure, Measured, PreparedReply, Truth, TruthReply, WarmUp
from wattbench.harness.peers.client import check_peers
from wattbench.harness.plan import Resolved
from wattbench.harness.reference import StoredReference, reference_for
from wattbench.harness.reporter import Reporter
from wattbench.harness.request import RunRequest
from wattbench.harness.storage import cache_directory, keep_cached
from wattbench.harness.version import harness_record
from wattbench.harness.watts import check_power
from wattbench.harness.worker_client import WorkerClient
from wattbench.models.work import load_record
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import DeviceError, DocumentError, OutOfMemoryError, WattbenchError
from wattbench.results.measurement import Repeat, WarmupRecord
from wattbench.results.rates import throughput_metrics
from wattbench.results.readable import number
from wattbench.results.subject import QualityRecord
from wattbench.results.tuning import TrialOutcome, TrialRecord, TuningRecord

__all__ = ["Choice", "TrialTimes", "choose"]

CACHE_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialTimes:
    """A trial's times: enough to tell candidates apart that differ by more than the machine's noise, seconds each.

    A look, which decides whether a candidate may win at all, is a window of `look_s`: at least one whole execution.
    """

    look_s: float = 0.25
    warmup_min_s: float = 1.0
    warmup_max_s: float = 6.0
    window_s: float = 1.5
    windows: int = 3


TRIAL_TIMES = TrialTimes()

HOPELESS = 5.0
"""A candidate that is behind the best so far by more than this factor in every rate cannot win.

Noise alone made single executions of one candidate 3.7 times longer than others (torch/eager, smollm2-135m/tiny, two
processors that other processes used as well, 2026-11-29).
"""

LOOKS = 2
"""A look that seems hopeless is repeated: the execution after the first may still build something, once."""

RATES = {
    "requests_per_s": "throughput.requests",
    "prefill_tokens_per_s": "throughput.prefill_tokens",
    "decode_tokens_per_s": "throughput.decode_tokens",
}
"""The rates in which a candidate can be the fastest: a trial's field and the metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The plan to run, and the trials that led to it (None: there was nothing to choose)."""

    resolved: Resolved
    tuning: TuningRecord | None


def choose(request: RunRequest, reporter: Reporter, times: TrialTimes = TRIAL_TIMES) -> Choice:
    """Return the plan for a request: its only candidate, or the fastest that passes the quality gate.

    Trials of the same plan with the same versions are remembered for a day. `--quick` searches nothing: without
    remembered trials it takes the first candidate. Raises UsageError and its kin for a request that allows no candidate
    or whose peers, tokenizer or power cannot be had, OutOfMemoryError when none could be run and memory kept at least
    one from it, DeviceError when none could be run for other reasons.
    """
    found = candidates(request)
    first = found.resolved[0]
    check_peers(first.plan.cross_check, first.plan.cross_check_python)
    refuse_unreadable(first.plan.endpoint)
    if len(found.resolved) == 1:
        return Choice(resolved=first, tuning=None)
    path = _path(found)
    record = _kept(path)
    if record is None and request.quick:
        names = ", ".join(dict.fromkeys(r.plan.tuning for r in found.resolved))
        reporter.note(f"tuning {first.plan.tuning} of {names}: --quick does not search for the fastest")
        return Choice(resolved=first, tuning=None)
    if record is None:
        check_power(first.plan, first.covers)
        record = _search(found, reporter, times)
        keep_cached(path, to_builtins(record))
    reporter.note(_summary(record))
    return Choice(resolved=_named(found, record.chosen), tuning=record)


def _search(found: Candidates, reporter: Reporter, times: TrialTimes) -> TuningRecord:
    start = time.perf_counter()
    measured_at = datetime.now(tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    trials: list[TrialRecord] = []
    out_of_memory = False
    for index, resolved in enumerate(found.resolved, 1):
        measured = [t for t in trials if t.outcome == "measured"]
        tried = _trial(resolved, reporter, times, measured)
        record, out_of_memory = tried.record, out_of_memory or tried.out_of_memory
        rate = f"{number(record.requests_per_s)} requests/s" if record.requests_per_s is not None else record.reason
        reporter.note(f"trial {index} of {len(found.resolved)}: {record.name}: {rate}")
        trials.append(record)
    measured = [t for t in trials if t.outcome == "measured"]
    if not measured:
        raise _none_could_run(trials, out_of_memory=out_of_memory)
    return TuningRecord(
        trials=tuple(trials),
        chosen=max(measured, key=lambda t: t.requests_per_s or 0.0).name,
        fastest_prefill=_fastest(measured, "prefill_tokens_per_s"),
        fastest_decode=_fastest(measured, "decode_tokens_per_s"),
        measured_at=measured_at,
        duration_s=round(time.perf_counter() - start, 3),
        cached=False,
    )


def _none_could_run(trials: list[TrialRecord], *, out_of_memory: bool) -> DeviceError:
    """Return the error of a search without a survivor; less work may do where memory was what one of them lacked."""
    what, why = "None of the candidates could run the load", "; ".join(f"{t.name}: {t.reason}" for t in trials)
    if out_of_memory:
        return OutOfMemoryError(what, why, "Choose a smaller --batch or load.")
    return DeviceError(what, why, "Name one with --tuning to see its error.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A trial as it is recorded, and whether memory is what ended it."""

    record: TrialRecord
    out_of_memory: bool = False


def _trial(resolved: Resolved, reporter: Reporter, times: TrialTimes, measured: list[TrialRecord]) -> _Tried:
    """Return what a short run of one candidate gave; a failure of any kind is an outcome, Ctrl-C is not.

    One that cannot be faster in any rate than those `measured` before it is given up early.
    """
    try:
        reference = reference_for(resolved, reporter)
        with WorkerClient() as worker:
            return _Tried(record=_measured(resolved, worker, reference, times, measured))
    except (WattbenchError, RuntimeError) as exc:  # RuntimeError: a bug in a worker, which is that candidate's own
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        record = _record(resolved, "failed", reason=reason)
        return _Tried(record=record, out_of_memory=isinstance(exc, OutOfMemoryError))


def _measured(
    resolved: Resolved,
    worker: WorkerClient,
    reference: StoredReference | None,
    times: TrialTimes,
    before: list[TrialRecord],
) -> TrialRecord:
    """Return the trial of one candidate: the gate and the windows, unless it is behind those `before` it for good."""
    ready = worker.ask(prepare_command(resolved.plan, time.perf_counter_ns()), PreparedReply, PREPARE_TIMEOUT_S)
    prepare_s = ready.build_s + ready.first_execution_s
    for reason in (ready.backend.tuning_fallback, None if resolved.plan.allow_fallback else ready.backend.fallback):
        if reason is not None:
            return _record(resolved, "failed", prepare_s=prepare_s, reason=reason)
    if (seen := _hopeless(resolved, worker, times, before)) is not None:
        reason = f"given up as too slow: {seen.behind:.3g} x or more behind the fastest before it, in every rate"
        rate = seen.executions_per_s
        return _record(resolved, "too_slow", prepare_s=prepare_s, executions_per_s=rate, reason=reason)
    truth = worker.ask(Truth(), TruthReply, PREPARE_TIMEOUT_S)
    if not truth.truthful:
        return _record(resolved, "failed", prepare_s=prepare_s, reason=truth.facts)
    quality = worker.ask_maybe(gate_command(resolved.load, reference), QualityRecord, PREPARE_TIMEOUT_S)
    if quality is not None and not quality.passed:
        error = quality.relative_error
        return _record(resolved, "failed_gate", prepare_s=prepare_s, relative_error=error, reason=quality.reason)
    worker.ask(WarmUp(min_s=times.warmup_min_s, max_s=times.warmup_max_s), WarmupRecord, PREPARE_TIMEOUT_S)
    rates = _rates(resolved, [_window(worker, times.window_s) for _ in range(times.windows)])
    return _record(
        resolved,
        "measured",
        prepare_s=prepare_s,
        relative_error=quality.relative_error if quality else None,
        rates=rates,
        reason="" if quality else "not compared with a reference",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A short window of a candidate: the rate of its executions, and by what factor it is behind the best so far."""

    executions_per_s: float
    behind: float


def _hopeless(resolved: Resolved, worker: WorkerClient, times: TrialTimes, before: list[TrialRecord]) -> _Look | None:
    """Return the better look at a candidate that can win in no rate, or None for one that may."""
    looks: list[_Look] = []
    for _ in range(LOOKS if before else 0):
        rates = _rates(resolved, [_window(worker, times.look_s)])
        executions_per_s = (rates["requests_per_s"] or 0.0) / resolved.plan.batch
        looks.append(_Look(executions_per_s=executions_per_s, behind=_behind(rates, before)))
        if looks[-1].behind <= HOPELESS:
            return None
    return min(looks, key=lambda look: look.behind, default=None)


def _behind(rates: dict[str, float | None], before: list[TrialRecord]) -> float:
    """Return how many times slower a candidate is than the best before it, in the rate in which it is the nearest.

    0 when nothing succeeded or it has a rate that none before it has: there is nothing to compare with.
    """
    found = []
    for name, rate in rates.items():
        if rate:
            found.append(max((getattr(t, name) or 0.0 for t in before), default=0.0) / rate)
    return min(found, default=0.0)


def _window(worker: WorkerClient, seconds: float) -> Measured:
    """Let a worker measure a window, at least one whole execution."""
    command = Measure(window_s=seconds, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0)
    return worker.ask(command, Measured, PREPARE_TIMEOUT_S)


def _rates(resolved: Resolved, windows: list[Measured]) -> dict[str, float | None]:
    """Return the median rates of the windows, by the names of a trial's fields."""
    repeats = [
        Repeat(
            index=index,
            window=done.window,
            jitter_s=0.0,
            completions=done.completions,
            energy=(),
            worker_cpu_s=done.worker_cpu_s,
            observed_s=None,
            parent_cpu_s=None,
            other_cpu_s=None,
            steal_s=None,
            temperature_c=None,
        )
        for index, done in enumerate(windows)
    ]
    metrics = throughput_metrics(load_record(resolved.load, resolved.plan.precision), repeats)
    values = {metric.name: metric.value for metric in metrics}
    return {field: values[name] for field, name in RATES.items()}


def _record(
    resolved: Resolved,
    outcome: TrialOutcome,
    *,
    reason: str,
    prepare_s: float | None = None,
    relative_error: float | None = None,
    executions_per_s: float | None = None,
    rates: dict[str, float | None] | None = None,
) -> TrialRecord:
    plan, found = resolved.plan, rates or {}
    return TrialRecord(
        backend=plan.backend,
        device=plan.device,
        precision=plan.precision,
        tuning=plan.tuning,
        outcome=outcome,
        requests_per_s=found.get("requests_per_s"),
        prefill_tokens_per_s=found.get("prefill_tokens_per_s"),
        decode_tokens_per_s=found.get("decode_tokens_per_s"),
        relative_error=relative_error,
        prepare_s=prepare_s,
        reason=reason,
        executions_per_s=executions_per_s,
    )


def _fastest(measured: list[TrialRecord], rate: str) -> str | None:
    known = [(getattr(trial, rate), trial.name) for trial in measured if getattr(trial, rate) is not None]
    return max(known)[1] if known else None


def _named(found: Candidates, name: str) -> Resolved:
    return next(r for r in found.resolved if _record(r, "failed", reason="-").name == name)


def _summary(record: TuningRecord) -> str:
    """Return the choice and its cost as a line."""
    chosen = next(t for t in record.trials if t.name == record.chosen)
    first = next((t for t in record.trials if t.outcome == "measured"), chosen)
    gain = (chosen.requests_per_s or 0.0) / (first.requests_per_s or 1.0)
    cost = "remembered from " + record.measured_at if record.cached else f"the search took {record.duration_s:.0f} s"
    against = "" if chosen is first else f", {gain:.2f} x {first.name}"
    return f"tuning chose {chosen.name}{against}; {len(record.trials)} candidates, {cost}"


def _path(found: Candidates) -> Path:
    """Return the file that remembers these trials: named by the digest of all that they depend on."""
    facts: list[object] = [harness_record().source_sha256, collect_packages(PACKAGES)]
    for resolved in found.resolved:
        plan = {k: v for k, v in asdict(resolved.plan).items() if k in KNOBS}
        facts.append([plan, resolved.load.digest, asdict(resolved.device)])
    text = json.dumps(facts, sort_keys=True, default=str)
    return cache_directory() / "tuning" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


KNOBS = frozenset(
    {"load", "backend", "device", "precision", "batch", "weights", "seed", "threads", "affinity", "tuning"}
    | {"allow_fallback", "slots", "tensor_parallel", "devices"}
)
"""The knobs of a plan that change what a trial gives."""


def _kept(path: Path) -> TuningRecord | None:
    """Return remembered trials that are young enough; what cannot be read is searched again."""
    try:
        record = decode(json.loads(path.read_bytes()), TuningRecord)
        age = datetime.now(tz=UTC) - datetime.fromisoformat(record.measured_at)
    except (OSError, ValueError, DocumentError, RecursionError):
        return None
    return replace(record, cached=True) if timedelta() <= age <= CACHE_AGE else None
