"""A file is replaced whole or not at all."""

import os
from pathlib import Path

import pytest

from wattbench.results.durable import replace_file


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    """The content is the new one, and nothing else lies beside it."""
    path = tmp_path / "new" / "file.json"
    for data in (b"first", b"second"):
        replace_file(path, data)

    assert b"second" == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails half-way leaves the old content and no half file."""
    path = tmp_path / "file.json"
    replace_file(path, b"old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert b"old" == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())
