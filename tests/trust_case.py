"""A whole made-up run on one board, in which every figure follows from raw completions and polls; and forgeries of it.

Nothing of it was measured. It is what a forger would make who forges everything, which is why it passes.
"""

import hashlib
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import factories

from wattbench.harness.power.derive import derive
from wattbench.harness.trust.rejudging import demanded_doubts
from wattbench.harness.version import harness_record
from wattbench.models.find import find_load
from wattbench.models.work import load_record
from wattbench.results.codec import to_builtins
from wattbench.results.document import ClockRecord, Result, RunRecord
from wattbench.results.doubts import judge
from wattbench.results.energy import ChannelRecord, Polls, PollsFile, PowerRecord, RecorderHealth
from wattbench.results.environment import AcceleratorFacts
from wattbench.results.files import canonical_bytes
from wattbench.results.measurement import Completions, IdleRecord, PhaseRecord, Repeat, WarmupRecord, Window
from wattbench.results.polls_file import encode_polls
from wattbench.results.summarise import summarise

S, MS = 1_000_000_000, 1_000_000
BOARD = "GPU-11111111-2222-3333-4444-555555555555"
IDLE_W, LOAD_W = 20.0, 60.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)
REPEATS = 3
EXECUTIONS = 10
WINDOW_NS = 11 * S
RATE_HZ = 10.0


def at_ns(repeat: int) -> int:
    """Return when a window begins."""
    return (14 + 13 * repeat) * S


END_S = 60.0


@cache
def make_case(seed: int = 1) -> Result:
    """Return the run, with its polls in the document; another seed is another run on another day."""
    rng = random.Random(seed)
    load = load_record(find_load("qwen3-0.6b/chat"), "bfloat16")
    power = make_power(rng)
    repeats = [make_repeat(n, rng) for n in range(REPEATS)]
    rests = {"machine": (1, 4), "loaded": (5, 8), "after": (55, 58)}
    idle = [make_idle(state, start, end) for state, (start, end) in rests.items()]
    bare = factories.make_result()
    whole = replace(
        bare,
        run=RunRecord(
            id=f"00000000-0000-7000-8000-{seed:012d}",
            started_at="2026-02-03T04:05:06.000000Z",
            duration_s=END_S,
            command=("bench", "run", "--load", "qwen3-0.6b/chat"),
            clock=ClockRecord(source="perf_counter_ns", origin_utc="2026-02-03T04:05:05.9Z", end_offset_s=0.0002),
        ),
        harness=harness_record(),
        plan=replace(bare.plan, load=load.name, backend="torch", device="cuda", precision="bfloat16", batch=8),
        load=load,
        environment=replace(bare.environment, accelerators=(BOARD_FACTS,)),
        backend=replace(
            bare.backend,
            name="torch",
            engine="eager",
            device="cuda:0",
            device_name="NVIDIA L4",
            precision_effective="bfloat16",
            memory_peak_bytes=3_000_000_000,
            mock=False,
        ),
        power=power,
        idle=tuple(idle),
        phases=(PhaseRecord(name="measure", window=Window(start_ns=at_ns(0), end_ns=at_ns(REPEATS))),),
        warmup=WarmupRecord(
            window=Window(start_ns=9 * S, end_ns=13 * S), rates_per_s=(0.9, 0.9, 0.9), test="made up", steady=True
        ),
        repeats=tuple(repeats),
        doubts=(),
        verdict=judge((), finished=True),
    )
    return rederived(whole)


def rederived(result: Result) -> Result:
    """Return a result with every derived figure, doubt and verdict made to follow from its raw data."""
    found = derive(result.power, result.idle, result.repeats, rate_hz=result.plan.power_rate_hz)
    summary = summarise(
        result.load,
        found.repeats,
        rung_energies=found.rung_energies,
        idle_power_w=found.idle_power_w,
        memory_peak_bytes=result.backend.memory_peak_bytes if result.backend else None,
        no_energy_reason=result.power.unavailable_reason,
        backend=result.backend,
        ceilings=result.ceilings,
        phases=found.phases,
    )
    whole = replace(result, idle=found.idle, repeats=found.repeats, summary=summary)
    doubts = demanded_doubts(whole, whole.power.polls)
    return replace(whole, doubts=doubts, verdict=judge(doubts, finished=whole.status == "complete"))


def package(result: Result) -> tuple[bytes, dict[str, bytes]]:
    """Return the canonical bytes of a result, its polls in a file of their own, and that file: all digests fit."""
    polls = encode_polls(result.power.polls)
    digest = "sha256:" + hashlib.sha256(polls).hexdigest()
    rows = sum(len(log.value) for log in result.power.polls)
    named = PollsFile(digest=digest, size_bytes=len(polls), rows=rows)
    slim = replace(result, power=replace(result.power, polls=(), polls_file=named))
    return canonical_bytes(to_builtins(slim)), {named.name: polls}


