"""Which wattbench this is: its version and a digest of its own source files."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wattbench.results.document import HarnessRecord

__all__ = ["harness_record"]


@cache
def harness_record() -> HarnessRecord:
    """Return the version and the sha256 over all source files of the installed package, in path order."""
    try:
        number = version("wattbench")
    except PackageNotFoundError:
        number = "unknown"
    return HarnessRecord(name="wattbench", version=number, source_sha256=_source_digest())


def _source_digest() -> str:
    import wattbench

    digest = hashlib.sha256()
    for room in ("testing", "harness", "backends", "models", "results"):
        root = Path(str(wattbench.__file__)).parent / room
        for path in sorted(root.rglob("*")):
            if path.suffix in (".py", ".toml"):
                digest.update(f"{room}/{path.relative_to(root).as_posix()}\0".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
