"""Result files: canonical, self-verifying, atomic."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results import files
from wattbench.results.document import Result
from wattbench.results.errors import (
    DocumentError,
    NewerSchemaError,
    StorageError,
    TamperedError,
    TruncatedError,
    WattbenchError,
)
from wattbench.results.files import canonical_bytes, document_id, read_result, write_result

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture
def written(factories: ModuleType, tmp_path: Path) -> Path:
    """Give a result file."""
    path = tmp_path / "result.json"
    write_result(factories.make_result(), path)
    return path


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _error(path: Path) -> WattbenchError:
    with pytest.raises(WattbenchError) as caught:
        read_result(path)
    return caught.value


@given(st.dictionaries(st.text(), JSON))
def test_canonical_bytes_ignore_key_order(document: dict[str, object]) -> None:
    """The canonical bytes do not depend on the order of keys."""
    keys = sorted(document, reverse=True)

    assert canonical_bytes(document) == canonical_bytes({key: document[key] for key in keys})


@given(st.dictionaries(st.text(), JSON))
def test_canonical_bytes_are_json(document: dict[str, object]) -> None:
    """Another JSON reader, which takes every number for a double, finds the same content in the canonical bytes."""
    assert document == json.loads(canonical_bytes(document), parse_int=float)


def test_canonical_bytes_of_the_standard() -> None:
    """Numbers, escapes and key order follow RFC 8785 (its example in section 3.2.2 and 3.2.3)."""
    document: dict[str, object] = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )

    assert expected.encode() == canonical_bytes(document)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**53, "an integer beyond 2^53 - 1 - at `$.a`"),
        ("\ud800", "text with half a surrogate pair - at `$.a`"),
        (float("nan"), "the number nan is not finite - at `$.a`"),
    ],
)
def test_canonical_bytes_refuse(value: object, why: str) -> None:
    """What JSON cannot hold is refused with its path."""
    with pytest.raises(DocumentError) as caught:
        canonical_bytes({"a": value})

    assert why == caught.value.why


def test_id_ignores_itself() -> None:
    """The id is a digest over everything but the id."""
    assert document_id({"a": 1}) == document_id({"id": "anything", "a": 1})


def test_id_is_a_digest() -> None:
    """The id is the sha256 of the canonical bytes."""
    assert "sha256:015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862" == document_id({"a": 1})


def test_write_then_read(factories: ModuleType, tmp_path: Path) -> None:
    """A result that was written is read as the same record."""
    result = factories.make_result()
    write_result(result, tmp_path / "result.json")

    assert result == read_result(tmp_path / "result.json")


@given(figures=st.lists(FINITE.map(abs), min_size=3, max_size=3), text=st.text(), ns=st.integers(1, 2**53 - 1))
def test_write_then_read_any_values(
    factories: ModuleType, tmp_path_factory: pytest.TempPathFactory, figures: list[float], text: str, ns: int
) -> None:
    """Whatever finite numbers and text a result holds, it is read as the same record."""
    load = replace(factories.make_load(), work=replace(factories.make_load().work, prefill_flops=figures[0]), name=text)
    warmup = replace(factories.make_result().warmup, rates_per_s=tuple(figures))
    run = replace(factories.make_result().run, duration_s=figures[1], command=(text,))
    window = replace(warmup.window, start_ns=0, end_ns=ns)
    result = factories.make_result(load=load, warmup=replace(warmup, window=window), run=run)
    path = tmp_path_factory.getbasetemp() / "any.json"
    write_result(result, path)

    assert result == read_result(path)


def test_write_returns_the_id(factories: ModuleType, tmp_path: Path) -> None:
    """The id that is returned stands in the file."""
    path = tmp_path / "result.json"
    identity = write_result(factories.make_result(), path)

    assert identity == json.loads(path.read_text())["id"]


def test_file_is_canonical(written: Path) -> None:
    """The file holds canonical bytes and nothing else."""
    assert canonical_bytes(json.loads(written.read_text())) == written.read_bytes()


def test_write_makes_folders(factories: ModuleType, tmp_path: Path) -> None:
    """Missing folders are made."""
    path = tmp_path / "a" / "b" / "result.json"
    write_result(factories.make_result(), path)

    assert path.is_file()


def test_write_leaves_no_other_file(written: Path) -> None:
    """The temporary file is gone after the write."""
    assert [written] == list(written.parent.iterdir())


def test_write_obeys_umask(factories: ModuleType, tmp_path: Path) -> None:
    """The file has the permissions that the user's umask gives."""
    path = tmp_path / "result.json"
    before = os.umask(0o027)
    try:
        write_result(factories.make_result(), path)
    finally:
        os.umask(before)

    assert 0o640 == path.stat().st_mode & 0o777


def test_rewrite_replaces(factories: ModuleType, written: Path) -> None:
    """A second write replaces the first."""
    write_result(factories.make_result(status="partial"), written)

    assert "partial" == read_result(written).status


def test_pretty_printed_copy_reads(factories: ModuleType, written: Path) -> None:
    """A file that was only reformatted still matches its digest."""
    written.write_text(json.dumps(json.loads(written.read_text()), indent=2))

    assert factories.make_result() == read_result(written)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.999])
def test_truncated(written: Path, share: float) -> None:
    """A file that ends early is called truncated, with its path."""
    data = written.read_bytes()
    written.write_bytes(data[: int(len(data) * share)])
    error = _error(written)

    assert TruncatedError is type(error)
    assert str(written) in error.what


def test_newer_schema(written: Path) -> None:
    """A file of a newer wattbench is refused with "upgrade wattbench"."""
    _edit(written, schema="wattbench.result/2")
    error = _error(written)

    assert NewerSchemaError is type(error)
    assert "Upgrade wattbench" in error.remedy


