"""Upgrades of old documents."""

from pathlib import Path

import pytest

from wattbench.results.document import SCHEMA
from wattbench.results.errors import DocumentError, NewerSchemaError
from wattbench.results.files import read_result
from wattbench.results.migrate import CURRENT, SCHEMA_NAME, UPGRADES, upgrade

GOLDEN = Path(__file__).parent / "data" / "golden"

Document = dict[str, object]


def _one_to_two(document: Document) -> Document:
    return {**document, "steps": ["1->2"]}


def _two_to_three(document: Document) -> Document:
    return {**document, "steps": [*document["steps"], f"2->3 from {document['schema']}"]}  # type: ignore[misc]  # a list


def test_names_agree() -> None:
    """The record's schema is the current version of the upgrades."""
    assert f"{SCHEMA_NAME}/{CURRENT}" == SCHEMA


def test_every_old_version_has_a_step() -> None:
    """There is one step for every version before the current one."""
    assert list(range(1, CURRENT)) == sorted(UPGRADES)


def test_current_stays() -> None:
    """A current document is returned as it is."""
    document: Document = {"schema": SCHEMA, "a": 1}

    assert document is upgrade(document)


def test_upgrades_are_stepwise() -> None:
    """An old document takes every step in order, and each step sees its own version."""
    found = upgrade({"schema": f"{SCHEMA_NAME}/1"}, {1: _one_to_two, 2: _two_to_three}, 3)

    assert {"schema": f"{SCHEMA_NAME}/3", "steps": ["1->2", f"2->3 from {SCHEMA_NAME}/2"]} == found


def test_upgrade_starts_in_the_middle() -> None:
    """A document takes only the steps that lie ahead of it."""
    found = upgrade({"schema": f"{SCHEMA_NAME}/2", "steps": []}, {1: _one_to_two, 2: _two_to_three}, 3)

    assert [f"2->3 from {SCHEMA_NAME}/2"] == found["steps"]


def test_upgrade_leaves_its_input() -> None:
    """The old document is not changed."""
    document: Document = {"schema": f"{SCHEMA_NAME}/1"}
    upgrade(document, {1: _one_to_two}, 2)

    assert {"schema": f"{SCHEMA_NAME}/1"} == document


def test_missing_step() -> None:
    """A version without a step is refused by name."""
    with pytest.raises(DocumentError, match="version 2 is no longer supported"):
        upgrade({"schema": f"{SCHEMA_NAME}/1"}, {1: _one_to_two}, 3)


def test_newer_schema() -> None:
    """A newer schema is refused with the way out."""
    with pytest.raises(NewerSchemaError, match="Upgrade wattbench"):
        upgrade({"schema": f"{SCHEMA_NAME}/{CURRENT + 1}"})


@pytest.mark.parametrize("schema", [None, 1, "", "wattbench.result", "wattbench.result/0", "wattbench.result/x", "x/1"])
def test_not_ours(schema: object) -> None:
    """A document with another schema, or none, is not ours."""
    with pytest.raises(DocumentError, match="not a wattbench result"):
        upgrade({"schema": schema})


@pytest.mark.parametrize("version", range(1, CURRENT + 1))
def test_golden_files_load(version: int) -> None:
    """One result of every schema version keeps loading."""
    result = read_result(GOLDEN / f"result-v{version}.json")

    assert (SCHEMA, 5) == (result.schema, len(result.repeats))


def test_a_document_from_before_an_optional_field_loads() -> None:
    """A file that was written before tuning and ceilings existed reads as one that had neither."""
    result = read_result(GOLDEN / "result-v1-first.json")

    assert (None, None) == (result.tuning, result.ceilings)
    assert ("eager", "none") == (result.plan.tuning, result.plan.ceilings)
