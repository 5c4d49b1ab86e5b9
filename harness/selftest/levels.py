"""The self-test: the client driven against the stub at several loads, remembered for this machine and version."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.target import make_target
from wattbench.harness.selftest.paired import closed_loop, pair
from wattbench.harness.selftest.script import StubScript
from wattbench.harness.selftest.stub_process import Stub
from wattbench.harness.storage import cache_directory
from wattbench.harness.version import harness_record
from wattbench.results.codec import decode
from wattbench.results.durable import replace_file
from wattbench.results.errors import DocumentError, WattbenchError

__all__ = ["CONCURRENCIES", "Level", "SelfTest", "keep", "recall", "self_test"]

CONCURRENCIES = (1, 32, 128)
TTFT_S, GAP_S, TOKENS = 0.05, 0.01, 64
PACED_S = 3.0
SMALL_CALLS, SMALL_TOKENS, SMALL_CONCURRENCY = 8_000, 8, 64
DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One load: how far the client was from the stub's own stamps, in seconds; requests/s reached of what is ideal.

    `ttft_*` is the time to first token beyond the server's own, `gap_*` the absolute error of the time between two
    tokens, `late_*` how late calls went out.
    """

    concurrency: int
    requests: int
    ttft_p50_s: float
    ttft_p99_s: float
    gap_p50_s: float
    gap_p99_s: float
    late_p50_s: float
    late_p99_s: float
    requests_per_s: float
    ideal_per_s: float
    stamps: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """What the client can do on this machine, beside the stub on the same processors.

    `levels` are of paced streams (50 ms, 10 ms a token, 64 tokens). `small_per_s` is the rate of streams of 8 tokens
    that come at once, over 64 connections, `small_cpu_s` the client's processor time for one, parsing included.
    """

    measured_at: str
    version: str
    host: str
    processors: int
    levels: tuple[Level, ...]
    small_per_s: float
    small_cpu_s: float


def self_test(concurrencies: Sequence[int] = CONCURRENCIES, tell: Callable[[str], None] = lambda _: None) -> SelfTest:
    """Drive the client against the stub, about four seconds a load; `tell` is told of each before it begins.

    Raises WattbenchError when a call of a server that makes no mistakes fails.
    """
    levels = []
    for concurrency in concurrencies:
        tell(f"{concurrency} paced streams")
        levels.append(_level(concurrency))
    tell("small streams")
    rate, cpu_s = _small()
    return SelfTest(
        measured_at=datetime.now(tz=UTC).isoformat(timespec="seconds"),
        version=harness_record().source_sha256,
        host=_host(),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        levels=tuple(levels),
        small_per_s=rate,
        small_cpu_s=cpu_s,
    )


def keep(found: SelfTest) -> Path:
    """Remember a self-test for this machine, and return the file. Raises OSError when it cannot be written."""
    path = _path()
    replace_file(path, json.dumps(asdict(found)).encode())
    return path


def recall() -> SelfTest | None:
    """Return what was found on this machine by this version of the client; None when it was not tested."""
    try:
        found = decode(json.loads(_path().read_text()), SelfTest)
    except (OSError, ValueError, DocumentError):
        return None
    return found if found.host == _host() and found.version == harness_record().source_sha256 else None


def _path() -> Path:
    return cache_directory() / "selftest.json"


def _host() -> str:
    return f"{platform.node()} {platform.machine()} {platform.release()}"


def _level(concurrency: int) -> Level:
    stream_s = TTFT_S + GAP_S * (TOKENS - 1)
    calls = concurrency * max(2, round(PACED_S / stream_s))
    schedule = closed_loop(calls, concurrency, input_tokens=16, output_tokens=TOKENS, give_up_s=DEADLINE_S)
    with Stub(StubScript(ttft_s=TTFT_S, gap_s=GAP_S)) as stub:
        client = Client(make_target(stub.url, model="stub"))
        served = client.serve(schedule, client.prompts(schedule, 0))
        _refuse_failures(served.error)
        paired = pair(served, stub.truths())
    health = served.health
    return Level(
        concurrency=concurrency,
        requests=paired.requests,
        ttft_p50_s=paired.ttft.p50,
        ttft_p99_s=paired.ttft.p99,
        gap_p50_s=paired.gap.p50,
        gap_p99_s=paired.gap.p99,
        late_p50_s=health.send_late_p50_s or 0.0,
        late_p99_s=health.send_late_p99_s or 0.0,
        requests_per_s=len(served) / (served.window_end_ns - served.window_start_ns) * 1e9,
        ideal_per_s=concurrency / stream_s,
        stamps=health.stamps,
    )


def _small() -> tuple[float, float]:
    """Return the rate of small streams and the processor time of one."""
    schedule = closed_loop(
        SMALL_CALLS, SMALL_CONCURRENCY, input_tokens=16, output_tokens=SMALL_TOKENS, give_up_s=DEADLINE_S
    )
    with Stub() as stub:
        client = Client(make_target(stub.url, model="stub"))
        served = client.serve(schedule, client.prompts(schedule, 0))
    _refuse_failures(served.error)
    return len(served) / (served.window_end_ns - served.window_start_ns) * 1e9, served.health.cpu_s / SMALL_CALLS


def _refuse_failures(errors: Sequence[str | None]) -> None:
    failed = [error for error in errors if error is not None]
    if failed:
        what = f"{len(failed)} of {len(errors)} calls of the self-test failed"
        raise WattbenchError(what, failed[0], "Try again on a quieter machine; if it stays, report it.")
