"""The index believes nothing: what a store takes in is verified before it may be ranked."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.results.files import document_id
from wattbench.results.store.open import init_store
from wattbench.results.store.publish import package_of, publish

EXAMPLES = Path(__file__).parents[1] / "examples/results"
EXAMPLE = EXAMPLES / "smollm2-135m-chat_cpu_bfloat16_quick.json"


@pytest.fixture
def store(tmp_path: Path) -> str:
    """Return an empty store."""
    return init_store(str(tmp_path / "store"))[0].uri


def shared(store: str, path: Path) -> None:
    """Put the result in a file into a store, as `bench push` does."""
    publish(init_store(store)[0], package_of(path), uploader="a", wattbench="0.1.0")


def forged(folder: Path) -> Path:
    """Return the example with a tenth more throughput everywhere in its summary, and a digest that fits."""
    document = json.loads(EXAMPLE.read_bytes())
    for metric in document["summary"]["metrics"]:
        if metric["name"].startswith("throughput."):
            metric["value"] *= 1.1
            metric["samples"] = [sample * 1.1 for sample in metric["samples"]]
    del document["id"]
    path = folder / "forged.json"
    path.write_text(json.dumps({**document, "id": document_id(document)}))
    return path


def row_of(store: str) -> dict[str, object]:
    """Return the only row that the index has."""
    done = CliRunner().invoke(bench, ["query", "--store", store, "--list", "--all", "--json"])
    row = json.loads(done.stdout)[0]
    found: dict[str, object] = row
    return found


def test_an_honest_result_is_consistent(store: str) -> None:
    """A result whose figures follow from its raw data is said to."""
    shared(store, EXAMPLE)
    row = row_of(store)

    assert "consistent" == row["standing"]
    assert "inconsistent" not in str(row["reasons"]).split()


def test_a_forged_result_is_kept_and_never_ranked(store: str, tmp_path: Path) -> None:
    """Edited figures with a digest that fits come into the store, are named inconsistent, and into no ranking."""
    shared(store, forged(tmp_path))
    row = row_of(store)

    assert ("inconsistent", False) == (row["standing"], row["rankable"])
    assert "inconsistent" in str(row["reasons"])
