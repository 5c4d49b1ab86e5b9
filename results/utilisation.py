"""How near a run came to its device's limits: model FLOP/s and bytes/s over measured ceilings and vendors' claims."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.figures import figure
from wattbench.results.measurement import Completions, Repeat
from wattbench.results.metrics import Metric, Summary
from wattbench.results.peaks import claimed_peaks
from wattbench.results.rates import NO_REPEAT, NONE_SUCCEEDED, overlap_reason, phase_reason, succeeded
from wattbench.results.subject import BackendRecord, LoadRecord, WorkRecord

__all__ = [
    "CLAIM",
    "NO_CEILINGS",
    "PARTS",
    "Limit",
    "Part",
    "Reached",
    "cached_weights",
    "ceiling_of",
    "claim_of",
    "compute_precision",
    "intensity",
    "over_ceiling",
    "percent",
    "reached",
    "scaled",
    "utilisation_metrics",
]

Part = Literal["flops", "prefill_flops", "bandwidth"]
"""What is compared with a limit: all arithmetic over the window, that of prefills, and the traffic of decode steps."""

PARTS: tuple[Part, ...] = get_args(Part)

CLAIM = "_claim"
"""The end of the names of figures against a vendor's claim."""

NO_CEILINGS = "ceilings were not measured"
NO_BACKEND = "the run did not get as far as its backend"
MOCK = "the backend is a mock: nothing was computed"
UNKNOWN_MODEL = "the server's model is not known"
ALL_PREFILL = "the load has no tokens out, so utilisation.flops is that of its only phase"
NO_DECODE = "the load has no tokens out, so there is no decode phase"
NO_CACHE_BYTES = "what the decode steps read of their cache is not known"
EXPERTS = "the load has experts, and how many of them a batch of several requests reads is not known"

METHODS: dict[Part, str] = {
    "flops": "model FLOPs of successful requests / window duration",
    "prefill_flops": "model FLOPs of prefills / time from start to first token, ratio of sums over the executions",
    "bandwidth": "bytes that decode steps must read (weights once a step, KV cache of every request)"
    " / time from first token to end, ratio of sums over the executions",
}

OVER: dict[Part, str] = {
    "flops": "the arithmetic of the whole window is at",
    "prefill_flops": "the arithmetic of prefill is at",
    "bandwidth": "what decode steps must read is at",
}

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A rate that cannot be passed, in FLOP/s or By/s, and in words what it is; None and why it is not known."""

    rate: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The rate of each repeat in FLOP/s or By/s; `reason` says why one of them is None, or why there are none."""

    rates: tuple[float | None, ...]
    reason: str


def utilisation_metrics(
    load: LoadRecord, repeats: Sequence[Repeat], backend: BackendRecord | None, ceilings: CeilingsRecord | None
) -> tuple[Metric, ...]:
    """Return utilisation.* against the measured ceilings and, with the suffix _claim, against the vendor's claims.

    Nothing is clipped: a figure above 1 means that the count of the work or the limit is wrong.
    """
    metrics = []
    for part in PARTS:
        found = reached(part, load, repeats, backend, ceilings)
        metrics.append(_metric(f"utilisation.{part}", part, found, ceiling_of(part, backend, ceilings)))
        metrics.append(_metric(f"utilisation.{part}{CLAIM}", part, found, claim_of(part, backend)))
    return tuple(metrics)


def over_ceiling(summary: Summary) -> tuple[str, ...]:
    """Return in words each figure that lies above a measured ceiling, which is a contradiction.

    Claims are left out: a device may run at a higher clock than the one that its vendor multiplied with.
    """
    metrics = [(OVER[part], summary.metric(f"utilisation.{part}")) for part in PARTS]
    return tuple(
        f"{words} {100 * metric.value:.1f} % of the measured ceiling ({metric.name})"
        for words, metric in metrics
        if metric is not None and metric.value is not None and metric.value > 1
    )


