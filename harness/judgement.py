"""The doubts about a run: pure functions from what was recorded to reasons for distrust, each with fitting advice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from wattbench.harness.judgement_sensors import (
    behaviour_doubts,
    calibration_doubts,
    drift_doubts,
    frozen_doubts,
    idle_drift_facts,
    scope_doubts,
    temperature_drift_facts,
)
from wattbench.harness.judgement_traffic import failure_doubts, traffic_doubts
from wattbench.harness.power.energy import RESIDUAL_DOUBT, RESIDUAL_INVALID, RESIDUAL_WINDOW_S
from wattbench.harness.power.ladder import no_rung_reason, primary_rung, rungs
from wattbench.harness.power.sensorless import no_sensor_reason
from wattbench.harness.power.series import is_absurd
from wattbench.results.counted import counted
from wattbench.results.covers import is_among, is_elsewhere
from wattbench.results.document import ErrorRecord
from wattbench.results.doubts import Doubt, Severity
from wattbench.results.energy import ChannelEnergy, PowerRecord
from wattbench.results.environment import Environment
from wattbench.results.measurement import IdleRecord, Repeat, WarmupRecord
from wattbench.results.metrics import Summary
from wattbench.results.plan import Plan
from wattbench.results.stats import relative_half_width
from wattbench.results.subject import BackendRecord, QualityRecord
from wattbench.results.utilisation import over_ceiling

__all__ = ["POWER_RULES", "Evidence", "doubts_of", "interval_goals"]

WINDOW_FLOOR_S = 10.0
"""Below this a window is too short for any power sensor (reference: edge error tau/sqrt(6)/T, docs/uncertainty.md)."""
WINDOW_PROTOCOL_S = 60.0
REPEATS_PROTOCOL = 5
CLOCK_JUMP_S = 0.5
CLOCK_BOUND_SHARE = 0.01
OTHER_CPU_SHARE = 0.05
STEAL_SHARE = 0.02
IDLE_BUSY_SHARE = 0.10
IDLE_BUSY_FLOOR = 0.2
"""Cores that may be busy in an idle window however few the load uses: any system's own daemons (our choice)."""
COVERAGE_FLOOR = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that doubts are drawn from; None and empty mean that the run did not get that far.

    `output_tokens` is how many a request of the load asks for.
    """

    plan: Plan
    environment: Environment
    backend: BackendRecord | None
    quality: QualityRecord | None
    quality_expected: bool
    completion_truthful: bool | None
    completion_facts: str
    power: PowerRecord
    idle: tuple[IdleRecord, ...]
    warmup: WarmupRecord | None
    repeats: tuple[Repeat, ...]
    summary: Summary | None
    clock_offset_s: float
    throttle_reasons: tuple[str, ...]
    foreign_gpu_processes: int
    power_limit_changed: str | None
    covers: str | None
    moved_because: str | None
    aliases: tuple[str, ...]
    error: ErrorRecord | None
    started_at: datetime
    power_drifts: tuple[str, ...] = ()
    output_tokens: int | None = None


Rule = Callable[[Evidence], Iterator[Doubt]]


def interval_goals(plan: Plan) -> dict[str, float]:
    """Return the relative half-width that each main figure's interval should have, by metric name."""
    return {"throughput.requests": plan.interval_goal_throughput, "energy.per_request": plan.interval_goal_energy}


def doubts_of(evidence: Evidence, rules: Sequence[Rule] | None = None) -> tuple[Doubt, ...]:
    """Return every doubt that the evidence supports, the severe ones first; `rules` are all unless given."""
    order: dict[Severity, int] = {"severe": 0, "doubt": 1, "note": 2}
    found = [doubt for rule in rules or RULES for doubt in rule(evidence)]
    return tuple(sorted(found, key=lambda doubt: order[doubt.severity]))


