"""The published JSON Schema of an index row and of the hardware facts behind a fingerprint."""

import json
from collections.abc import Mapping
from dataclasses import fields

from wattbench.results.identity.comparability import FIELDS
from wattbench.results.identity.facts import FINGERPRINT_VERSION, HARDWARE_FACTS, Fact
from wattbench.results.index.row import BINARY, COLUMNS, ROW_VERSION, IndexRow

__all__ = ["index_schema", "index_schema_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = f"urn:wattbench:schema:index:{ROW_VERSION}"
DIGEST = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def index_schema() -> dict[str, object]:
    """Return the schema: a row as `bench query --json` gives it, and what its digests are made of."""
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "A row of wattbench's index",
        **_object({field.name: _column(field.name) for field in fields(IndexRow)}),
        "$defs": {"hardware_facts": _facts(), "comparability_fields": _comparability()},
    }


def index_schema_text() -> str:
    """Return the schema as the published file has it."""
    return json.dumps(index_schema(), indent=2, ensure_ascii=False) + "\n"


def _column(name: str) -> dict[str, object]:
    kind = COLUMNS[name]
    plain: dict[str, object] = dict(DIGEST) if name in BINARY else {"type": TYPES[kind]}
    optional = "None" in str(next(field.type for field in fields(IndexRow) if field.name == name))
    return {"anyOf": [plain, {"type": "null"}]} if optional else plain


def _facts() -> dict[str, object]:
    """Return the schema of what a fingerprint is the sha256 of, as canonical JSON (RFC 8785)."""
    run = {
        "host": _section("host."),
        "cpu": _section("cpu."),
        "accelerators": {"type": "array", "items": _section("accelerators[].")},
    }
    imported = {"stated": _section("stated.")}
    return {
        "description": "sha256 of its canonical JSON (RFC 8785) is the fingerprint",
        **_object(
            {"version": {"const": FINGERPRINT_VERSION}, "facts": {"oneOf": [_object(run), _object(imported)]}},
        ),
    }


def _section(prefix: str) -> dict[str, object]:
    found = [fact for fact in HARDWARE_FACTS if fact.path.startswith(prefix)]
    return _object({fact.path.removeprefix(prefix): _fact(fact) for fact in found})


def _fact(fact: Fact) -> dict[str, object]:
    more = {"items": {"type": "string"}} if fact.type == "array" else {}
    return {"description": fact.meaning, "type": [fact.type, "null"], **more}


def _comparability() -> dict[str, object]:
    listed = {name: {"description": meaning} for name, meaning in FIELDS.items()}
    return {
        "description": "sha256 of its canonical JSON (RFC 8785) is the comparability key",
        **_object({name: {**each, "type": _field_type(name)} for name, each in listed.items()}),
    }


def _field_type(name: str) -> object:
    return "array" if name == "class" else ["integer", "null"] if name == "parallelism" else ["string", "null"]


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
