"""A run of traffic through every command that reads it: its requests lie beside it, and are missed by name."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Answer
from endpoint_server import Behaviour, endpoint_server

import wattbench
from wattbench.harness.cli.group import bench
from wattbench.results.errors import DocumentError, TamperedError, TruncatedError
from wattbench.results.files import document_bytes, document_id, document_of, read_document, read_result
from wattbench.results.requests_file import with_requests
from wattbench.results.sidecar import read_polls, write_with_files
from wattbench.results.store.open import init_store, open_store
from wattbench.results.store.privacy import Owner, without_identifiers
from wattbench.results.store.publish import package_of, publish
from wattbench.results.store.read import entries, read_stored

READERS = ("show", "recompute", "report", "export", "compare", "cost")


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run a closed loop of four at a constant 100 W, some requests failing; return the result's path."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "power.csv").write_text("time_s,power_w,scope\n0,100,node\n")
    with endpoint_server(Behaviour(faults={3: "500", 11: "cut"})) as url:
        wattbench.run(
            traffic={"endpoint": url, "input_tokens": 32, "output_tokens": 8, "concurrency": 4},
            window_s=0.6,
            repeats=2,
            warmup_min_s=0.2,
            warmup_max_s=0.5,
            idle_s=0.0,
            power=f"replay:{folder / 'power.csv'}",
            out=folder / "result.json",
        )
    return folder / "result.json"


@pytest.fixture(name="copy")
def _copy(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a copy of the result with its files, to be spoilt."""
    monkeypatch.setenv("WATTBENCH_STATE", str(tmp_path / "state"))
    folder = Path(shutil.copytree(measured.parent, tmp_path / "copy"))
    return folder / measured.name


def sidecar(path: Path) -> Path:
    """Return the file of the requests beside a result."""
    (file,) = path.parent.glob("*.requests.parquet")
    return file


def call(*words: str) -> Answer:
    """Return what `bench` answers."""
    return CliRunner().invoke(bench, words, standalone_mode=False)


def words_of(command: str, path: Path) -> tuple[str, ...]:
    """Return a command that reads a result whatever its verdict."""
    out = str(path.parent / "out")
    inputs = path.parent / "cost.yaml"
    other = path.parent / "other" / path.name
    wattbench.save(read_result(path), other)
    inputs.write_text("cloud:\n  usd_per_h: {value: 2.5, source: for illustration}\n")
    return {
        "show": ("show", str(path)),
        "recompute": ("recompute", str(path)),
        "report": ("report", str(path), "--out", f"{out}.html"),
        "export": ("export", str(path), "--to", "csv", "--allow-invalid"),
        "compare": ("compare", str(other), str(path), "--allow-invalid"),
        "cost": ("cost", "query", str(path), "--cost-file", str(inputs), "--allow-invalid"),
    }[command]