def _identity(e: Evidence) -> Iterator[Doubt]:
    if e.backend is not None and e.backend.mock:
        yield _severe("mock", "the backend is a mock: nothing was computed", "Use a real backend for figures.")
    if e.backend is not None and e.backend.emulated:
        facts = f"{e.backend.device} is emulated on {e.backend.true_device}"
        yield _severe("emulated", facts, "Run on the hardware for figures.")
    if e.backend is not None and e.backend.fallback is not None:
        grave = _doubt if e.plan.allow_fallback else _severe
        yield grave(
            "cpu_fallback", e.backend.fallback, "Choose a load, precision or engine that the device can run whole."
        )
    if e.backend is not None and e.backend.tuning_fallback is not None:
        advice = f"The figures are those of {e.backend.engine!r}; name it with --tuning to ask for it."
        yield _doubt("tuning_fallback", e.backend.tuning_fallback, advice)


def _ending(e: Evidence) -> Iterator[Doubt]:
    codes = {"InterruptedRunError": "interrupted", "WorkerError": "worker_died", "OutOfMemoryError": "out_of_memory"}
    if e.error is not None and e.error.kind in codes:
        facts = f"in phase {e.error.phase}: {e.error.what}: {e.error.why}"
        yield _severe(codes[e.error.kind], facts, e.error.remedy)


def _length(e: Evidence) -> Iterator[Doubt]:
    if e.plan.quick:
        facts = f"--quick: windows of {e.plan.window_s:g} s, {counted(len(e.repeats), 'repeat')}"
        yield _doubt("quick", facts, "Run without --quick for a figure to publish.")
    shortest = min((r.window.duration_s for r in e.repeats), default=WINDOW_PROTOCOL_S)
    if e.plan.quick or not e.repeats:
        return
    if shortest < WINDOW_PROTOCOL_S:
        code = _doubt if shortest < WINDOW_FLOOR_S else _note
        facts = f"the shortest window is {shortest:.1f} s; the protocol asks for {WINDOW_PROTOCOL_S:g} s"
        yield code("short_window", facts, f"Use --window {WINDOW_PROTOCOL_S:g} or leave it out.")
    if len(e.repeats) < REPEATS_PROTOCOL:
        facts = f"{counted(len(e.repeats), 'repeat')}; the protocol asks for {REPEATS_PROTOCOL}"
        yield _doubt("few_repeats", facts, f"Use --repeats {REPEATS_PROTOCOL} or leave it out.")


def _steadiness(e: Evidence) -> Iterator[Doubt]:
    if e.warmup is not None and not e.warmup.steady:
        moving = f": {', '.join(e.warmup.moving)}" if e.warmup.moving else ""
        spent = f"{e.warmup.window.duration_s:.0f} s and {len(e.warmup.rates_per_s)} executions"
        facts = f"not steady after {spent}{moving}"
        advice = "Raise --warm-up-max." if e.warmup.window.duration_s < 600 else "Find what disturbs the machine."
        yield _doubt("warm_up_cap", facts, advice)
    heating = temperature_drift_facts(e.repeats)
    if heating is not None:
        yield _doubt("thermal_drift", heating, "Raise --warm-up-min, so that the device is warm first.")
    yield from drift_doubts(e.power_drifts)


def _spread(e: Evidence) -> Iterator[Doubt]:
    if e.summary is None:
        return
    for name, goal in interval_goals(e.plan).items():
        metric = e.summary.metric(name)
        if metric is None or metric.value is None or metric.interval is None:
            continue
        width = relative_half_width(metric.interval, metric.value)
        if width is not None and width > goal:
            level = f"{100 * metric.interval.level:.3g} %"
            facts = f"{name} is known to +/-{100 * width:.1f} % ({level}); the goal is {100 * goal:g} %"
            more = "Quieten the machine" if len(e.repeats) >= 10 else "Raise --repeats-max, or quieten the machine"
            yield _doubt("wide_interval", facts, f"{more}; compare only differences larger than this.")


