"""The inputs of a cost: cost.yaml and flags, each value with where it comes from, nothing ever assumed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from wattbench.results.economics.cost_file import FILE, SIZE_MAX, load_sections, wrong
from wattbench.results.economics.fields import FIELDS, HOURS, SCHEDULE, SECTIONS, CostField
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["FILE", "SIZE_MAX", "CostInputs", "Given", "Prior", "parse_inputs", "parse_prior"]

UTILISATION = "use.utilisation"
PRIORS, MACHINES = "priors", "machines"
CURRENCY = "USD"
FORM = "A field is a number, or {value: ..., source: ..., date: ...}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value as the user gave it, where it stood, and the source and date that the user stated for it."""

    path: str
    value: float
    place: str
    source: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed of one input: not below `low`, most likely `mode`, not above `high` (a triangle)."""

    path: str
    low: float
    mode: float
    high: float
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInputs:
    """What was given, by path; asking for something else is an error that says how to give it.

    `schedule` has the 24 hours' shares of work where they were given; `use.utilisation` is then their mean. `priors`
    are for `bench cost sensitivity`, `machines` the raw entries for `bench cost shift`. `used` collects the paths whose
    value a formula took, here and in all that was made of these inputs, so that what played no part can be told.
    """

    given: Mapping[str, Given]
    schedule: tuple[float, ...] | None = None
    priors: Mapping[str, Prior] = field(default_factory=dict)
    machines: tuple[Mapping[str, Any], ...] = ()  # any: what the file holds, checked by results.economics.offers
    used: set[str] = field(default_factory=set, compare=False, repr=False)

    def number(self, path: str, purpose: str) -> float:
        """Return a value. Raises UsageError naming field and flag when it was not given; `purpose` says what for."""
        if path not in self.given:
            asked = FIELDS[path]
            raise UsageError(
                f"{purpose} needs {path} ({asked.text}, in {asked.unit})",
                f"neither {FILE} nor the command line gives it, and nothing is assumed",
                f"Use {asked.flag} VALUE, or write `{asked.name}: VALUE` under `{asked.section}:` in {FILE} (-s FILE).",
            )
        self.used.add(path)
        return self.given[path].value

    def optional(self, path: str) -> float | None:
        """Return a value, or None when it was not given."""
        self.used.add(path)
        return self.given[path].value if path in self.given else None

    def has(self, path: str) -> bool:
        """Return whether a value was given, which does not count as a use of it."""
        return path in self.given

    def with_value(self, path: str, value: float, place: str) -> "CostInputs":
        """Return these inputs with one value computed instead of given; `place` says from what."""
        return replace(self, given={**self.given, path: Given(path=path, value=value, place=place)})

    def has_section(self, section: str) -> bool:
        """Return whether anything of a section was given."""
        return any(path.startswith(f"{section}.") for path in self.given)


def parse_inputs(
    text: str | None, flags: Mapping[str, float], name: str = FILE, schedule: Sequence[float] | None = None
) -> CostInputs:
    """Return the inputs of a YAML text and of flags, by path; a flag wins over the file.

    Each value is a number, or a mapping with `value` and optionally `source`, `date` and `currency`; `schedule` has 24
    of them. Raises UsageError for anything else: unknown sections and fields (with the nearest known), repeated keys,
    numbers that are not finite or not plausible in their unit, another currency.
    """
    sections = {} if text is None else load_sections(text, name)
    priors, machines = sections.pop(PRIORS, {}), sections.pop(MACHINES, [])
    hours = _taken_schedule(sections, name)
    given = {g.path: g for g in _from_sections(sections, name)}
    if hours is not None and UTILISATION in given:
        raise wrong(name, f"it has both {UTILISATION} and {SCHEDULE}", "Keep one of the two.")
    if schedule is not None and UTILISATION in flags:
        raise UsageError("--utilisation and --schedule were both given", "each gives the share of work", "Keep one.")
    if schedule is not None or UTILISATION in flags:
        hours = None if schedule is None else _day(schedule, "--schedule")
    for path, value in flags.items():
        given[path] = _checked(Given(path=path, value=value, place=FIELDS[path].flag))
    if hours is not None:
        place = "--schedule" if schedule is not None else name
        given[UTILISATION] = _checked(
            Given(path=UTILISATION, value=math.fsum(hours) / HOURS, place=f"mean of the {HOURS} hours, {place}")
        )
    return CostInputs(
        given=given, schedule=hours, priors=_priors(priors, name), machines=_machine_entries(machines, name)
    )


def parse_prior(path: str, values: Sequence[object], place: str) -> Prior:
    """Return what is believed of an input from its three values. Raises UsageError."""
    if path not in FIELDS:
        raise UsageError(f"{place} has a prior of an unknown field {path!r}", *nearest_lines(path, list(FIELDS)))
    numbers = [_number(path, value, place) for value in values]
    if len(numbers) != 3 or not numbers[0] <= numbers[1] <= numbers[2]:
        why = f"{path} has {', '.join(f'{n:g}' for n in numbers)}"
        raise UsageError(f"{place} has a wrong prior", why, "Give [lowest, most likely, highest], in this order.")
    low, mode, high = (_checked(Given(path=path, value=number, place=place)).value for number in numbers)
    return Prior(path=path, low=low, mode=mode, high=high, place=place)


def _from_sections(sections: Mapping[str, Any], name: str) -> list[Given]:
    found = []
    for section, fields in sections.items():
        if section not in SECTIONS:
            known = [*SECTIONS, PRIORS, MACHINES]
            raise UsageError(f"{name} has an unknown section {section!r}", *nearest_lines(str(section), known))
        if not isinstance(fields, dict):
            raise wrong(name, f"the section {section} holds no fields", "Write `field: value` lines under it.")
        found += [_given(f"{section}.{key}", value, name) for key, value in fields.items()]
    return found


def _given(path: str, value: object, name: str) -> Given:
    if path not in FIELDS:
        raise UsageError(f"{name} has an unknown field {path!r}", *nearest_lines(path, [*FIELDS, SCHEDULE]))
    source = date = None
    if isinstance(value, dict):
        source, date = (None if value.get(k) is None else str(value[k]) for k in ("source", "date"))
        _require_date(path, date, name)
        value = _value_of(path, value, name)
    return _checked(Given(path=path, value=_number(path, value, name), place=name, source=source, date=date))


def _require_date(path: str, date: str | None, name: str) -> None:
    """Raise UsageError for a date that is none: prices age, and somebody will want to know by how much."""
    try:
        datetime.fromisoformat(date or "2000-01-01")
    except ValueError as exc:
        why = f"the date of {path} is {date!r:.40}, which is no day"
        raise wrong(name, why, "Write it as YYYY-MM-DD, or leave it out.") from exc


def _value_of(path: str, entry: Mapping[str, object], name: str) -> object:
    """Return the `value` of a mapping that has no key but the known ones and no other currency."""
    unknown = [key for key in entry if key not in ("value", "source", "date", "currency")]
    if unknown or "value" not in entry:
        raise wrong(name, f"{path} has {f'{unknown[0]!r}' if unknown else 'no `value`'}", FORM)
    currency = entry.get("currency", CURRENCY)
    if currency != CURRENCY:
        raise wrong(
            name,
            f"{path} is in {currency!r:.20}, and all amounts are in {CURRENCY}: mixed currencies do not add up",
            f"Convert it, and write the rate and its day into `source:`. {FORM}",
        )
    return entry["value"]


def _number(path: str, value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        unit = FIELDS[path].unit if path in FIELDS else "1"
        remedy = "Give a plain number." if unit == "1" else f"Give it in {unit}, without its unit."
        raise wrong(name, f"{path} is {value!r:.60}, which is no number", remedy)
    try:
        return float(value)
    except OverflowError:
        return math.inf  # refused with the other numbers that are not finite


def _taken_schedule(sections: dict[str, Any], name: str) -> tuple[float, ...] | None:
    """Take the day's hours out of the sections and return them; None where there are none."""
    section, _, key = SCHEDULE.partition(".")
    fields = sections.get(section)
    if not isinstance(fields, dict) or key not in fields:
        return None
    sections[section] = {k: v for k, v in fields.items() if k != key}
    value = fields[key]
    return _day(_value_of(SCHEDULE, value, name) if isinstance(value, dict) else value, name)