def reached(
    part: Part,
    load: LoadRecord,
    repeats: Sequence[Repeat],
    backend: BackendRecord | None,
    ceilings: CeilingsRecord | None,
) -> Reached:
    """Return what each repeat reached; no rates, and the reason, where a part of the work cannot be told apart.

    `ceilings` tell how large the last-level cache is: weights that fit are not read from memory.
    """
    reason = _untold(part, load, repeats, backend, ceilings)
    if reason is not None:
        return Reached(rates=(), reason=reason)
    rates = tuple(_rate(part, load, repeat, backend) for repeat in repeats)
    return Reached(rates=rates, reason=NONE_SUCCEEDED if repeats else NO_REPEAT)


def ceiling_of(part: Part, backend: BackendRecord | None, ceilings: CeilingsRecord | None) -> Limit:
    """Return the measured ceiling of a part: products in the run's compute precision, or memory.

    The best of all shapes and libraries counts. For memory that is the faster of reading and copying, each per byte
    moved: a device that copies faster than it reads has shown that it can move that much. Several devices that share
    the load can do so many times what the one can that was measured.
    """
    return _times_devices(_one_ceiling(part, backend, ceilings), backend)


def _one_ceiling(part: Part, backend: BackendRecord | None, ceilings: CeilingsRecord | None) -> Limit:
    if ceilings is None:
        return Limit(rate=None, words=NO_CEILINGS)
    if part == "bandwidth":
        memory = [e for e in (ceilings.best("memory_read"), ceilings.best("memory_copy")) if e is not None and e.rate]
        best = max(memory, key=lambda entry: entry.rate, default=None)
        if best is None:
            return Limit(rate=None, words="no memory ceiling was measured")
        verb = "reads" if best.kind == "memory_read" else "copies"
        return Limit(rate=best.rate, words=f"{verb} of {best.shape}, {best.library}")
    if backend is None:
        return Limit(rate=None, words=NO_BACKEND)
    precision = compute_precision(backend)
    best = ceilings.best("matmul", precision)
    if best is None or not best.rate:
        return Limit(rate=None, words=f"no ceiling was measured for products in {precision}")
    return Limit(rate=best.rate, words=f"{precision} products of {best.shape}, {best.library}")


def claim_of(part: Part, backend: BackendRecord | None) -> Limit:
    """Return what the vendor states for a part of the work on the run's devices: dense products, or bandwidth."""
    return _times_devices(_one_claim(part, backend), backend)


def _one_claim(part: Part, backend: BackendRecord | None) -> Limit:
    if backend is None:
        return Limit(rate=None, words=NO_BACKEND)
    if backend.emulated:
        return Limit(rate=None, words=f"the device is emulated on {backend.true_device}, which has other peaks")
    processor = backend.device.partition(":")[0] == "cpu"  # no vendor states dense products of one: nothing to look up
    peaks = None if processor else claimed_peaks(backend.device_name)
    if peaks is None:
        return Limit(
            rate=None, words=f"no vendor's peak is listed for {backend.device_name or 'a device without name'}"
        )
    precision = compute_precision(backend)
    claim = peaks.bytes_per_s if part == "bandwidth" else peaks.flops_per_s.get(precision)
    if claim is None:
        kind = "memory bandwidth" if part == "bandwidth" else f"dense peak in {precision}"
        return Limit(rate=None, words=f"no {kind} is listed for {peaks.device}")
    kind = "memory" if part == "bandwidth" else f"dense {precision} products"
    return Limit(rate=claim.value, words=f"{kind} of {peaks.device}, {claim.source}")


def _times_devices(limit: Limit, backend: BackendRecord | None) -> Limit:
    """Return the limit of all devices that share the load, from that of one; ranks on a CPU share what it has."""
    devices = _devices(backend)
    if devices == 1 or limit.rate is None:
        return limit
    return Limit(rate=devices * limit.rate, words=f"{devices} x {limit.words}")


