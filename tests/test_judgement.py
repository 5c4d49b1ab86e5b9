"""Each doubt is drawn from what was recorded, and from nothing else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.judgement import Evidence, doubts_of
from wattbench.harness.power.observing import observe
from wattbench.harness.power.series import absurd
from wattbench.results.calibration import CalibrationLevel, CalibrationRecord, MeterRecord
from wattbench.results.document import ErrorRecord, Result
from wattbench.results.doubts import DOUBT_CODES
from wattbench.results.energy import RecorderHealth
from wattbench.results.figures import figure
from wattbench.results.measurement import Completions, IdleRecord, ToolTimes, WarmupRecord, Window

Make = Callable[..., Evidence]


@pytest.fixture(name="make")
def _make(factories: ModuleType) -> Make:
    """Give a maker of evidence about a sound run, with single fields replaced."""
    result: Result = factories.make_result()
    sound = Evidence(
        plan=replace(result.plan, window_s=60.0),
        environment=result.environment,
        backend=replace(result.backend, mock=False),
        quality=replace(result.quality, passed=True, reason="") if result.quality else None,
        quality_expected=result.quality is not None,
        completion_truthful=True,
        completion_facts="",
        power=replace(result.power, health=()),
        idle=(),
        warmup=result.warmup and replace(result.warmup, steady=True),
        repeats=tuple(longer(r) for r in result.repeats),
        summary=result.summary,
        clock_offset_s=0.0,
        throttle_reasons=(),
        foreign_gpu_processes=0,
        power_limit_changed=None,
        covers="GPU-00000000",
        moved_because=None,
        aliases=(),
        error=None,
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
    )

    def make(**changes: Any) -> Evidence:  # any: values of any field
        return replace(sound, **changes)

    return make


def longer(repeat: Any) -> Any:  # any: a Repeat of the factory
    """Return the repeat with a window of 60 s and nobody else on the machine."""
    window = Window(start_ns=repeat.window.start_ns, end_ns=repeat.window.start_ns + 60 * 10**9)
    return replace(repeat, window=window, observed_s=61.0, other_cpu_s=0.0, steal_s=0.0)


def codes(evidence: Evidence) -> list[str]:
    """Return the codes of the doubts about the evidence."""
    return [doubt.code for doubt in doubts_of(evidence)]


def ended_early(kind: str) -> ErrorRecord:
    """Return the error of a run that ended within its windows."""
    return ErrorRecord(kind=kind, what="It ended", why="early", remedy="Again.", phase="measure", worker_log_tail=None)


def test_a_sound_run_is_not_doubted(make: Make) -> None:
    """A run by the whole protocol raises no doubt."""
    assert [] == codes(make())


def changed(field: str, **changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of one record within the evidence."""
    return lambda e: replace(e, **{field: replace(getattr(e, field), **changes)})


