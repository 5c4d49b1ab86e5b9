"""What a Yokogawa WT300 or WT300E power meter is asked, and how its answers, ranges and accuracy are understood."""

import math
import re
from dataclasses import dataclass

from wattbench.harness.power.meters.visa import Instrument, as_scpi_number
from wattbench.results.errors import SensorError

__all__ = ["Setting", "accuracy_rel", "find_setting", "is_wt300", "over_range"]

_MODEL = re.compile(r"YOKOGAWA,\s*(?:76\d+-)?(WT3\d\d\w*)", re.IGNORECASE)

OVER_RANGE = 1.4
"""A voltage or current above this many times its range is over range (IM WT310E-02EN, 1.5; crest factor 3)."""

_READING_ERROR, _RANGE_ERROR, _RANGE_ERROR_OLD = 0.001, 0.0005, 0.001
"""Active power, 45 to 66 Hz, power factor 1, 12 months after calibration: +-(0.1 % of reading + 0.05 % of range) for
the WT300E (IM WT310E-02EN, 7.3.2), 0.1 % of range for the WT300 (IM WT310-02EN, 7.3.2)."""

_REMEDY = "Put it among the meter's items, for example by :NUMERIC:NORMAL:ITEM3 P,1 (docs/meters.md#scpi)."


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the meter is set: the places of its values (1 is the first), its ranges, its rate, whether it integrates."""

    model: str
    element: int
    voltage_item: int | None
    current_item: int | None
    power_item: int
    energy_item: int | None
    voltage_range_v: float
    current_range_a: float
    auto_range: bool
    update_s: float
    integrating: bool


def is_wt300(identity: str) -> str | None:
    """Return the model of a WT300 or WT300E from its answer to *IDN?, or None for any other instrument."""
    found = _MODEL.search(identity)
    return None if found is None else found[1].upper()


def find_setting(meter: Instrument, model: str, element: int) -> Setting:
    """Ask how the meter is set; nothing is changed. Raises SensorError when it does not show active power."""
    if meter.ask(":NUMERIC:FORMAT?").upper().split(" ")[-1].startswith("FLO"):
        raise SensorError(f"{model} sends binary numbers", "", "Set it to text: :NUMERIC:FORMAT ASCII")
    count = int(_number(meter, ":NUMERIC:NORMAL:NUMBER?"))
    items = [_item(meter.ask(f":NUMERIC:NORMAL:ITEM{place}?")) for place in range(1, min(count, 40) + 1)]
    place = {name: number for number, name in reversed(list(enumerate(items, 1)))}
    power = place.get(f"P,{element}")
    if power is None:
        raise SensorError(f"{model} does not put out the active power of element {element}", ", ".join(items), _REMEDY)
    state = meter.ask(":INTEGRATE:STATE?").upper().split(" ")[-1]
    return Setting(
        model=model,
        element=element,
        voltage_item=place.get(f"U,{element}"),
        current_item=place.get(f"I,{element}"),
        power_item=power,
        energy_item=place.get(f"WH,{element}"),
        voltage_range_v=_number(meter, ":INPUT:VOLTAGE:RANGE?"),
        current_range_a=_number(meter, ":INPUT:CURRENT:RANGE?"),
        auto_range=any(_is_on(meter.ask(f":INPUT:{kind}:AUTO?")) for kind in ("VOLTAGE", "CURRENT")),
        update_s=_number(meter, ":RATE?"),
        integrating=state.startswith("STAR"),
    )


def over_range(setting: Setting, values: list[str]) -> str | None:
    """Return why the meter's values are over its range, or None; checked wherever it shows voltage and current.

    With auto range the range of this moment is not known: there the meter's own mark of over range must do.
    """
    if setting.auto_range:
        return None
    watched = (
        ("voltage", setting.voltage_item, setting.voltage_range_v, "V"),
        ("current", setting.current_item, setting.current_range_a, "A"),
    )
    for name, place, full, unit in watched:
        if place is None:
            continue
        value = as_scpi_number(values[place - 1])
        if abs(value) > OVER_RANGE * full:
            return f"over range: {name} {value:g} {unit}, range {full:g} {unit}"
    return None


def accuracy_rel(setting: Setting, power_w: float) -> float | None:
    """Return the meter's relative standard uncertainty at a power, its limits taken as rectangular; None at 0 W."""
    if power_w <= 0:
        return None
    range_error = _RANGE_ERROR if "E" in setting.model[5:] else _RANGE_ERROR_OLD
    full_w = setting.voltage_range_v * setting.current_range_a
    return (_READING_ERROR * power_w + range_error * full_w) / power_w / math.sqrt(3)


def _number(meter: Instrument, query: str) -> float:
    text = meter.ask(query)
    try:
        return as_scpi_number(text.split(" ")[-1].split(";")[0])
    except ValueError as exc:
        raise SensorError(f"{meter.name}: {query} has no answer that we understand", str(exc)) from None


def _is_on(text: str) -> bool:
    return text.upper().split(" ")[-1] in ("1", "ON")


def _item(text: str) -> str:
    """Return `P,1` of `:NUM:NORM:ITEM3 P,1`; the element of a meter with one is 1 where it is left out."""
    name, _, element = text.upper().split(" ")[-1].partition(",")
    return f"{name},{element or 1}"
