"""The messages between the measuring process and its worker: one JSON line each, at window edges only."""

from dataclasses import dataclass

from wattbench.backends.contract import EAGER, CeilingReport, CeilingRequest
from wattbench.backends.lines import Failure, Lines
from wattbench.harness.driving import Driven
from wattbench.results.calls import TrafficRecord
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.measurement import Completions, ToolTimes, WarmupRecord, Window
from wattbench.results.plan import Scenario
from wattbench.results.subject import BackendRecord, QualityRecord, WeightsRecord
from wattbench.results.traffic_plan import TrafficPlan

__all__ = [
    "Close",
    "ContextReply",
    "Drive",
    "Driven",
    "Gate",
    "Measure",
    "MeasureCeilings",
    "Measured",
    "OpenContext",
    "Prepare",
    "PreparedReply",
    "Reference",
    "ReferenceReply",
    "Serve",
    "Truth",
    "TruthReply",
    "WarmUp",
    "from_line",
    "to_line",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Get ready: build the weights on the device and run once. Times count from `origin_ns` from now on.

    With `traffic` schedules are served by `scenario`, without it batches run back to back.
    """

    load: str
    backend: str
    weights: str
    seed: int
    precision: str
    device: str
    batch: int
    threads: int | None
    affinity: tuple[int, ...] | None
    origin_ns: int
    tuning: str = EAGER
    allow_fallback: bool = False
    slots: int | None = None
    devices: tuple[str, ...] = ()
    scenario: Scenario = "offline"
    traffic: TrafficPlan | None = None
    endpoint: EndpointPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedReply:
    """The backend is ready."""

    backend: BackendRecord
    weights: WeightsRecord
    build_s: float
    first_execution_s: float
    compile_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCeilings:
    """Measure the ceilings of a device through one backend; answered by a `CeilingReport`."""

    backend: str
    request: CeilingRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Compute the float32 reference outputs for the gate and store them in `path` (.npz)."""

    load: str
    weights: str
    seed: int
    steps: int
    prompt_tokens: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceReply:
    """The reference lies in the file; `weights_digest` names the weights that it used."""

    weights_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Compare the prepared engine's outputs with the reference in `path`; None: nothing to compare with."""

    path: str | None
    prompt_tokens: int
    reference_weights_digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Check that the backend's times wait for the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthReply:
    """Whether completion is truthful, with the figures."""

    truthful: bool
    facts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """Execute until the rate is steady, at least `min_s` and at most `max_s` seconds.

    With `slice_s` it answers after that time whatever the rate does, and with `more` it goes on where it stopped.
    """

    min_s: float
    max_s: float
    slice_s: float | None = None
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenContext:
    """Create a backend's context on a device, without a model."""

    backend: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReply:
    """What was created, in words; None: this backend or device has no context of its own, `reason` says why."""

    created: str | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """Run the load for a share of the time, 0 to 1, over about `seconds`; answered by a `Driven`."""

    share: float
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Execute one measured window of at least `window_s`, after a pause and a lead-in, before a lead-out."""

    window_s: float
    jitter_s: float
    lead_in_s: float
    lead_out_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Serve one measured window of traffic, drawn from `seed` for `window_s`; its last answers may come later.

    `rate_per_s` is that of an open loop. A pause and a lead-in of the same traffic go before it, a lead-out follows.
    """

    window_s: float
    jitter_s: float
    lead_in_s: float
    lead_out_s: float
    seed: int
    rate_per_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measured window: its work, the worker's own CPU time, and the share of it outside the reported times.

    `traffic` is given where it was served, `tool` where a tool executed by itself.
    """

    window: Window
    completions: Completions
    worker_cpu_s: float
    outside_share: float
    memory_peak_bytes: int | None
    traffic: TrafficRecord | None = None
    tool: ToolTimes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Free the device and end."""


LINES = Lines(
    (
        *(Prepare, Reference, Gate, Truth, WarmUp, Measure, MeasureCeilings, Close, OpenContext, Drive),
        *(PreparedReply, ReferenceReply, QualityRecord, TruthReply, WarmupRecord, Measured, CeilingReport, Failure),
        *(ContextReply, Driven, Serve),
    ),
    "The worker and the harness do not understand each other",
)
to_line, from_line = LINES.to_line, LINES.from_line