def _work(e: Evidence) -> Iterator[Doubt]:
    if e.quality is not None and not e.quality.passed:
        yield _severe("quality", e.quality.reason, "Choose another --precision or engine: wrong numbers have no speed.")
    if e.quality is None and e.quality_expected:
        facts = "the outputs were not compared with a float32 reference"
        yield _doubt("quality", facts, "Use a backend that lets its outputs be read.")
    if e.completion_truthful is False:
        yield _severe("unproven_completion", e.completion_facts, "The backend's synchronisation must be mended.")
    yield from failure_doubts(e.summary, e.repeats) if e.summary is not None else ()


def _traffic(e: Evidence) -> Iterator[Doubt]:
    yield from traffic_doubts(e.plan, e.summary, e.repeats, e.output_tokens)


def _limits(e: Evidence) -> Iterator[Doubt]:
    for facts in over_ceiling(e.summary) if e.summary is not None else ():
        yield _doubt("over_ceiling", facts, "Measure the ceilings again (`--ceilings fresh`) on a quiet machine.")


def _power_source(e: Evidence) -> Iterator[Doubt]:
    if e.power.unavailable_reason is not None:
        standing = "Throughput and latency stand by themselves; " if _stands_without_watts(e) else ""
        advice = f"{standing}`bench doctor` says how to get watts."
        yield _note("unmeasured_scope", f"energy was not measured: {e.power.unavailable_reason}", advice)
    elif e.repeats:
        found = rungs(e.repeats[0].energy, e.covers)
        if primary_rung(found, e.covers) is None:
            advice = "The other sensors' figures stand below; `bench doctor` says how to read the device's own."
            reasons = (no_rung_reason(found, e.covers), no_sensor_reason(e.plan))
            yield _doubt("unmeasured_scope", "; ".join(filter(None, reasons)), advice)
    kinds = {c.provenance for c in e.power.channels}
    if "replayed" in kinds:
        facts = "the watts come from a recording, so the energy figures are not this machine's"
        yield _severe("replayed_power", facts, "Use a real sensor for figures.")
    if "modelled" in kinds:
        facts = "the watts are a model's estimate (u = 35 %)"
        yield _doubt("modelled_power", facts, "Never rank this beside measured watts.")
    if "declared" in kinds:
        facts = "; ".join(dict.fromkeys(c.accuracy_basis for c in e.power.channels if c.provenance == "declared"))
        yield _doubt("declared_power", facts, "Never rank this beside measured watts.")


def _stands_without_watts(e: Evidence) -> bool:
    """Return whether throughput and latency were measured to the end, of requests that were mostly served."""
    if e.error is not None or e.summary is None or not e.summary.requests:
        return False
    return all(doubt.severity != "severe" for doubt in failure_doubts(e.summary, e.repeats))


def _power_record(e: Evidence) -> Iterator[Doubt]:
    for health in e.power.health:
        if health.silent:
            facts = f"sampler {health.sampler} went silent after {health.polls} polls"
            yield _doubt("sensor_failed", facts, "Energy of the windows after that is unknown.")
        elif health.failed:
            facts = f"sampler {health.sampler}: {health.failed} of {health.polls} reads failed"
            yield _doubt("sensor_failed", facts, "See the polls of the result for the cause.")
    for facts in e.aliases:
        yield _doubt("alias", facts, "Lengthen the windows, change the batch, or pause at random between requests.")
    for r in e.repeats:
        for energy in r.energy:
            yield from _channel(f"{r.name}, {energy.channel}", energy, r.window.duration_s)
    yield from scope_doubts(e.repeats)
    yield from frozen_doubts(e.power, e.idle, e.warmup, e.repeats)


def _sensors(e: Evidence) -> Iterator[Doubt]:
    yield from behaviour_doubts(e.power)
    yield from calibration_doubts(e.power, e.environment, e.repeats, e.started_at)


