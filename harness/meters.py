"""Trusted meters that a sensor is calibrated against: any sampler, or readings that somebody types."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from wattbench.harness.clock import RunClock
from wattbench.harness.power.budget import own_share_rel
from wattbench.harness.power.contract import ChannelRecord, Sampler
from wattbench.harness.power.energy import channel_energy, groups_of
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import GROUP, make_sampler
from wattbench.harness.power.series import settle_s
from wattbench.results.calibration import MeterRecord
from wattbench.results.energy import ChannelEnergy
from wattbench.results.errors import SensorError, UsageError
from wattbench.results.measurement import Window
from wattbench.results.plugins import nearest_lines, plugin_names
from wattbench.results.scopes import Scope

__all__ = ["Meter", "MeterFacts", "Reading", "SampledMeter", "TypedMeter", "open_meter", "parse_reading"]

RATE_MAX_HZ = 20.0
POLLS_PER_UPDATE = 4

NUMBER = re.compile(r"(?P<number>\d+(?:\.(?P<decimals>\d+))?)\s*[wW]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterFacts:
    """What the user says of a meter; None leaves it to the sampler. `accuracy_rel` is a standard uncertainty (k=1)."""

    identity: str | None = None
    accuracy_rel: float | None = None
    boundary: Scope | None = None
    resolution_w: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A meter's mean power over a window in watts, with its standard uncertainty (k=1) apart from the gain's."""

    power_w: float
    u_w: float


class Meter(Protocol):
    """Something that says what was drawn in a window."""

    @property
    def record(self) -> MeterRecord:
        """Return what is known of the meter."""
        ...

    @property
    def provenance(self) -> str:
        """Return how its watts come to be: measured, replayed, or typed."""
        ...

    @property
    def lag_s(self) -> float:
        """Return how long after a window its energy can be read, in seconds."""
        ...

    def start(self, clock: RunClock) -> None:
        """Begin to read on the clock of the windows."""
        ...

    def reading(self, level: str, window: Window) -> Reading:
        """Return the mean power of a level's window. Raises SensorError or UsageError when there is none."""
        ...

    def close(self) -> None:
        """Release the meter; safe to call twice."""
        ...


def open_meter(word: str, facts: MeterFacts) -> "SampledMeter":
    """Return the meter that `NAME` or `NAME:ARGUMENT` names, ready to be read.

    Raises UsageError for an unknown name, a model, an accuracy that nobody states or a choice of several sources, and
    SensorError with the remedy when it cannot be read.
    """
    name, colon, argument = word.partition(":")
    known = plugin_names(GROUP)
    if name not in known:
        raise UsageError(f"Unknown meter {name!r}", *nearest_lines(name, known))
    sampler = make_sampler(name, argument if colon else None, None)
    found = sampler.probe()
    if not found.usable:
        raise SensorError(f"The meter {name!r} cannot be read", found.reason, found.remedy)
    try:
        group = _one_group(sampler.channels, facts.boundary)
        return SampledMeter(sampler, group, _record(word, group, facts))
    except (UsageError, SensorError):
        sampler.close()
        raise


class SampledMeter:
    """A meter that is polled like any other sensor; its windows are integrated by the same code."""

    def __init__(self, sampler: Sampler, group: tuple[ChannelRecord, ...], record: MeterRecord) -> None:
        self.record = record
        self.provenance: str = group[0].provenance
        self._sampler = sampler
        self._group = group
        update_s = max((c.update_period_s or 0.0) for c in group)
        self._rate_hz = min(RATE_MAX_HZ, POLLS_PER_UPDATE / update_s) if update_s else RATE_MAX_HZ
        self.lag_s = settle_s(group, self._rate_hz)
        self._recorder: Recorder | None = None

    @property
    def views(self) -> frozenset[tuple[str, str]]:
        """Return what is read, by channel and basis of its accuracy (which tells recordings apart)."""
        return frozenset((channel.id, channel.accuracy_basis) for channel in self._group)

    def start(self, clock: RunClock) -> None:
        """Start polling."""
        self._recorder = Recorder([self._sampler], self._rate_hz, origin_ns=clock.origin_ns)
        self._recorder.start()

    def reading(self, level: str, window: Window) -> Reading:
        """Return the mean power over the window. Raises SensorError when the log does not hold it."""
        assert self._recorder is not None, "start comes before reading"
        energy = channel_energy(self._group, self._recorder.polls(), window, rate_hz=self._rate_hz)
        if energy.mean_power_w is None:
            raise SensorError(f"The meter gave no power for {level}", energy.reason or "", "Find what held it up.")
        step_w = max(_step_u_w(self.record), energy.mean_power_w * _resolution_rel(energy))
        others = [term for term in energy.budget if term.name != "resolution"]
        return Reading(power_w=energy.mean_power_w, u_w=math.hypot(energy.mean_power_w * own_share_rel(others), step_w))

    def close(self) -> None:
        """Stop polling and release the sampler."""
        if self._recorder is not None:
            self._recorder.stop()
        else:
            self._sampler.close()


