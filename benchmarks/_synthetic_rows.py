"""Seeded rows of the index that nobody measured: every name in them says so."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy

from wattbench.results.index.row import IndexRow

LOADS, CLASSES, MACHINES = 24, 40, 5000
PRECISIONS = ("bfloat16", "float8", "int8", "int4")
ENGINES = ("eager", "compiled", "graph")
BATCHES = (1, 8, 32, 128, 256)
SCENARIOS = ("offline", "single-stream")
TIERS = ("self-reported", "signed", "reproduced", "audited")
START_US, SPAN_US = 1_700_000_000_000_000, 94_000_000_000_000


def load_name(number: int) -> str:
    """Return the name of a made-up load."""
    return f"synthetic-{number:02d}/chat"


def synthetic_rows(count: int, seed: int, chunk: int = 10_000) -> Iterator[list[IndexRow]]:
    """Yield made-up rows, a chunk at a time; the same for the same count, seed and chunk."""
    random = numpy.random.default_rng(seed)
    blank = _blank()
    for start in range(0, count, chunk):
        yield _chunk(random, blank, min(chunk, count - start), start, seed)


def _chunk(random: numpy.random.Generator, blank: IndexRow, n: int, start: int, seed: int) -> list[IndexRow]:
    load, kind, machine = (random.integers(0, high, n).tolist() for high in (LOADS, CLASSES, MACHINES))
    words = [random.integers(0, len(each), n).tolist() for each in (PRECISIONS, ENGINES, BATCHES, SCENARIOS)]
    tier = random.choice(4, n, p=(0.7, 0.2, 0.09, 0.01)).tolist()
    time_us = (START_US + random.integers(0, SPAN_US, n)).tolist()
    figures = random.lognormal(0, 0.1, (n, 4)).tolist()
    bad = (random.random(n) < 0.05).tolist()
    return [
        _row(
            blank,
            hashlib.sha256(f"synthetic {seed} {start + i}".encode()).hexdigest(),
            (load[i], kind[i], kind[i] * 1000 + machine[i] % 125),
            (PRECISIONS[words[0][i]], ENGINES[words[1][i]], BATCHES[words[2][i]], SCENARIOS[words[3][i]]),
            TIERS[tier[i]],
            time_us[i],
            figures[i],
            bad[i],
        )
        for i in range(n)
    ]


def _row(
    blank: IndexRow,
    digits: str,
    where: tuple[int, int, int],
    how: tuple[str, str, int, str],
    tier: str,
    time_us: int,
    factors: list[float],
    bad: bool,
) -> IndexRow:
    load, kind, machine = where
    precision, engine, batch, scenario = how
    rate = 1000.0 * (1 + kind) * factors[0] * batch**0.5 / (1 + load)
    watts = 300.0 * (1 + kind % 7) * factors[1]
    return replace(
        blank,
        id=f"sha256:{digits}",
        load=load_name(load),
        load_digest=_digest(f"load {load}"),
        model=f"synthetic-{load:02d}",
        precision=precision,
        compute_precision=precision,
        engine=engine,
        batch=batch,
        scenario=scenario,
        tier=tier,
        time_us=time_us,
        class_id=f"synthetic/board-{kind:02d}",
        hardware=f"synthetic/board-{kind:02d} x8",
        device=f"Synthetic board {kind:02d}",
        fingerprint=_digest(f"machine {machine}"),
        comparability_key=_digest(f"{load} {kind} {precision} {scenario}"),
        tokens_per_s=rate,
        tokens_per_s_low=rate * 0.99,
        tokens_per_s_high=rate * 1.01,
        requests_per_s=rate / 128,
        requests_per_s_low=rate * 0.99 / 128,
        requests_per_s_high=rate * 1.01 / 128,
        tokens_per_j=rate / watts,
        tokens_per_j_low=rate * 0.98 / watts,
        tokens_per_j_high=rate * 1.02 / watts,
        power_w=watts,
        power_w_low=watts * 0.99,
        power_w_high=watts * 1.01,
        energy_per_request_j=128 * watts / rate,
        energy_per_request_j_low=127 * watts / rate,
        energy_per_request_j_high=129 * watts / rate,
        latency_p50_s=factors[2],
        latency_p99_s=2 * factors[2],
        ttft_p50_s=0.1 * factors[3],
        ttft_p99_s=0.3 * factors[3],
        tpot_p50_s=0.01 * factors[2],
        tpot_p99_s=0.02 * factors[2],
        rankable=not bad,
        reasons="withdrawn" if bad else "",
        withdrawn=bad,
    )


CACHE: dict[str, str] = {}


def _digest(text: str) -> str:
    if text not in CACHE:
        CACHE[text] = "sha256:" + hashlib.sha256(f"synthetic {text}".encode()).hexdigest()
    return CACHE[text]


def _blank() -> IndexRow:
    return IndexRow(
        id="",
        scope="board",
        primary_scope=True,
        schema="wattbench.result/1",
        kind="measured",
        status="complete",
        problem=None,
        started_at=None,
        time_us=None,
        logged_at="2026-01-01T00:00:00.000Z",
        uploader="synthetic",
        size_bytes=50_000,
        harness_version="synthetic",
        load_version="1",
        weights="synthetic",
        parallelism=8,
        backend="synthetic",
        tuning="synthetic",
        devices=8,
        boundary="nothing: these rows were drawn, not measured",
        repeats=5,
        requests=1000,
        tokens="output",
        u_tokens_per_j_rel=0.03,
        verdict="valid",
        standing="consistent",
    )
