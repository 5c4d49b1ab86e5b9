"""Where a Redfish service keeps watts: which fields of which resource hold power, energy, their time and accuracy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = [
    "KINDS",
    "Kind",
    "Source",
    "Values",
    "iso_duration_s",
    "iso_time_s",
    "kind_of",
    "link",
    "members",
    "values_of",
]

Document = Mapping[str, object]
Kind = Literal["environment-metrics", "sensor", "power-control", "power-supply"]

KINDS: tuple[Kind, ...] = ("environment-metrics", "sensor", "power-control", "power-supply")
"""The kinds of source, the most specific reading of the whole first (DSP2046: PowerControl is deprecated)."""

_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One resource to read: its kind, its path, and the supply that it is ("supply 1/2") where it is one of several."""

    kind: Kind
    path: str
    covers: str | None = None

    @property
    def id(self) -> str:
        """Return the short name of a source: the last part of its path that tells it apart."""
        words = [
            word for word in self.path.split("/") if word and word not in ("Metrics", "EnvironmentMetrics", "Power")
        ]
        return words[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a resource says; power in W and energy in kWh as sent, whatever they are, and None for what is missing."""

    power: object
    energy_kwh: object = None
    has_energy: bool = False
    taken_at: str | None = None
    sensing_s: float | None = None
    averaging_s: float | None = None
    accuracy_percent: float | None = None
    limit_w: float | None = None
    details: str | None = None


def kind_of(document: Document) -> Kind | None:
    """Return what kind of source a resource is, or None when it gives no watts."""
    if isinstance(document.get("PowerWatts"), dict):
        return "environment-metrics"
    if isinstance(document.get("PowerControl"), list):
        return "power-control"
    if isinstance(document.get("InputPowerWatts"), dict):
        return "power-supply"
    is_sensor = "Reading" in document and document.get("ReadingUnits") in ("W", "kW")
    return "sensor" if is_sensor else None


def values_of(kind: Kind, document: Document) -> Values:
    """Return the values of a resource of a known kind."""
    if kind == "power-control":
        return _of_power_control(document)
    if kind == "sensor":
        return _of_sensor(document)
    field = "PowerWatts" if kind == "environment-metrics" else "InputPowerWatts"
    power, energy = _part(document, field), _part(document, "EnergykWh")
    limit = _part(document, "PowerLimitWatts").get("SetPoint")
    return Values(
        power=power.get("Reading"),
        energy_kwh=energy.get("Reading"),
        has_energy="Reading" in energy and energy["Reading"] is not None,
        limit_w=_positive(limit),
        details=_text(power.get("DataSourceUri")),
    )


def _of_power_control(document: Document) -> Values:
    """Return the first PowerControl's watts: the one that stands for the whole chassis."""
    controls = document.get("PowerControl")
    first = controls[0] if isinstance(controls, list) and controls and isinstance(controls[0], dict) else {}
    interval = _positive(_part(first, "PowerMetrics").get("IntervalInMin"))
    return Values(
        power=first.get("PowerConsumedWatts"),
        limit_w=_positive(first.get("PowerCapacityWatts")),
        details=None if interval is None else f"statistics over {interval:g} min",
    )


def _of_sensor(document: Document) -> Values:
    in_kw = document.get("ReadingUnits") == "kW"
    power = document.get("Reading")
    if in_kw and isinstance(power, int | float) and not isinstance(power, bool):
        power = 1000 * power  # kW
    accuracy = document.get("ReadingAccuracy", document.get("Accuracy"))
    return Values(
        power=power,
        taken_at=_text(document.get("ReadingTime")),
        sensing_s=iso_duration_s(document.get("SensingInterval")),
        averaging_s=iso_duration_s(document.get("AveragingInterval")),
        accuracy_percent=_positive(accuracy),
        limit_w=_positive(document.get("ReadingRangeMax")),
    )


def link(document: Document, name: str) -> str | None:
    """Return the path that a link of a resource names, or None."""
    return _text(_part(document, name).get("@odata.id"))


def members(document: Document) -> tuple[str, ...]:
    """Return the paths of a collection's members."""
    found = document.get("Members")
    parts = found if isinstance(found, list) else []
    paths = (_text(part.get("@odata.id")) for part in parts if isinstance(part, dict))
    return tuple(path for path in paths if path is not None)


def iso_duration_s(value: object) -> float | None:
    """Return the seconds of an ISO 8601 duration such as `PT0.1S`, or None."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None or not any(found.groups()):
        return None
    days, hours, minutes, seconds = (float(word or 0) for word in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def iso_time_s(text: str | None) -> float | None:
    """Return the UTC seconds of an ISO 8601 time with its offset, or None."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _part(document: Document, name: str) -> Document:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e9 else None
