"""The requests beside a result of traffic: one Parquet file named by its digest, trusted only by it."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traffic_rows import make_calls, make_traffic_repeat

from wattbench.results.beside import named_files
from wattbench.results.document import Result
from wattbench.results.errors import DocumentError, StorageError, TamperedError, TruncatedError
from wattbench.results.files import document_bytes, document_of, open_document, read_result, write_result
from wattbench.results.measurement import Completions, Repeat, RequestsFile
from wattbench.results.requests_file import (
    encode_requests,
    named_requests,
    with_requests,
    without_requests,
)
from wattbench.results.sidecar import write_with_files
from wattbench.results.traffic import ERROR_KINDS

TIME_NS = st.integers(0, 2**53)
COUNT = st.integers(0, 2**31)
SECONDS = st.none() | st.floats(0, 1e6)


@st.composite
def served(draw: st.DrawFn, index: int = 0) -> Repeat:
    """Return a window of requests of which anything may be known or unknown."""
    count = draw(st.integers(0, 8))

    def column(values: st.SearchStrategy[Any]) -> tuple[Any, ...]:
        return tuple(draw(st.lists(values, min_size=count, max_size=count)))

    times = [sorted(draw(st.lists(TIME_NS, min_size=4, max_size=12))) for _ in range(count)]
    none = [draw(st.booleans()) for _ in range(count)]
    done = Completions(
        planned_start_ns=tuple(row[0] for row in times),
        start_ns=tuple(row[1] for row in times),
        first_output_ns=tuple(None if bare else row[2] for row, bare in zip(times, none, strict=True)),
        step_end_ns=tuple(() if bare else tuple(row[3:-1]) for row, bare in zip(times, none, strict=True)),
        end_ns=tuple(row[-1] for row in times),
        requests=(1,) * count,
        input_tokens=column(COUNT),
        output_tokens=column(COUNT),
        error=column(st.none() | st.text(max_size=5)),
    )
    calls = make_calls(
        count,
        session=column(st.none() | COUNT),
        error_kind=column(st.none() | st.sampled_from(ERROR_KINDS)),
        first_answer_ns=column(st.none() | TIME_NS),
        cached_tokens=column(st.none() | COUNT),
        own_output_tokens=column(st.none() | COUNT),
        fresh=column(st.booleans()),
        server_queue_s=column(SECONDS),
        server_total_s=column(SECONDS),
    )
    plain = make_traffic_repeat(index, calls=1)
    assert plain.traffic is not None
    return replace(plain, completions=done, traffic=replace(plain.traffic, calls=calls))


def made(factories: ModuleType, *repeats: Repeat) -> Result:
    """Return a result with these windows of traffic."""
    result: Result = factories.make_result()
    return replace(result, repeats=repeats or tuple(make_traffic_repeat(i, calls=20) for i in range(2)))


def emptied(repeat: Repeat) -> Repeat:
    """Return a window of traffic in which nothing was sent."""
    assert repeat.traffic is not None
    nothing = Completions(**dict.fromkeys(Completions.__slots__, ()))
    return replace(repeat, completions=nothing, traffic=replace(repeat.traffic, calls=make_calls(0)))


@pytest.fixture(name="whole")
def _whole(factories: ModuleType) -> Result:
    return made(factories)


@pytest.fixture(name="written")
def _written(whole: Result, tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "result.json"
    write_with_files(whole, path)
    return path


def sidecar(path: Path) -> Path:
    """Return the file of the requests beside a result."""
    (file,) = path.parent.glob("*.requests.parquet")
    return file


def test_the_requests_lie_beside_the_result(whole: Result, written: Path) -> None:
    """The document names the file by digest, size, rows and stamps, and has no row of its own; reading brings both."""
    document = json.loads(written.read_text())
    named = document["requests_file"]
    file = sidecar(written)

    assert f"{named['digest'].removeprefix('sha256:')}.requests.parquet" == file.name
    assert (file.stat().st_size, 40, 120) == (named["size_bytes"], named["rows"], named["stamps"])
    assert [[], []] == [repeat["completions"]["start_ns"] for repeat in document["repeats"]]
    assert [[], []] == [repeat["traffic"]["calls"]["call"] for repeat in document["repeats"]]
    assert whole.repeats == read_result(written).repeats


def test_what_is_written_is_what_is_read(whole: Result, tmp_path: Path) -> None:
    """The run goes on with the result as any reader has it: its polls named, its requests in it."""
    assert write_with_files(whole, tmp_path / "r.json") == read_result(tmp_path / "r.json")


def test_a_document_of_many_requests_is_small(factories: ModuleType, tmp_path: Path) -> None:
    """1,000 requests of 65 tokens add nothing to the document, and take less than a third of their text beside it."""
    repeat = make_traffic_repeat(calls=1000)
    done = repeat.completions
    steps = tuple(tuple(range(first + 1, first + 65)) for first in done.first_output_ns if first is not None)
    many = made(factories, replace(repeat, completions=replace(done, step_end_ns=steps)))
    few = made(factories, make_traffic_repeat(calls=1))
    sizes = {}
    for name, result in (("many", many), ("few", few)):
        write_with_files(result, tmp_path / name / "r.json")
        sizes[name] = (tmp_path / name / "r.json").stat().st_size
    write_result(many, tmp_path / "inline.json")

    assert abs(sizes["many"] - sizes["few"]) < 1000
    assert 3 * sidecar(tmp_path / "many" / "r.json").stat().st_size < (tmp_path / "inline.json").stat().st_size


def test_any_table_tool_can_read_the_requests(whole: Result, written: Path) -> None:
    """The file is plain Parquet with one row a request, repeat after repeat, columns named as in the document."""
    table = pyarrow.parquet.read_table(sidecar(written))
    done = whole.repeats[1].completions

    assert ["repeat", *Completions.__slots__] == table.column_names[:10]
    assert [0] * 20 + [1] * 20 == table.column("repeat").to_pylist()
    assert list(done.end_ns) == table.column("end_ns").to_pylist()[20:]
    assert list(map(list, done.step_end_ns)) == table.column("step_end_ns").to_pylist()[20:]


def test_requests_in_an_old_document_are_read_from_it(whole: Result, tmp_path: Path) -> None:
    """A result whose requests are inside, as of an older wattbench, needs no second file."""
    write_result(whole, tmp_path / "old.json")
    opened = open_document(tmp_path / "old.json")

    assert (whole, None) == (opened.document, opened.requests_file)


def test_a_run_without_traffic_keeps_its_rows(factories: ModuleType, tmp_path: Path) -> None:
    """Executions of fixed batches, and a run that sent nothing, have no file of requests."""
    for name, result in (
        ("batches", factories.make_result()),
        ("none", made(factories, emptied(make_traffic_repeat()))),
    ):
        write_with_files(result, tmp_path / name / "r.json")

        assert [] == list((tmp_path / name).glob("*.requests.parquet"))
        assert result.repeats == read_result(tmp_path / name / "r.json").repeats


def test_requests_stay_inside_where_pyarrow_is_missing(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing measured is lost to a library that cannot be loaded."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert whole == write_with_files(whole, tmp_path / "r.json")
    assert whole == read_result(tmp_path / "r.json")


def test_the_digest_of_the_document_vouches_for_them(written: Path) -> None:
    """The canonical bytes hold the file's name, so another file is another document."""
    slim = document_of(document_bytes(written))
    named = open_document(written).requests_file

    assert named in named_files(slim)
    assert named is not None
    assert f'"digest":"{named.digest}"'.encode() in document_bytes(written)


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda file: file.unlink(), DocumentError, "The requests are missing"),
        (lambda file: file.write_bytes(file.read_bytes()[:-100]), TruncatedError, "The requests are truncated"),
        (lambda file: file.write_bytes(file.read_bytes()[100:]), TamperedError, "not those of this result"),
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"!"), TamperedError, "not those of this result"),
        (lambda file: file.write_bytes(file.read_bytes() + b"!"), TamperedError, "not those of this result"),
    ],
)
def test_other_bytes_are_refused_by_name(
    written: Path, spoil: Callable[[Path], None], error: type[DocumentError], said: str
) -> None:
    """A missing, truncated or altered file is named as such, with its path and what to do."""
    file = sidecar(written)
    spoil(file)

    with pytest.raises(error, match=said) as caught:
        read_result(written)
    assert caught.value.what.startswith(str(file))
    assert "Keep the files together" in caught.value.remedy


