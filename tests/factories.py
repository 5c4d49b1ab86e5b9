"""Made-up but whole records for tests: one consistent run of a mock backend, and its parts.

`python tests/golden.py` writes the golden file of the current schema version again. Do that only before that version
is released: afterwards a golden file never changes (docs/result-schema.md).
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wattbench.harness.power.budget import BUDGET_VERSION
from wattbench.results.document import ClockRecord, HarnessRecord, Result, RunRecord
from wattbench.results.doubts import Doubt, judge
from wattbench.results.energy import (
    BudgetTerm,
    ChannelEnergy,
    ChannelRecord,
    Polls,
    PowerRecord,
    RecorderHealth,
    SamplerRecord,
)
from wattbench.results.environment import AcceleratorFacts, CpuFacts, Environment, HostFacts
from wattbench.results.measurement import Completions, IdleRecord, PhaseRecord, Repeat, WarmupRecord, Window
from wattbench.results.migrate import CURRENT
from wattbench.results.plan import Plan
from wattbench.results.stats import STEADY_TEST
from wattbench.results.subject import (
    BackendRecord,
    LoadRecord,
    PreparationRecord,
    QualityRecord,
    WeightsRecord,
    WorkRecord,
)
from wattbench.results.summarise import RungEnergy, summarise

GOLDEN = Path(__file__).parent / "data" / "golden" / f"result-v{CURRENT}.json"
S = 1_000_000_000
MS = 1_000_000
CHANNEL = "nvml:GPU-00000000:energy"
RUNG = "board:GPU-00000000"
BOUNDARY = "the accelerator's board, without the host"


def make_load(*, output_tokens: int = 4, turns: int = 1) -> LoadRecord:
    """Return a small decoder load, or an encoder for `output_tokens=0`."""
    family = "decoder" if output_tokens else "encoder"
    return LoadRecord(
        name=f"tiny-{family}/tiny",
        version=1,
        digest="sha256:" + "1" * 64,
        model=f"tiny-{family}",
        family="decoder" if output_tokens else "encoder",
        parameters=1_000_000,
        shape="tiny",
        input_tokens=16,
        output_tokens=output_tokens,
        turns=turns,
        work=WorkRecord(
            prefill_flops=3.2e7,
            decode_flops=8e6,
            weight_bytes=4_000_000,
            kv_bytes_per_token=2048,
            decode_kv_bytes=110_592,
        ),
        sources=("made up for tests",),
    )


def make_completions(
    start_ns: int = 0,
    *,
    executions: int = 10,
    duration_ns: int = S,
    requests: int = 2,
    output_tokens: int = 4,
    errors: Sequence[str | None] | None = None,
) -> Completions:
    """Return executions back to back: 40 % of each is prefill, the rest even decode steps."""
    starts = tuple(start_ns + i * duration_ns for i in range(executions))
    ends = tuple(start + duration_ns for start in starts)
    step_ns = duration_ns * 6 // 10 // max(1, output_tokens - 1)
    first = tuple(start + duration_ns * 4 // 10 if output_tokens else None for start in starts)
    steps = tuple(tuple(f + step_ns * k for k in range(1, output_tokens)) if f is not None else () for f in first)
    return Completions(
        planned_start_ns=starts,
        start_ns=starts,
        first_output_ns=first,
        step_end_ns=steps,
        end_ns=ends,
        requests=(requests,) * executions,
        input_tokens=(16 * requests,) * executions,
        output_tokens=(output_tokens * requests,) * executions,
        error=tuple(errors) if errors is not None else (None,) * executions,
    )


def make_channel_energy(energy_j: float | None = 3000.0, *, duration_s: float = 10.0) -> ChannelEnergy:
    """Return the energy of the board over one window; idle is 100 W."""
    known = energy_j is not None
    return ChannelEnergy(
        channel=CHANNEL,
        scope="board",
        provenance="measured",
        covers="GPU-00000000",
        energy_j=energy_j,
        energy_net_j=energy_j - 100.0 * duration_s if energy_j is not None else None,
        mean_power_w=energy_j / duration_s if energy_j is not None else None,
        method="counter" if known else None,
        counter_j=energy_j,
        integral_j=energy_j * 0.999 if energy_j is not None else None,
        residual=1 / 0.999 - 1 if known else None,
        polls=200,
        updates=100,
        coverage=1.0,
        max_gap_s=0.0512,
        u_absolute_rel=0.029 if known else None,
        u_comparison_rel=0.0041 if known else None,
        budget=(BudgetTerm(name="gain", kind="B", u_rel=0.0289, absolute_only=True, basis="5 %/sqrt(3), data sheet"),),
        reason=None if known else "the sensor went silent",
        u_net_absolute_j=60.0 if known else None,
        u_net_comparison_j=15.0 if known else None,
    )


def make_rung(energy_j: float | None = 3000.0, **overrides: Any) -> RungEnergy:  # any: values of any field
    """Return the board's rung for one window of 10 s."""
    channel = make_channel_energy(energy_j)
    rung = RungEnergy(
        name=RUNG,
        scope="board",
        covers="GPU-00000000",
        boundary=BOUNDARY,
        provenance="measured",
        channels=(CHANNEL,),
        energy_j=energy_j,
        energy_net_j=channel.energy_net_j,
        mean_power_w=channel.mean_power_w,
        method="counter",
        u_absolute_rel=channel.u_absolute_rel,
        u_comparison_rel=channel.u_comparison_rel,
        reason=channel.reason,
        u_net_absolute_j=channel.u_net_absolute_j,
        u_net_comparison_j=channel.u_net_comparison_j,
    )
    return replace(rung, **overrides)