def _channel(where: str, energy: ChannelEnergy, duration_s: float) -> Iterator[Doubt]:
    reason, residual, coverage = energy.reason, energy.residual, energy.coverage
    absurd = next((text for text in (reason or "", *energy.notes) if is_absurd(text)), None)
    if absurd is not None:
        yield _doubt("sensor_absurd", f"{where}: {absurd}", "Find out what is wrong with the sensor, or leave it out.")
    elif reason is not None:
        yield _doubt("sampling_gap", f"{where}: energy unknown: {reason}", "Find what held the sensor up.")
    if residual is not None and abs(residual) > RESIDUAL_DOUBT:
        grave = _severe if abs(residual) > RESIDUAL_INVALID else _doubt
        code = grave if duration_s >= RESIDUAL_WINDOW_S else _note
        facts = f"{where}: the counter is {100 * residual:+.1f} % off the integrated power"
        yield code("counter_residual", facts, "One of the two is wrong; longer windows tell a lag from a fault.")
    if reason is None and coverage is not None and coverage < COVERAGE_FLOOR:
        facts = f"{where}: {100 * coverage:.1f} % covered by samples"
        yield _doubt("low_coverage", facts, "Lower --power-rate or lighten the machine.")


def _idle(e: Evidence) -> Iterator[Doubt]:
    for facts in idle_drift_facts(e.idle):
        yield _doubt("idle_drift", facts, "Net energy is uncertain by that much; raise --idle.")
    if is_elsewhere(e.covers):
        return
    shares = [i.cpu_busy_share for i in e.idle if i.cpu_busy_share is not None]
    busy, used = max(shares, default=0.0) * e.environment.cpu.cores_logical, _load_cores(e)
    if busy > max(IDLE_BUSY_SHARE * used, IDLE_BUSY_FLOOR):
        facts = f"{busy:.1f} cores were busy while all should have been idle; the load uses {used}"
        yield _doubt("host_noise", facts, "Stop what else runs on the machine.")


def _neighbours(e: Evidence) -> Iterator[Doubt]:
    if e.plan.endpoint is not None or is_elsewhere(e.covers):  # the server is another process, here or elsewhere
        return
    cores = _load_cores(e)
    spans = [(r, r.observed_s * cores) for r in e.repeats if r.observed_s]
    untold = sum(r.other_cpu_s is None or not r.observed_s for r in e.repeats)
    if untold:
        facts = f"what other processes took of the CPU could not be told in {untold} of {len(e.repeats)} windows"
        yield _note("host_noise", facts, "Make sure that the machine is quiet; some sandboxes do not count CPU time.")
    other = max((r.other_cpu_s / span for r, span in spans if r.other_cpu_s is not None), default=0.0)
    if other > OTHER_CPU_SHARE:
        facts = f"other processes took up to {other * cores:.2f} cores in a window, {_of_load(other, cores)}"
        yield _doubt("foreign_process", facts, "Stop them; their work is in the watts and in the latency.")
    steal = max((r.steal_s / span for r, span in spans if r.steal_s is not None), default=0.0)
    if steal > STEAL_SHARE:
        facts = f"the hypervisor took up to {steal * cores:.2f} cores away in a window, {_of_load(steal, cores)}"
        yield _doubt("host_noise", facts, "Use a dedicated host for figures to publish.")
    if e.foreign_gpu_processes:
        facts = f"{e.foreign_gpu_processes} other processes used the device"
        yield _severe("foreign_process", facts, "Stop them; their work is in the watts and in the latency.")


def _load_cores(e: Evidence) -> int:
    """Return how many cores the load uses: its threads, else its processors, else all; noise is a share of these."""
    every = e.environment.cpu.cores_logical
    if e.backend is None:
        return every
    used = e.backend.threads or len(e.backend.affinity or ()) or every
    return min(used, every)


def _of_load(share: float, cores: int) -> str:
    return f"{100 * share:.0f} % of the {cores} that the load uses"