def forged(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a document and give it a digest that fits."""
    document = json.loads(path.read_text())
    del document["id"]
    edit(document)
    path.write_text(json.dumps({**document, "id": document_id(document)}))


def latency(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a distribution of a document's summary."""
    found: dict[str, Any] = next(m for m in document["summary"]["latencies"] if m["name"] == name)
    return found


def test_the_document_has_no_request(measured: Path) -> None:
    """The rows are in the file beside it alone, and whoever reads the result has them."""
    document, result = json.loads(measured.read_text()), read_result(measured)

    assert {0} == {len(repeat["completions"]["end_ns"]) for repeat in document["repeats"]}
    assert document["requests_file"]["rows"] == sum(len(repeat.completions) for repeat in result.repeats) > 20
    assert document["requests_file"]["rows"] == document["summary"]["requests"]


@pytest.mark.parametrize("command", READERS)
def test_every_reader_finds_the_requests(copy: Path, command: str) -> None:
    """Each command that reads a result works with the files together."""
    answer = call(*words_of(command, copy))

    assert answer.exception is None, answer.exception
    assert answer.return_value in (0, 3)


@pytest.mark.parametrize("command", READERS)
def test_every_reader_misses_them_by_name(copy: Path, command: str) -> None:
    """Without the file each command says which one is missing, and what to do."""
    words, file = words_of(command, copy), sidecar(copy)
    file.unlink()
    error = call(*words).exception

    assert isinstance(error, DocumentError)
    assert f"{file}: The requests are missing" == error.what
    assert "Keep the files together" in error.remedy


@pytest.mark.parametrize(
    ("data", "error"), [(lambda d: d[:-1], TruncatedError), (lambda d: d[:-1] + b"!", TamperedError)]
)
def test_show_refuses_altered_requests(copy: Path, data: Callable[[bytes], bytes], error: type[DocumentError]) -> None:
    """A truncated or altered file is not shown as if it were the run's."""
    sidecar(copy).write_bytes(data(sidecar(copy).read_bytes()))

    assert isinstance(call("show", str(copy)).exception, error)


def test_show_tells_of_failures_by_kind(measured: Path) -> None:
    """What only the rows know is in the text."""
    assert "http_5xx" in call("show", str(measured)).stdout


@pytest.mark.parametrize("name", ["latency.ttft", "latency.tpot", "latency.itl", "latency.request"])
def test_recompute_holds_percentiles_against_the_requests(copy: Path, name: str) -> None:
    """An edited percentile with a digest that fits does not follow from the file of requests."""
    forged(copy, lambda document: latency(document, name)["quantiles"][0].update(value=1e-6))
    answer = call("recompute", str(copy), "--json")
    paths = [difference["path"] for difference in json.loads(answer.stdout)["differences"]]

    assert 1 == answer.return_value
    assert any(name in path for path in paths)


def test_recompute_finds_the_same(measured: Path) -> None:
    """An honest result follows from its two files."""
    answer = call("recompute", str(measured))

    assert 0 == answer.return_value
    assert "all the same" in answer.stdout


def checks_of(path: Path) -> dict[str, tuple[str, str]]:
    """Return what `bench verify` says of each check, and of the result."""
    (found,) = json.loads(call("verify", str(path), "--json").stdout)
    verification = found["verification"]
    checks = {check["code"]: (check["standing"], check["detail"]) for check in verification["checks"]}
    return {**checks, "": (verification["standing"], "")}


def test_verify_checks_the_file_of_requests(measured: Path) -> None:
    """It is the file that the document names, and rates and latencies follow from it."""
    checks = checks_of(measured)

    assert ("ok", "ok", "ok") == (checks["requests"][0], checks["rates"][0], checks["latency"][0])


def test_verify_without_the_requests_says_so(copy: Path) -> None:
    """Nothing can be computed again then: the result is unverifiable, and no figure counts as checked."""
    sidecar(copy).unlink()
    checks = checks_of(copy)

    assert "unverifiable" == checks[""][0]
    assert ("unknown", True) == (checks["requests"][0], checks["requests"][1].endswith("is missing"))
    assert {"unknown"} == {checks[code][0] for code in ("energy", "rates", "latency", "utilisation", "doubts")}


@pytest.mark.parametrize("spoilt", [b"", b"nonsense"])
def test_verify_fails_with_other_requests(copy: Path, spoilt: bytes) -> None:
    """Another file in its place makes the result inconsistent."""
    sidecar(copy).write_bytes(spoilt)
    checks = checks_of(copy)

    assert ("inconsistent", "failed") == (checks[""][0], checks["requests"][0])


def test_verify_fails_with_a_named_file_that_is_none(copy: Path) -> None:
    """Bytes of the right digest that hold no requests fail the same check."""
    file, data = sidecar(copy), b"nonsense"
    digest = hashlib.sha256(data).hexdigest()
    named = {"digest": f"sha256:{digest}", "size_bytes": len(data)}
    forged(copy, lambda document: document["requests_file"].update(named))
    (file.parent / f"{digest}.requests.parquet").write_bytes(data)

    assert "failed" == checks_of(copy)["requests"][0]


def test_an_older_file_of_one_piece_is_the_same_result(measured: Path, copy: Path) -> None:
    """With its requests inside, as an older wattbench wrote it, a document recomputes, verifies and shows the same."""
    wattbench.save(read_result(measured), copy)
    sidecar(copy).unlink()
    shown = [call("show", str(path), "--no-roofline").stdout for path in (measured, copy)]

    assert shown[0] == shown[1]
    assert 0 == call("recompute", str(copy)).return_value
    assert "requests" not in checks_of(copy)
    assert "ok" == checks_of(copy)["latency"][0]


def test_a_pushed_result_comes_back_with_its_requests(copy: Path, tmp_path: Path) -> None:
    """The store has the file under its digest, checks it, and a pull brings all three files."""
    uri = init_store(str(tmp_path / "store"))[0].uri
    assert 0 == call("push", str(copy), "--to", uri).return_value
    (entry,) = entries(open_store(uri))
    names = {ref.name.partition(".")[2] for ref in entry.blobs}
    assert 0 == call("pull", entry.id, "--from", uri, "-o", str(tmp_path / "theirs")).return_value
    path = tmp_path / "theirs" / f"{entry.id.removeprefix('sha256:')}.json"

    assert {"polls.parquet", "requests.parquet"} == names
    assert [r.completions for r in read_result(copy).repeats] == [r.completions for r in read_result(path).repeats]
    assert 0 == call("recompute", str(path)).return_value
    assert "ok" == checks_of(path)["requests"][0]
    assert 0 == call("store", "check", uri).return_value


def test_a_result_without_its_requests_is_not_pushed(copy: Path, tmp_path: Path) -> None:
    """Nothing half goes into a store."""
    uri = init_store(str(tmp_path / "store"))[0].uri
    sidecar(copy).unlink()
    answer = call("push", str(copy), "--to", uri)

    assert 0 != answer.return_value
    assert "The requests are missing" in answer.stderr + str(answer.exception)
    assert [] == list(entries(open_store(uri)))


def test_errors_of_requests_are_scrubbed_before_they_leave(copy: Path) -> None:
    """What a server said in an error may name a machine: it is hashed in the file too, and the figures still follow."""
    result = read_result(copy)
    done = result.repeats[0].completions
    told = tuple("rack7-node12 refused" if error else None for error in done.error)
    first = replace(result.repeats[0], completions=replace(done, error=told))
    told_result = replace(result, repeats=(first, *result.repeats[1:]))
    path = copy.parent / "told.json"
    write_with_files(
        replace(told_result, power=replace(result.power, polls=read_polls(result, copy), polls_file=None)), path
    )
    package = package_of(path)
    public = without_identifiers(package, document_of(package.data), Owner(key=bytes(32), hosts=("rack7-node12",)))
    document = document_of(public.data)
    assert isinstance(document, wattbench.Result)
    assert document.privacy is not None
    (blob,) = [blob for blob in public.blobs if blob.ref.name.endswith(".requests.parquet")]
    errors = {error for error in with_requests(document, blob.data).repeats[0].completions.error if error}

    assert "repeats[].completions.error[]" in document.privacy.hashed
    assert len(errors) == 1
    assert "rack7-node12" not in errors.pop()
    assert public == without_identifiers(public, document, Owner(key=bytes(32), hosts=("rack7-node12",)))


def test_a_stored_result_is_read_with_its_requests(copy: Path, tmp_path: Path) -> None:
    """The index computes from rows; where the file is gone from the store, the document alone is read and marked."""
    store = init_store(str(tmp_path / "store"))[0]
    published = publish(store, package_of(copy), uploader="a", wattbench="0.1.0")
    result = read_document(copy)

    assert result == read_stored(store, published.id)
    row = json.loads(call("query", "--store", store.uri, "--list", "--all", "--json").stdout)[0]
    assert "consistent" == row["standing"]
    (blob,) = Path(tmp_path / "store").rglob("*.requests.parquet")
    blob.unlink()
    assert document_of(document_bytes(copy)) == read_stored(store, published.id)


def test_the_index_marks_what_lost_its_requests(copy: Path, tmp_path: Path) -> None:
    """A document whose file of requests is not in the store is listed, unverifiable and unranked."""
    store = init_store(str(tmp_path / "store"))[0]
    publish(store, package_of(copy), uploader="a", wattbench="0.1.0")
    (blob,) = Path(tmp_path / "store").rglob("*.requests.parquet")
    blob.unlink()
    row = json.loads(call("query", "--store", store.uri, "--list", "--all", "--json").stdout)[0]

    assert ("unverifiable", False) == (row["standing"], row["rankable"])
    assert "unreadable" not in row["reasons"]
