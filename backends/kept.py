"""A folder that is built once in a process of its own and kept under the digest of everything that made it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from wattbench.backends.lines import Failure, failure_of
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import (
    DeviceError,
    DocumentError,
    OutOfMemoryError,
    StorageError,
    UsageError,
    WattbenchError,
)

__all__ = ["REQUEST", "SCRATCH", "Job", "Kept", "kept_folder", "tell_failure"]

REQUEST, FAILURE, LOG, SEAL = "request.json", "failure.json", "log.txt", "files.json"
"""The names within a folder: what to build, what went wrong, what the builder said, the digests of all files."""

SCRATCH = "scratch"
"""The folder for a builder's temporary files, beside what it builds: they are as large as a model."""

PARTIAL = ".partial-"
ABANDONED_S = 24 * 3600.0
"""A partial folder this old belongs to a process that was killed; no build takes so long."""

KILLED = -9
"""The exit code of a process that Linux killed for want of memory, seen from subprocess."""

LAST_WORDS = 400

ERRORS = {error.__name__: error for error in (DeviceError, OutOfMemoryError, StorageError, UsageError)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to build, in words; the module that `python -m` runs with the folder; its request; the space it takes."""

    what: str
    module: str
    request: object
    needed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A whole folder, and whether it was built just now."""

    path: Path
    built: bool


def kept_folder(root: Path, key: str, job: Job) -> Kept:
    """Return the folder `root`/`key`, as an earlier build left it where that is whole, else built now.

    A build goes on in a partial folder that is renamed when it is whole, so that neither a kill nor a second process
    leaves a half. Raises what the builder raised, OutOfMemoryError when it was killed, DeviceError when it failed in
    another way, StorageError when the disk is too small or cannot be written.
    """
    final = root / key
    if _is_whole(final):
        return Kept(path=final, built=False)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _forget_abandoned(root)
        _require_space(root, job)
        work = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=root))
        try:
            _build(work, job)
            _publish(work, final)
            return Kept(path=final, built=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as exc:
        remedy = "Point WATTBENCH_CACHE at another folder."
        raise StorageError(f"Cannot keep {job.what}", str(exc), remedy) from exc


def tell_failure(folder: Path, error: WattbenchError) -> None:
    """Leave an error in the folder, for the process that waits for the build to raise."""
    (folder / FAILURE).write_text(json.dumps(to_builtins(failure_of(error))))


def _build(work: Path, job: Job) -> None:
    """Run the builder, which ends with this process, and seal what it built."""
    (work / REQUEST).write_text(json.dumps(to_builtins(job.request)))
    scratch = work / SCRATCH
    scratch.mkdir()
    environment = os.environ | OFFLINE | {"TMPDIR": str(scratch)}
    with (work / LOG).open("wb") as log:
        command = [sys.executable, "-P", "-m", job.module, str(work)]
        code = subprocess.run(command, stdout=log, stderr=log, env=environment, check=False).returncode
    if code != 0:
        raise _failure(work, job, code)
    shutil.rmtree(scratch)
    for name in (REQUEST, LOG):
        (work / name).unlink()
    (work / SEAL).write_text(json.dumps(_digests(work)))


OFFLINE = {"HF_HUB_OFFLINE": "1", "ORT_DISABLE_TELEMETRY": "1"}
"""Weights of the hub are in its cache already: their digest is part of the key."""


def _failure(work: Path, job: Job, code: int) -> WattbenchError:
    """Return what a builder's process died of, as one of our errors."""
    with suppress(OSError, ValueError, KeyError, DocumentError):
        told = decode(json.loads((work / FAILURE).read_bytes()), Failure)
        return ERRORS[told.kind](told.what, told.why, told.remedy)
    if code == KILLED:
        why = f"its process was killed; it handles about {job.needed_bytes / 1e9:.1f} GB"
        return OutOfMemoryError(f"Building {job.what} ran out of memory", why, "Free memory, or choose a smaller load.")
    said = (work / LOG).read_text(errors="replace").strip()[-LAST_WORDS:]
    return DeviceError(f"Building {job.what} failed", f"exit code {code}; it said: {said}", "Choose another --tuning.")


def _publish(work: Path, final: Path) -> None:
    """Rename a finished build into its place; what is damaged there goes, what another process put there stays."""
    if final.exists() and not _is_whole(final):
        damaged = work.with_name(f"{work.name}-damaged")
        final.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    work.chmod(0o755)  # mkdtemp makes a folder that only its owner may read
    with suppress(OSError):  # another process may have been first
        work.rename(final)
    if not _is_whole(final):
        raise StorageError("What was built cannot be read back", f"looked at {final}", "Check the disk.")


def _is_whole(folder: Path) -> bool:
    """Return whether a folder is there with all its files as they were when it was finished."""
    try:
        return bool(json.loads((folder / SEAL).read_bytes()) == _digests(folder))
    except (OSError, ValueError, RecursionError):
        return False


def _digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file of a folder but its seal, by name."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name != SEAL:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _forget_abandoned(root: Path) -> None:
    for folder in root.glob(f"{PARTIAL}*"):
        if time.time() - folder.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _require_space(root: Path, job: Job) -> None:
    """Raise StorageError when the disk cannot hold what the job makes."""
    free = shutil.disk_usage(root).free
    if job.needed_bytes > free:
        why = f"it takes up to {job.needed_bytes / 1e9:.1f} GB and {free / 1e9:.1f} GB are free in {root}"
        raise StorageError(f"No room for {job.what}", why, "Set WATTBENCH_CACHE, or free space.")
