"""Utilisation against measured ceilings and vendors' claims, by hand-made numbers.

The made-up load: ten executions of two requests in 10 s, each 0.4 s of prefill and 0.6 s of three decode steps.
A request has 3.2e7 FLOPs of prefill and 8e6 of decode; a step reads 4,000,000 bytes of weights, the steps of a request
together 110,592 bytes of cache.
"""

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest

from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.measurement import Repeat
from wattbench.results.metrics import Metric, Summary
from wattbench.results.subject import BackendRecord, LoadRecord
from wattbench.results.utilisation import (
    Part,
    ceiling_of,
    compute_precision,
    intensity,
    over_ceiling,
    percent,
    scaled,
    utilisation_metrics,
)

MEGA = 1e6
PREFILL, DECODE = 3.2e7, 8e6
WINDOW_FLOPS = 20 * (PREFILL + DECODE) / 10
PREFILL_FLOPS = 20 * PREFILL / 4
DECODE_BYTES = 10 * (3 * 4_000_000 + 2 * 110_592) / 6


def entry(kind: str, *rates: float, precision: str | None = None, library: str = "torch") -> CeilingEntry:
    """Return one ceiling."""
    unit, shape = ("FLOP/s", "8x8x8") if precision else ("By/s", "512 MiB")
    return CeilingEntry(
        kind=kind,  # type: ignore[arg-type] # a literal at each call
        precision=precision,
        shape=shape,
        unit=unit,
        samples=rates,
        library=library,
        threads=2,
    )


def ceilings(*entries: CeilingEntry, cache_bytes: int | None = None) -> CeilingsRecord:
    """Return the ceilings of a device; by default 1 GFLOP/s in float32 and 100 MB/s."""
    default = (entry("matmul", 1e9, precision="float32"), entry("memory_read", 100 * MEGA))
    return CeilingsRecord(
        device="cpu",
        device_name=None,
        measured_at="2026-01-02T03:04:05Z",
        duration_s=1.0,
        cached=False,
        versions={},
        cache_bytes=cache_bytes,
        entries=entries or default,
    )


def real(factories: ModuleType, **changes: object) -> BackendRecord:
    """Return the record of a backend that computes."""
    device = "cuda:0" if "device_name" in changes else "cpu"
    found: BackendRecord = replace(factories.make_backend(), mock=False, device=device, **changes)
    return found


def found(
    factories: ModuleType,
    name: str,
    *,
    load: LoadRecord | None = None,
    repeats: list[Repeat] | None = None,
    backend: BackendRecord | None = None,
    limits: CeilingsRecord | None = None,
) -> Metric:
    """Return one metric of two equal repeats, whatever is not given being made up."""
    done = factories.make_completions()
    metrics = utilisation_metrics(
        load or factories.make_load(),
        [factories.make_repeat(i, completions=done) for i in range(2)] if repeats is None else repeats,
        backend or real(factories),
        limits or ceilings(),
    )
    return next(metric for metric in metrics if metric.name == f"utilisation.{name}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flops", WINDOW_FLOPS / 1e9),
        ("prefill_flops", PREFILL_FLOPS / 1e9),
        ("bandwidth", DECODE_BYTES / 100e6),
    ],
)
def test_the_formulas(factories: ModuleType, name: str, expected: float) -> None:
    """A rate is its work over its own time, per repeat, over the ceiling: 0.08, 0.16 and 0.2037."""
    metric = found(factories, name)

    assert pytest.approx([expected] * 2, rel=1e-12) == list(metric.samples)
    assert pytest.approx(expected, rel=1e-12) == metric.value


def test_the_arithmetic_is_that_of_the_docstring() -> None:
    """The rates that the formulas are compared with are these numbers."""
    assert (8e7, 1.6e8, 20_368_640) == (WINDOW_FLOPS, PREFILL_FLOPS, DECODE_BYTES)