def _devices(backend: BackendRecord | None) -> int:
    """Return how many devices executed the load."""
    return max(1, len({rank.device for rank in backend.ranks})) if backend is not None else 1


def compute_precision(backend: BackendRecord) -> str:
    """Return the precision that products are done in; of a mixture such as "bfloat16+float32" the first."""
    return (backend.compute_precision or backend.precision_effective).partition("+")[0]


def intensity(part: Part, load: LoadRecord, repeats: Sequence[Repeat], backend: BackendRecord | None) -> float | None:
    """Return the FLOPs for each byte that must move: of decode steps for "bandwidth", else of prefills.

    A decode step reads the weights once and the KV cache of every request. A prefill (or an encoder's pass) reads the
    weights once per execution and writes the keys and values of its input tokens; activations are taken to stay in
    caches. None when nothing was done, or when what a prefill reads is not known: of experts, or of two towers.
    Whether decode steps can be told apart at all is for `reached` to say.
    """
    flops = moved = 0.0
    if part != "bandwidth" and (load.family == "encoder-decoder" or _has_experts(load)):
        return None
    for done in (repeat.completions for repeat in repeats):
        requests = [done.requests[i] for i in succeeded(done)]
        if part == "bandwidth":
            flops += sum(requests) * (_work(load).decode_flops or 0.0)
            moved += sum(_decode_bytes(load, done, i, backend) for i in succeeded(done))
        else:
            flops += sum(requests) * _work(load).prefill_flops
            cache = load.input_tokens * (_kv_bytes_per_token(load, backend) or 0)
            moved += len(requests) * _weight_bytes(load, backend) + sum(requests) * cache
    return flops / moved if flops and moved else None


def cached_weights(load: LoadRecord, backend: BackendRecord | None, ceilings: CeilingsRecord | None) -> str | None:
    """Return in words that the weights fit into the device's last-level cache; None if not, or if it is unknown."""
    weights, cache = _weight_bytes(load, backend), ceilings.cache_bytes if ceilings is not None else None
    if cache is None or weights > _devices(backend) * cache:
        return None
    sizes = f"the weights ({scaled(weights, 'B')}) fit into the cache ({scaled(cache, 'B')})"
    return f"{sizes}, so they are not read from memory"