class TypedMeter:
    """A meter whose readings somebody types, or a file holds; `ask` returns one line for a prompt.

    A reading's least step follows from its decimals unless the user states it.
    """

    provenance = "typed"
    lag_s = 0.0

    def __init__(self, ask: Callable[[str], str], facts: MeterFacts) -> None:
        if facts.identity is None:
            raise UsageError("The typed meter has no name", "a calibration says what it rests on", "Give --meter-name.")
        if facts.accuracy_rel is None:
            raise _no_accuracy(facts.identity)
        self._ask = ask
        self._stated_step_w = facts.resolution_w
        self._step_w = facts.resolution_w or 0.0
        self._identity, self._accuracy_rel = facts.identity, facts.accuracy_rel
        self._scope: Scope = facts.boundary or "wall"

    @property
    def record(self) -> MeterRecord:
        """Return the meter, with the coarsest step that was typed so far."""
        return MeterRecord(
            identity=self._identity,
            source="typed",
            scope=self._scope,
            accuracy_rel=self._accuracy_rel,
            accuracy_basis=_stated_basis(self._accuracy_rel),
            resolution_w=self._step_w or None,
        )

    def start(self, clock: RunClock) -> None:
        """Do nothing: people are always ready."""

    def reading(self, level: str, window: Window) -> Reading:
        """Ask for the level's mean power. Raises UsageError for what is no power."""
        line = self._ask(f"{level}: the meter's mean power over the last {window.duration_s:.0f} s, in W")
        power_w, step_w = parse_reading(line, level)
        step_w = self._stated_step_w or step_w
        self._step_w = max(self._step_w, step_w)
        return Reading(power_w=power_w, u_w=step_w / math.sqrt(12))

    def close(self) -> None:
        """Do nothing."""


def parse_reading(line: str, level: str) -> tuple[float, float]:
    """Return the watts in a typed line and the step of its last digit. Raises UsageError for anything else."""
    found = NUMBER.fullmatch(line.strip())
    if found is None or not math.isfinite(float(found["number"])):
        why = f"got {line.strip()!r:.60}"
        raise UsageError(f"The reading for {level} is no power", why, "Type watts such as 212.5.")
    return float(found["number"]), 10.0 ** -len(found["decimals"] or "")


def _step_u_w(record: MeterRecord) -> float:
    """Return the uncertainty of a least step (rectangular)."""
    return (record.resolution_w or 0.0) / math.sqrt(12)


def _resolution_rel(energy: ChannelEnergy) -> float:
    """Return what the budget has for the sampler's own step."""
    return next((term.u_rel for term in energy.budget if term.name == "resolution"), 0.0)


def _one_group(channels: Sequence[ChannelRecord], boundary: Scope | None) -> tuple[ChannelRecord, ...]:
    """Return the one source to compare with: the only one, or the only one of the boundary's scope."""
    groups = groups_of(channels)
    fitting = [group for group in groups if group[0].scope == boundary] if boundary and len(groups) > 1 else groups
    if len(fitting) != 1:
        seen = ", ".join(f"{group[0].group} ({group[0].scope})" for group in groups)
        raise UsageError(
            "The meter shows several sources", f"it has {seen}", "Name one by its scope: --boundary SCOPE."
        )
    if fitting[0][0].kind == "model":
        raise UsageError("A model is no meter", fitting[0][0].accuracy_basis, "Name a meter that measures.")
    return fitting[0]


def _record(word: str, group: tuple[ChannelRecord, ...], facts: MeterFacts) -> MeterRecord:
    channel = group[0]
    identity = facts.identity or word
    accuracy_rel = channel.accuracy_rel if facts.accuracy_rel is None else facts.accuracy_rel
    if accuracy_rel is None:
        raise _no_accuracy(identity)
    resolution_w = facts.resolution_w
    if resolution_w is None and channel.unit == "W":
        resolution_w = channel.resolution
    return MeterRecord(
        identity=identity,
        source="sampler",
        scope=facts.boundary or channel.scope,
        accuracy_rel=accuracy_rel,
        accuracy_basis=channel.accuracy_basis if facts.accuracy_rel is None else _stated_basis(facts.accuracy_rel),
        resolution_w=resolution_w,
    )


def _stated_basis(accuracy_rel: float) -> str:
    limits = 100 * math.sqrt(3) * accuracy_rel
    return f"limits of error +-{limits:.4g} % as a rectangular bound, stated with --meter-accuracy"


def _no_accuracy(identity: str) -> UsageError:
    why = "a calibration is never better than its meter, and nobody states how good that is"
    return UsageError(f"The accuracy of {identity} is not known", why, "Give its limits: --meter-accuracy PERCENT.")
