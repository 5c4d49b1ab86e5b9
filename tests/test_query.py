"""`bench query` and `bench store reindex | compact`: what a person and a program get from a store."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factories
import pytest
from click.testing import CliRunner, Result
from index_case import believed, id_of, make_gpu_result, make_store, note, push
from store_servers import Served, seaweed

from wattbench.harness.cli.group import bench
from wattbench.results.index import lake
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.open import open_store

__all__ = ["seaweed"]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """Return a store with two machines, one of them measured three times, and one whose device nobody knows."""
    results = [make_gpu_result(day=n, factor=1 + n / 10) for n in range(3)]
    results += [make_gpu_result("NVIDIA L4", day=4, factor=3.0), make_gpu_result("Some Board", day=5)]
    return make_store(tmp_path / "store", results)


@pytest.fixture(autouse=True)
def _believe() -> Iterator[None]:
    """Believe the results, which are made up."""
    with believed():
        yield


def run(*words: str, code: int = 0) -> Result:
    """Run `bench` in this process and see that it ends with a code."""
    result = CliRunner(env={"WATTBENCH_STORE": None}).invoke(bench, list(words))

    assert code == result.exit_code, result.output + repr(result.exception)
    return result


def query(store: ObjectStore, *words: str) -> dict[str, object]:
    """Return the JSON that `bench query` gives."""
    answer: dict[str, object] = json.loads(run("query", "--store", store.uri, *words, "--json").stdout)
    return answer


def lines_of(answer: dict[str, object]) -> list[dict[str, object]]:
    """Return a board's lines."""
    lines = answer["lines"]
    assert isinstance(lines, list)
    return lines


def test_the_board_ranks_what_can_be_ranked(store: ObjectStore) -> None:
    """One line a class, the best first, with n, interval, tier and verdict; an unknown board is left out."""
    answer = query(store)
    first, second = lines_of(answer)

    assert ["nvidia/l4 x1", "nvidia/h100-sxm5 x1"] == [first["hardware"], second["hardware"]]
    assert (1, 3) == (first["n"], second["n"])
    assert id_of(make_gpu_result(day=1, factor=1.1)) == second["id"]
    assert ("self-reported", "valid", "board") == (second["tier"], second["verdict"], second["scope"])
    assert isinstance(second["tokens_per_j_low"], float)


def test_the_table_is_for_people(store: ObjectStore) -> None:
    """The table names unit, interval, count, tier, verdict and the start of the id, and says what a line is."""
    text = run("query", "--store", store.uri).stdout

    for word in ("tokens/J", "interval", "machines", "nvidia/l4 x1", "self-reported", "valid", "2 lines", "middle one"):
        assert word in text


def test_all_shows_what_is_not_ranked(store: ObjectStore) -> None:
    """With --all the unknown board is there, and a list says why it is in no ranking."""
    answer = query(store, "--all")
    text = run("query", "--store", store.uri, "--list", "--all").stdout

    assert "unmapped:Some Board x1" in [line["hardware"] for line in lines_of(answer)]
    assert "no: unmapped" in text


def test_a_withdrawn_result_leaves_the_board(store: ObjectStore) -> None:
    """The note counts from the next query on."""
    query(store)
    note(store, id_of(make_gpu_result("NVIDIA L4", day=4, factor=3.0)))

    assert ["nvidia/h100-sxm5 x1"] == [line["hardware"] for line in lines_of(query(store))]


