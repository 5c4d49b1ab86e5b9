"""The contract between the harness and whatever executes loads: one Protocol of four methods, and its records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy

from wattbench.models.load import Load
from wattbench.results.availability import Availability
from wattbench.results.ceilings import CeilingKind
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.measurement import ToolTimes
from wattbench.results.subject import BackendRecord, WeightsRecord

__all__ = [
    "EAGER",
    "Availability",
    "Backend",
    "Batch",
    "CeilingProber",
    "CeilingReport",
    "CeilingRequest",
    "CeilingSample",
    "Completion",
    "ContextOpener",
    "DeviceFinding",
    "DeviceInfo",
    "DeviceLister",
    "DeviceProber",
    "Inspectable",
    "Level",
    "MemoryReporter",
    "Outputs",
    "Preparation",
    "Prepared",
    "Sharer",
    "SpanRunner",
    "Spanned",
    "Tunable",
]


EAGER = "eager"
"""The level of a backend that has only one: the framework's own execution, call by call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """One device as a backend sees it: the name for `--device`, what it is, its memory (None: unknown)."""

    name: str
    description: str
    memory_bytes: int | None
    precisions: tuple[str, ...]
    precision_default: str
    power_covers: str | None
    """What power channels must cover to see this device: a UUID, "cpu", or None when unknown."""

    computes: bool = True
    """False for a device that only pretends to work (a mock): its outputs have no reference to be compared with."""

    cache_bytes: int | None = None
    """The last-level cache in bytes, as far as one device sees it; None when unknown."""

    emulated_on: str | None = None
    """What really computes where a device answers that is not there, in words; None for hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One way in which a backend can execute a load: an engine or a named optimisation level."""

    name: str
    description: str
    continuous: bool = False
    """Whether only `Preparation.slots` of a batch's requests are in progress at once, each of the others following one
    that has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """Everything a backend needs to get ready: load, weights, precision, device, batch, threads, seed.

    `weights` is "synthetic", a local folder or file, or "hub:NAME[@REVISION]". `precision` is never "auto" here, and
    neither is `tuning`: it is the name of one of the backend's `levels` ("eager" for a backend that lists none).
    `allow_fallback` permits work on the CPU where the device cannot do it; `Prepared` then says what. `slots` is given
    for a continuous level only, and then always. `devices` are those of the ranks that share the load out (see
    `Sharer`), the first being `device`; empty: `device` alone has all of it. `endpoint` is the server to ask, for a
    backend that computes nothing itself.
    """

    load: Load
    weights: str
    seed: int
    precision: str
    device: str
    batch: int
    threads: int | None
    affinity: tuple[int, ...] | None
    tuning: str = EAGER
    allow_fallback: bool = False
    slots: int | None = None
    devices: tuple[str, ...] = ()
    endpoint: EndpointPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What `prepare` made: the records of backend and weights, and how long each step took in seconds.

    `compile_s` is the part of the first execution that compiling took, by which a second one of the same batch was
    shorter; None where nothing is compiled, or it is not known.
    """

    backend: BackendRecord
    weights: WeightsRecord
    build_s: float
    first_execution_s: float
    compile_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The inputs of one execution: arrays by name, and the work that they stand for.

    The names are those of `wattbench.models.inputs.make_arrays`: `input_ids` int64 (requests, tokens),
    `turn_input_ids` int64 (requests, turns - 1, tokens) with the new tokens of an agent's later turns,
    `pixel_values` float32 (requests, channels, height, width), `input_features` float32 (requests, mel_bins, frames),
    `decoder_input_ids` int64 (requests, 1). `input_tokens` and `output_tokens` are sums over all requests and turns;
    every turn of every request gives the same number of tokens, and generation never stops earlier. `requests` may
    be fewer than the backend was prepared for.
    """

    arrays: Mapping[str, numpy.ndarray]
    requests: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One finished execution on `time.perf_counter_ns`: stamps are taken after the work is truly done.

    `first_output_ns` is None for loads without tokens out; `step_end_ns` are the instants at which each further
    token of the batch was ready. Token counts are per batch and come from the engine. `error` is None on success.
    Where requests do not go in step, `parts` has a completion for each of them, in the order of the batch; the batch's
    own then has no token stamps.
    """

    start_ns: int
    first_output_ns: int | None
    step_end_ns: tuple[int, ...]
    end_ns: int
    requests: int
    input_tokens: int
    output_tokens: int
    error: str | None = None
    parts: tuple["Completion", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Numbers of request 0 to compare with the reference: float32 (positions, width), in host memory.

    Decoders and encoder-decoders: the logits at the last input position, and then after each forced token. An agent's
    forced tokens are shared out evenly among the turns of the batch; the last one of a turn is computed together with
    the new tokens of the next, as `run` does it, so that there is one row more than tokens there as well. Without
    forced tokens only the first turn is computed. Encoders: the hidden states of all positions, then the pooled
    vector. Image classifiers: the logits.
    """

    values: numpy.ndarray


class Backend(Protocol):
    """Executes loads on devices through one SDK. Constructed without arguments; construction imports no SDK."""

    name: str

    def probe(self) -> Availability:
        """Say whether the SDK can be used; allocates and changes nothing on a device, never raises or hangs.

        Where the SDK is not installed names alone tell it; an SDK that hangs is given up, and the answer says so.
        """
        ...

    def prepare(self, preparation: Preparation) -> Prepared:
        """Build or load the weights on the device and run once.

        Raises UsageError for what the backend cannot do (a precision is never cast silently), DeviceError and
        OutOfMemoryError for what the device refused.
        """
        ...

    def run(self, batch: Batch) -> Completion:
        """Execute one batch to its end and return truthful times (synchronised, or device events)."""
        ...

    def close(self) -> None:
        """Free the device; safe to call twice and after a failed prepare."""
        ...


@runtime_checkable
class Inspectable(Protocol):
    """A backend whose outputs can be checked; without it the quality gate is a doubt."""

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers that the timed engine computes for `batch`, by the same code path as `run`.

        `forced_tokens` are int64 (steps,) tokens to feed one by one after the prompt (decoders), else None.
        """
        ...


@runtime_checkable
class DeviceLister(Protocol):
    """A backend that can name its devices (for `bench doctor` and `--device auto`); the first is the default."""

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the devices that could be used now, best first; may import the SDK, allocates nothing."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFinding:
    """What a probe found of one kind of device: what `--device` calls it, what it is, and whether it can be used."""

    name: str
    label: str
    availability: Availability


@runtime_checkable
class DeviceProber(Protocol):
    """A backend that can say why a kind of device is missing from its list, and how to get it."""

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return a finding for each kind of device that is not a matter of course; vendors' code runs in children.

        A child that gives no answer is ended after the backend's own limit, and the finding says after how long.
        """
        ...


@runtime_checkable
class Tunable(Protocol):
    """A backend with several engines or optimisation levels for one load."""

    def levels(self, load: Load, device: str, precision: str) -> tuple[Level, ...]:
        """Return the ways to execute a load on a device in a precision, the cheapest to prepare first.

        Empty when the backend cannot execute this load there in this precision. Imports what it must and touches no
        device; an engine whose package is missing is left out.
        """
        ...


@runtime_checkable
class Sharer(Protocol):
    """A backend that can share one load out over several devices by tensor parallelism, one rank on each."""

    def rank_devices(self, load: Load, device: str, ranks: int) -> tuple[DeviceInfo, ...]:
        """Return the device of each of several ranks, the named one first; ranks on a CPU share it.

        Raises UsageError for a load that so many ranks cannot share, or fewer devices than ranks, and DeviceError where
        the SDK lacks what they need. Touches no device.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingRequest:
    """Which ceilings to measure: on which device, in which precisions, at which product shapes (M, K, N).

    `precisions` are in the order of importance: the first one is measured at every shape and a large square, the others
    at the square alone.
    """

    device: str
    precisions: tuple[str, ...]
    shapes: tuple[tuple[int, int, int], ...]
    threads: int | None
    affinity: tuple[int, ...] | None
    window_s: float
    windows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingSample:
    """One micro-benchmark as a backend measured it: the amount of work and the times of each of its windows.

    `work` is FLOPs or bytes per window; `spans_ns` are start and end on `time.perf_counter_ns`, the end being after the
    work is truly done.
    """

    kind: CeilingKind
    precision: str | None
    shape: str
    work: tuple[float, ...]
    spans_ns: tuple[tuple[int, int], ...]
    library: str
    threads: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CeilingReport:
    """What a backend could measure, and in words what it could not."""

    samples: tuple[CeilingSample, ...]
    skipped: tuple[str, ...]


@runtime_checkable
class CeilingProber(Protocol):
    """A backend that can drive its device to the limit with micro-benchmarks through its own framework."""

    def ceilings(self, request: CeilingRequest) -> CeilingReport:
        """Measure matrix products and memory on a device; needs no `prepare`, frees all that it took.

        A precision that the device cannot do is skipped with a reason. Raises DeviceError when the device is gone.
        """
        ...


@runtime_checkable
class ContextOpener(Protocol):
    """A backend whose framework holds a context on a device that costs power before there is a model."""

    def open_context(self, device: str) -> str | None:
        """Create that context, for as long as this process lives, and say in words what was created.

        None where the device has none (a CPU). Needs no `prepare`. Raises DeviceError when the device refuses.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Spanned:
    """What a tool did by itself in a span: instants on `time.perf_counter_ns`, counts, and its own times."""

    start_ns: int
    end_ns: int
    requests: int
    input_tokens: int
    times: ToolTimes


@runtime_checkable
class SpanRunner(Protocol):
    """A backend whose tool executes again and again by itself and tells sums: whole windows are left to it.

    Its `run` executes one batch all the same, with everything that a call of the tool costs.
    """

    def span(self, batch: Batch, seconds: float, warm_up_s: float) -> Spanned:
        """Execute a batch back to back for `seconds` after a warm-up that is not part of it; returns when it ended."""
        ...


@runtime_checkable
class MemoryReporter(Protocol):
    """A backend that knows its peak device memory."""

    def memory_peak_bytes(self) -> int | None:
        """Return the peak so far in bytes (the record's `memory_source` says of what), None when it is not known."""
        ...