def test_an_encoder(factories: ModuleType) -> None:
    """An encoder has its prefill FLOPs over the window, and neither phase of a decoder."""
    done = factories.make_completions(output_tokens=0)
    load = factories.make_load(output_tokens=0)
    encoder = replace(load, work=replace(load.work, decode_flops=None, kv_bytes_per_token=None, decode_kv_bytes=None))
    parts = [
        found(factories, name, load=encoder, repeats=[factories.make_repeat(completions=done)])
        for name in ("flops", "prefill_flops", "bandwidth")
    ]

    assert pytest.approx(20 * PREFILL / 10 / 1e9) == parts[0].value
    assert [
        "the load has no tokens out, so utilisation.flops is that of its only phase",
        "the load has no tokens out, so there is no decode phase",
    ] == [metric.reason for metric in parts[1:]]


def test_failed_requests_do_no_work(factories: ModuleType) -> None:
    """An execution that failed has no FLOPs and no bytes, but its time is part of the window."""
    done = factories.make_completions(errors=["broken", *[None] * 9])
    repeats = [factories.make_repeat(completions=done)]

    assert pytest.approx(0.9 * WINDOW_FLOPS / 1e9) == found(factories, "flops", repeats=repeats).value
    assert pytest.approx(DECODE_BYTES / 100e6) == found(factories, "bandwidth", repeats=repeats).value


@pytest.mark.parametrize("name", ["flops", "prefill_flops", "bandwidth"])
@pytest.mark.parametrize(("count", "reason"), [(0, "no repeat was measured"), (1, "no request succeeded")])
def test_nothing_done(factories: ModuleType, name: str, count: int, reason: str) -> None:
    """Without a repeat, or without a request that succeeded, there is no figure."""
    done = factories.make_completions(errors=["broken"] * 10)
    metric = found(factories, name, repeats=[factories.make_repeat(completions=done)] * count)

    assert (None, reason) == (metric.value, metric.reason)


def test_times_of_nothing(factories: ModuleType) -> None:
    """An engine without a first token's time, and a batch without requests, have no phases."""
    done = factories.make_completions(executions=2)
    silent = replace(done, first_output_ns=(None, None))
    empty = replace(done, requests=(0, 0), output_tokens=(0, 0))
    reasons = [
        found(factories, "bandwidth", repeats=[factories.make_repeat(completions=c)]).reason for c in (silent, empty)
    ]

    assert ["no request succeeded"] * 2 == reasons


def test_an_engine_that_reads_less(factories: ModuleType) -> None:
    """The engine's own bytes of weights and of a cache position go before the load's count."""
    backend = real(factories, weight_bytes=1_000_000, kv_bytes_per_token=1024)
    expected = 10 * (3 * 1_000_000 + 2 * 55_296) / 6

    assert pytest.approx(expected / 100e6) == found(factories, "bandwidth", backend=backend).value


def test_a_cache_without_a_count_per_token(factories: ModuleType) -> None:
    """Where the load has no bytes per position the engine's cannot scale its sum, which stands."""
    load = factories.make_load()
    other = replace(load, work=replace(load.work, kv_bytes_per_token=None))
    backend = real(factories, kv_bytes_per_token=1024)

    assert pytest.approx(DECODE_BYTES / 100e6) == found(factories, "bandwidth", load=other, backend=backend).value


def test_the_best_product_counts(factories: ModuleType) -> None:
    """The ceiling is the best window of all shapes and libraries in the run's precision."""
    limits = ceilings(
        entry("matmul", 1e9, 2e9, precision="float32"),
        entry("matmul", 1.5e9, 4e9, 3e9, precision="float32", library="onnxruntime"),
        entry("matmul", 9e9, precision="bfloat16"),
    )
    metric = found(factories, "flops", limits=limits)

    assert pytest.approx(WINDOW_FLOPS / 4e9) == metric.value
    assert metric.method.endswith("over 4 GFLOP/s (float32 products of 8x8x8, onnxruntime); median of 2")


@pytest.mark.parametrize(
    ("read", "copy", "best", "words"), [(100e6, 80e6, 100e6, "reads of 512 MiB"), (100e6, 120e6, 120e6, "copies of")]
)
def test_the_faster_of_reading_and_copying_counts(
    factories: ModuleType, read: float, copy: float, best: float, words: str
) -> None:
    """A device that copies faster than it reads, per byte moved, can move that much."""
    limits = ceilings(entry("memory_read", read), entry("memory_copy", copy), entry("host_to_device", 1e12))
    metric = found(factories, "bandwidth", limits=limits)

    assert pytest.approx(DECODE_BYTES / best) == metric.value
    assert words in metric.method


