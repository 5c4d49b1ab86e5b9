"""Reading one catalogue file: TOML to a record, with every unknown, missing or wrong field refused by name."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from wattbench.models.load import Modality, ModelSpec, RequestShape, Tolerance
from wattbench.results.errors import UsageError
from wattbench.results.subject import Family

__all__ = ["read_model", "read_shape"]

T = TypeVar("T")

_MODEL: dict[str, type] = {
    "name": str,
    "version": int,
    "family": str,
    "architecture": str,
    "parameters": int,
    "precisions": list,
    "sources": list,
    "config": dict,
    "tolerances": list,
}
_TOLERANCE: dict[str, type] = {"precision": str, "relative_error": float, "cosine": float, "reason": str}
_SHAPE: dict[str, type] = {
    "name": str,
    "version": int,
    "modality": str,
    "input_tokens": int,
    "output_tokens": int,
    "turns": int,
    "turn_input_tokens": int,
    "families": list,
    "sources": list,
}


def read_model(path: Path) -> ModelSpec:
    """Return the model that a TOML file describes; `checkpoint` is its only optional key.

    Raises UsageError naming the file and the key for anything unknown, missing, of the wrong type or impossible.
    """
    return _refusing(path, lambda: _model(path, _table(path)))


def read_shape(path: Path) -> RequestShape:
    """Return the request shape that a TOML file describes; it has no optional keys.

    Raises UsageError naming the file and the key for anything unknown, missing, of the wrong type or impossible.
    """
    return _refusing(path, lambda: _shape(path, _table(path)))


def _refusing(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, UnicodeDecodeError, ValueError) as exc:  # TOMLDecodeError is a ValueError
        raise UsageError(f"The catalogue file {path} cannot be used", str(exc), "Correct it (docs/loads.md).") from exc


def _table(path: Path) -> dict[str, Any]:  # any: TOML's own values, checked below
    with path.open("rb") as file:
        return tomllib.load(file)


def _model(path: Path, table: dict[str, Any]) -> ModelSpec:  # any: as above
    _check(table, _MODEL, optional={"checkpoint": str})
    _named_as_file(path, table["name"])
    _texts(table, "precisions", "sources")
    tolerances = tuple(_tolerance(row) for row in table["tolerances"])
    if {t.precision for t in tolerances} != set(table["precisions"]) or len(tolerances) != len(table["precisions"]):
        raise ValueError("'tolerances' must have one entry for each of 'precisions'")
    return ModelSpec(
        name=table["name"],
        version=table["version"],
        family=_one_of(table["family"], get_args(Family), "family"),
        architecture=table["architecture"],
        config=table["config"],
        parameters=table["parameters"],
        precisions=tuple(table["precisions"]),
        tolerances=tolerances,
        sources=tuple(table["sources"]),
        checkpoint=table.get("checkpoint"),
    )


def _tolerance(row: Any) -> Tolerance:  # any: as above
    if not isinstance(row, dict):
        raise ValueError("every entry of 'tolerances' must be a table")
    _check(row, _TOLERANCE, where="tolerances.")
    return Tolerance(
        precision=row["precision"],
        relative_error=float(row["relative_error"]),
        cosine=float(row["cosine"]),
        reason=row["reason"],
    )


def _shape(path: Path, table: dict[str, Any]) -> RequestShape:  # any: as above
    _check(table, _SHAPE)
    _named_as_file(path, table["name"])
    _texts(table, "families", "sources")
    return RequestShape(
        name=table["name"],
        version=table["version"],
        modality=_one_of(table["modality"], get_args(Modality), "modality"),
        input_tokens=table["input_tokens"],
        output_tokens=table["output_tokens"],
        turns=table["turns"],
        turn_input_tokens=table["turn_input_tokens"],
        families=tuple(_one_of(f, get_args(Family), "families") for f in table["families"]),
        sources=tuple(table["sources"]),
    )


def _check(
    table: Mapping[str, Any],  # any: as above
    required: Mapping[str, type],
    *,
    optional: Mapping[str, type] | None = None,
    where: str = "",
) -> None:
    known = {**required, **(optional or {})}
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {where + key!r}; known are {', '.join(known)}")
    for key in required:
        if key not in table:
            raise ValueError(f"missing key {where + key!r}")
    for key, value in table.items():
        wanted: tuple[type, ...] = (float, int) if known[key] is float else (known[key],)
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ValueError(f"{where + key!r} must be of type {known[key].__name__}, got {value!r}")


def _texts(table: Mapping[str, Any], *keys: str) -> None:  # any: as above
    for key in keys:
        if not table[key] or not all(isinstance(item, str) for item in table[key]):
            raise ValueError(f"{key!r} must be a list of texts with at least one entry")


def _named_as_file(path: Path, name: str) -> None:
    if name != path.stem:
        raise ValueError(f"'name' must be the file's own name {path.stem!r}, got {name!r}")
    if "/" in name or "@" in name:
        raise ValueError(f"'name' must not hold / or @, which separate the parts of a load's name, got {name!r}")


def _one_of(value: str, known: tuple[Any, ...], key: str) -> Any:  # any: the Literal whose values are `known`
    if value not in known:
        raise ValueError(f"{key!r} must be one of {', '.join(known)}, got {value!r}")
    return value
