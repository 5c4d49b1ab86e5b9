"""From a file of another tool to results of kind `imported`: one document for each run that the file states."""

import hashlib
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from wattbench.harness.exchange.mlperf_power import no_power
from wattbench.harness.version import harness_record
from wattbench.results.doubts import judge
from wattbench.results.errors import DocumentError, UsageError, WattbenchError
from wattbench.results.exchange import aiperf, guidellm, inferencex, llama_bench, vllm_bench
from wattbench.results.exchange.foreign import SIZE_MAX_BYTES, Tree, entries
from wattbench.results.exchange.stated import StatedRun
from wattbench.results.imported import ImportedResult, SourceFile, SourceRecord, StatedSystem, StatedWork

__all__ = ["TOOLS", "Imported", "Names", "import_file"]

RUNS_MAX = 1000
"""The most runs that one file may state: a sweep has dozens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool: its name, what tells its objects, the objects of a file that are runs, and how one is read."""

    name: str
    is_its: Callable[[Tree], bool]
    read: Callable[[Tree, str], StatedRun]
    runs: Callable[[Tree], tuple[Tree, ...]] = lambda tree: (tree,)


TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        "aiperf": Tool(name=aiperf.TOOL, is_its=aiperf.is_aiperf, read=aiperf.read_aiperf),
        "guidellm": Tool(
            name=guidellm.TOOL,
            is_its=guidellm.is_guidellm,
            read=guidellm.read_guidellm,
            runs=guidellm.runs_of,
        ),
        "inferencex": Tool(name=inferencex.TOOL, is_its=inferencex.is_inferencex, read=inferencex.read_inferencex),
        "llama-bench": Tool(
            name=llama_bench.TOOL, is_its=llama_bench.is_llama_bench, read=llama_bench.read_llama_bench
        ),
        "vllm": Tool(name=vllm_bench.TOOL, is_its=vllm_bench.is_vllm_bench, read=vllm_bench.read_vllm_bench),
    }
)
"""The tools whose files are read, by the names of `bench import`'s sub-commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the user states of a run that its file may not say; None leaves it to the file."""

    system: str | None = None
    accelerator: str | None = None
    model: str | None = None
    precision: str | None = None
    devices: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One imported run, and what tells it from the others of its file ("" for the only one)."""

    entry: str
    result: ImportedResult


def import_file(tool: str, path: Path, names: Names | None = None, entry: int | None = None) -> tuple[Imported, ...]:
    """Return the runs that a file of a tool states, or only the one of a number counted from 1.

    Raises DocumentError, naming the file, for one that is not this tool's, cannot be read, or states what cannot be;
    UsageError for a number that it does not have.
    """
    data = _file_bytes(path)
    source = SourceFile(path=path.name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    try:
        runs = _runs(TOOLS[tool], entries(data, TOOLS[tool].name))
        chosen = range(len(runs)) if entry is None else (_index(entry, len(runs)),)
        return tuple(_imported(TOOLS[tool], runs, i, source, names or Names()) for i in chosen)
    except WattbenchError as exc:
        raise type(exc)(f"{path}: {exc.what}", exc.why, exc.remedy) from exc


def _runs(tool: Tool, found: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """Return the objects that are runs. Raises DocumentError for a file that another tool wrote, or nobody known."""
    foreign = next((tree for tree in found if not tool.is_its(tree)), None)
    if foreign is not None:
        other = next((name for name, each in TOOLS.items() if each.is_its(foreign)), None)
        why = f"it is a file of {TOOLS[other].name}" if other else f"{foreign.path} has not the fields of one"
        remedy = f"Use: bench import {other}" if other else "docs/interchange.md says which file is meant."
        raise DocumentError(f"This is not a result of {tool.name}", why, remedy)
    runs = tuple(run for tree in found for run in tool.runs(tree))
    if not runs:
        raise DocumentError(f"This file of {tool.name} has no run", "its list of runs is empty", "Run it again.")
    if len(runs) > RUNS_MAX:
        why = f"it states {len(runs)} runs, more than the {RUNS_MAX} that are read at once"
        raise DocumentError(f"This file of {tool.name} is too long", why, "Split it.")
    return runs


def _index(entry: int, count: int) -> int:
    if entry > count:
        raise UsageError(f"There is no run number {entry}", f"the file states {count}", "Leave out --entry for all.")
    return entry - 1


def _imported(tool: Tool, runs: tuple[Tree, ...], index: int, source: SourceFile, names: Names) -> Imported:
    run = tool.read(runs[index], str(index + 1) if len(runs) > 1 else "")
    result = ImportedResult(
        status=run.status,
        harness=harness_record(),
        source=SourceRecord(
            tool=run.tool, format=run.format, version=run.version, session=run.session, files=(source,)
        ),
        system=_system(run.system, names),
        work=_work(run.work, names),
        clock=None,
        window=None,
        official=run.official,
        metrics=run.metrics,
        latencies=run.latencies,
        energy=None,
        power=no_power(run.power_reason),
        doubts=run.doubts,
        verdict=judge(run.doubts, finished=run.status == "complete"),
        started_at=run.started_at,
        duration_s=run.duration_s,
    )
    return Imported(entry=run.entry, result=result)


def _system(system: StatedSystem, names: Names) -> StatedSystem:
    stated = any(name is not None for name in (names.system, names.accelerator, names.devices))
    return replace(
        system,
        name=names.system or system.name,
        accelerator=names.accelerator or system.accelerator,
        accelerators=names.devices if names.devices is not None else system.accelerators,
        basis=f"flags; {system.basis}" if stated else system.basis,
    )


def _work(work: StatedWork, names: Names) -> StatedWork:
    return replace(work, model=names.model or work.model, precision=names.precision or work.precision)


def _file_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file of an acceptable size. Raises DocumentError."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "it is a folder" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
            raise DocumentError(f"{path}: This is not a file to import", what, "Give the tool's JSON file.")
        if status.st_size > SIZE_MAX_BYTES:
            why = f"it has {status.st_size} bytes, more than the {SIZE_MAX_BYTES} that are read"
            raise DocumentError(f"{path}: This file is too large", why, "Export it without its raw requests.")
        return path.read_bytes()
    except (OSError, ValueError) as exc:  # ValueError: a null character in the path
        why = getattr(exc, "strerror", None) or str(exc)
        raise DocumentError(f"{path}: This file cannot be read", why, "Give the tool's JSON file.") from exc
