"""Strict decoding of documents, and the published schema."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from wattbench.results import codec
from wattbench.results.codec import decode, parse_json, result_schema, schema_text, to_builtins
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError, TruncatedError
from wattbench.results.files import canonical_bytes, document_id
from wattbench.results.measurement import WarmupRecord
from wattbench.results.metrics import Interval

EXAMPLE = Path(__file__).parents[1] / "examples/results/smollm2-135m-chat_cpu_bfloat16_quick.json"

INTERVAL = {"low": 1.0, "high": 2.0, "level": 0.95, "method": "made up"}


def _document(result: Result) -> dict[str, Any]:  # any: a JSON tree
    document: Any = parse_json(canonical_bytes(to_builtins(result)))  # any: a JSON tree
    return {**document, "id": document_id(document)}


def _why(raw: object, kind: type = Interval) -> str:
    with pytest.raises(DocumentError) as caught:
        decode(raw, kind)
    return caught.value.why


def test_round_trip(factories: ModuleType) -> None:
    """A record becomes plain values and the same record again."""
    result = factories.make_result()

    assert result == decode(to_builtins(result), Result)


THREADS = """
import sys, threading
from pathlib import Path
from wattbench.results.files import document_bytes, document_of
data, made = document_bytes(Path(sys.argv[1])), []
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=lambda: made.append(document_of(data))) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(made))
"""


@pytest.mark.parametrize("attempt", range(3))
def test_threads_may_decode_at_once(attempt: int) -> None:
    """Many threads that meet a type for the first time get their records; msgspec alone crashes the process."""
    done = subprocess.run([sys.executable, "-c", THREADS, str(EXAMPLE)], capture_output=True, text=True, timeout=60)

    assert (0, "16\n") == (done.returncode, done.stdout), done.stderr


def test_integers_stand_for_floats() -> None:
    """An integer may stand where a float is expected, and becomes one."""
    interval = decode({**INTERVAL, "low": 1}, Interval)

    assert (float, 1.0) == (type(interval.low), interval.low)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"low": "1"}, "Expected `float`, got `str` - at `$.low`"),
        ({"low": True}, "Expected `float`, got `bool` - at `$.low`"),
        ({"method": None}, "Expected `str`, got `null` - at `$.method`"),
        ({"low": float("nan")}, "the number nan is not finite - at `$.low`"),
        ({"high": float("inf")}, "the number inf is not finite - at `$.high`"),
        ({"high": 0.5}, "an interval's low end lies above its high end: 1.0 > 0.5 - at `$`"),
        ({"extra": 1}, "Unknown field - at `$.extra`"),
        ({"low": b"1"}, "a value of type bytes - at `$.low`"),
    ],
)
def test_refusals_name_the_path(change: dict[str, object], why: str) -> None:
    """What is wrong is named with its JSON path."""
    assert why == _why({**INTERVAL, **change})


def test_missing_field() -> None:
    """A missing field is named."""
    assert "Object missing required field `low` - at `$`" == _why({k: v for k, v in INTERVAL.items() if k != "low"})


def test_deep_path(factories: ModuleType) -> None:
    """The path leads through lists to the field."""
    document = _document(factories.make_result())
    del document["id"]
    document["repeats"][2]["window"]["end_ns"] = "late"

    assert "Expected `int`, got `str` - at `$.repeats[2].window.end_ns`" == _why(document, Result)


def test_deep_unknown_field(factories: ModuleType) -> None:
    """An unknown field deep inside is named with its path."""
    document = _document(factories.make_result())
    del document["id"]
    document["repeats"][1]["energy"][0]["watts"] = 3

    assert "Unknown field - at `$.repeats[1].energy[0].watts`" == _why(document, Result)


def test_free_maps_keep_their_keys(factories: ModuleType) -> None:
    """Keys of open maps, such as package names, are not unknown fields."""
    document = _document(factories.make_result())
    del document["id"]
    document["environment"]["packages"]["anything"] = "1.0"

    assert "1.0" == decode(document, Result).environment.packages["anything"]


def test_tuples_from_lists() -> None:
    """JSON arrays become tuples."""
    raw = {"window": {"start_ns": 0, "end_ns": 1}, "rates_per_s": [1, 2.5], "test": "none", "steady": False}

    assert (1.0, 2.5) == decode(raw, WarmupRecord).rates_per_s


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": 1', b'{"a": "b', b'{"a": tru', b"[1,"])
def test_truncated(text: bytes) -> None:
    """JSON that ends early is called truncated."""
    with pytest.raises(TruncatedError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"not json", "malformed"),
        (b'{"a": NaN}', "malformed"),
        (b'{"a": 1} x', "trailing"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\ud800 and so on"}', "surrogate"),
        (b'{"a": 1e400}', "range"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" * 70 + b"]" * 70, "nested too deeply"),
    ],
)
def test_not_json(text: bytes, why: str) -> None:
    """What is not JSON is refused with the cause, without a traceback of foreign errors."""
    with pytest.raises(DocumentError) as caught:
        parse_json(text)

    assert why in caught.value.why


@pytest.mark.parametrize(
    "text", [b'{"a": 1, "a": 1}', b'[{"b": {"a": 1, "c": 2, "\\u0061": 3}}]', b'{"a": {}, "b": 1, "a": 2}']
)
def test_duplicate_keys(text: bytes) -> None:
    """A key that stands twice in one object is refused by name, at any depth and however it is spelled."""
    with pytest.raises(DocumentError) as caught:
        parse_json(text)

    assert "the key 'a' stands twice in one object" == caught.value.why


def test_equal_keys_of_different_objects() -> None:
    """The same key in two objects is nothing special."""
    assert [{"a": 1}, {"a": {"a": 2}}] == parse_json(b'[{"a": 1}, {"a": {"a": 2}}]')


@pytest.mark.parametrize("digits", [400, 5000])
def test_endless_integers(digits: int) -> None:
    """An integer beyond every double is refused, however long it is."""
    with pytest.raises(DocumentError):
        decode(parse_json(b'{"low": 1' + b"0" * digits + b', "high": 2.0, "level": 0.95, "method": ""}'), Interval)


@pytest.mark.parametrize(("text", "expected"), [(b"9007199254740991", int), (b"9007199254740992", float)])
def test_large_integers_are_doubles(text: bytes, expected: type) -> None:
    """Integers beyond 2^53 - 1 are read as the doubles that canonical JSON takes them for."""
    assert expected is type(parse_json(text))


def test_integer_field_refuses_a_double() -> None:
    """A count beyond 2^53 - 1 in a file is refused, since it cannot be exact."""
    document = parse_json(b'{"start_ns": 0, "end_ns": 9007199254740992}')

    assert "Expected `int`, got `float` - at `$.window.end_ns`" == _why(
        {"window": document, "rates_per_s": [], "test": "", "steady": False}, WarmupRecord
    )


def test_published_schema() -> None:
    """results/result.schema.json is what the records say (make it again: python tests/golden.py)."""
    published = Path(codec.__file__).with_name("result.schema.json").read_text(encoding="utf-8")

    assert schema_text() == published


def test_schema_is_a_schema() -> None:
    """The schema obeys JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(result_schema())


def test_schema_accepts_a_result(factories: ModuleType) -> None:
    """An independent validator accepts a result."""
    errors = list(jsonschema.Draft202012Validator(result_schema()).iter_errors(_document(factories.make_result())))

    assert [] == errors


@pytest.mark.parametrize("key", ["id", "schema", "repeats", "verdict"])
def test_schema_requires(factories: ModuleType, key: str) -> None:
    """A result without one of its fields does not validate."""
    document = _document(factories.make_result())
    del document[key]

    assert not jsonschema.Draft202012Validator(result_schema()).is_valid(document)


def test_schema_refuses_unknown_fields(factories: ModuleType) -> None:
    """A field that the schema does not know does not validate, at any depth."""
    document = _document(factories.make_result())
    document["repeats"][0]["window"]["length"] = 1

    assert not jsonschema.Draft202012Validator(result_schema()).is_valid(document)


def test_schema_describes() -> None:
    """The schema carries the records' own descriptions, on one line each."""
    texts = [d["description"] for d in result_schema()["$defs"].values() if "properties" in d]

    assert all(text and "\n" not in text for text in texts)