def _day(values: object, name: str) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != HOURS:
        count = len(values) if isinstance(values, Sequence) and not isinstance(values, str) else "no list of"
        raise wrong(name, f"{SCHEDULE} has {count} values", f"Give {HOURS}: each hour's share of work, 0 .. 1.")
    hours = tuple(_number(SCHEDULE, value, name) for value in values)
    for hour, share in enumerate(hours):
        if not 0 <= share <= 1:
            why = f"hour {hour} of {SCHEDULE} is {share:g}"
            raise wrong(name, why, "An hour's share of work lies within 0 .. 1; 40 % is 0.4.")
    return hours


def _priors(section: object, name: str) -> dict[str, Prior]:
    if not isinstance(section, dict):
        raise wrong(name, f"the section {PRIORS} holds no fields", "Write `section.field: [low, mode, high]` lines.")
    found = {}
    for path, values in section.items():
        if not isinstance(values, list):
            raise wrong(name, f"the prior of {path} is {values!r:.60}", "Give [lowest, most likely, highest].")
        found[str(path)] = parse_prior(str(path), values, name)
    return found


def _machine_entries(section: object, name: str) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(section, list) or not all(isinstance(entry, dict) for entry in section):
        raise wrong(
            name, f"the section {MACHINES} is no list of machines", "Write `- name: ...` under it, one a machine."
        )
    return tuple(section)


def _checked(given: Given) -> Given:
    asked = FIELDS[given.path]
    suspicion = _suspicion(asked, given.value)
    if suspicion is not None:
        unit, in_unit = ("", "") if asked.unit == "1" else (f" {asked.unit}", f", in {asked.unit}")
        what = f"{given.path} cannot be {given.value:g}{unit}"
        remedy = f"It is {asked.text}{in_unit}: between {asked.low:g} and {asked.high:g}."
        raise UsageError(f"{given.place}: {what}", suspicion, remedy)
    return given


def _suspicion(asked: CostField, value: float) -> str | None:
    if not math.isfinite(value):
        return "it is not a finite number"
    if value < 0 <= asked.low:
        return "it is negative"
    if value < asked.low:
        return f"perhaps {asked.below}" if " given " in asked.below else asked.below
    if asked.high < value <= 1:
        return "it is too large to be true"  # a share that near to 1 is no slip of a percentage
    if value > asked.high:
        return f"perhaps {asked.above}{_as_share(asked, value)}" if " given " in asked.above else asked.above
    return None


def _as_share(asked: CostField, value: float) -> str:
    """Return what a percentage would be as a share or ratio, "" where the field takes none or it is still too much."""
    fits = asked.above.startswith("a percentage") and asked.low <= value / 100 <= asked.high
    return f": {value:g} % is {value / 100:g}" if fits else ""
