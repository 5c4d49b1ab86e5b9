"""The folder of a sweep: its manifest, its result files, and what earlier attempts left, none of it ever lost."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from wattbench.harness.sweep.manifest import (
    GroupRecord,
    Manifest,
    PointRecord,
    PointStatus,
    SweepPlan,
    plan_differences,
)
from wattbench.harness.sweep.points import Point
from wattbench.harness.version import harness_record
from wattbench.results.codec import decode, parse_json, to_builtins
from wattbench.results.document import Result
from wattbench.results.durable import replace_file
from wattbench.results.errors import DocumentError, StorageError, UsageError, WattbenchError
from wattbench.results.files import read_result

__all__ = ["FINAL", "MANIFEST", "Folder"]

MANIFEST = "sweep.json"
MANIFEST_MAX_BYTES = 64 * 2**20

FINAL: tuple[PointStatus, ...] = ("complete", "out_of_memory", "skipped", "refused")
"""What `--resume` does not measure again."""


class Folder:
    """A sweep's folder with its manifest in memory; every change is written at once."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def create(cls, path: Path, plan: SweepPlan, points: Sequence[Point]) -> "Folder":
        """Write the first manifest of a new sweep.

        Raises UsageError where a sweep or a result of the same name lies already, StorageError for an unusable place.
        """
        if _is_there(path / MANIFEST):
            why = f"{path / MANIFEST} exists"
            raise UsageError(f"{path} holds a sweep already", why, "Go on with --resume, or choose another --out.")
        records = tuple(PointRecord(point=p, name=p.name, file=p.file_name) for p in points)
        taken = next((r.file for r in records if _is_there(path / r.file)), None)
        if taken is not None:
            raise UsageError(f"{path / taken} exists already", "a result is never overwritten", "Choose another --out.")
        now = datetime.now(tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        folder = cls(path, Manifest(created_at=now, harness=harness_record(), plan=plan, points=records))
        folder.write()
        return folder

    @classmethod
    def open(cls, path: Path) -> "Folder":
        """Read the manifest of a sweep. Raises DocumentError when there is none or it cannot be trusted."""
        remedy = "Give the folder that `bench sweep --out` wrote."
        try:
            with (path / MANIFEST).open("rb") as file:
                data = file.read(MANIFEST_MAX_BYTES + 1)
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            raise DocumentError(f"There is no sweep in {path}", f"{MANIFEST}: {why}", remedy) from exc
        if len(data) > MANIFEST_MAX_BYTES:
            raise DocumentError(f"{path / MANIFEST} is no manifest of a sweep", "it is too large", remedy)
        try:
            return cls(path, decode(parse_json(data), Manifest))
        except WattbenchError as exc:
            raise DocumentError(f"{path / MANIFEST} is no manifest of a sweep", exc.why or exc.what, remedy) from exc

    def write(self) -> None:
        """Write the manifest, all or nothing. Raises StorageError."""
        text = json.dumps(to_builtins(self.manifest), indent=1, ensure_ascii=False) + "\n"
        try:
            replace_file(self.path / MANIFEST, text.encode())
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            raise StorageError(f"Cannot write {self.path / MANIFEST}", why, "Choose a folder with --out.") from exc

    def record(self, name: str) -> PointRecord:
        """Return the record of a point."""
        return next(record for record in self.manifest.points if record.name == name)

    def mark(self, name: str, status: PointStatus, reason: str = "") -> None:
        """Note how far a point got."""
        self._replace(replace(self.record(name), status=status, reason=reason))

    def note_group(self, group: GroupRecord) -> None:
        """Note which points were open together."""
        self.manifest = replace(self.manifest, groups=(*self.manifest.groups, group))
        self.write()

    def file_of(self, name: str) -> Path:
        """Return the path of a point's result file."""
        return self.path / self.record(name).file

    def result_of(self, name: str) -> Result:
        """Return a point's result, through every check. Raises DocumentError."""
        return read_result(self.file_of(name))

    def put_aside(self, name: str) -> None:
        """Rename a point's file, if there is one, so that it can be measured again and nothing is lost."""
        record, path = self.record(name), self.file_of(name)
        if not _is_there(path):
            return
        count = 1
        while _is_there(aside := path.with_name(f"{path.stem}.old{count}.json")):
            count += 1
        try:
            path.rename(aside)
        except OSError as exc:
            raise StorageError(f"Cannot rename {path}", exc.strerror or str(exc), "Check the folder's rights.") from exc
        self._replace(replace(record, aside=(*record.aside, aside.name)))

    def take_up(self, plan: SweepPlan | None, together: int | None = None) -> None:
        """Get ready to go on: keep complete files that verify, measure everything else again.

        `together` (None: as before) is how many points may be open at once from now on. Raises UsageError naming the
        differences when `plan` (None: the manifest's own) is not the plan of this sweep.
        """
        differences = plan_differences(self.manifest.plan, plan) if plan is not None else ()
        if differences:
            remedy = "Ask for the same, leave the options out, or choose another --out."
            raise UsageError(f"The sweep in {self.path} has another plan", "; ".join(differences), remedy)
        if together is not None:
            self.manifest = replace(self.manifest, plan=replace(self.manifest.plan, together=together))
        for record in self.manifest.points:
            if self._is_complete(record):
                self.mark(record.name, "complete")
            elif record.status not in FINAL or record.status == "complete":
                self.put_aside(record.name)
                self.mark(record.name, "pending")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other sweeps out of the folder meanwhile. Raises UsageError when one is at work there."""
        descriptor = self._lock()
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _lock(self) -> int | None:
        """Lock the folder itself; None where the system cannot (Windows, some network file systems)."""
        try:
            import fcntl
        except ImportError:
            return None
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            os.close(descriptor)
            why = "another process has locked the folder"
            raise UsageError(f"A sweep is at work in {self.path}", why, "Wait for its end.") from exc
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _is_complete(self, record: PointRecord) -> bool:
        try:
            return _is_there(self.path / record.file) and self.result_of(record.name).status == "complete"
        except DocumentError:
            return False

    def _replace(self, record: PointRecord) -> None:
        points = tuple(record if r.name == record.name else r for r in self.manifest.points)
        self.manifest = replace(self.manifest, points=points)
        self.write()


def _is_there(path: Path) -> bool:
    """Return whether something is at a path. Raises UsageError when that cannot be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise UsageError(f"No sweep can lie at {str(path.parent)!r}", why, "Choose another --out.") from exc
    return True