def scaled(value: float, unit: str) -> str:
    """Return a rate or a size in three digits with a decimal prefix, such as "1.08 TFLOP/s"."""
    rounded = float(f"{value:.3g}")
    step = min(int(math.log10(rounded) // 3), len(PREFIXES) - 1) if rounded >= 1 else 0
    return f"{rounded / 1000**step:.4g} {PREFIXES[step]}{unit}"


def percent(share: float) -> str:
    """Return a share in whole percent, below one in two digits, such as "85 %" and "0.26 %": little is not nothing."""
    if 0 < share < 0.0001:
        return "under 0.01 %"
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"


def _metric(name: str, part: Part, found: Reached, limit: Limit) -> Metric:
    unit = "B/s" if part == "bandwidth" else "FLOP/s"
    if limit.rate is None or not found.rates:
        reason = limit.words if found.rates else found.reason
        return figure(name, "1", [], METHODS[part], reason=reason)
    samples = [None if rate is None else rate / limit.rate for rate in found.rates]
    method = f"{METHODS[part]}, over {scaled(limit.rate, unit)} ({limit.words})"
    return figure(name, "1", samples, method, reason=found.reason)


def _untold(
    part: Part,
    load: LoadRecord,
    repeats: Sequence[Repeat],
    backend: BackendRecord | None,
    ceilings: CeilingsRecord | None,
) -> str | None:
    """Return why this part of the work has no rate, or None if it has one."""
    if backend is not None and backend.mock:
        return MOCK
    if load.work is None:
        return UNKNOWN_MODEL
    if part == "flops":
        return None
    if load.output_tokens == 0:
        return ALL_PREFILL if part == "prefill_flops" else NO_DECODE
    decode = part == "bandwidth"
    untold = phase_reason(load, decode=decode) or overlap_reason(repeats)
    return untold or (_unread(load, repeats, backend, ceilings) if decode else None)


def _unread(
    load: LoadRecord, repeats: Sequence[Repeat], backend: BackendRecord | None, ceilings: CeilingsRecord | None
) -> str | None:
    """Return why it is not known how many bytes decode steps read from memory, or None if it is."""
    cached = cached_weights(load, backend, ceilings)
    if cached is not None:
        return cached
    if _work(load).decode_kv_bytes is None:
        return NO_CACHE_BYTES
    largest = max((n for repeat in repeats for n in repeat.completions.requests), default=0)
    return EXPERTS if largest > 1 and _has_experts(load) else None


def _has_experts(load: LoadRecord) -> bool:
    """Return whether a token passes only some of a decoder's weights; the record says what one token alone reads.

    A dense decoder multiplies each token with at least half of its parameters (all but the table of its inputs, which
    is no larger than its head), at two FLOPs each: fewer FLOPs a step than parameters means experts.
    """
    steps = load.turns * (load.output_tokens - 1)
    decode_flops = None if load.work is None else load.work.decode_flops
    if load.family != "decoder" or steps < 1 or load.parameters is None or decode_flops is None:
        return False
    return decode_flops / steps < load.parameters


def _rate(part: Part, load: LoadRecord, repeat: Repeat, backend: BackendRecord | None) -> float | None:
    """Return the work of a part over its time in one repeat; None when no request of it succeeded."""
    done = repeat.completions
    rows = succeeded(done)
    requests = sum(done.requests[i] for i in rows)
    if not requests:
        return None
    if part == "flops":
        flops = _work(load).prefill_flops + (_work(load).decode_flops or 0.0)
        return requests * flops / repeat.window.duration_s
    work = duration_ns = 0.0
    for i in rows:
        first_ns = done.first_output_ns[i]
        if first_ns is None:
            continue
        decode = part == "bandwidth"
        work += _decode_bytes(load, done, i, backend) if decode else done.requests[i] * _work(load).prefill_flops
        duration_ns += done.end_ns[i] - first_ns if decode else first_ns - done.start_ns[i]
    return work / (duration_ns / 1e9) if duration_ns > 0 else None


def _decode_bytes(load: LoadRecord, done: Completions, i: int, backend: BackendRecord | None) -> float:
    """Return what the decode steps of one execution must read: the weights once a step, every request's cache."""
    requests = done.requests[i]
    steps = done.output_tokens[i] / requests - 1 if requests else 0.0
    return steps * _weight_bytes(load, backend) + requests * _decode_kv_bytes(load, backend)


def _weight_bytes(load: LoadRecord, backend: BackendRecord | None) -> int:
    """Return what one step or pass reads of the weights: the engine's own figure where it has one."""
    stated = backend.weight_bytes if backend is not None else None
    return _work(load).weight_bytes if stated is None else stated


def _kv_bytes_per_token(load: LoadRecord, backend: BackendRecord | None) -> int | None:
    stated = backend.kv_bytes_per_token if backend is not None else None
    return _work(load).kv_bytes_per_token if stated is None else stated


def _decode_kv_bytes(load: LoadRecord, backend: BackendRecord | None) -> float:
    """Return what the decode steps of one request read of its cache, in proportion to the engine's bytes per token."""
    counted, per_token = _work(load).decode_kv_bytes or 0, _work(load).kv_bytes_per_token
    stated = _kv_bytes_per_token(load, backend)
    return counted * stated / per_token if per_token and stated is not None else counted


def _work(load: LoadRecord) -> WorkRecord:
    """Return the work of a load whose model is known; `_untold` has turned away the others."""
    assert load.work is not None, UNKNOWN_MODEL
    return load.work