def test_a_file_that_is_no_parquet_is_refused_by_name(whole: Result, tmp_path: Path) -> None:
    """Bytes with the right digest may still be nonsense."""
    named = replace(named_requests(b"nonsense", whole.repeats))
    write_result(without_requests(whole, named), tmp_path / "r.json")
    (tmp_path / named.name).write_bytes(b"nonsense")

    with pytest.raises(DocumentError, match=r"requests\.parquet: This is not a file of requests"):
        read_result(tmp_path / "r.json")


def reread(result: Result, data: bytes, **changes: int) -> Result:
    """Return a result with the requests in these bytes; `changes` are other counts than the true ones."""
    named = replace(named_requests(data, result.repeats), **changes)
    return with_requests(without_requests(result, named), data)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"rows": 41}, "it holds 40 requests, the result says 41"), ({"stamps": 7}, "more values than the result says")],
)
def test_other_counts_are_refused(whole: Result, changes: dict[str, int], said: str) -> None:
    """The result says how many requests and stamps there are, so that a foreign file cannot fill the memory."""
    with pytest.raises(DocumentError, match=said):
        reread(whole, encode_requests(whole.repeats), **changes)


def test_a_newer_format_is_refused(whole: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another format says which."""
    monkeypatch.setattr("wattbench.results.requests_file.FORMAT", "wattbench.requests/9")
    data = encode_requests(whole.repeats)
    monkeypatch.undo()

    with pytest.raises(DocumentError, match=r"its format is 'wattbench\.requests/9'"):
        reread(whole, data)


def changed(data: bytes, tmp_path: Path, name: str, values: Sequence[object], kind: pyarrow.DataType) -> bytes:
    """Return a file of requests with other values in one column."""
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
    place = table.column_names.index(name)
    column = pyarrow.array(values, type=kind)
    pyarrow.parquet.write_table(table.set_column(place, name, column), tmp_path / "changed")
    return (tmp_path / "changed").read_bytes()


@pytest.mark.parametrize(
    ("name", "values", "kind", "said"),
    [
        ("end_ns", [1.5] * 40, pyarrow.float64(), "end_ns is of double"),
        ("end_ns", [None] * 40, pyarrow.int64(), "end_ns lacks a value"),
        ("fresh", [None] * 40, pyarrow.bool_(), "fresh lacks a value"),
        ("step_end_ns", [[None]] * 40, pyarrow.list_(pyarrow.int64()), "step_end_ns lacks a value"),
        ("server_queue_s", [float("inf")] * 40, pyarrow.float64(), "not finite"),
        ("start_ns", list(range(2**52, 2**52 + 40)), pyarrow.int64(), "an end lies before its start"),
        ("repeat", [0] * 20 + [2] * 20, pyarrow.int64(), "row 20 belongs to no repeat"),
    ],
)
def test_foreign_columns_are_refused(
    whole: Result, tmp_path: Path, name: str, values: Sequence[object], kind: pyarrow.DataType, said: str
) -> None:
    """Another type, an absent value, and times that cannot be are no requests of this result."""
    data = changed(encode_requests(whole.repeats), tmp_path, name, values, kind)

    with pytest.raises(DocumentError, match=said):
        reread(whole, data)


def test_a_repeat_without_traffic_has_no_such_rows(factories: ModuleType, whole: Result) -> None:
    """A document of fixed batches that names a file of requests is refused, not read as something else."""
    data = encode_requests(whole.repeats)
    plain = factories.make_result()
    bare = replace(plain.repeats[0], completions=Completions(**dict.fromkeys(Completions.__slots__, ())))
    forged = replace(plain, repeats=(bare,), requests_file=named_requests(data, whole.repeats))

    with pytest.raises(DocumentError, match="served no traffic"):
        with_requests(forged, data)
    with pytest.raises(ValueError, match="served no traffic"):
        encode_requests(plain.repeats)


def test_requests_are_in_one_place(whole: Result) -> None:
    """A document that names a file of requests has none itself."""
    with pytest.raises(ValueError, match="requests are in the document or in a file of their own"):
        replace(whole, requests_file=named_requests(b"", whole.repeats))


def test_a_document_that_cannot_be_written_leaves_no_file(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files come first, and go again when the document cannot follow; one that was there stays."""

    def full(result: Result, path: Path) -> str:
        raise StorageError("full")

    with monkeypatch.context() as disk:
        disk.setattr("wattbench.results.sidecar.write_result", full)
        with pytest.raises(StorageError, match="full"):
            write_with_files(whole, tmp_path / "r.json")
    assert [] == os.listdir(tmp_path)
    write_with_files(whole, tmp_path / "r.json")
    monkeypatch.setattr("wattbench.results.sidecar.write_result", full)
    with pytest.raises(StorageError, match="full"):
        write_with_files(whole, tmp_path / "second.json")
    assert whole.repeats == read_result(tmp_path / "r.json").repeats


@pytest.mark.parametrize("digest", ["sha256:" + "g" * 64, "../../etc/passwd", "sha256:"])
def test_a_digest_is_a_digest(digest: str) -> None:
    """The name of the file follows from the digest, so nothing else may stand there."""
    with pytest.raises(ValueError, match="not a sha256 digest"):
        RequestsFile(digest=digest, size_bytes=1, rows=1, stamps=0)


@given(first=served(0), second=served(1))
def test_every_request_comes_back(factories: ModuleType, first: Repeat, second: Repeat) -> None:
    """Whatever is known or unknown of requests is the same after writing and reading, in an empty window too."""
    result = made(factories, first, second)

    assert result.repeats == reread(result, encode_requests(result.repeats)).repeats
