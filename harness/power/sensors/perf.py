"""The perf sampler: RAPL's energy counters as Linux perf events, which the kernel carries on in 64 bits."""

import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.harness.power.rapl_facts import RAPL_ACCURACY_BASIS, RAPL_ACCURACY_REL, RAPL_PERIOD_S, rapl_scope
from wattbench.harness.power.sensors.answers import answer
from wattbench.harness.power.sensors.perf_event import EventCounter
from wattbench.harness.power.sysfs import read_int, read_word, try_word
from wattbench.results.errors import SensorError

__all__ = ["PerfSampler"]

_DOMAIN = re.compile(r"energy-([a-z]+)")
_EVENT = re.compile(r"event=(0x[0-9a-f]+|\d+)", re.IGNORECASE)

_TICK_TRIES, _TICK_PAUSE_S = 20, 0.005
"""A live counter moves every millisecond; one that stands for 100 ms is none (virtual machines show such)."""

_MIRROR_TRIES = 10
"""So many times in a row two counters keep one distance: then both count the same register."""

_REMEDY = (
    "Allow it until the next boot: sudo sysctl kernel.perf_event_paranoid=0, or to this Python alone: "
    "sudo setcap cap_perfmon+ep $(readlink -f $(which python3)) (docs/power.md#perf tells the risk)"
)


class Counter(Protocol):
    """What the sampler needs of an open event."""

    def read(self) -> int:
        """Return the count so far. Raises SensorError."""
        ...

    def close(self) -> None:
        """Stop counting."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One domain of one package: what to open, its unit, and its channel."""

    kind: int
    config: int
    cpu: int
    joules: float
    channel: ChannelRecord