def test_tampered(written: Path) -> None:
    """A changed file is refused with both digests."""
    stated = json.loads(written.read_text())["id"]
    _edit(written, status="partial")
    found = document_id(json.loads(written.read_text()))
    error = _error(written)

    assert TamperedError is type(error)
    assert f"it says {stated}, its content is {found}" == error.why


def test_without_digest(written: Path) -> None:
    """A file without a digest cannot be trusted."""
    document = json.loads(written.read_text())
    del document["id"]
    written.write_text(json.dumps(document))

    assert TamperedError is type(_error(written))


def test_duplicate_key(written: Path) -> None:
    """A file with a key twice is refused, even where the last of the two makes its digest right."""
    written.write_text(written.read_text().replace('"kind":"measured"', '"kind":"imported","kind":"measured"'))

    assert "the key 'kind' stands twice in one object" == _error(written).why


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        (
            "verdict",
            {"standing": "valid", "reasons": []},
            "the verdict that follows from the doubts is invalid - at `$`",
        ),
        ("verdict", None, "the verdict that follows from the doubts is invalid - at `$`"),
        ("status", "started", "a run that has not ended has no verdict - at `$`"),
    ],
)
def test_edited_consequences(written: Path, key: str, value: object, why: str) -> None:
    """A verdict that does not follow from its doubts is refused, whatever the digest says."""
    document = {**json.loads(written.read_text()), key: value}
    _edit(written, **{key: value, "id": document_id(document)})

    assert why == _error(written).why


def test_wrong_shape(written: Path) -> None:
    """A file with a good digest and a wrong field is refused with the path of the field."""
    document = json.loads(written.read_text())
    document["repeats"][2]["window"]["end_ns"] = "late"
    _edit(written, repeats=document["repeats"], id=document_id(document))

    assert "$.repeats[2].window.end_ns" in _error(written).why


@pytest.mark.parametrize(
    "data", [b"not json", b"[]", b"{}", b'{"schema": "other/1"}', b"\x00\x01", b'{"a": "\xff"}', b"[" * 99_999, b"null"]
)
def test_not_a_result(tmp_path: Path, data: bytes) -> None:
    """Anything else is refused as a document, with cause and remedy."""
    path = tmp_path / "other.json"
    path.write_bytes(data)
    error = _error(path)

    assert DocumentError is type(error)
    assert error.why
    assert error.remedy


@pytest.mark.parametrize("name", [".", "missing.json", "a\0b"])
def test_not_a_file(tmp_path: Path, name: str) -> None:
    """A folder, a missing file and an impossible name are refused as documents."""
    assert DocumentError is type(_error(tmp_path / name))


def test_pipe_is_not_read(tmp_path: Path) -> None:
    """A named pipe is refused instead of waiting for a writer."""
    os.mkfifo(tmp_path / "pipe")

    assert "it is not a regular file" == _error(tmp_path / "pipe").why


def test_size_limit_when_reading(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file larger than a result may be is refused unread."""
    monkeypatch.setattr(files, "SIZE_MAX_BYTES", 100)

    assert "more than the 100" in _error(written).why


def test_size_limit_when_writing(factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be read back is not written."""
    monkeypatch.setattr(files, "SIZE_MAX_BYTES", 100)
    with pytest.raises(StorageError, match="too large"):
        write_result(factories.make_result(), tmp_path / "result.json")

    assert [] == list(tmp_path.iterdir())


def test_object_limit(factories: ModuleType, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of more objects than a result can have is neither read nor written."""
    monkeypatch.setattr(files, "OBJECTS_MAX", 10)
    with pytest.raises(DocumentError, match="more than the 10"):
        write_result(factories.make_result(), written)

    assert "more than the 10" in _error(written).why


def test_write_into_a_file_as_folder(factories: ModuleType, written: Path) -> None:
    """A file in the way of a folder ends in a storage error."""
    with pytest.raises(StorageError, match="Choose a folder"):
        write_result(factories.make_result(), written / "result.json")


def test_write_onto_a_folder(factories: ModuleType, tmp_path: Path) -> None:
    """A folder in the place of the file ends in a storage error and leaves nothing behind."""
    folder = tmp_path / "result.json"
    folder.mkdir()
    with pytest.raises(StorageError):
        write_result(factories.make_result(), folder)

    assert [folder] == list(tmp_path.iterdir())


def test_full_disk(factories: ModuleType, written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends in a storage error that says so, with the old file intact and no temporary file."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        write_result(factories.make_result(status="partial"), written)

    assert ("No space left on device", "complete") == (caught.value.why, read_result(written).status)
    assert [written] == list(written.parent.iterdir())


LIMITED = """
import resource, sys
from pathlib import Path
from wattbench.results.errors import StorageError
from wattbench.results.files import read_result, write_result
path = Path(sys.argv[1])
result = read_result(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_result(result, path)
except StorageError as exc:
    sys.stdout.write(exc.why)
"""


def test_write_that_the_system_cuts_short(factories: ModuleType, written: Path) -> None:
    """A write that the operating system stops in the middle, for real, leaves the old file intact."""
    before = written.read_bytes()
    done = subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, str(written)], capture_output=True, text=True, check=False
    )

    assert ("", "File too large") == (done.stderr, done.stdout)
    assert (before, [written]) == (written.read_bytes(), list(written.parent.iterdir()))


def test_unwritable_result_is_named(factories: ModuleType, tmp_path: Path) -> None:
    """A result with text that UTF-8 cannot hold is refused with the path of the text."""
    result: Result = factories.make_result()
    broken = replace(result, run=replace(result.run, command=("bench", "\udcff")))
    with pytest.raises(DocumentError, match=r"\$\.run\.command\[1\]"):
        write_result(broken, tmp_path / "result.json")