def _machine(e: Evidence) -> Iterator[Doubt]:
    reasons = dict.fromkeys((*e.throttle_reasons, *(c for r in e.repeats for c, s in _throttled(r) if s > 0)))
    if reasons:
        facts = f"the device slowed itself down: {', '.join(_slowed(e.repeats, cause) for cause in reasons)}"
        yield _doubt("throttled", facts, "The figure is true for this power limit and cooling; both are recorded.")
    for facts in _loose_windows(e.repeats):
        yield _doubt("clock_unsynchronised", facts, "Lengthen --window, or reach the phone by a faster way.")
    for facts in _warm_phones(e.repeats):
        yield _doubt("throttled", facts, "Let the phone cool between repeats; the figure is true for this cooling.")
    if e.power_limit_changed is not None:
        yield _doubt("power_limit_changed", e.power_limit_changed, "Compare only with runs at the same limit.")
    for board in e.environment.accelerators:
        limit, default = board.power_limit_w, board.power_limit_default_w
        if is_among(board.uuid, e.covers) and limit is not None and default is not None and abs(limit - default) > 0.5:
            facts = f"the power limit is {limit:.0f} W, its default {default:.0f} W"
            yield _note("power_limit_changed", facts, "Compare only with runs at the same limit.")
    if e.environment.host.on_battery and not is_elsewhere(e.covers):
        yield _doubt("battery", "the machine ran on battery", "Plug it in: battery limits change clocks.")
    if abs(e.clock_offset_s) > CLOCK_JUMP_S:
        facts = f"the wall clock moved {e.clock_offset_s:+.1f} s against the monotonic clock during the run"
        yield _doubt("clock_unsynchronised", facts, "Windows are unaffected; UTC times after the jump are not.")
    if e.moved_because is not None:
        yield _doubt("storage", e.moved_because, "The file at the wanted path holds an earlier state of this run.")


def _throttled(repeat: Repeat) -> Iterator[tuple[str, float]]:
    yield from (repeat.throttled_s or {}).items()


def _loose_windows(repeats: tuple[Repeat, ...]) -> Iterator[str]:
    """Yield by how much of it a tool's window may lie elsewhere, where that is more than energy should be off by."""
    known = [(r.tool.clock_bound_s / r.window.duration_s, r.index) for r in repeats if r.tool is not None]
    share, index = max(known, default=(0.0, 0))
    if share > CLOCK_BOUND_SHARE:
        yield f"the tool's clock is known within {100 * share:.1f} % of the window of repeat {index + 1}"


def _warm_phones(repeats: tuple[Repeat, ...]) -> Iterator[str]:
    """Yield the hottest thermal status that a phone told around its windows, where it was not 0."""
    known = [(r.tool.thermal_status, r.index) for r in repeats if r.tool is not None and r.tool.thermal_status]
    if known:
        status, index = max(known)
        yield f"Android's thermal status was {status} of 6 around repeat {index + 1}: it slows the chip down from 1 on"


def _slowed(repeats: tuple[Repeat, ...], cause: str) -> str:
    """Return a cause with the measured window that it slowed most, where the device counts that."""
    shares = [
        (seconds / r.observed_s, r.index) for r in repeats if r.observed_s for c, seconds in _throttled(r) if c == cause
    ]
    share, index = max(shares, default=(0.0, 0))
    return f"{cause} (up to {100 * share:.0f} % of the time, in repeat {index + 1})" if share > 0 else cause


POWER_RULES: tuple[Rule, ...] = (_spread, _power_source, _power_record, _idle)
"""What follows from energies alone, which a document holds: it can be judged again when a meter is attached."""

RULES: tuple[Rule, ...] = (
    _identity,
    _ending,
    _work,
    _traffic,
    _length,
    _steadiness,
    _spread,
    _limits,
    _power_source,
    _power_record,
    _sensors,
    _idle,
    _neighbours,
    _machine,
)


def _severe(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="severe", facts=facts, advice=advice)


def _doubt(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="doubt", facts=facts, advice=advice)


def _note(code: str, facts: str, advice: str) -> Doubt:
    return Doubt(code=code, severity="note", facts=facts, advice=advice)
