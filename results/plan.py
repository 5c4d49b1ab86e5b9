"""The plan record: every knob of a run, resolved before any device is touched."""

from dataclasses import dataclass
from typing import Literal

from wattbench.results.checks import require
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.traffic_plan import TrafficPlan

Scenario = Literal["offline", "single-stream", "multi-stream", "server", "concurrency", "ramp", "trace", "agentic"]

__all__ = ["Plan", "Scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run was asked to do; every field is what the run really used, defaults filled in.

    `window_s` is the least length of a measured window, `interval_goal_*` the relative 95 % half-widths at
    which repeats stop, `power` the samplers asked for ("auto", "none", a name, or "replay:FILE"). `tuning` names the
    backend's engine or optimisation level, `allow_fallback` whether work may run on the CPU instead of the device, and
    `ceilings` whether the device's ceilings are measured ("auto": unless known; "fresh"; "none"). `cross_check` names
    the other tools that watch the same windows, `cross_check_python` the Python that has them (None: this one).
    `slots` is how many requests of a batch were in progress at once; None: all of them, in step. `tensor_parallel` is
    the number of ranks that shared the load out, and `devices` has the device of each; none for 1, which is `device`.
    `traffic` says how requests were to arrive where a schedule was drawn for them; None: batches, one after the other.
    `endpoint` is the server that was asked, None for a backend in a process of our own.
    """

    load: str
    backend: str
    device: str
    precision: str
    scenario: Scenario
    batch: int
    weights: str
    seed: int
    threads: int | None
    affinity: tuple[int, ...] | None
    quick: bool
    window_s: float
    repeats_min: int
    repeats_max: int
    warmup_min_s: float
    warmup_max_s: float
    idle_s: float
    jitter_max_s: float
    interval_goal_throughput: float
    interval_goal_energy: float
    power: tuple[str, ...]
    power_rate_hz: float
    tuning: str = "eager"
    allow_fallback: bool = False
    ceilings: str = "none"
    cross_check: tuple[str, ...] = ()
    cross_check_python: str | None = None
    slots: int | None = None
    tensor_parallel: int = 1
    devices: tuple[str, ...] = ()
    traffic: TrafficPlan | None = None
    endpoint: EndpointPlan | None = None

    def __post_init__(self) -> None:
        require(self.batch >= 1, "batch must be at least 1")
        require(self.slots is None or self.slots >= 1, "slots must be at least 1")
        require(self.tensor_parallel >= 1, "tensor_parallel must be at least 1")
        ranks = self.tensor_parallel if self.tensor_parallel > 1 else 0
        require(len(self.devices) == ranks, "devices has one name for each rank, none without ranks")
        require(self.threads is None or self.threads >= 1, "threads must be at least 1")
        require(self.window_s > 0, "window_s must be positive")
        require(1 <= self.repeats_min <= self.repeats_max, "repeats_min must be within 1..repeats_max")
        require(0 <= self.warmup_min_s <= self.warmup_max_s, "warmup_min_s must be within 0..warmup_max_s")
        require(self.idle_s >= 0 and self.jitter_max_s >= 0, "idle_s and jitter_max_s cannot be negative")
        require(self.power_rate_hz > 0, "power_rate_hz must be positive")
        require(self.scenario != "single-stream" or self.batch == 1, "single-stream means batch 1")