@pytest.mark.parametrize(
    ("words", "hardware"),
    [
        (("--class", "L4"), ["nvidia/l4 x1"]),
        (("--since", "2026-03-05"), ["nvidia/l4 x1"]),
        (("--tier", "signed"), []),
        (("--boundary", "wall"), []),
        (("--load", "tiny-decoder/tiny", "--precision", "float32", "--limit", "1"), ["nvidia/l4 x1"]),
        (("--where", "device=NVIDIA L4"), ["nvidia/l4 x1"]),
        (("--sort", "power_w"), ["nvidia/l4 x1", "nvidia/h100-sxm5 x1"]),
    ],
)
def test_filters_narrow_the_board(store: ObjectStore, words: tuple[str, ...], hardware: list[str]) -> None:
    """Every filter of the command line reaches the query."""
    assert hardware == [line["hardware"] for line in lines_of(query(store, *words))]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--class", "Some Board"), "--list --all"),
        (("--list", "--class", "Some Board"), "--list --all"),
        (("--history", "0000"), "No result passes"),
        (("--all", "--class", "nobody's"), "No result passes"),
    ],
)
def test_an_empty_answer_says_why(store: ObjectStore, words: tuple[str, ...], why: str) -> None:
    """Nothing there and nothing that can be ranked are two answers."""
    assert why in run("query", "--store", store.uri, *words).stdout


@pytest.mark.parametrize("words", [(), ("--history",)])
def test_results_without_the_figure_are_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    """A store whose results have no energy is not called empty: the answer names the figure that they lack."""
    made = make_gpu_result()
    repeats = tuple(replace(repeat, energy=()) for repeat in made.repeats)
    none = {"rung_energies": [[] for _ in repeats], "idle_power_w": {}, "memory_peak_bytes": None}
    summary = factories.summarise(made.load, repeats, **none, no_energy_reason="no meter")
    result = replace(made, repeats=repeats, summary=summary)
    store = make_store(tmp_path / "store", [result])
    row = json.loads(run("query", "--store", store.uri, id_of(result), "--json").stdout)[0]
    machine = [row["fingerprint"].removeprefix("sha256:")]
    text = run("query", "--store", store.uri, *words, *(machine if words else ())).stdout

    assert "None of the results that pass these filters has tokens/J." in text
    assert "--sort" in text


def test_one_result_is_found_by_the_start_of_its_id(store: ObjectStore) -> None:
    """Some digits are enough; all that is known of it is shown."""
    result_id = id_of(make_gpu_result())
    text = run("query", "--store", store.uri, result_id[7:17]).stdout

    assert result_id in text
    assert "tokens_per_j" in text
    assert "uploader" in text


@pytest.mark.parametrize(("text", "why"), [("zzzzzz", "hexadecimal"), ("abc", "hexadecimal"), ("0" * 20, "none of 5")])
def test_an_id_that_is_none_is_explained(store: ObjectStore, text: str, why: str) -> None:
    """What is no id, or nobody's, is an error with the way to find one."""
    result = CliRunner().invoke(bench, ["query", "--store", store.uri, text])

    assert why in str(result.exception)
    assert "--list" in str(result.exception)


def test_a_history_shows_results_and_steps(tmp_path: Path) -> None:
    """Twenty days of a machine that got worse in the middle: each result, and the step between them."""
    results = [make_gpu_result(day=n, factor=(1.0 if n < 10 else 0.7) + n * 7 % 10 / 1000) for n in range(20)]
    store = make_store(tmp_path / "store", results)
    machine = str(lines_of(query(store))[0]["fingerprint"])
    text = run("query", "--store", store.uri, "--history", machine[7:19]).stdout
    answer = json.loads(run("query", "--store", store.uri, "--history", machine[7:19], "--json").stdout)

    assert 20 == text.count("  2026-03-")
    assert 1 == text.count("--- worse:")
    assert [10] == [change["index"] for change in answer[0]["changes"]]
    assert 20 == len(answer[0]["points"])


def test_csv_is_read_by_csv_and_starts_no_formula(tmp_path: Path) -> None:
    """Text of a document that a spreadsheet would compute is kept from it; commas and newlines stay in their cell."""
    evil = replace(make_gpu_result(), load=replace(make_gpu_result().load, name='=HYPERLINK("http://x"),\n2'))
    store = make_store(tmp_path / "store", [evil])
    text = run("query", "--store", store.uri, "--csv").stdout
    heads, cells = csv.reader(io.StringIO(text))

    assert len(heads) == len(cells)
    assert cells[heads.index("load")].startswith("'=HYPERLINK")