def make_repeat(index: int = 0, **overrides: Any) -> Repeat:  # any: values of any field
    """Return one window of 10 s with ten executions of two requests each."""
    start_ns = (60 + 12 * index) * S
    duration_ns = S - (index % 3) * 2 * MS
    completions = overrides.pop("completions", make_completions(start_ns, duration_ns=duration_ns))
    repeat = Repeat(
        index=index,
        window=Window(start_ns=start_ns, end_ns=start_ns + 10 * S),
        jitter_s=0.125 * index,
        completions=completions,
        energy=(make_channel_energy(3000.0 + 5 * (index % 3)),),
        worker_cpu_s=9.875,
        observed_s=10.5,
        parent_cpu_s=0.0625,
        other_cpu_s=0.25,
        steal_s=0.0,
        temperature_c=(61.0, 62.0),
    )
    return replace(repeat, **overrides)


def make_plan() -> Plan:
    """Return the plan of the made-up run."""
    return Plan(
        load="tiny-decoder/tiny",
        backend="mock",
        device="cpu",
        precision="float32",
        scenario="offline",
        batch=2,
        weights="synthetic",
        seed=1,
        threads=2,
        affinity=(0, 1),
        quick=False,
        window_s=10.0,
        repeats_min=5,
        repeats_max=10,
        warmup_min_s=5.0,
        warmup_max_s=60.0,
        idle_s=30.0,
        jitter_max_s=1.0,
        interval_goal_throughput=0.01,
        interval_goal_energy=0.02,
        power=("auto",),
        power_rate_hz=20.0,
    )


def make_environment() -> Environment:
    """Return the facts of a made-up machine."""
    return Environment(
        host=HostFacts(
            os="Linux",
            kernel="6.1.0",
            machine="x86_64",
            virtualization=None,
            container=None,
            memory_bytes=16 * 2**30,
            memory_limit_bytes=None,
            on_battery=None,
            load_average_1m=0.25,
        ),
        cpu=CpuFacts(
            model="Made-up CPU",
            architecture="x86_64",
            sockets=1,
            cores_physical=2,
            cores_logical=2,
            cores_usable=2.0,
            features=("avx2", "fma"),
            governor=None,
            clock_max_mhz=None,
            turbo=None,
        ),
        accelerators=(
            AcceleratorFacts(
                vendor="nvidia",
                name="Made-up board",
                index=0,
                uuid="GPU-00000000",
                memory_bytes=80 * 2**30,
                driver="550.0",
                power_limit_w=700.0,
                power_limit_default_w=700.0,
                clock_max_mhz=1980.0,
                persistence=True,
                ecc=True,
                mig=False,
                other_processes=0,
            ),
        ),
        python="3.11.0",
        packages={"numpy": "2.0.0"},
        variables={"OMP_NUM_THREADS": "2"},
    )