BOARD_FACTS = AcceleratorFacts(
    vendor="nvidia",
    name="NVIDIA L4",
    index=0,
    uuid=BOARD,
    memory_bytes=24 * 10**9,
    driver="580.65",
    power_limit_w=72.0,
    power_limit_default_w=72.0,
    clock_max_mhz=2040.0,
    persistence=True,
    ecc=True,
    mig=False,
    other_processes=0,
    power_limit_enforced_w=72.0,
)


def make_power(rng: random.Random) -> PowerRecord:
    """Return a board's energy counter and power field, polled all through the run by a clock that jitters."""
    common: dict[str, Any] = {  # any: values of any field
        "sampler": "nvml",
        "group": f"nvml:{BOARD}",
        "scope": "board",
        "provenance": "measured",
        "covers": BOARD,
        "resolution": 0.001,
        "update_period_s": 0.1,
        "averaging_window_s": 0.1,
        "lag_s": 0.0,
        "seen_share": 1.0,
        "wraps_at_j": None,
        "limit_w": 72.0,
        "accuracy_rel": 0.0289,
        "accuracy_basis": "5 %/sqrt(3), data sheet",
    }
    counter = ChannelRecord(id=f"nvml:{BOARD}:energy", kind="counter", unit="J", **common)
    field = ChannelRecord(id=f"nvml:{BOARD}:average", kind="power", unit="W", **common)
    times, joules, watts = [], [], []
    total = 1000.0
    for n in range(round(END_S * RATE_HZ)):
        at = round(n * S / RATE_HZ) + rng.randrange(2 * MS)
        draw = power_w(at) * (1 + rng.gauss(0, 0.004))
        total += draw * (at - times[-1]) / 1e9 if times else 0.0
        times.append(at)
        joules.append(round(total, 3))
        watts.append(round(draw, 3))
    health = RecorderHealth(
        sampler="nvml",
        asked_rate_hz=RATE_HZ,
        reached_rate_hz=RATE_HZ,
        polls=len(times),
        failed=0,
        max_gap_s=0.102,
        cpu_share=0.002,
        silent=False,
    )
    bare = factories.make_power()
    return replace(
        bare,
        channels=(counter, field),
        health=(health,),
        polls=(make_polls(counter.id, times, joules), make_polls(field.id, times, watts)),
        covers=BOARD,
    )


def power_w(at: int) -> float:
    """Return what the board draws: much within warm-up and windows, little else."""
    busy = 9 * S <= at < 13 * S or any(at_ns(n) <= at < at_ns(n) + WINDOW_NS for n in range(REPEATS))
    return LOAD_W if busy else IDLE_W


def make_polls(channel: str, times: list[int], values: list[float]) -> Polls:
    """Return the polls of one channel."""
    return Polls(
        channel=channel,
        before_ns=tuple(times),
        after_ns=tuple(t + 20_000 for t in times),
        value=tuple(values),
        sensor_ns=None,
        errors={},
    )


def make_idle(state: str, start_s: int, end_s: int) -> IdleRecord:
    """Return an idle window, its energy still to be derived."""
    return IdleRecord(
        state=state, window=Window(start_ns=start_s * S, end_ns=end_s * S), energy=(), cpu_busy_share=0.01
    )


def make_repeat(index: int, rng: random.Random) -> Repeat:
    """Return a window of ten batches of eight requests, 512 tokens in and 128 out each."""
    start = at_ns(index)
    starts = [start + n * WINDOW_NS // EXECUTIONS + rng.randrange(MS) for n in range(EXECUTIONS)]
    firsts = [s + 100 * MS + rng.randrange(MS) for s in starts]
    steps = [tuple(f + k * 7 * MS for k in range(1, 128)) for f in firsts]
    rows = len(starts)
    completions = Completions(
        planned_start_ns=tuple(starts),
        start_ns=tuple(starts),
        first_output_ns=tuple(firsts),
        step_end_ns=tuple(steps),
        end_ns=tuple(s[-1] for s in steps),
        requests=(8,) * rows,
        input_tokens=(8 * 512,) * rows,
        output_tokens=(8 * 128,) * rows,
        error=(None,) * rows,
    )
    bare: Repeat = factories.make_repeat(index)
    return replace(bare, window=Window(start_ns=start, end_ns=start + WINDOW_NS), completions=completions, energy=())


def with_values(result: Result, change: Callable[[int, float], float]) -> Result:
    """Return a result whose polls are changed, by time and value; nothing that was derived of them is."""
    polls = tuple(
        replace(
            log, value=tuple(None if v is None else change(t, v) for t, v in zip(log.before_ns, log.value, strict=True))
        )
        for log in result.power.polls
    )
    return replace(result, power=replace(result.power, polls=polls))


def only_power(result: Result) -> Result:
    """Return a result with the board's power field alone, so that a forger of its values has no counter to mind."""
    power = result.power
    return rederived(replace(result, power=replace(power, channels=power.channels[1:], polls=power.polls[1:])))


def make_key(folder: Path, name: str, kind: str = "ed25519") -> Path:
    """Make a key pair with ssh-keygen, and return where the private one lies."""
    path = folder / name
    words = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{name}@example.org", "-f", str(path)]
    subprocess.run(words, check=True, timeout=60)
    return path
