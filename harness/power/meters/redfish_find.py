"""Finding what gives watts in a Redfish service: the chassis, and its sources in order of preference."""

from dataclasses import dataclass

from wattbench.harness.power.meters.argument import Argument
from wattbench.harness.power.meters.redfish_session import RedfishSession
from wattbench.harness.power.meters.redfish_sources import KINDS, Source, kind_of, link, members, values_of
from wattbench.harness.power.meters.values import as_number
from wattbench.results.errors import SensorError

__all__ = ["Candidates", "find_sources"]

_TOTAL = ("totalpower", "total_power", "inputpower", "chassispower", "systempower")
"""Names of sensors of the whole chassis; others are read only when `sensor=ID` names one."""

_REMEDY = "docs/meters.md#redfish lists what is read; resource=PATH names one outright."


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The source that is used (several where each is one power supply), and the others of the same chassis."""

    chosen: tuple[Source, ...]
    others: tuple[Source, ...]


def find_sources(session: RedfishSession, argument: Argument, wanted: str) -> Candidates:
    """Return the sources of the chassis that is asked for, or of the only one that gives watts.

    Raises SensorError when there is none, or when several could be meant.
    """
    resource = argument.options.get("resource")
    if resource is not None:
        return _named(session, resource)
    chassis = _chassis(session, argument.options.get("chassis"))
    found = {path: _sources(session, path, argument.options.get("sensor")) for path in chassis}
    usable = {path: _wanted(sources, wanted) for path, sources in found.items() if _wanted(sources, wanted)}
    if not usable:
        here = ", ".join(path.rsplit("/", 1)[-1] for path in chassis) or "none"
        what = f"{session.name} gives no power" + ("" if wanted == "auto" else f" by {wanted}")
        raise SensorError(what, f"looked into chassis {here}", _REMEDY)
    if len(usable) > 1:
        names = ", ".join(path.rsplit("/", 1)[-1] for path in usable)
        raise SensorError(f"{session.name} has several chassis with power", names, "Name one: chassis=ID.")
    ((path, sources),) = usable.items()
    chosen = tuple(s for s in sources if s.kind == sources[0].kind)
    return Candidates(chosen=chosen, others=tuple(s for s in found[path] if s not in chosen and s.covers is None))


def _named(session: RedfishSession, resource: str) -> Candidates:
    kind = kind_of(session.get_json(resource))
    if kind is None:
        raise SensorError(f"{session.name}{resource} gives no power", "it has none of the fields that we know", _REMEDY)
    return Candidates(chosen=(Source(kind=kind, path=resource),), others=())


def _chassis(session: RedfishSession, wanted: str | None) -> tuple[str, ...]:
    every = members(session.get_json("/redfish/v1/Chassis"))
    named = tuple(path for path in every if wanted is None or path.rstrip("/").rsplit("/", 1)[-1] == wanted)
    if wanted is not None and not named:
        here = ", ".join(path.rstrip("/").rsplit("/", 1)[-1] for path in every) or "none"
        raise SensorError(f"{session.name} has no chassis {wanted}", f"it has {here}", "Name one of them: chassis=ID.")
    return named


def _wanted(sources: tuple[Source, ...], wanted: str) -> tuple[Source, ...]:
    return tuple(s for s in sources if wanted in ("auto", s.kind))


def _sources(session: RedfishSession, path: str, sensor: str | None) -> tuple[Source, ...]:
    """Return every source of a chassis that gives a number now, the preferred kind first."""
    chassis = session.get_json(path)
    sensors = link(chassis, "Sensors")
    if sensor is not None:
        if sensors is None:
            return ()
        return (Source(kind="sensor", path=f"{sensors.rstrip('/')}/{sensor}"),)
    found = []
    for name in ("EnvironmentMetrics", "Power"):
        target = link(chassis, name)
        found += [] if target is None else _source_at(session, target)
    found += [] if sensors is None else _total_sensors(session, sensors)
    subsystem = link(chassis, "PowerSubsystem")
    found += [] if subsystem is None else _supplies(session, subsystem)
    return tuple(sorted(found, key=lambda s: KINDS.index(s.kind)))


def _source_at(session: RedfishSession, path: str, covers: str | None = None) -> list[Source]:
    """Return the source at a path when it gives a number now; a missing or empty resource is no source."""
    try:
        document = session.get_json(path)
        kind = kind_of(document)
        if kind is None:
            return []
        as_number(values_of(kind, document).power)
    except (SensorError, ValueError):
        return []
    return [Source(kind=kind, path=path, covers=covers)]


def _total_sensors(session: RedfishSession, path: str) -> list[Source]:
    try:
        every = members(session.get_json(path))
    except SensorError:
        return []
    total = [target for target in every if target.rstrip("/").rsplit("/", 1)[-1].lower() in _TOTAL]
    return _source_at(session, total[0]) if total else []


def _supplies(session: RedfishSession, path: str) -> list[Source]:
    """Return the input of every power supply, all or none: a sum with a missing part would be wrong."""
    try:
        collection = link(session.get_json(path), "PowerSupplies")
        units = () if collection is None else members(session.get_json(collection))
        metrics = [link(session.get_json(unit), "Metrics") for unit in units]
    except SensorError:
        return []
    found = [
        source
        for number, target in enumerate(metrics, 1)
        if target is not None
        for source in _source_at(session, target, f"supply {number}/{len(units)}")
    ]
    return found if len(found) == len(units) else []