def make_power() -> PowerRecord:
    """Return one counter with a few polls, one of which failed."""
    channel = ChannelRecord(
        id=CHANNEL,
        sampler="nvml",
        group="nvml:GPU-00000000",
        scope="board",
        kind="counter",
        provenance="measured",
        unit="J",
        covers="GPU-00000000",
        resolution=0.001,
        update_period_s=0.1,
        averaging_window_s=None,
        lag_s=None,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=700.0,
        accuracy_rel=0.0289,
        accuracy_basis="5 %/sqrt(3), data sheet",
    )
    polls = Polls(
        channel=CHANNEL,
        before_ns=(60 * S, 60 * S + 50 * MS, 60 * S + 100 * MS),
        after_ns=(60 * S + 9_000, 60 * S + 50 * MS + 8_000, 60 * S + 100 * MS + 9_500),
        value=(123456.789, None, 123486.7),
        sensor_ns=None,
        errors={"1": "the driver did not answer"},
    )
    health = RecorderHealth(
        sampler="nvml",
        asked_rate_hz=20.0,
        reached_rate_hz=19.98,
        polls=3,
        failed=1,
        max_gap_s=0.1,
        cpu_share=0.003,
        silent=False,
    )
    samplers = (
        SamplerRecord(name="nvml", used=True, reason="one board found", remedy=""),
        SamplerRecord(name="rapl", used=False, reason="no powercap folder", remedy="Load the intel_rapl driver."),
    )
    return PowerRecord(
        samplers=samplers,
        channels=(channel,),
        health=(health,),
        polls=(polls,),
        unavailable_reason=None,
        budget_version=BUDGET_VERSION,
    )


def make_backend() -> BackendRecord:
    """Return the mock backend's record."""
    return BackendRecord(
        name="mock",
        engine="mock",
        versions={"wattbench": "0.1.0"},
        device="cpu",
        device_name=None,
        precision_requested="auto",
        precision_effective="float32",
        threads=2,
        affinity=(0, 1),
        tuning="none",
        synchronisation="the call returns when the work is done",
        placement="there is only one device",
        token_source="the plan",
        memory_peak_bytes=123_456_789,
        memory_source="peak resident set of the worker",
        mock=True,
        emulated=False,
        true_device=None,
    )


def make_result(**overrides: Any) -> Result:  # any: values of any field
    """Return a complete run of five repeats with measured watts; `overrides` replace whole fields.

    The verdict follows from the doubts and the status unless it is given.
    """
    repeats = tuple(make_repeat(i) for i in range(5))
    rungs = [[make_rung(r.energy[0].energy_j)] for r in repeats]
    load = make_load()
    summary = summarise(
        load,
        repeats,
        rung_energies=rungs,
        idle_power_w={RUNG: 100.0},
        memory_peak_bytes=123_456_789,
        no_energy_reason=None,
    )
    doubts = (
        Doubt(code="mock", severity="severe", facts="the backend is a mock", advice="Use a real backend for figures."),
    )
    idle = Window(start_ns=1 * S, end_ns=31 * S)
    result = Result(
        kind="measured",
        status="complete",
        run=RunRecord(
            id="01234567-89ab-7def-8123-456789abcdef",
            started_at="2026-01-02T03:04:05.678901Z",
            duration_s=130.5,
            command=("bench", "run", "--backend", "mock"),
            clock=ClockRecord(source="perf_counter_ns", origin_utc="2026-01-02T03:04:05.5Z", end_offset_s=0.0002),
        ),
        harness=HarnessRecord(name="wattbench", version="0.1.0", source_sha256="2" * 64),
        plan=make_plan(),
        load=load,
        environment=make_environment(),
        weights=WeightsRecord(
            origin="synthetic",
            source="seed 1",
            revision=None,
            seed=1,
            distribution="normal, standard deviation 0.02",
            digest="sha256:" + "3" * 64,
        ),
        backend=make_backend(),
        preparation=PreparationRecord(worker_start_s=1.5, build_s=0.25, first_execution_s=0.125, gate_s=0.5),
        quality=QualityRecord(
            passed=True,
            reference="float32 on the CPU",
            positions=17,
            relative_error=1.5e-6,
            cosine_min=0.999999,
            top1_agreement=1.0,
            tolerance_relative_error=1e-4,
            tolerance_cosine=0.9999,
            reason="within the tolerance",
        ),
        power=make_power(),
        idle=(IdleRecord(state="loaded", window=idle, energy=(make_channel_energy(1000.0),), cpu_busy_share=0.01),),
        phases=(PhaseRecord(name="idle", window=idle),),
        warmup=WarmupRecord(
            window=Window(start_ns=40 * S, end_ns=59 * S), rates_per_s=(0.9, 1.0, 1.01), test=STEADY_TEST, steady=True
        ),
        repeats=repeats,
        summary=summary,
        doubts=doubts,
        verdict=judge(doubts, finished=True),
        error=None,
    )
    status = overrides.get("status", "complete")
    verdict = judge(overrides.get("doubts", doubts), finished=status == "complete") if status != "started" else None
    return replace(result, **{"verdict": verdict, **overrides})
