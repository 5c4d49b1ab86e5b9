"""One published MLPerf power run for tests, unpacked, and changed where a test needs it otherwise."""

import tarfile
from collections.abc import Callable
from pathlib import Path

ARCHIVE = Path(__file__).parent / "data" / "mlperf" / "v51_gateoverflow_ryzen5560u_mobilenet224_offline.tar.xz"


def unpack(folder: Path) -> Path:
    """Unpack the run below a folder and return its session folder (with run_1, ranging and power)."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / ARCHIVE.name.removesuffix(".tar.xz")


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Replace a log's text by what `change` makes of it, line ends as they are."""
    path.write_bytes(change(path.read_bytes().decode()).encode())


def lose(text: str, first: int, last: int) -> str:
    """Return an spl.txt without its samples number first..last (counted from 0), as a meter that skipped them."""
    lines = text.splitlines(keepends=True)
    return "".join(lines[:first] + lines[last + 1 :])


def thin(text: str, keep: int, of: int) -> str:
    """Return an spl.txt that kept `keep` of its `of` samples after the first three, spread evenly."""
    lines = text.splitlines(keepends=True)
    inner = [line for i, line in enumerate(lines[3 : 3 + of]) if (i + 1) * keep // of > i * keep // of]
    return "".join(lines[:3] + inner + lines[3 + of :])