@pytest.mark.parametrize(
    ("effective", "compute", "expected"),
    [
        ("float32", None, "float32"),
        ("bfloat16+float32", None, "bfloat16"),
        ("int8", None, "int8"),
        ("int8", "bfloat16", "bfloat16"),
        ("int4", "float16+float32", "float16"),
    ],
)
def test_the_precision_of_products(factories: ModuleType, effective: str, compute: str | None, expected: str) -> None:
    """Weights kept in few bits count in the precision they are multiplied in, a mixture in its first."""
    backend = real(factories, precision_effective=effective, compute_precision=compute)

    assert expected == compute_precision(backend)


def test_a_mixture_finds_its_ceiling(factories: ModuleType) -> None:
    """An engine in bfloat16+float32 is measured against products in bfloat16."""
    backend = real(factories, precision_effective="bfloat16+float32")
    limits = ceilings(entry("matmul", 1e9, precision="float32"), entry("matmul", 5e9, precision="bfloat16"))

    assert pytest.approx(WINDOW_FLOPS / 5e9) == found(factories, "flops", backend=backend, limits=limits).value


REASONS: list[tuple[str, str, Callable[[ModuleType], dict[str, object]]]] = [
    ("flops", "the backend is a mock: nothing was computed", lambda f: {"backend": f.make_backend()}),
    ("bandwidth_claim", "the backend is a mock: nothing was computed", lambda f: {"backend": f.make_backend()}),
    (
        "flops",
        "no ceiling was measured for products in int4",
        lambda f: {"backend": real(f, precision_effective="int4")},
    ),
    (
        "prefill_flops",
        "no ceiling was measured for products in float32",
        lambda _: {"limits": ceilings(entry("matmul", 0.0, precision="float32"))},
    ),
    (
        "bandwidth",
        "no memory ceiling was measured",
        lambda _: {"limits": ceilings(entry("matmul", 1e9, precision="float32"), entry("host_to_device", 1e9))},
    ),
    (
        "prefill_flops",
        "all turns of a request run in one execution, so its phases cannot be told apart",
        lambda f: {"load": f.make_load(turns=2)},
    ),
    (
        "bandwidth",
        "all turns of a request run in one execution, so its phases cannot be told apart",
        lambda f: {"load": f.make_load(turns=2)},
    ),
    (
        "bandwidth",
        "each request has one token out, so there is no decode phase",
        lambda f: {"load": f.make_load(output_tokens=1)},
    ),
    (
        "bandwidth",
        "the weights (4 MB) fit into the cache (4 MB), so they are not read from memory",
        lambda _: {"limits": ceilings(cache_bytes=4_000_000)},
    ),
    (
        "bandwidth_claim",
        "the weights (1 MB) fit into the cache (2.1 MB), so they are not read from memory",
        lambda f: {"backend": real(f, weight_bytes=1_000_000), "limits": ceilings(cache_bytes=2_097_152)},
    ),
    (
        "bandwidth",
        "the load has experts, and how many of them a batch of several requests reads is not known",
        lambda f: {"load": replace(f.make_load(), parameters=2_700_000)},
    ),
    (
        "bandwidth",
        "what the decode steps read of their cache is not known",
        lambda f: {"load": replace(f.make_load(), work=replace(f.make_load().work, decode_kv_bytes=None))},
    ),
    (
        "flops_claim",
        "no vendor's peak is listed for Made-up CPU",
        lambda f: {"backend": real(f, device_name="Made-up CPU")},
    ),
    ("bandwidth_claim", "no vendor's peak is listed for a device without name", lambda f: {"backend": real(f)}),
    (
        "flops_claim",
        "no dense peak in int4 is listed for NVIDIA L4",
        lambda f: {"backend": real(f, device_name="NVIDIA L4", precision_effective="int4")},
    ),
    (
        "bandwidth_claim",
        "no memory bandwidth is listed for NVIDIA H200 NVL 141GB",
        lambda f: {"backend": real(f, device_name="NVIDIA H200 NVL")},
    ),
    (
        "prefill_flops_claim",
        "the device is emulated on cpu, which has other peaks",
        lambda f: {"backend": real(f, device_name="NVIDIA L4", emulated=True, true_device="cpu")},
    ),
]