def first_repeat(**changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of the first repeat."""
    return lambda e: replace(e, repeats=(replace(e.repeats[0], **changes), *e.repeats[1:]))


def above_the_ceiling(e: Evidence) -> Evidence:
    """Return the evidence with arithmetic at 120 % of the measured ceiling."""
    assert e.summary is not None
    over = figure("utilisation.flops", "1", [1.2], "made up", reason="")
    metrics = tuple(over if m.name == over.name else m for m in e.summary.metrics)
    return replace(e, summary=replace(e.summary, metrics=metrics))


def first_energy(**changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of the first repeat's energy."""
    return lambda e: first_repeat(energy=(replace(e.repeats[0].energy[0], **changes),))(e)


def with_health(**changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of the sampler's health."""
    sound = RecorderHealth(
        sampler="nvml",
        asked_rate_hz=20.0,
        reached_rate_hz=20.0,
        polls=100,
        failed=0,
        max_gap_s=0.05,
        cpu_share=0.001,
        silent=False,
    )
    return changed("power", health=(replace(sound, **changes),))


def with_board(e: Evidence, **changes: Any) -> Evidence:  # any: values of any field
    """Return the evidence with the board changed."""
    boards = tuple(replace(board, **changes) for board in e.environment.accelerators)
    return replace(e, environment=replace(e.environment, accelerators=boards))


def with_host(e: Evidence, **changes: Any) -> Evidence:  # any: values of any field
    """Return the evidence with the host changed."""
    return replace(e, environment=replace(e.environment, host=replace(e.environment.host, **changes)))


def misbehaving(e: Evidence) -> Evidence:
    """Return the evidence with a channel whose period is not the stated one."""
    seen = replace(observe(e.power.channels[0], (), None), contradictions=("update period 0.5 s, stated is 0.1 s",))
    return replace(e, power=replace(e.power, observed=(seen,)))


def frozen(e: Evidence) -> Evidence:
    """Return the evidence with a counter that counts every 50 ms for 20 s and then no more."""
    times = tuple((60 + n / 20) * 1e9 for n in range(1000))
    logged = replace(
        e.power.polls[0],
        before_ns=tuple(map(round, times)),
        after_ns=tuple(map(round, times)),
        value=tuple(15.0 * min(n, 400) for n in range(1000)),
        errors={},
    )
    return replace(e, power=replace(e.power, polls=(logged,)))


def with_a_low_wall(e: Evidence) -> Evidence:
    """Return the evidence with a meter at the wall whose kilowatts were taken for watts."""
    board = e.repeats[0].energy[0]
    wall = replace(board, channel="meter:wall", scope="wall", covers=None, energy_j=5.0, mean_power_w=0.5)
    return replace(e, repeats=tuple(replace(r, energy=(*r.energy, wall)) for r in e.repeats))


def with_calibration(
    e: Evidence,
    *,
    calibrated_at: str = "2025-12-01T00:00:00Z",
    driver: str = "550.0",
    low_w: float = 100.0,
    high_w: float = 400.0,
) -> Evidence:
    """Return the evidence with a calibration of the board that reaches from one power to another."""
    channel = e.power.channels[0]
    meter = MeterRecord(
        identity="WT310", source="typed", scope="board", accuracy_rel=0.001, accuracy_basis="stated", resolution_w=None
    )
    levels = tuple(
        CalibrationLevel(name="x", busy_share=0.5, duration_s=20.0, sensor_w=w, u_sensor_w=0, meter_w=w, u_meter_w=0)
        for w in (low_w, high_w)
    )
    record = CalibrationRecord(
        device="GPU-00000000",
        device_name=None,
        driver=driver,
        sampler="nvml",
        group=channel.group,
        scope="board",
        boundary="board",
        calibrated_at=calibrated_at,
        meter=meter,
        gain=1.0,
        u_gain=0.001,
        gain_interval=(0.99, 1.01),
        offset_w=0.0,
        u_offset_w=0.1,
        offset_interval_w=(-0.5, 0.5),
        covariance_w=0.0,
        residual_rms_w=0.0,
        levels=levels,
    )
    repeats = tuple(
        replace(r, energy=(replace(r.energy[0], raw_energy_j=300.0 * r.window.duration_s),)) for r in e.repeats
    )
    return replace(e, power=replace(e.power, calibrations=(record,)), repeats=repeats)


def heating(e: Evidence) -> Evidence:
    """Return the evidence with a device that warms by 4 degrees in every repeat."""
    warm = tuple(replace(r, temperature_c=(50.0 + 4 * r.index, 54.0 + 4 * r.index)) for r in e.repeats)
    return replace(e, repeats=warm)


def idle(e: Evidence, state: str, watts: float = 100.0, busy: float = 0.0) -> IdleRecord:
    """Return an idle window of 10 s."""
    energy = replace(e.repeats[0].energy[0], energy_j=10 * watts, mean_power_w=watts)
    return IdleRecord(state=state, window=Window(start_ns=0, end_ns=10**10), energy=(energy,), cpu_busy_share=busy)


def on_cores(threads: int | None, affinity: tuple[int, ...] | None = None) -> Callable[[Evidence], Evidence]:
    """Return the change to a load of some threads on a machine of 64 logical cores."""

    def change(e: Evidence) -> Evidence:
        machine = replace(e.environment, cpu=replace(e.environment.cpu, cores_logical=64))
        return changed("backend", threads=threads, affinity=affinity)(replace(e, environment=machine))

    return change


CASES: list[tuple[str, str, Callable[[Evidence], Evidence]]] = [
    ("mock", "severe", changed("backend", mock=True)),
    ("emulated", "severe", changed("backend", emulated=True, true_device="XLA on the CPU")),
    ("quality", "severe", changed("quality", passed=False, reason="too far off")),
    ("quality", "doubt", lambda e: replace(e, quality=None, quality_expected=True)),
    ("unproven_completion", "severe", lambda e: replace(e, completion_truthful=False, completion_facts="early")),
    ("failed_requests", "severe", changed("summary", failed_requests=1)),
    ("quick", "doubt", changed("plan", quick=True)),
    ("few_repeats", "doubt", lambda e: replace(e, repeats=e.repeats[:4])),
    ("short_window", "note", first_repeat(window=Window(start_ns=0, end_ns=30 * 10**9))),
    ("short_window", "doubt", first_repeat(window=Window(start_ns=0, end_ns=9 * 10**9))),
    ("thermal_drift", "doubt", first_repeat(temperature_c=(40.0, 61.0))),
    ("foreign_process", "doubt", first_repeat(other_cpu_s=30.0)),
    ("foreign_process", "severe", lambda e: replace(e, foreign_gpu_processes=1)),
    ("host_noise", "doubt", first_repeat(steal_s=12.0)),
    ("counter_residual", "doubt", first_energy(residual=0.03)),
    ("counter_residual", "severe", first_energy(residual=-0.06)),
    ("low_coverage", "doubt", first_energy(coverage=0.5)),
    ("sampling_gap", "doubt", first_energy(energy_j=None, reason="no samples for 3 s")),
    ("sensor_absurd", "doubt", first_energy(energy_j=None, reason=absurd("nvml gave -5 W"))),
    ("sensor_absurd", "doubt", first_energy(notes=(absurd("the counter saw 0 J"),))),
    ("cpu_fallback", "severe", changed("backend", fallback="2 of 30 nodes ran on the CPU")),
    ("over_ceiling", "doubt", above_the_ceiling),
    ("tuning_fallback", "doubt", changed("backend", tuning_fallback="no compiler")),
    ("idle_drift", "doubt", lambda e: replace(e, idle=(idle(e, "loaded", 100.0), idle(e, "after", 110.0)))),
    ("idle_drift", "doubt", lambda e: replace(e, idle=(idle(e, "machine", 50.0), idle(e, "machine_after", 60.0)))),
    ("power_drift", "doubt", lambda e: replace(e, power_drifts=("repeat 1: power moved by +2.0% within 60 s",))),
    ("sensor_behaviour", "doubt", misbehaving),
    ("sensor_frozen", "doubt", frozen),
    ("scope_contradiction", "doubt", with_a_low_wall),
    ("calibration", "doubt", lambda e: with_calibration(e, calibrated_at="2024-12-01T00:00:00Z")),
    ("calibration", "note", lambda e: with_calibration(e, driver="440.0")),
    ("calibration", "doubt", lambda e: with_calibration(e, low_w=10.0, high_w=100.0)),
    ("thermal_drift", "doubt", heating),
    ("alias", "doubt", lambda e: replace(e, aliases=("repeat 1: 5 % off",))),
    ("sensor_failed", "doubt", with_health(failed=3)),
    ("sensor_failed", "doubt", with_health(silent=True)),
    ("unmeasured_scope", "note", changed("power", unavailable_reason="no sensor")),
    ("unmeasured_scope", "doubt", lambda e: replace(e, covers="GPU-1234")),
    ("host_noise", "note", first_repeat(other_cpu_s=None)),
    ("throttled", "doubt", lambda e: replace(e, throttle_reasons=("power cap",))),
    ("power_limit_changed", "doubt", lambda e: replace(e, power_limit_changed="700 W to 500 W")),
    ("power_limit_changed", "note", lambda e: with_board(e, power_limit_w=500.0)),
    ("battery", "doubt", lambda e: with_host(e, on_battery=True)),
    ("clock_unsynchronised", "doubt", lambda e: replace(e, clock_offset_s=-0.6)),
    ("storage", "doubt", lambda e: replace(e, moved_because="the disk is full")),
]


@pytest.mark.parametrize(("code", "severity", "change"), CASES, ids=[f"{c}-{s}" for c, s, _ in CASES])
def test_one_fault_raises_its_doubt(
    make: Make, code: str, severity: str, change: Callable[[Evidence], Evidence]
) -> None:
    """Each fault alone raises exactly its own doubt, with facts and advice."""
    (doubt,) = doubts_of(change(make()))

    assert (code, severity) == (doubt.code, doubt.severity)
    assert doubt.facts
    assert doubt.advice


@pytest.mark.parametrize(
    ("kind", "code"),
    [("InterruptedRunError", "interrupted"), ("WorkerError", "worker_died"), ("OutOfMemoryError", "out_of_memory")],
)
def test_an_early_end_is_severe(make: Make, kind: str, code: str) -> None:
    """A run that ended early says how, and cannot be valid."""
    (doubt,) = doubts_of(make(error=ended_early(kind)))

    assert (code, "severe") == (doubt.code, doubt.severity)
    assert "in phase measure" in doubt.facts


@pytest.mark.parametrize(("count", "words"), [(1, "1 repeat; "), (4, "4 repeats; ")])
def test_few_repeats_are_counted(make: Make, count: int, words: str) -> None:
    """One is one, and more are more."""
    made = make()
    found = [doubt for doubt in doubts_of(replace(made, repeats=made.repeats[:count])) if doubt.code == "few_repeats"]

    assert [f"{words}the protocol asks for 5"] == [doubt.facts for doubt in found]


def test_a_warm_up_that_ran_into_its_cap_is_doubted(make: Make) -> None:
    """Warm-up without steadiness is a doubt with its length."""
    warmup = WarmupRecord(
        window=Window(start_ns=0, end_ns=180 * 10**9), rates_per_s=(1.0, 2.0), test="halves", steady=False
    )
    (doubt,) = doubts_of(make(warmup=warmup))

    assert "warm_up_cap" == doubt.code
    assert "180 s and 2 executions" in doubt.facts


def test_the_cap_says_what_still_moved(make: Make) -> None:
    """A warm-up that was watched names the rate, power or temperature that did not stand still."""
    warmup = WarmupRecord(
        window=Window(start_ns=0, end_ns=180 * 10**9),
        rates_per_s=(1.0, 2.0),
        test="three",
        steady=False,
        moving=("power moves by +1.0% in 30 s",),
    )
    (doubt,) = doubts_of(make(warmup=warmup))

    assert "not steady after 180 s and 2 executions: power moves by +1.0% in 30 s" == doubt.facts


def test_several_windows_that_moved_are_one_doubt(make: Make) -> None:
    """The first is told, the others are counted."""
    (doubt,) = doubts_of(make(power_drifts=("repeat 1: power moved", "repeat 4: power moved")))

    assert "repeat 1: power moved (and 1 more)" == doubt.facts


@pytest.mark.parametrize(
    ("provenance", "code"),
    [("replayed", "replayed_power"), ("modelled", "modelled_power"), ("declared", "declared_power")],
)
def test_watts_that_are_not_measured_are_doubted(make: Make, provenance: str, code: str) -> None:
    """A recording and a model are named as such."""
    evidence = make()
    channel = replace(evidence.power.channels[0], provenance=provenance)
    power = replace(evidence.power, channels=(channel,))

    assert [code] == codes(replace(evidence, power=power))


def test_severe_doubts_come_first(make: Make) -> None:
    """The worst reason is the first that people read."""
    evidence = changed("backend", mock=True)(make(clock_offset_s=2.0))

    assert ["mock", "clock_unsynchronised"] == codes(evidence)


@pytest.mark.parametrize(
    ("threads", "affinity", "expected"),
    [(4, None, ["foreign_process"]), (None, (0, 1, 2, 3), ["foreign_process"]), (None, None, [])],
)
def test_neighbours_are_weighed_against_the_cores_of_the_load(
    make: Make, threads: int | None, affinity: tuple[int, ...] | None, expected: list[str]
) -> None:
    """Half a core of others is 12 % of a load of four threads, and under 1 % of one that has all 64."""
    assert expected == codes(first_repeat(other_cpu_s=30.5)(on_cores(threads, affinity)(make())))


def test_stolen_time_is_weighed_against_the_cores_of_the_load(make: Make) -> None:
    """A tenth of a core that the hypervisor took is 10 % of a load of one thread."""
    assert ["host_noise"] == codes(first_repeat(steal_s=6.1)(on_cores(1)(make())))


@pytest.mark.parametrize(
    ("threads", "busy_cores", "expected"),
    [(8, 1.0, ["host_noise"]), (8, 0.7, []), (1, 0.15, []), (1, 0.3, ["host_noise"]), (None, 6.0, [])],
)
def test_an_idle_machine_is_weighed_against_the_cores_of_the_load(
    make: Make, threads: int | None, busy_cores: float, expected: list[str]
) -> None:
    """Idle may cost a tenth of the load's cores, and a fifth of a core in any case."""
    evidence = on_cores(threads)(make())

    assert expected == codes(replace(evidence, idle=(idle(evidence, "loaded", busy=busy_cores / 64),)))


@pytest.mark.parametrize("residual", [0.03, 0.5])
def test_a_residual_of_a_short_window_is_a_note(make: Make, residual: float) -> None:
    """Below 10 s the edges alone part counter and integral, so the difference proves nothing."""
    evidence = first_energy(residual=residual)(make())
    short = first_repeat(window=Window(start_ns=0, end_ns=9 * 10**9))(evidence)

    assert ["note"] == [d.severity for d in doubts_of(short) if d.code == "counter_residual"]


def test_a_device_that_no_sensor_sees_is_named(make: Make) -> None:
    """With only the packages read, the doubt says that the GPU's own watts are missing."""
    evidence = make()
    package = replace(evidence.repeats[0].energy[0], scope="package", covers="cpu:0")
    repeats = tuple(replace(r, energy=(package,)) for r in evidence.repeats)
    (doubt,) = doubts_of(replace(evidence, repeats=repeats, covers="GPU-1234"))

    assert ("unmeasured_scope", "doubt") == (doubt.code, doubt.severity)
    assert "no sensor sees GPU-1234 (read were: package:cpu)" == doubt.facts


@pytest.mark.parametrize(
    ("change", "stands"),
    [
        (lambda e: e, True),
        (changed("summary", requests=100, failed_requests=100), False),
        (lambda e: replace(e, summary=None, repeats=()), False),
        (lambda e: replace(e, error=ended_early("WorkerError")), False),
    ],
)
def test_figures_stand_without_watts_where_there_are_any(
    make: Make, change: Callable[[Evidence], Evidence], stands: bool
) -> None:
    """Without power the advice says that throughput and latency stand only where requests were served to the end."""
    unpowered = change(changed("power", unavailable_reason="no sensor")(make()))
    (advice,) = [doubt.advice for doubt in doubts_of(unpowered) if doubt.code == "unmeasured_scope"]

    assert stands == ("stand by themselves" in advice)
    assert "`bench doctor` says how to get watts." in advice


def test_a_device_without_any_sensor_is_named(make: Make) -> None:
    """Where other sensors are read and the device is a TPU, the doubt says that it has no sensor at all."""
    evidence = make(covers="tpu:0")
    (doubt,) = doubts_of(replace(evidence, plan=replace(evidence.plan, backend="torch", device="xla:0")))

    assert "unmeasured_scope" == doubt.code
    assert "no sensor sees tpu:0 (read were: board:GPU-00000000); Google TPU has no power sensor" in doubt.facts


FOREIGN = {
    "stated_only",
    "latency_from_send",
    "official_differs",
    "truncated_log",
    "altered_log",
    "imported_invalid",
    "inferred_scenario",
    "meter_uncertainty",
    "attached_power",
    *("client_late", "client_starved", "usage_mismatch", "token_count", "cached_prompts"),
    *("rate_not_reached", "slo_missed"),
}
"""Codes of imported results, attached meters and traffic: tests/test_mlperf_import.py, tests/test_attach_power.py and
tests/test_judgement_traffic.py."""


def test_every_doubt_code_can_be_raised(make: Make) -> None:
    """No code is documented that no evidence can raise; those of other documents have their own tests."""
    evidence = make()
    warmup = WarmupRecord(window=Window(start_ns=0, end_ns=10**9), rates_per_s=(1.0,), test="halves", steady=False)
    goals = replace(evidence.plan, interval_goal_throughput=1e-9, interval_goal_energy=1e-9)
    channels = [replace(evidence.power.channels[0], provenance=p) for p in ("replayed", "modelled", "declared")]
    others = [replace(evidence, warmup=warmup), replace(evidence, plan=goals)]
    others += [replace(evidence, power=replace(evidence.power, channels=(c,))) for c in channels]
    errors = [ended_early(kind) for kind in ("InterruptedRunError", "WorkerError", "OutOfMemoryError")]
    others += [replace(evidence, error=error) for error in errors]
    raised = {code for _, _, change in CASES for code in codes(change(evidence))}

    assert set(DOUBT_CODES) - FOREIGN == raised | {code for other in others for code in codes(other)}


def test_throttling_names_its_share_of_the_worst_window(make: Make) -> None:
    """The device's own count of the time slowed is set against the time around each window."""
    sound = make()
    slowed = [
        replace(r, throttled_s={"power cap": 0.25 * r.index * r.observed_s, "heat": 0.0}) for r in sound.repeats[:3]
    ]
    doubts = doubts_of(replace(sound, repeats=tuple(slowed)))

    expected = "the device slowed itself down: power cap (up to 50 % of the time, in repeat 3)"
    assert [expected] == [d.facts for d in doubts if d.code == "throttled"]


def test_a_tool_s_window_that_is_not_known_well(make: Make) -> None:
    """A tool's clock that is placed within more than 1 % of the window, and a phone that slows down, are doubts."""
    times = ToolTimes(
        tool="benchmark_model",
        executions=10,
        mean_s=6.0,
        min_s=6.0,
        max_s=6.0,
        std_s=None,
        median_s=None,
        init_s=None,
        clock_bound_s=0.5,
        thermal_status=0,
    )
    sound, loose, hot = (
        replace(times, clock_bound_s=b, thermal_status=t) for b, t in ((0.5, 0), (0.7, None), (0.5, 2))
    )
    first = {name: getattr(make().repeats[0].completions, name)[:1] for name in Completions.__slots__}
    found = [codes(first_repeat(tool=each, completions=Completions(**first))(make())) for each in (sound, loose, hot)]

    assert [[], ["clock_unsynchronised"], ["throttled"]] == found
