"""The inputs of a cost: cost.yaml and flags, each value with where it comes from, nothing ever assumed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattbench.results.economics.fields import FIELDS, CostField
from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["CostInputs", "Given", "parse_inputs"]

FILE = "cost.yaml"
SIZE_MAX = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One value as the user gave it, where it stood, and the source and date that the user stated for it."""

    path: str
    value: float
    place: str
    source: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostInputs:
    """What was given, by path; asking for something else is an error that says how to give it."""

    given: Mapping[str, Given]

    def number(self, path: str, purpose: str) -> float:
        """Return a value. Raises UsageError naming field and flag when it was not given; `purpose` says what for."""
        if path not in self.given:
            field = FIELDS[path]
            section, _, name = path.partition(".")
            raise UsageError(
                f"{purpose} needs {path} ({field.text}, in {field.unit})",
                f"neither {FILE} nor the command line gives it, and nothing is assumed",
                f"Use {field.flag} VALUE, or write `{name}: VALUE` under `{section}:` in {FILE} (-s FILE).",
            )
        return self.given[path].value

    def optional(self, path: str) -> float | None:
        """Return a value, or None when it was not given."""
        return self.given[path].value if path in self.given else None

    def has_section(self, section: str) -> bool:
        """Return whether anything of a section was given."""
        return any(path.startswith(f"{section}.") for path in self.given)


def parse_inputs(text: str | None, flags: Mapping[str, float], name: str = FILE) -> CostInputs:
    """Return the inputs of a YAML text and of flags, by path; a flag wins over the file.

    Each value is a number, or a mapping with `value` and optionally `source` and `date`. Raises UsageError for
    anything else: unknown sections and fields (with the nearest known), repeated keys, numbers that are not finite or
    not plausible in their unit.
    """
    given = {} if text is None else {g.path: g for g in _from_yaml(text, name)}
    for path, value in flags.items():
        given[path] = _checked(Given(path=path, value=value, place=FIELDS[path].flag))
    return CostInputs(given=given)


def _from_yaml(text: str, name: str) -> list[Given]:
    document = _load(text, name)
    if document is None:
        return []
    if not isinstance(document, dict):
        raise _wrong(name, "it holds no sections", "Start from `bench cost init`.")
    found = []
    for section, fields in document.items():
        sections = list(dict.fromkeys(path.partition(".")[0] for path in FIELDS))
        if section not in sections:
            raise UsageError(f"{name} has an unknown section {section!r}", *nearest_lines(str(section), sections))
        if fields is None:
            continue
        if not isinstance(fields, dict):
            raise _wrong(name, f"the section {section} holds no fields", "Write `field: value` lines under it.")
        found += [_given(f"{section}.{field}", value, name) for field, value in fields.items()]
    return found


def _load(text: str, name: str) -> Any:  # any: what a stranger's YAML holds
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, refusing a key that stands twice in one mapping."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise _wrong(name, f"{key!r} stands twice in one place", "Keep one of them.")
            return super().construct_mapping(node, deep=deep)

    if len(text) > SIZE_MAX:
        raise _wrong(name, f"it has {len(text)} characters", f"A cost file has at most {SIZE_MAX}.")
    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        why = " ".join(str(exc).split()) or type(exc).__name__
        raise _wrong(name, f"it is not YAML: {why}", "Start from `bench cost init`.") from exc


def _given(path: str, value: object, name: str) -> Given:
    if path not in FIELDS:
        raise UsageError(f"{name} has an unknown field {path!r}", *nearest_lines(path, list(FIELDS)))
    source = date = None
    if isinstance(value, dict):
        unknown = [key for key in value if key not in ("value", "source", "date")]
        if unknown or "value" not in value:
            what = f"has {unknown[0]!r}" if unknown else "has no `value`"
            raise _wrong(name, f"{path} {what}", "A field is a number, or {value: ..., source: ..., date: ...}.")
        source, date = (None if value.get(k) is None else str(value[k]) for k in ("source", "date"))
        value = value["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, f"{path} is {value!r:.60}, which is no number", f"Give it in {FIELDS[path].unit}.")
    return _checked(Given(path=path, value=float(value), place=name, source=source, date=date))


def _checked(given: Given) -> Given:
    field = FIELDS[given.path]
    suspicion = _suspicion(field, given.value)
    if suspicion is not None:
        what = f"{given.path} cannot be {given.value:g} {field.unit}"
        remedy = f"It is {field.text}, in {field.unit}: between {field.low:g} and {field.high:g}."
        raise UsageError(f"{given.place}: {what}", suspicion, remedy)
    return given


def _suspicion(field: CostField, value: float) -> str | None:
    if not math.isfinite(value):
        return "it is not a finite number"
    if value < 0:
        return "it is negative"
    if value < field.low:
        return f"perhaps {field.below}" if " given " in field.below else field.below
    if value > field.high:
        return f"perhaps {field.above}" if " given " in field.above else field.above
    return None


def _wrong(name: str, why: str, remedy: str) -> UsageError:
    return UsageError(f"{name} cannot be used", why, remedy)
