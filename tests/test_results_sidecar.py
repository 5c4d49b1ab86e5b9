"""The raw polls beside a result: one Parquet file named by its digest, trusted only by it."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattbench.results.document import Result
from wattbench.results.energy import Polls, PollsFile
from wattbench.results.errors import DocumentError, StorageError, TamperedError, TruncatedError
from wattbench.results.files import read_result, write_result
from wattbench.results.polls_file import decode_polls, encode_polls
from wattbench.results.sidecar import read_polls, with_polls, write_with_polls

LOGS = st.builds(
    lambda rows, stamped: Polls(
        channel="a:b",
        before_ns=tuple(r[0] for r in rows),
        after_ns=tuple(r[0] + 9 for r in rows),
        value=tuple(r[1] for r in rows),
        sensor_ns=tuple(r[2] for r in rows) if stamped else None,
        errors={str(n): "no answer" for n, r in enumerate(rows) if r[1] is None},
    ),
    st.lists(
        st.tuples(
            st.integers(-(2**53), 2**53),
            st.none() | st.floats(allow_nan=False, allow_infinity=False),
            st.none() | st.integers(0, 2**53),
        ),
        max_size=20,
    ),
    st.booleans(),
)


@pytest.fixture(name="written")
def _written(factories: ModuleType, tmp_path: Path) -> tuple[Result, Path]:
    path = tmp_path / "folder" / "result.json"
    return write_with_polls(factories.make_result(), path), path


def sidecar(result: Result, path: Path) -> Path:
    """Return the file that a result names."""
    assert result.power.polls_file is not None
    return path.parent / result.power.polls_file.name


def test_the_polls_lie_beside_the_result(factories: ModuleType, written: tuple[Result, Path]) -> None:
    """The document names the file by digest, size and rows, holds no poll itself, and reads without the file."""
    result, path = written
    file = sidecar(result, path)

    assert ((), 3) == (result.power.polls, result.power.polls_file and result.power.polls_file.rows)
    assert {path, file} == set(path.parent.iterdir())
    assert factories.make_result().power.polls == read_polls(result, path)
    file.unlink()
    assert result == read_result(path)


def test_the_polls_can_be_put_back(factories: ModuleType, written: tuple[Result, Path]) -> None:
    """With its polls in it, the result is the one that was to be written."""
    result, path = written

    assert factories.make_result() == with_polls(result, path)


def test_polls_in_an_old_document_are_read_from_it(factories: ModuleType, tmp_path: Path) -> None:
    """A result whose polls are inside needs no second file."""
    result = factories.make_result()
    write_result(result, tmp_path / "old.json")

    assert result.power.polls == read_polls(read_result(tmp_path / "old.json"), tmp_path / "old.json")


def test_any_table_tool_can_read_the_polls(written: tuple[Result, Path]) -> None:
    """The file is plain Parquet with one row a poll."""
    table = pyarrow.parquet.read_table(sidecar(*written))

    assert ["channel", "before_ns", "after_ns", "value", "sensor_ns", "taken_ns", "error"] == table.column_names
    assert [123456.789, None, 123486.7] == table.column("value").to_pylist()
    assert "the driver did not answer" == table.column("error").to_pylist()[1]


def test_a_result_without_polls_has_no_second_file(factories: ModuleType, tmp_path: Path) -> None:
    """A run without a sensor, or without a poll yet, is one file."""
    result = factories.make_result()
    bare = replace(result, power=replace(result.power, polls=()))

    assert bare == write_with_polls(bare, tmp_path / "r.json")
    assert ["r.json"] == os.listdir(tmp_path)


def test_polls_stay_inside_where_pyarrow_is_missing(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing measured is lost to a library that cannot be loaded."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = factories.make_result()

    assert result == write_with_polls(result, tmp_path / "r.json")
    assert result == read_result(tmp_path / "r.json")


def missing(file: Path) -> None:
    """Take the file away."""
    file.unlink()


def truncated(file: Path) -> None:
    """Cut the file short."""
    file.write_bytes(file.read_bytes()[:-100])


def swapped(file: Path) -> None:
    """Put other bytes of the same length in its place."""
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def longer(file: Path) -> None:
    """Append to the file."""
    file.write_bytes(file.read_bytes() + b"!")


def a_folder(file: Path) -> None:
    """Put a folder in its place."""
    file.unlink()
    file.mkdir()
    for n in range(10):
        (file / str(n)).touch()


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (missing, DocumentError, "The raw polls are missing"),
        (truncated, TruncatedError, "The raw polls are truncated"),
        (swapped, TamperedError, "not those of this result"),
        (longer, TamperedError, "not those of this result"),
    ],
)
def test_other_bytes_are_refused_by_name(
    written: tuple[Result, Path], spoil: Callable[[Path], None], error: type[DocumentError], said: str
) -> None:
    """A missing, truncated or swapped file is named as such; the result itself still reads."""
    result, path = written
    file = sidecar(result, path)
    spoil(file)

    with pytest.raises(error, match=said) as caught:
        read_polls(result, path)
    assert caught.value.what.startswith(str(file))
    assert result == read_result(path)


def test_a_folder_in_its_place_is_refused(written: tuple[Result, Path]) -> None:
    """What is no file cannot be read, and the message says so without a traceback."""
    result, path = written
    file = sidecar(result, path)
    assert result.power.polls_file is not None
    a_folder(file)
    named = replace(result.power.polls_file, size_bytes=file.stat().st_size)

    with pytest.raises(DocumentError, match="cannot be read"):
        read_polls(replace(result, power=replace(result.power, polls_file=named)), path)


def test_a_file_that_is_no_parquet_is_refused() -> None:
    """Bytes with the right digest may still be nonsense."""
    with pytest.raises(DocumentError, match="not a file of polls"):
        decode_polls(b"nonsense", 1)


def test_another_number_of_polls_is_refused(factories: ModuleType) -> None:
    """The result says how many polls there are."""
    with pytest.raises(DocumentError, match="it holds 3 polls, the result says 4"):
        decode_polls(encode_polls(factories.make_power().polls), 4)


def test_a_newer_format_is_refused(factories: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of another format says which."""
    monkeypatch.setattr("wattbench.results.polls_file.FORMAT", "wattbench.polls/9")
    data = encode_polls(factories.make_power().polls)
    monkeypatch.undo()

    with pytest.raises(DocumentError, match=r"its format is 'wattbench\.polls/9'"):
        decode_polls(data, 3)


