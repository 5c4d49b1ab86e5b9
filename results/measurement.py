"""The raw records of what ran: windows, completions, warm-up and repeats."""

from dataclasses import dataclass
from itertools import pairwise

from wattbench.results.calls import TrafficRecord
from wattbench.results.checks import require, require_not_negative
from wattbench.results.crosscheck import PeerEnergy
from wattbench.results.energy import DIGEST, ChannelEnergy
from wattbench.results.telemetry import TelemetryRecord
from wattbench.results.traffic import CrewStep

__all__ = ["Completions", "IdleRecord", "PhaseRecord", "Repeat", "RequestsFile", "ToolTimes", "WarmupRecord", "Window"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-open span [start_ns, end_ns) on the run's monotonic clock, in ns since the clock's origin."""

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        require(self.end_ns > self.start_ns, f"a window ends after it starts: {self.start_ns}..{self.end_ns}")

    @property
    def duration_s(self) -> float:
        """Return the length of the window in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """The executions of one window, by column; row i of every column is the i-th execution (one batch).

    Times are ns since the clock's origin. `first_output_ns` is when the batch's first token was ready (None for
    loads without tokens out), `step_end_ns` when each later token was, and `error` why an execution failed. The times
    of an execution that succeeded ascend in that order: planned start, start, first output, steps, end.
    """

    planned_start_ns: tuple[int, ...]
    start_ns: tuple[int, ...]
    first_output_ns: tuple[int | None, ...]
    step_end_ns: tuple[tuple[int, ...], ...]
    end_ns: tuple[int, ...]
    requests: tuple[int, ...]
    input_tokens: tuple[int, ...]
    output_tokens: tuple[int, ...]
    error: tuple[str | None, ...]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in self.__slots__}
        require(len(lengths) == 1, f"the columns of completions differ in length: {sorted(lengths)}")
        require(all(s <= e for s, e in zip(self.start_ns, self.end_ns, strict=True)), "an end lies before its start")
        require(all(map(self._ascends, range(len(self)))), "the times of an execution do not ascend")
        for name in ("requests", "input_tokens", "output_tokens"):
            require(min(getattr(self, name), default=0) >= 0, f"{name} cannot be negative")

    def _ascends(self, i: int) -> bool:
        first_ns = self.first_output_ns[i]
        first = () if first_ns is None else (first_ns,)
        times = [self.planned_start_ns[i], self.start_ns[i], *first, *self.step_end_ns[i], self.end_ns[i]]
        return self.error[i] is not None or times == sorted(times)

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def overlap(self) -> bool:
        """Return whether some executions were in progress at the same time, as requests are that are batched anew."""
        spans = sorted(zip(self.start_ns, self.end_ns, strict=True))
        return any(start < end for (_, end), (start, _) in pairwise(spans))


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupRecord:
    """How the warm-up went: its rates in executions per second, the test that ended it, and whether it held.

    `execution_s` is the length of its first execution, a whole one; the rates may be those of shorter ones. `moving`
    says what did not stand still at its end: the rate, power or temperature. `crew` is how the number of processes that
    send was found; empty where it was given.
    """

    window: Window
    rates_per_s: tuple[float, ...]
    test: str
    steady: bool
    execution_s: float | None = None
    moving: tuple[str, ...] = ()
    crew: tuple[CrewStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolTimes:
    """What a tool says of the executions that it did by itself within a window; it keeps no single ones.

    Times are of one execution (a batch), `init_s` of loading the model before the window. The window's instants are the
    tool's clock placed on the run's, within `clock_bound_s`. `thermal_status` is Android's (0 none .. 6 shutdown), the
    higher of the looks before and after. None is what the tool does not say.
    """

    tool: str
    executions: int
    mean_s: float
    min_s: float
    max_s: float
    std_s: float | None
    median_s: float | None
    init_s: float | None
    clock_bound_s: float
    thermal_status: int | None

    def __post_init__(self) -> None:
        require(self.executions > 0, "a tool's times are of one execution at least")
        require_not_negative(mean_s=self.mean_s, min_s=self.min_s, max_s=self.max_s, std_s=self.std_s)
        require_not_negative(median_s=self.median_s, init_s=self.init_s, clock_bound_s=self.clock_bound_s)
        require(self.min_s <= self.max_s, "a tool's shortest execution is no longer than its longest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One independent measured window: its work, its energy by channel, and what the worker process used.

    `jitter_s` is the random pause before it, `worker_cpu_s` the worker's CPU time within the window. Counted over
    `observed_s` seconds around it (pause, lead-in, window, lead-out) in core-seconds: `parent_cpu_s` the measuring
    process's own CPU time, `other_cpu_s` that of everything else on the machine, `steal_s` what the hypervisor took,
    and, in seconds by cause, `throttled_s` for how long the device slowed itself down (None: it does not say).
    `peers` is what other tools said of the same window, `telemetry` what the device's own monitoring said over
    `observed_s`. `traffic` is given where a schedule of requests was served; row i of its calls is row i of
    `completions`, each of which is one request then. `tool` is given where a tool executed by itself: `completions`
    has one row then, all that it did.
    """

    index: int
    window: Window
    jitter_s: float
    completions: Completions
    energy: tuple[ChannelEnergy, ...]
    worker_cpu_s: float | None
    observed_s: float | None
    parent_cpu_s: float | None
    other_cpu_s: float | None
    steal_s: float | None
    temperature_c: tuple[float, float] | None
    throttled_s: dict[str, float] | None = None
    peers: tuple[PeerEnergy, ...] = ()
    telemetry: tuple[TelemetryRecord, ...] = ()
    traffic: TrafficRecord | None = None
    tool: ToolTimes | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            index=self.index, jitter_s=self.jitter_s, worker_cpu_s=self.worker_cpu_s, parent_cpu_s=self.parent_cpu_s
        )
        require_not_negative(**(self.throttled_s or {}))
        rows = None if self.traffic is None else len(self.traffic.calls)
        require(rows in (None, len(self.completions)), "traffic has a row of calls for each completion")
        require(self.tool is None or len(self.completions) == 1, "what a tool did by itself is one row of completions")

    @property
    def name(self) -> str:
        """Return the repeat in words, counted from 1 as the progress lines do: "repeat 1" for index 0."""
        return f"repeat {self.index + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestsFile:
    """The file of the requests beside a result of traffic: the digest of its bytes ("sha256:<hex>"), its size.

    `rows` are the requests of all repeats, `stamps` the times of all their later tokens. Its name is the digest's
    hexadecimal digits and ".requests.parquet".
    """

    digest: str
    size_bytes: int
    rows: int
    stamps: int

    def __post_init__(self) -> None:
        require(DIGEST.fullmatch(self.digest) is not None, f"not a sha256 digest: {self.digest!r:.80}")
        require_not_negative(size_bytes=self.size_bytes, rows=self.rows, stamps=self.stamps)

    @property
    def name(self) -> str:
        """Return the file's name."""
        return f"{self.digest.removeprefix('sha256:')}.requests.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleRecord:
    """An idle window: `state` says what was loaded.

    "machine" before the worker and "machine_after" when it is gone, "context" with the backend's context on the device
    and no model, "loaded" and "after" with the model in memory, before and after the work.
    """

    state: str
    window: Window
    energy: tuple[ChannelEnergy, ...]
    cpu_busy_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """The span of one phase of the run: idle, prepare, gate, warm-up, measure, cool-down."""

    name: str
    window: Window
