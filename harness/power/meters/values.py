"""What a meter sent, checked at the border: a number in W or J, or a failed reading that says why."""

import json
import math
from typing import NoReturn

from wattbench.harness.power.contract import Reading
from wattbench.results.errors import SensorError

__all__ = ["WH_J", "as_number", "parse_json", "reading", "require_value", "unless"]

WH_J = 3600.0
"""Joules in a watt-hour."""


def as_number(value: object) -> float:
    """Return a finite number. Raises ValueError, with the value in words, for everything that is none.

    Truth values and texts are none, whatever they look like: a meter that sends "N/A" or "12" is not the documented
    one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"it gave {_short(value)} where a number belongs")
    if not math.isfinite(value):
        raise ValueError(f"it gave {value}")
    return float(value)


def reading(channel: str, value: object, factor: float = 1.0, *, sensor_ns: int | None = None) -> Reading:
    """Return the reading of a value in another unit times `factor`, or a failed one that says what came instead."""
    try:
        return Reading(channel=channel, value=as_number(value) * factor, sensor_ns=sensor_ns)
    except ValueError as exc:
        return Reading(channel=channel, value=None, sensor_ns=sensor_ns, error=str(exc))


def require_value(readings: tuple[Reading, ...], name: str) -> None:
    """Raise SensorError, with the cause, when a source answers but gives no value at all: a run would be in vain."""
    if all(r.value is None for r in readings):
        why = next((r.error for r in readings if r.error is not None), "")
        raise SensorError(f"{name} gives no value now", why, "See what it shows itself, and try again.")


def unless(why: str | None, readings: tuple[Reading, ...]) -> tuple[Reading, ...]:
    """Return the readings, or all of them failed where there is a reason not to believe them."""
    return readings if why is None else tuple(Reading(channel=r.channel, value=None, error=why) for r in readings)


def parse_json(text: bytes, what: str) -> dict[str, object]:
    """Return the JSON object of an answer. Raises SensorError for anything else, NaN and Infinity included."""
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:
        raise SensorError(f"{what} did not answer in JSON", f"it began {_short(text[:40])}", _OTHER) from exc
    if not isinstance(found, dict):
        raise SensorError(f"{what} did not answer with a JSON object", _short(found), _OTHER)
    return found


_OTHER = "Is it the device that you mean, and its firmware up to date?"


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
