"""Reading the files of the database: TOML to records, strictly; what is wrong is named by its place."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattbench.results.codec import decode
from wattbench.results.errors import DocumentError
from wattbench.results.vendor.records import Accelerator, Conflict, Source, Stated

__all__ = ["Database", "parse_database"]

KINDS = ("nvml", "rocm", "jax", "cpu", "apple", "neuron")
"""The fields of `Names` that hold patterns."""

PCI_ID = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Everything that is known of accelerators: the sources by key, the accelerators by key, and the conflicts."""

    sources: dict[str, Source]
    accelerators: dict[str, Accelerator]
    conflicts: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SourcesFile:
    sources: dict[str, Source]


@dataclass(frozen=True, slots=True, kw_only=True)
class _VendorFile:
    vendor: str
    accelerator: tuple[Accelerator, ...]
    conflict: tuple[Conflict, ...] = ()


def parse_database(sources: str, vendors: Mapping[str, str]) -> Database:
    """Return the database of the text of the sources' file and of the vendors' files, by their names.

    A leaf without grade or date has those of its source. Raises DocumentError naming file and place of anything that is
    unknown, missing, of the wrong type, stated twice or impossible.
    """
    known = _record("sources.toml", _table("sources.toml", sources), _SourcesFile).sources
    accelerators: dict[str, Accelerator] = {}
    conflicts: list[Conflict] = []
    for name, text in vendors.items():
        table = _table(name, text)
        for row in table.get("accelerator", ()):
            if isinstance(row, dict):
                row["vendor"] = table.get("vendor")
        file = _record(name, _graded(table, known, name), _VendorFile)
        for accelerator in file.accelerator:
            _refuse(name, accelerator.key in accelerators, f"{accelerator.key} is there twice")
            _check_names(name, accelerator)
            accelerators[accelerator.key] = accelerator
        conflicts += file.conflict
    for conflict in conflicts:
        _check_conflict(conflict, accelerators)
    return Database(sources=known, accelerators=accelerators, conflicts=tuple(conflicts))


def _figure_of(accelerator: Accelerator, figure: str) -> Stated | None:
    """Return the figure that a conflict names, such as "dense_flops_per_s.bfloat16"; None when it is not there."""
    name, _, precision = figure.partition(".")
    found = getattr(accelerator, name, None)
    if precision:
        found = found.get(precision) if isinstance(found, dict) else None
    return found if isinstance(found, Stated) else None


def _table(name: str, text: str) -> dict[str, Any]:  # any: TOML, checked by the records
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise _wrong(name, str(exc)) from exc


def _record(name: str, table: object, type: Any) -> Any:  # any: a record's class, and the record
    try:
        return decode(table, type)
    except DocumentError as exc:
        raise _wrong(name, exc.why) from exc


def _graded(node: Any, sources: Mapping[str, Source], where: str) -> Any:  # any: a tree of TOML
    """Return the tree with grade and date of the source in every leaf that names one and has none of its own."""
    if isinstance(node, list):
        return [_graded(child, sources, where) for child in node]
    if not isinstance(node, dict):
        return node
    place = f"{where}: {node['key']}" if isinstance(node.get("key"), str) else where
    found = {key: _graded(child, sources, f"{place}.{key}") for key, child in node.items()}
    key = found.get("source")
    if key is None:
        return found
    _refuse(place, key not in sources, f"unknown source {key!r}")
    is_conflict = ".values" in place
    return found if is_conflict else {"grade": sources[key].grade, "date": sources[key].dated, **found}


def _check_names(file: str, accelerator: Accelerator) -> None:
    for kind in KINDS:
        for pattern in getattr(accelerator.names, kind):
            try:
                re.compile(pattern)
            except re.error as exc:
                raise _wrong(file, f"{accelerator.key}: {pattern!r} is no regular expression: {exc}") from exc
    for pci in accelerator.names.pci:
        _refuse(file, not PCI_ID.fullmatch(pci), f"{accelerator.key}: {pci!r} is no PCI id such as 10de:2330")


def _check_conflict(conflict: Conflict, accelerators: Mapping[str, Accelerator]) -> None:
    """Refuse a conflict of an unknown device, or one whose `used` is not what the database has."""
    accelerator = accelerators.get(conflict.accelerator)
    where = f"conflict of {conflict.accelerator}"
    if accelerator is None:
        raise _wrong(where, "there is no such accelerator")
    stated = _figure_of(accelerator, conflict.figure)
    value = None if stated is None else stated.value
    _refuse(where, conflict.used != value, f"{conflict.figure} is {value} in the database, not {conflict.used}")


def _refuse(where: str, wrong: bool, why: str) -> None:
    if wrong:
        raise _wrong(where, why)


def _wrong(where: str, why: str) -> DocumentError:
    return DocumentError("The database of accelerators cannot be used", f"{where}: {why}", "Reinstall wattbench.")