class PerfSampler:
    """Reads the events `energy-*` of the kernel's `power` unit, on the one CPU of each package that it names.

    The kernel adds up the 32-bit registers in 64 bits, so nothing wraps. Packages, DRAM and psys are scopes of their
    own; cores and graphics are parts of a package and get the scope "other", so that nobody adds them. Where the dies
    of one package count one register, the first one is the package and the others get the scope "other" too.
    """

    name = "perf"

    def __init__(
        self,
        options: SamplerOptions,
        *,
        root: Path = Path("/sys"),
        open_event: Callable[[int, int, int], Counter] = EventCounter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        self._open_event = open_event
        self._sleep = sleep
        self._open: tuple[tuple[_Event, Counter], ...] = ()
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Open every event and see that it counts; a package that does not stays, so that a sum lacks it visibly."""
        self.close()
        try:
            events = _find(self._root)
            if not events:
                reason = "the kernel shows no energy events: a virtual machine, another processor, or no RAPL driver"
                return Availability(state="absent", reason=reason, remedy="On bare metal: sudo modprobe rapl")
            for event in events:
                self._open += ((event, self._open_event(event.kind, event.config, event.cpu)),)
            still = self._standing()
            self._mark_mirrors(still)
        except SensorError as exc:
            self.close()
            remedy = _REMEDY if isinstance(exc.__cause__, PermissionError) else "Check the kernel's log."
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=remedy)
        return self._keep_living(still)

    def read(self) -> tuple[Reading, ...]:
        """Read every counter once, in joules since the probe."""
        return tuple(answer(event.channel.id, _joules(event, counter)) for event, counter in self._open)

    def close(self) -> None:
        """Close the events."""
        opened, self._open = self._open, ()
        for _, counter in opened:
            counter.close()

    def _standing(self) -> set[str]:
        """Return the channels whose counters do not move. Raises SensorError when one cannot be read."""
        first = {event.channel.id: counter.read() for event, counter in self._open}
        still = set(first)
        for _ in range(_TICK_TRIES):
            self._sleep(_TICK_PAUSE_S)
            still -= {e.channel.id for e, counter in self._open if counter.read() != first[e.channel.id]}
            if not still:
                break
        return still

    def _mark_mirrors(self, still: set[str]) -> None:
        """Take the first die for the whole package where the others count its register. Raises SensorError."""
        opened = list(self._open)
        for n, (event, counter) in enumerate(opened):
            for m, (twin, twin_counter) in enumerate(opened[:n]):
                alive = not {event.channel.id, twin.channel.id} & still
                if alive and _may_mirror(twin.channel, event.channel) and self._mirrored(twin_counter, counter):
                    whole = replace(twin.channel, covers=_package(twin.channel))
                    basis = f"{event.channel.accuracy_basis}; shows {twin.channel.id}'s counter again"
                    again = replace(event.channel, scope="other", accuracy_basis=basis)
                    opened[m] = (replace(twin, channel=whole), twin_counter)
                    opened[n] = (replace(event, channel=again), counter)
                    break
        self._open = tuple(opened)

    def _mirrored(self, one: Counter, other: Counter) -> bool:
        """Return whether two counters keep one distance while they move: two sources of their own do not."""
        lowest, highest = -math.inf, math.inf
        first = one.read()
        for _ in range(_MIRROR_TRIES):
            before, between, after = one.read(), other.read(), one.read()
            lowest, highest = max(lowest, between - after), min(highest, between - before)
            if lowest > highest:
                return False
            self._sleep(_TICK_PAUSE_S)
        return one.read() > first

    def _keep_living(self, still: set[str]) -> Availability:
        """Close what stands still, packages excepted, and answer."""
        if len(still) == len(self._open):
            self.close()
            reason = f"the counters stand still ({', '.join(sorted(still))}): a virtual machine that shows empty ones"
            return Availability(state="absent", reason=reason, remedy="Measure on the host, or use an outside meter.")
        opened, self._open = self._open, ()
        for event, counter in opened:
            if event.channel.id in still and event.channel.scope != "package":
                counter.close()
            else:
                self._open += ((event, counter),)
        self.channels = tuple(event.channel for event, _ in self._open)
        facts = {name: "the counter stands still" for name in sorted(still)}
        return Availability(state="present", reason=", ".join(c.id for c in self.channels), facts=facts)


def _may_mirror(one: ChannelRecord, other: ChannelRecord) -> bool:
    """Return whether two channels are the same domain of two dies of one package."""
    dies = ":die:" in (other.covers or "") and one.scope == other.scope != "other"
    return dies and _package(one) == _package(other)


def _package(channel: ChannelRecord) -> str | None:
    return None if channel.covers is None else channel.covers.partition(":die:")[0]


def _joules(event: _Event, counter: Counter) -> Callable[[], float]:
    return lambda: counter.read() * event.joules


def _find(root: Path) -> list[_Event]:
    """Return the events of all packages, packages in order. Raises SensorError for files of another form."""
    unit = root / "bus/event_source/devices/power"
    names = sorted(p.name for p in (unit / "events").glob("energy-*") if _DOMAIN.fullmatch(p.name))
    if not names:
        return []
    kind, cpus = read_int(unit / "type"), _cpus(read_word(unit / "cpumask"))
    places = _places(root, cpus)
    return [_event(unit / "events" / name, kind, cpu, places[cpu]) for cpu in cpus for name in names]


def _event(file: Path, kind: int, cpu: int, place: str) -> _Event:
    """Return one domain of one package; `place` is "0", or "0-die-1" where a package has several."""
    code, unit = _EVENT.search(read_word(file)), try_word(file.with_name(f"{file.name}.unit"))
    if code is None or unit != "Joules":
        raise SensorError(f"Cannot use {file}", f"event {read_word(file)!r} in {unit or 'no unit'}, not in Joules")
    scale = file.with_name(f"{file.name}.scale")
    try:
        joules = float(read_word(scale))
    except ValueError as exc:
        raise SensorError(f"{scale} holds no number", repr(read_word(scale)[:40])) from exc
    if not 0 < joules < 1:
        raise SensorError(f"Cannot use {scale}", f"a step of {joules:g} J")
    domain = file.name.removeprefix("energy-")
    channel = _channel(domain, place, joules)
    return _Event(kind=kind, config=int(code[1], 0), cpu=cpu, joules=joules, channel=channel)


def _channel(domain: str, place: str, joules: float) -> ChannelRecord:
    first = place in ("0", "0-die-0")
    scope = "other" if domain == "psys" and not first else rapl_scope(domain)  # one platform, seen from package 0
    name = "psys" if scope == "psys" else f"package-{place}" + ("" if domain == "pkg" else f"/{domain}")
    return ChannelRecord(
        id=f"perf:{name}",
        sampler="perf",
        group=f"perf:{name}",
        scope=scope,
        kind="counter",
        provenance="measured",
        unit="J",
        covers=None if scope == "psys" else f"cpu:{place.replace('-die-', ':die:')}",
        resolution=joules,
        update_period_s=RAPL_PERIOD_S,
        averaging_window_s=None,
        lag_s=0.0,
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=RAPL_ACCURACY_REL,
        accuracy_basis=RAPL_ACCURACY_BASIS,
    )


def _cpus(mask: str) -> list[int]:
    """Return the CPUs of a list such as "0,28" or "0-1". Raises SensorError for another form."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in mask.split(",")]
    except ValueError as exc:
        raise SensorError("The power unit's cpumask is no list of CPUs", repr(mask[:40])) from exc
    return [cpu for first_last in ends for cpu in range(first_last[0], first_last[-1] + 1)]


def _places(root: Path, cpus: list[int]) -> dict[int, str]:
    """Return each CPU's package, with its die where the unit names several CPUs of one package."""
    topology = {cpu: root / f"devices/system/cpu/cpu{cpu}/topology" for cpu in cpus}
    packages = {cpu: str(read_int(folder / "physical_package_id")) for cpu, folder in topology.items()}
    alone = {cpu for cpu in cpus if list(packages.values()).count(packages[cpu]) == 1}
    dies = {cpu: read_int(topology[cpu] / "die_id") for cpu in cpus if cpu not in alone}
    return {cpu: packages[cpu] if cpu in alone else f"{packages[cpu]}-die-{dies[cpu]}" for cpu in cpus}