def test_rows_of_no_channel_are_refused(factories: ModuleType, tmp_path: Path) -> None:
    """A foreign row in the table is no poll of this result."""
    log = factories.make_power().polls[0]
    data = encode_polls([log, replace(log, channel="other")])
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(data))
    spoilt = tmp_path / "spoilt.parquet"
    pyarrow.parquet.write_table(table.take([3, 0, 1]), spoilt)

    with pytest.raises(DocumentError, match="row 1 belongs to no channel"):
        decode_polls(spoilt.read_bytes(), 3)


def test_a_document_that_cannot_be_written_leaves_no_polls(
    factories: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of polls comes first, and goes again when the document cannot follow."""

    def full(result: Result, path: Path) -> str:
        raise StorageError("full")

    monkeypatch.setattr("wattbench.results.sidecar.write_result", full)
    with pytest.raises(StorageError, match="full"):
        write_with_polls(factories.make_result(), tmp_path / "r.json")
    assert [] == os.listdir(tmp_path)


def test_a_file_of_polls_that_was_there_stays(
    factories: ModuleType, written: tuple[Result, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another result may name the same polls."""
    result, path = written

    def full(result: Result, path: Path) -> str:
        raise StorageError("full")

    monkeypatch.setattr("wattbench.results.sidecar.write_result", full)
    with pytest.raises(StorageError, match="full"):
        write_with_polls(factories.make_result(), path.with_name("second.json"))
    assert sidecar(result, path).exists()


@pytest.mark.parametrize("digest", ["sha256:" + "g" * 64, "../../etc/passwd", "sha256:"])
def test_a_digest_is_a_digest(digest: str) -> None:
    """The name of the file follows from the digest, so nothing else may stand there."""
    with pytest.raises(ValueError, match="not a sha256 digest"):
        PollsFile(digest=digest, size_bytes=1, rows=1)


@given(log=LOGS, other=LOGS)
def test_what_is_written_is_read(log: Polls, other: Polls) -> None:
    """Every log comes back as it was, the empty one too."""
    logs = (log, replace(other, channel="ü"))

    assert logs == decode_polls(encode_polls(logs), len(log.value) + len(other.value))


@pytest.mark.parametrize(
    "code", ["import wattbench", "import wattbench.harness.runner", "import wattbench.harness.calls"]
)
def test_pyarrow_is_loaded_only_when_it_is_needed(code: str) -> None:
    """Neither the package nor the runner loads it."""
    check = f"{code}; import sys; assert 'pyarrow' not in sys.modules"

    assert 0 == subprocess.run([sys.executable, "-P", "-c", check], check=False).returncode


def test_every_stamp_of_a_poll_comes_back() -> None:
    """When a buffered source took its values, and where its own clock starts, are in the file as in the record."""
    buffered = Polls(
        channel="nvml:GPU-0:samples",
        before_ns=(10, 10, 20),
        after_ns=(11, 11, 21),
        value=(1.0, 2.0, None),
        sensor_ns=(5, 6, None),
        errors={"2": "the driver did not answer"},
        taken_ns=(7, 8, None),
        sensor_origin_us=1_764_000_000_000_000,
    )
    plain = Polls(channel="rapl:0", before_ns=(1,), after_ns=(2,), value=(3.0,), sensor_ns=None, errors={})

    assert (buffered, plain) == decode_polls(encode_polls((buffered, plain)), 4)