@pytest.mark.parametrize(("name", "reason", "change"), REASONS)
def test_every_reason(
    factories: ModuleType, name: str, reason: str, change: Callable[[ModuleType], dict[str, object]]
) -> None:
    """What cannot be told is None, and the reason says which fact is missing."""
    metric = found(factories, name, **change(factories))  # type: ignore[arg-type] # keyword arguments by name

    assert (None, reason, ()) == (metric.value, metric.reason, metric.samples)


@pytest.mark.parametrize("name", ["flops", "prefill_flops", "bandwidth"])
def test_no_ceilings_and_no_backend(factories: ModuleType, name: str) -> None:
    """A run without ceilings says so; one without a backend knows neither precision nor device."""
    repeats = [factories.make_repeat()]
    bare = {m.name: m.reason for m in utilisation_metrics(factories.make_load(), repeats, None, None)}
    measured = {m.name: m for m in utilisation_metrics(factories.make_load(), repeats, None, ceilings())}
    unknown = "the run did not get as far as its backend"

    assert "ceilings were not measured" == bare[f"utilisation.{name}"]
    assert unknown == bare[f"utilisation.{name}_claim"]
    assert (None if name == "bandwidth" else unknown) == measured[f"utilisation.{name}"].reason


def test_weights_beyond_the_cache_are_read(factories: ModuleType) -> None:
    """One byte more than the cache holds, and the weights come from memory."""
    assert found(factories, "bandwidth", limits=ceilings(cache_bytes=3_999_999)).reason is None


def test_experts_of_one_request(factories: ModuleType) -> None:
    """At batch 1 the record says what a step reads, whether there are experts or not."""
    load = replace(factories.make_load(), parameters=2_700_000)
    done = factories.make_completions(requests=1)
    metric = found(factories, "bandwidth", load=load, repeats=[factories.make_repeat(completions=done)])

    assert pytest.approx(10 * (3 * 4_000_000 + 110_592) / 6 / 100e6) == metric.value


def test_an_encoder_decoder_has_no_experts(factories: ModuleType) -> None:
    """The weights of an encoder rest while the decoder writes, which is no sign of experts."""
    load = replace(factories.make_load(), family="encoder-decoder", parameters=2_700_000)

    assert found(factories, "bandwidth", load=load).reason is None


def test_claims(factories: ModuleType) -> None:
    """Against the vendor's peaks of the device: 121 TFLOP/s dense in bfloat16 and 300 GB/s for an L4."""
    backend = real(factories, device_name="NVIDIA L4", precision_effective="bfloat16")
    values = [found(factories, f"{n}_claim", backend=backend).value for n in ("flops", "prefill_flops", "bandwidth")]
    method = found(factories, "flops_claim", backend=backend).method

    assert pytest.approx([WINDOW_FLOPS / 121e12, PREFILL_FLOPS / 121e12, DECODE_BYTES / 300e9]) == values
    assert "over 121 TFLOP/s (dense bfloat16 products of NVIDIA L4, NVIDIA aiconfigurator" in method


def test_nothing_is_clipped(factories: ModuleType) -> None:
    """A rate above its ceiling is told as it is, and named as a contradiction."""
    limits = ceilings(entry("matmul", 1.5e8, precision="float32"), entry("memory_read", 20e6))
    metrics = utilisation_metrics(factories.make_load(), [factories.make_repeat()], real(factories), limits)

    assert (
        "the arithmetic of prefill is at 106.7 % of the measured ceiling (utilisation.prefill_flops)",
        "what decode steps must read is at 101.8 % of the measured ceiling (utilisation.bandwidth)",
    ) == over_ceiling(summary(metrics))