def test_the_delta_table_answers_like_sqlite(store: ObjectStore) -> None:
    """After `bench store compact` the table answers, with the same board; after a push SQLite does again."""
    run("store", "compact", store.uri)
    boards = [query(store, "--engine", engine) for engine in ("sqlite", "lake", "auto")]
    push(store, make_gpu_result(day=30, factor=9.0))
    newer = query(store, "--class", "h100")
    refused = CliRunner().invoke(bench, ["query", "--store", store.uri, "--engine", "lake"])

    assert boards[0] == boards[1] == boards[2]
    assert 4 == lines_of(newer)[0]["n"]
    assert "bench store compact" in str(refused.exception)


def test_without_the_extra_everything_else_works(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without deltalake and duckdb SQLite answers, compact says so, and asking for the table names the pip command."""
    monkeypatch.setattr(lake, "find_spec", lambda name: None)
    text = run("store", "compact", store.uri).stdout
    refused = CliRunner().invoke(bench, ["query", "--store", store.uri, "--engine", "lake"])

    assert "pip install 'wattbench[lake]'" in text
    assert "pip install 'wattbench[lake]'" in str(refused.exception)
    assert 2 == len(lines_of(query(store)))


def test_reindex_says_what_it_did(store: ObjectStore) -> None:
    """The first one reads all, the next nothing, a full one all again."""
    texts = [run("store", "reindex", store.uri, *words).stdout for words in ((), (), ("--full",))]
    answer = json.loads(run("store", "reindex", store.uri, "--json").stdout)

    assert ["5", "0", "5"] == [text.split()[0] for text in texts]
    assert (0, 5) == (answer["read"], answer["documents"])


def test_an_index_can_be_deleted_at_any_time(store: ObjectStore, tmp_path: Path) -> None:
    """The index holds nothing of its own: without its files the next query gives the same."""
    first = query(store)
    for file in (tmp_path / "store/v1/index").iterdir():
        file.unlink()

    assert first == query(store)


def test_the_index_as_it_is_needs_no_log(store: ObjectStore) -> None:
    """With --no-refresh new results stay unseen."""
    query(store)
    push(store, make_gpu_result("NVIDIA L4", day=31))

    assert [1, 2] == [lines_of(query(store, "--class", "l4", *words))[0]["n"] for words in (("--no-refresh",), ())]


def test_a_place_that_is_no_store_is_explained(tmp_path: Path) -> None:
    """A folder without a store is an error with the command that makes one."""
    result = CliRunner().invoke(bench, ["query", "--store", str(tmp_path)])

    assert "bench store init" in str(result.exception)
    assert open_store(make_store(tmp_path / "s").uri).uri == str(tmp_path / "s")


def test_a_bucket_is_asked_like_a_folder(seaweed: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a real S3 service the same board comes from an index in the reader's cache, with checkpoints in the bucket."""
    results = [make_gpu_result(day=n, factor=1 + n / 10) for n in range(3)] + [make_gpu_result("NVIDIA L4", day=4)]
    folder, bucket = make_store(tmp_path / "store", results), seaweed.new_store("query")
    for result in results:
        push(bucket, result)
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))
    with seaweed.credentials():
        board = query(bucket)
        compacted = run("store", "compact", bucket.uri).stdout
        by_columns = query(bucket, "--engine", "lake")
    with seaweed.credentials(AWS_ACCESS_KEY_ID="reader", AWS_SECRET_ACCESS_KEY="reader-secret"):
        as_reader = query(bucket)
    expected = [(line["id"], line["value"], line["n"]) for line in lines_of(query(folder))]

    assert "Delta table rewritten" in compacted
    assert board == by_columns == as_reader
    assert expected == [(line["id"], line["value"], line["n"]) for line in lines_of(board)]
    assert 1 == len(list((tmp_path / "cache/index").iterdir()))
