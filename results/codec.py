"""Records to plain values and back, strictly: the only file that knows msgspec, which it imports when it is needed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from wattbench.results.errors import DocumentError, TruncatedError
from wattbench.results.jsontree import doubles, first_problem

__all__ = ["decode", "integers_json", "json_reader", "parse_json", "result_schema", "schema_text", "to_builtins"]

Record = TypeVar("Record")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = "urn:wattbench:schema:result:1"
DECODING = threading.Lock()
"""Held while a record is made: msgspec 0.22 crashes when several threads meet a type for the first time."""

CONTAINERS = frozenset({dict, list, tuple})
REMEDY = "The file was made by something else or edited; measure again, or take the original file."


def to_builtins(record: object) -> dict[str, object]:
    """Return a record as dicts, tuples, strings, numbers and None, ready for JSON."""
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(record)
    return plain


def integers_json(column: object) -> bytes:
    """Return the JSON of a column of integers, booleans and None, or of a table of them, without white space."""
    import msgspec

    return msgspec.json.encode(column)


def json_reader(type: type[Record]) -> Callable[[bytes], Record]:
    """Return a fast reader of foreign JSON: fields of `type` are checked, others passed over, absent ones default.

    `type` is a dataclass or a list of them. What is read has its fields, at every depth, but none of its methods:
    msgspec fills structs of its own six times as fast as dataclasses. What it returns is for one thread. It raises
    ValueError for what is not JSON or of another type.
    """
    import msgspec

    with DECODING:
        reader: Callable[[bytes], Record] = msgspec.json.Decoder(_struct_for(type, {})).decode
        return reader


def _struct_for(kind: Any, made: dict[object, object]) -> Any:  # any: types as values, which typing cannot express
    """Return a type with msgspec's structs in place of its dataclasses; `made` are those that there are already."""
    import msgspec

    if not is_dataclass(kind):
        parts = tuple(_struct_for(part, made) for part in get_args(kind))
        if not parts:
            return kind
        return Union[parts] if isinstance(kind, UnionType) else get_origin(kind)[parts]  # noqa: UP007
    if kind not in made:
        hints = get_type_hints(kind)
        columns = [(field.name, _struct_for(hints[field.name], made), field.default) for field in fields(kind)]
        made[kind] = msgspec.defstruct("Read", columns)
    return made[kind]


def decode(raw: object, type: type[Record]) -> Record:
    """Return the record of `type` that a plain value describes.

    Nothing is coerced, except that an integer may stand where a float is expected (JSON has one kind of number).
    Raises DocumentError naming the JSON path of what is wrong: a missing, foreign or unknown field, a number that is
    not finite, a value that the record refuses.
    """
    import msgspec

    problem = first_problem(raw)
    if problem is None:
        try:
            with DECODING:
                record = msgspec.convert(raw, type)
        except msgspec.ValidationError as exc:
            problem = str(exc) if " - at `" in str(exc) else f"{exc} - at `$`"
        else:
            unknown = _unknown_path(raw, record)
            if unknown is None:
                return record
            problem = f"Unknown field - at `${unknown}`"
    raise DocumentError(f"This is not a valid {type.__name__}", problem, REMEDY)


def parse_json(data: bytes) -> object:
    """Return the plain value of JSON bytes; integers beyond 2^53 - 1 become floats, as RFC 8785 has it.

    Raises TruncatedError when the text ends too early, DocumentError when it is not JSON, not UTF-8, nested too
    deeply, or says a key twice in one object (RFC 7493 2.3, which RFC 8785 builds on).
    """
    import msgspec

    try:
        value = msgspec.json.decode(data)
        _refuse_duplicate_keys(data)
        return doubles(value)
    except UnicodeDecodeError as exc:
        raise DocumentError("This is not JSON", f"the text is not UTF-8: {exc.reason}", REMEDY) from exc
    except msgspec.MsgspecError as exc:
        if "truncated" in str(exc):
            remedy = "The copy or the write was cut short; take the original file, or measure again."
            raise TruncatedError("This file is truncated", "its JSON ends before it is complete", remedy) from exc
        raise DocumentError("This is not JSON", str(exc), REMEDY) from exc
    except (RecursionError, ValueError) as exc:
        raise DocumentError("This JSON cannot be read", "it is nested too deeply", REMEDY) from exc


def result_schema() -> dict[str, Any]:  # any: JSON Schema is an open tree
    """Return the JSON Schema 2020-12 of a result file, made from the records and their docstrings.

    Either kind of document is a record of its own, told apart by `kind`: one of them must fit.
    """
    import msgspec

    from wattbench.results.document import SCHEMA, Kind, Result  # here: a worker speaks by this file without documents
    from wattbench.results.imported import ImportedResult

    heads, definitions = msgspec.json.schema_components((Result, ImportedResult), ref_template="#/$defs/{name}")
    for definition in definitions.values():
        definition["additionalProperties"] = False
        definition["description"] = " ".join(definition["description"].split())
    digest = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
    for head, kinds in zip(heads, (get_args(Kind), ("imported",)), strict=True):
        top = definitions[head["$ref"].rsplit("/", 1)[-1]]
        top["properties"] |= {"id": digest, "schema": {"const": SCHEMA}, "kind": {"enum": list(kinds)}}
        top["required"] = sorted({"id", "schema", "kind", *top["required"]})
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "wattbench result",
        "type": "object",
        "required": ["id", "kind", "schema"],
        "oneOf": list(heads),
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the published text of the schema: results/result.schema.json holds it, and a test compares the two."""
    return json.dumps(result_schema(), indent=2, ensure_ascii=False) + "\n"


def _refuse_duplicate_keys(data: bytes) -> None:
    """Raise DocumentError naming a key that one object has twice; msgspec keeps the last and says nothing."""
    json.loads(data, object_pairs_hook=_refuse_duplicates)


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> None:
    """Forget the values, so that no second copy of the document is built; refuse a repeated key."""
    if len(dict(pairs)) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise DocumentError("This JSON has two meanings", f"the key {key!r:.80} stands twice in one object", REMEDY)


def _unknown_path(raw: object, record: object) -> str | None:
    """Return the path of the first key in `raw` that is no field of the record made of it, or None."""
    if isinstance(raw, dict):
        known = _children(record)
        for key, child in raw.items():
            below = _unknown_path(child, known[key]) if key in known else ""
            if below is not None:
                return f".{key}{below}"
    elif (
        isinstance(raw, list | tuple) and isinstance(record, list | tuple) and not CONTAINERS.isdisjoint(map(type, raw))
    ):
        for index, (child, twin) in enumerate(zip(raw, record, strict=True)):
            below = _unknown_path(child, twin)
            if below is not None:
                return f"[{index}]{below}"
    return None


def _children(record: object) -> dict[str, object]:
    if is_dataclass(record):
        return {field.name: getattr(record, field.name) for field in fields(record)}
    return record if isinstance(record, dict) else {}