def test_exactly_the_ceiling_is_no_contradiction(factories: ModuleType) -> None:
    """A figure of 100 % is possible."""
    limits = ceilings(entry("matmul", PREFILL_FLOPS, precision="float32"))
    metrics = utilisation_metrics(factories.make_load(), [factories.make_repeat()], real(factories), limits)

    assert () == over_ceiling(summary(metrics))


def test_above_a_claim_is_no_contradiction(factories: ModuleType) -> None:
    """A device may run faster than the clock that its vendor multiplied with."""
    load = factories.make_load()
    fast = replace(load, work=replace(load.work, prefill_flops=1e14))
    backend = real(factories, device_name="NVIDIA L4", precision_effective="bfloat16")
    metrics = utilisation_metrics(fast, [factories.make_repeat()], backend, None)

    assert any(metric.value is not None and metric.value > 1 for metric in metrics)
    assert () == over_ceiling(summary(metrics))


def summary(metrics: tuple[Metric, ...]) -> Summary:
    """Return a summary of nothing but these metrics."""
    return Summary(metrics=metrics, latencies=(), requests=0, failed_requests=0, repeats=1, measured_s=10.0)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("bandwidth", 2 * DECODE / (3 * 4_000_000 + 2 * 110_592)),
        ("prefill_flops", 2 * PREFILL / (4_000_000 + 2 * 16 * 2048)),
    ],
)
def test_intensity(factories: ModuleType, part: Part, expected: float) -> None:
    """FLOPs over the bytes of weights, once a step or a prefill, and of the caches of all requests."""
    done = [factories.make_repeat()]

    assert pytest.approx(expected) == intensity(part, factories.make_load(), done, real(factories))


def test_the_intensity_of_an_encoder(factories: ModuleType) -> None:
    """An encoder's pass reads its weights once, and writes no cache."""
    load = factories.make_load(output_tokens=0)
    encoder = replace(load, work=replace(load.work, kv_bytes_per_token=None))
    repeats = [factories.make_repeat(completions=factories.make_completions(output_tokens=0))]

    assert pytest.approx(2 * PREFILL / 1_000_000) == intensity(
        "flops", encoder, repeats, real(factories, weight_bytes=1_000_000)
    )


def test_intensity_unknown(factories: ModuleType) -> None:
    """What a prefill of experts or of two towers reads is not known, and nothing done has no intensity."""
    load = factories.make_load()
    experts = replace(load, parameters=2_700_000)
    towers = replace(load, family="encoder-decoder")
    repeats = [factories.make_repeat()]

    assert [None] * 3 == [
        intensity("prefill_flops", experts, repeats, None),
        intensity("prefill_flops", towers, repeats, None),
        intensity("prefill_flops", load, [], None),
    ]


def test_no_limit_without_a_name(factories: ModuleType) -> None:
    """A ceiling that is not known has words instead of a rate."""
    limit = ceiling_of("flops", None, None)

    assert (None, "ceilings were not measured") == (limit.rate, limit.words)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.08e12, "1.08 TB/s"),
        (989e12, "989 TB/s"),
        (999.6e9, "1 TB/s"),
        (19_100_000_000.0, "19.1 GB/s"),
        (4_000_000, "4 MB/s"),
        (1000, "1 kB/s"),
        (999, "999 B/s"),
        (1, "1 B/s"),
        (0.25, "0.25 B/s"),
        (0, "0 B/s"),
        (1e21, "1000 EB/s"),
    ],
)
def test_scaled(value: float, expected: str) -> None:
    """A rate has three digits and a decimal prefix."""
    assert expected == scaled(value, "B/s")


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.849879, "85 %"),
        (1.07, "107 %"),
        (0.0149, "1 %"),
        (0.0026496, "0.26 %"),
        (0.00037, "0.037 %"),
        (5e-7, "under 0.01 %"),
        (0, "0 %"),
    ],
)
def test_a_small_share_is_not_printed_as_nothing(share: float, expected: str) -> None:
    """Percent are whole numbers from one on; less than one has two digits, since 0 % would be wrong."""
    assert expected == percent(share)
