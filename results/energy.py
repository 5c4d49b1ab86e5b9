"""The records of power: channels, their raw polls, and the energy of a window with its uncertainty."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wattbench.results.calibration import CalibrationRecord
from wattbench.results.checks import require, require_finite, require_not_negative
from wattbench.results.crosscheck import PeerRecord
from wattbench.results.observed import ObservedRecord
from wattbench.results.remote_clock import RemoteClock
from wattbench.results.scopes import Scope

ChannelKind = Literal["counter", "power", "model"]
Provenance = Literal["measured", "replayed", "modelled", "declared"]
EnergyMethod = Literal["counter", "integral"]

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

__all__ = [
    "BudgetTerm",
    "ChannelEnergy",
    "ChannelKind",
    "ChannelRecord",
    "EnergyMethod",
    "Polls",
    "PollsFile",
    "PowerRecord",
    "Provenance",
    "RecorderHealth",
    "SamplerRecord",
    "Scope",
    "provenance_by_scope",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRecord:
    """One quantity of one sampler: what it sees, how often, how well.

    `unit` is "J" for counters and "W" for power. `accuracy_rel` is the relative standard uncertainty (k=1) of the
    sensor's gain and `accuracy_basis` where that comes from. `group` joins channels that read the same physical
    source (a board's counter and its power field), so that they are compared and never added. `covers` names the
    device whose draw is seen (a UUID, "cpu:0", or None for the whole node); `wraps_at_j` is a counter's range,
    `seen_share` the part of the time that the sensor looks at its source, `limit_w` the source's own power limit.
    `lag_u_s` is the lag's standard uncertainty where it was observed. `offset_u_w` is that of the sensor's offset in
    watts, uncalibrated, where lines of boards of its make were published; at `offset_at_w` watts `accuracy_rel` holds
    it too. Unknown facts are None. A `buffered` source keeps a log of its own: one poll
    brings all values since the last one, each with the instant at which it was taken, or none.
    `clock_bound_s` is how far those instants can be off at most where another machine's clock gave them.
    """

    id: str
    sampler: str
    group: str
    scope: Scope
    kind: ChannelKind
    provenance: Provenance
    unit: Literal["J", "W"]
    covers: str | None
    resolution: float | None
    update_period_s: float | None
    averaging_window_s: float | None
    lag_s: float | None
    seen_share: float | None
    wraps_at_j: float | None
    limit_w: float | None
    accuracy_rel: float | None
    accuracy_basis: str
    buffered: bool = False
    lag_u_s: float | None = None
    offset_u_w: float | None = None
    offset_at_w: float | None = None
    clock_bound_s: float | None = None

    def __post_init__(self) -> None:
        require((self.unit == "J") == (self.kind == "counter"), "a counter is in J, everything else in W")
        require_not_negative(
            resolution=self.resolution,
            update_period_s=self.update_period_s,
            averaging_window_s=self.averaging_window_s,
            lag_s=self.lag_s,
            accuracy_rel=self.accuracy_rel,
            offset_u_w=self.offset_u_w,
            clock_bound_s=self.clock_bound_s,
        )
        require(self.offset_at_w is None or self.offset_at_w > 0, "offset_at_w is a power above 0 W")


def provenance_by_scope(channels: Iterable[ChannelRecord]) -> dict[str, Provenance]:
    """Return where the watts of each scope come from; a sum ("package+dram") has that of its first part.

    A scope with a measured channel is measured.
    """
    found: dict[str, Provenance] = {}
    for channel in channels:
        if found.get(channel.scope) != "measured":
            found[channel.scope] = channel.provenance
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """Every poll of one channel, by column, nothing dropped or deduplicated; a row a value.

    `before_ns` and `after_ns` bracket the read on the run's clock, `value` is in the channel's unit (None when the
    read failed), `sensor_ns` the driver's own time stamp where it gives one, counted from `sensor_origin_us` on the
    driver's own clock (most count from 1970, and ns since then are more than JSON keeps). `errors` maps a poll's row
    to the cause. `taken_ns` is when a buffered source took the value, on the run's clock; several rows may come from
    one read.
    """

    channel: str
    before_ns: tuple[int, ...]
    after_ns: tuple[int, ...]
    value: tuple[float | None, ...]
    sensor_ns: tuple[int | None, ...] | None
    errors: dict[str, str]
    taken_ns: tuple[int | None, ...] | None = None
    sensor_origin_us: int | None = None

    def __post_init__(self) -> None:
        require(len(self.before_ns) == len(self.after_ns) == len(self.value), "the columns of polls differ in length")
        require(self.taken_ns is None or len(self.taken_ns) == len(self.value), "the columns of polls differ in length")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderHealth:
    """How well one sampler was read: asked and reached rate, largest gap, share of one core, failed reads."""

    sampler: str
    asked_rate_hz: float
    reached_rate_hz: float | None
    polls: int
    failed: int
    max_gap_s: float | None
    cpu_share: float | None
    silent: bool

    def __post_init__(self) -> None:
        require(0 <= self.failed <= self.polls, "failed must be within 0..polls")
        require_not_negative(reached_rate_hz=self.reached_rate_hz, max_gap_s=self.max_gap_s, cpu_share=self.cpu_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerRecord:
    """One sampler that was considered: used, or why not and what to do."""

    name: str
    used: bool
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetTerm:
    """One line of an uncertainty budget: a relative standard uncertainty (k=1), GUM type, and where it comes from.

    `comparison_rel` is what it counts in comparisons where that is not what `absolute_only` says (`u_rel`, or none).
    """

    name: str
    kind: Literal["A", "B"]
    u_rel: float
    absolute_only: bool
    basis: str
    comparison_rel: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(u_rel=self.u_rel, comparison_rel=self.comparison_rel)

    @property
    def compared_rel(self) -> float:
        """Return what the line counts in comparisons (relative, k=1)."""
        if self.comparison_rel is not None:
            return self.comparison_rel
        return 0.0 if self.absolute_only else self.u_rel


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelEnergy:
    """The energy of one channel group over one window, gross, with both methods and the budget.

    `channel` is the group's primary channel. `energy_j` is None with a `reason` when it cannot be known. `residual`
    is counter/integral - 1. `u_absolute_rel` and `u_comparison_rel` are relative standard uncertainties (k=1):
    against the truth, and against another run on the same board. `energy_net_j` is gross minus idle power times
    duration, never clamped. `notes` say what went wrong without costing the figure (a counter that reset, a residual).
    `sampling_fraction` is the share of the window's time that the sensor looked and the log caught; None: unknown.
    With a calibration `energy_j` is the corrected energy and `raw_energy_j` the sensor's own, as are both methods'.
    `u_net_*_j` are the standard uncertainties (k=1) of `energy_net_j` in joules, the idle window's included.
    """

    channel: str
    scope: Scope
    provenance: Provenance
    covers: str | None
    energy_j: float | None
    energy_net_j: float | None
    mean_power_w: float | None
    method: EnergyMethod | None
    counter_j: float | None
    integral_j: float | None
    residual: float | None
    polls: int
    updates: int
    coverage: float | None
    max_gap_s: float | None
    u_absolute_rel: float | None
    u_comparison_rel: float | None
    budget: tuple[BudgetTerm, ...]
    reason: str | None
    notes: tuple[str, ...] = ()
    sampling_fraction: float | None = None
    raw_energy_j: float | None = None
    u_net_absolute_j: float | None = None
    u_net_comparison_j: float | None = None

    def __post_init__(self) -> None:
        require_not_negative(
            energy_j=self.energy_j, u_absolute_rel=self.u_absolute_rel, u_comparison_rel=self.u_comparison_rel
        )
        require_not_negative(u_net_absolute_j=self.u_net_absolute_j, u_net_comparison_j=self.u_net_comparison_j)
        require_not_negative(polls=self.polls, updates=self.updates, coverage=self.coverage, max_gap_s=self.max_gap_s)
        require_finite(energy_net_j=self.energy_net_j, residual=self.residual)
        require((self.energy_j is None) == (self.reason is not None), "an energy is a number or has a reason, not both")


@dataclass(frozen=True, slots=True, kw_only=True)
class PollsFile:
    """The file of the raw polls beside a result: the digest of its bytes ("sha256:<hex>"), its size, its polls.

    Its name is the digest's hexadecimal digits and ".polls.parquet".
    """

    digest: str
    size_bytes: int
    rows: int

    def __post_init__(self) -> None:
        require(DIGEST.fullmatch(self.digest) is not None, f"not a sha256 digest: {self.digest!r:.80}")
        require_not_negative(size_bytes=self.size_bytes, rows=self.rows)

    @property
    def name(self) -> str:
        """Return the file's name."""
        return f"{self.digest.removeprefix('sha256:')}.polls.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerRecord:
    """Everything the run knows of power: samplers considered, channels read, health, raw polls, why nothing.

    The polls are either here or in a file of their own, which `polls_file` names. `covers` is the device under test
    whose energy leads (a UUID, "cpu", or None: any).
    `peers` are the other tools that watched beside ours (`--cross-check`).
    `channels` hold the facts that were used, `observed` how each channel was seen to behave and what was stated of it,
    `calibrations` the lines by which energies were corrected. `budget_version` is that of the rules by which the
    uncertainties were computed (docs/uncertainty.md); a file that does not say has those of version 1.
    `clocks` are those of other machines that stamped polls, as they stood against the run's.
    """

    samplers: tuple[SamplerRecord, ...]
    channels: tuple[ChannelRecord, ...]
    health: tuple[RecorderHealth, ...]
    polls: tuple[Polls, ...]
    unavailable_reason: str | None
    polls_file: PollsFile | None = None
    covers: str | None = None

    peers: tuple[PeerRecord, ...] = ()
    observed: tuple[ObservedRecord, ...] = ()
    calibrations: tuple[CalibrationRecord, ...] = ()
    budget_version: int = 1
    clocks: tuple[RemoteClock, ...] = ()

    def __post_init__(self) -> None:
        require(self.polls_file is None or not self.polls, "polls are in the document or in a file of their own")
