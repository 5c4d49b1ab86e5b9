"""The imported document: read back as it was, told apart by its kind, refused strictly; the schema knows both kinds."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest

from wattbench.harness.cli.imported_figures import imported_lines
from wattbench.harness.exchange.mlperf_import import import_mlperf
from wattbench.results.codec import parse_json, result_schema, to_builtins
from wattbench.results.doubts import judge
from wattbench.results.errors import DocumentError, TamperedError
from wattbench.results.files import canonical_bytes, document_id, read_document, stored_id, write_result
from wattbench.results.imported import ImportedResult


@pytest.fixture(scope="module")
def imported(mlperf_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> ImportedResult:
    """Return the published run as an imported result."""
    return import_mlperf(mlperf_run.unpack(tmp_path_factory.mktemp("run")))


def _tree(result: object) -> dict[str, Any]:  # any: a JSON tree
    tree: Any = parse_json(canonical_bytes(to_builtins(result)))  # any: a JSON tree
    return {**tree, "id": document_id(tree)}


def _written(tree: dict[str, Any], path: Path) -> Path:  # any: a JSON tree
    path.write_bytes(canonical_bytes({**tree, "id": document_id(tree)}))
    return path


def test_both_kinds_are_read(imported: ImportedResult, factories: ModuleType, tmp_path: Path) -> None:
    """`kind` decides which record a document is; its digest is that of its file."""
    identity = write_result(imported, tmp_path / "a.json")
    write_result(factories.make_result(), tmp_path / "b.json")

    assert imported == read_document(tmp_path / "a.json")
    assert factories.make_result() == read_document(tmp_path / "b.json")
    assert identity == stored_id(tmp_path / "a.json")


def test_an_altered_import_is_refused(imported: ImportedResult, tmp_path: Path) -> None:
    """An edited figure breaks the digest."""
    write_result(imported, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"VALID"', '"Valid"'))
    with pytest.raises(TamperedError):
        stored_id(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda tree: tree["official"][0].update(power_w=-1.0), "power_w cannot be negative"),
        (lambda tree: tree["system"].update(nodes="two"), "`$.system.nodes`"),
        (lambda tree: tree["work"].update(gpus=8), "Unknown field - at `$.work.gpus`"),
        (lambda tree: tree.pop("metrics"), "missing required field `metrics`"),
        (lambda tree: tree.update(plan={}), "Unknown field - at `$.plan`"),
        (lambda tree: tree["verdict"].update(standing="valid"), "the verdict that follows from the doubts"),
        (lambda tree: tree.update(window=None), "an energy has a window"),
    ],
)
def test_refusals_name_the_path(imported: ImportedResult, tmp_path: Path, change: Any, why: str) -> None:  # any: edits
    """What is wrong is named with its path, as in a measured result."""
    tree = _tree(imported)
    change(tree)
    with pytest.raises(DocumentError) as caught:
        read_document(_written(tree, tmp_path / "a.json"))
    assert why in caught.value.why


def test_an_unknown_kind_is_refused(imported: ImportedResult, tmp_path: Path) -> None:
    """A kind that this version does not know is no result."""
    with pytest.raises(DocumentError, match="kind"):
        read_document(_written(_tree(imported) | {"kind": "dreamt"}, tmp_path / "a.json"))


def test_the_schema_accepts_both_kinds(imported: ImportedResult, factories: ModuleType) -> None:
    """An independent validator accepts either document, and exactly one of the two records fits."""
    validator = jsonschema.Draft202012Validator(result_schema())

    assert [] == list(validator.iter_errors(_tree(imported)))
    assert [] == list(validator.iter_errors(_tree(factories.make_result())))


def test_the_schema_refuses_a_mixture(imported: ImportedResult, factories: ModuleType) -> None:
    """A measured document that calls itself imported, and the reverse, do not validate."""
    validator = jsonschema.Draft202012Validator(result_schema())

    assert not validator.is_valid(_tree(factories.make_result()) | {"kind": "imported"})
    assert not validator.is_valid(_tree(imported) | {"kind": "measured"})


def test_devices_of_a_system(imported: ImportedResult) -> None:
    """A system's devices are its accelerators, or its processors where it has none; unknown stays unknown."""
    system = imported.system

    assert system.n_devices is None
    assert 8 == replace(system, accelerators=8, processors=2).n_devices
    assert 2 == replace(system, accelerators=0, processors=2).n_devices


def test_metrics_by_name(imported: ImportedResult) -> None:
    """A metric is found by name and scope."""
    assert "W" == imported.metric("power.mean", "wall").unit
    assert imported.metric("power.mean", "board") is None


def test_what_is_unknown_is_said(imported: ImportedResult) -> None:
    """The text of a run without power and without names says so, and no text of it can break a line."""
    system = replace(imported.system, name="box\nname", accelerator="X", accelerators=4, submitter="Org", meter=None)
    lines = imported_lines(replace(imported, system=system, verdict=judge(imported.doubts, finished=True)))

    assert "box\\x0aname  (4 X, by Org)" in lines
    assert any("by a meter that is not named" in line for line in lines)
