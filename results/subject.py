"""The records of what was measured: the load, its weights, the backend, and the quality gate's verdict."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative

WeightsOrigin = Literal["synthetic", "real", "unknown"]
Family = Literal["encoder", "decoder", "encoder-decoder", "vision-encoder"]

__all__ = [
    "BackendRecord",
    "Family",
    "LoadRecord",
    "PreparationRecord",
    "QualityRecord",
    "RankRecord",
    "WeightsOrigin",
    "WeightsRecord",
    "WorkRecord",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRecord:
    """The arithmetic and traffic of one request, from the shape alone (formulas and source: docs/metrics.md).

    `decode_*` are sums over all decode steps of one request at batch 1; None for loads without tokens out.
    `weight_bytes` is what one decode step (or one encoder pass) reads of the weights at batch 1: whatever the batch,
    except with experts, of which a larger batch reads more. `kv_bytes_per_token` is per request and position;
    `decode_kv_bytes` is all that the decode steps of one request read of the cache, sliding windows respected.
    """

    prefill_flops: float
    decode_flops: float | None
    weight_bytes: int
    kv_bytes_per_token: int | None
    decode_kv_bytes: int | None

    def __post_init__(self) -> None:
        require_not_negative(
            prefill_flops=self.prefill_flops,
            decode_flops=self.decode_flops,
            weight_bytes=self.weight_bytes,
            kv_bytes_per_token=self.kv_bytes_per_token,
            decode_kv_bytes=self.decode_kv_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRecord:
    """What was executed: name, version and digest of the load, its model and request shape.

    `parameters` and `work` are None where the model is not known, as behind an endpoint.
    """

    name: str
    version: int
    digest: str
    model: str
    family: Family
    parameters: int | None
    shape: str
    input_tokens: int
    output_tokens: int
    turns: int
    work: WorkRecord | None
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        require_not_negative(
            parameters=self.parameters, input_tokens=self.input_tokens, output_tokens=self.output_tokens
        )
        require(self.turns >= 1, "turns must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsRecord:
    """Which weights ran: synthetic by seed or real from a path or hub, with a digest of the values.

    Behind an endpoint they are unknown: `source` is "as-served" (the
    backend's record has the server's name for the model), and there is no digest.
    """

    origin: WeightsOrigin
    source: str
    revision: str | None
    seed: int | None
    distribution: str
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRecord:
    """The gate: how far the timed engine's outputs are from a float32 reference of the same weights.

    `relative_error` is ||y - y_ref|| / ||y_ref|| over the checked outputs, `top1_agreement` the share of positions with
    the same argmax (decoders), `cosine_min` the worst cosine. `tolerance_*` come from the load's file.
    """

    passed: bool
    reference: str
    positions: int
    relative_error: float
    cosine_min: float
    top1_agreement: float | None
    tolerance_relative_error: float
    tolerance_cosine: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """One rank of a tensor-parallel execution: its device, and its own peak memory after the preparation.

    `covers` is how power channels call the device, None when unknown; several ranks may share a CPU.
    """

    rank: int
    device: str
    device_name: str | None
    covers: str | None
    memory_peak_bytes: int | None

    def __post_init__(self) -> None:
        require_not_negative(rank=self.rank, memory_peak_bytes=self.memory_peak_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendRecord:
    """What executed the load: engine, device, precision asked and got, and how its claims are proven.

    `synchronisation` says how the end of work is known, `placement` how it is known that the device did it,
    `token_source` where token counts come from, `memory_source` where `memory_peak_bytes` comes from (None: unknown).
    `tuning` describes the engine's settings in words; its name is in `engine`. `compute_precision` is that of the
    products where it is not `precision_effective` (weights kept in fewer bits than they are multiplied in).
    `weight_bytes` is what one decode step (or one encoder pass) of this engine reads of the weights at the batch of the
    run, and `kv_bytes_per_token` what a position takes in its cache; None: as the load's own count says.
    `placement_share` is the share of the graph's nodes on the device, `fallback` what ran elsewhere although the device
    was asked for, and `tuning_fallback` why another level than the one asked for was used. `delegated_share` is the
    share of a program's operations that its delegate took, the engine's own kernels having the others; None: the engine
    has no delegates, or does not tell. `ranks` are those that
    executed the load together, each with a part of every cut matrix; `device` is then that of rank 0, and memory,
    threads and bytes are sums. Empty: one device had all of it. `compile_cache` is the folder in which a vendor's
    compiler keeps its code between runs; None: unknown, or there is none. `served_model` is what the endpoint calls the
    model, None without an endpoint.
    """

    name: str
    engine: str
    versions: dict[str, str]
    device: str
    device_name: str | None
    precision_requested: str
    precision_effective: str
    threads: int | None
    affinity: tuple[int, ...] | None
    tuning: str
    synchronisation: str
    placement: str
    token_source: str
    memory_peak_bytes: int | None
    memory_source: str
    mock: bool
    emulated: bool
    true_device: str | None
    compute_precision: str | None = None
    weight_bytes: int | None = None
    kv_bytes_per_token: int | None = None
    placement_share: float | None = None
    fallback: str | None = None
    tuning_fallback: str | None = None
    ranks: tuple[RankRecord, ...] = ()
    compile_cache: str | None = None
    delegated_share: float | None = None
    served_model: str | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            memory_peak_bytes=self.memory_peak_bytes,
            weight_bytes=self.weight_bytes,
            kv_bytes_per_token=self.kv_bytes_per_token,
        )
        require(self.placement_share is None or 0 <= self.placement_share <= 1, "placement_share lies within 0..1")
        require(self.delegated_share is None or 0 <= self.delegated_share <= 1, "delegated_share lies within 0..1")
        require(not self.emulated or self.true_device is not None, "an emulated device names its true device")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparationRecord:
    """How long the untimed steps took, in seconds: worker start, build or load of weights, first execution, gate.

    `compile_s` is what compiling took of the first execution; None where nothing was compiled, or it is not known.
    """

    worker_start_s: float
    build_s: float
    first_execution_s: float
    gate_s: float | None
    compile_s: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            worker_start_s=self.worker_start_s, build_s=self.build_s, first_execution_s=self.first_execution_s
        )
        require_not_negative(compile_s=self.compile_s)
