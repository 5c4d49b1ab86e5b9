"""Each doubt is drawn from what was recorded, and from nothing else."""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.judgement import Evidence, doubts_of
from wattbench.results.document import ErrorRecord, Result
from wattbench.results.energy import RecorderHealth
from wattbench.results.measurement import WarmupRecord, Window

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


def test_a_sound_run_is_not_doubted(make: Make) -> None:
    """A run by the whole protocol raises no doubt."""
    assert [] == codes(make())


def changed(field: str, **changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of one record within the evidence."""
    return lambda e: replace(e, **{field: replace(getattr(e, field), **changes)})


def first_repeat(**changes: Any) -> Callable[[Evidence], Evidence]:  # any: values of any field
    """Return a change of the first repeat."""
    return lambda e: replace(e, repeats=(replace(e.repeats[0], **changes), *e.repeats[1:]))


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
    ("alias", "doubt", lambda e: replace(e, aliases=("repeat 0: 5 % off",))),
    ("sensor_failed", "doubt", with_health(failed=3)),
    ("sensor_failed", "doubt", with_health(silent=True)),
    ("unmeasured_scope", "note", changed("power", unavailable_reason="no sensor")),
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
    error = ErrorRecord(kind=kind, what="It ended", why="early", remedy="Again.", phase="measure", worker_log_tail=None)
    (doubt,) = doubts_of(make(error=error))

    assert (code, "severe") == (doubt.code, doubt.severity)
    assert "in phase measure" in doubt.facts


def test_a_warm_up_that_ran_into_its_cap_is_doubted(make: Make) -> None:
    """Warm-up without steadiness is a doubt with its length."""
    warmup = WarmupRecord(
        window=Window(start_ns=0, end_ns=180 * 10**9), rates_per_s=(1.0, 2.0), test="halves", steady=False
    )
    (doubt,) = doubts_of(make(warmup=warmup))

    assert "warm_up_cap" == doubt.code
    assert "180 s and 2 executions" in doubt.facts


@pytest.mark.parametrize(("provenance", "code"), [("replayed", "replayed_power"), ("modelled", "modelled_power")])
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
