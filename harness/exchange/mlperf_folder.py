"""The folder of one MLPerf run as it was published: which files belong to it, and what its place and siblings state."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattbench.results.errors import UsageError
from wattbench.results.imported import SourceFile

__all__ = ["Place", "RunFolder", "read_folder"]

DETAIL = "mlperf_log_detail.txt"
FILES = (DETAIL, "mlperf_log_summary.txt", "spl.txt")
POWER_FILES = ("client.json", "server.json", "ptd_logs.txt")
SIZE_MAX_BYTES = 64 * 1024 * 1024
"""The largest log that is read; published ones have some hundred kilobytes."""

ENTRIES_MAX = 50_000
"""The most files that are looked through for a run: a whole round's repository is named by its parts instead."""

SCENARIOS = {name.lower(): name for name in ("Offline", "Server", "Interactive", "SingleStream", "MultiStream")}
RUNS = "Name the folder of one run: the one with run_1, ranging and power in it, or run_1 itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run stands in a round's repository: its folders' names, and what the system's own files state."""

    division: str | None = None
    submitter: str | None = None
    system: str | None = None
    model: str | None = None
    scenario: str | None = None
    description: dict[str, object] | None = None
    precision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The texts of a run by path within its session ("run_1/spl.txt"), their digests, and its place."""

    run: str
    texts: dict[str, str]
    files: tuple[SourceFile, ...]
    sha1: dict[str, str]
    place: Place

    def of_run(self, name: str) -> str | None:
        """Return the text of one of the tested run's own logs, or None."""
        return self.texts.get(f"{self.run}/{name}")


def read_folder(folder: Path) -> RunFolder:
    """Return the one run in a folder.

    Raises UsageError when there is none or more than one, and for a file that cannot be read or is too large.
    """
    run = _one_run(folder)
    root = run.parent if _is_run_name(run.name) else run
    name = run.name if root is not run else "."
    wanted = [(name, file) for file in FILES]
    if root is not run:
        wanted += [("ranging", file) for file in FILES] + [("power", file) for file in POWER_FILES]
    texts: dict[str, str] = {}
    files: list[SourceFile] = []
    sha1: dict[str, str] = {}
    for part, file in wanted:
        path = root / part / file
        if path.is_file():
            data, key = _bytes(path), f"{part}/{file}"
            texts[key] = data.decode("utf-8", errors="replace")
            files.append(SourceFile(path=key, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()))
            sha1[key] = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return RunFolder(run=name, texts=texts, files=tuple(files), sha1=sha1, place=_place(root))


def _one_run(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"Cannot import {folder}", "it is not a folder", RUNS)
    runs = [folder] if (folder / DETAIL).is_file() else sorted(_runs(folder))
    if not runs:
        raise UsageError(f"Cannot import {folder}", f"no run in it has a {DETAIL}", RUNS)
    if len(runs) > 1:
        names = ", ".join(str(run.relative_to(folder)) for run in runs[:4])
        raise UsageError(f"Cannot import {folder}", f"it has {len(runs)} runs: {names}, ...", RUNS)
    return runs[0]


def _runs(folder: Path) -> Iterator[Path]:
    """Yield the folders of tested runs; ranging, accuracy and compliance runs are none."""
    seen = 0
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("ranging", "accuracy") and not name.startswith("TEST")]
        seen += len(files)
        if seen > ENTRIES_MAX:
            raise UsageError(f"Cannot import {folder}", f"it has more than {ENTRIES_MAX} files", RUNS)
        if DETAIL in files:
            yield Path(here)


def _is_run_name(name: str) -> bool:
    return name.startswith("run_") or name == "testing"


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_MAX_BYTES:
            why = f"it has more than {SIZE_MAX_BYTES} bytes"
            raise UsageError(f"Cannot import {path}", why, "A log of MLPerf has less than one megabyte.")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"Cannot import {path}", exc.strerror or str(exc), "Make the file readable.") from exc


def _place(root: Path) -> Place:
    """Return what a path such as `closed/Org/results/System/model/Offline/performance` states; nothing else is taken.

    Beside it lie `systems/System.json`, and `measurements/System/model/Offline/*.json` (or `measurements.json` with
    the results), which state the machine and the weights' precision (mlcommons submission rules).
    """
    parts = root.resolve().parts
    if len(parts) < 5 or parts[-1] != "performance" or parts[-5] != "results":
        return Place()
    system, model, folder = parts[-4:-1]
    scenario = SCENARIOS.get(folder.lower())
    if scenario is None:
        return Place()
    base = root.resolve().parents[4]
    measured = [root.resolve().parent / "measurements.json"]
    measured += sorted((base / "measurements" / system / model / folder).glob("*.json"))
    found = (_tree(path) for path in measured)
    precisions = (tree.get("weight_data_types") for tree in found if tree is not None)
    return Place(
        division=base.parent.name or None,
        submitter=base.name or None,
        system=system,
        model=model,
        scenario=scenario,
        description=_tree(base / "systems" / f"{system}.json"),
        precision=next((text for text in precisions if isinstance(text, str) and text), None),
    )


def _tree(path: Path) -> dict[str, object] | None:
    """Return a JSON object, or None where there is no readable one: it only adds to what the logs say."""
    try:
        tree = json.loads(_bytes(path)) if path.is_file() else None
    except (ValueError, RecursionError, UsageError):
        return None
    return tree if isinstance(tree, dict) else None
