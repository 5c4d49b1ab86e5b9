"""Programs that are made ahead of time: exported from torch once, in a process of their own, and kept on disk."""

import hashlib
import importlib.util
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wattbench.backends.host import cache_folder
from wattbench.backends.kept import REQUEST, Job, kept_folder, tell_failure
from wattbench.backends.serving import die_with_parent
from wattbench.models.load import ModelSpec
from wattbench.models.seeded import DISTRIBUTION
from wattbench.models.torch_checkpoint import find_checkpoint
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import DeviceError, UsageError, WattbenchError
from wattbench.results.subject import WeightsRecord

__all__ = ["FILE", "Maker", "Program", "ProgramRequest", "build_in", "program_for", "versions_of"]

FILE = "program"
"""The name of a program in its folder; a format that needs an ending adds it."""

RECORD = "program.json"

NEEDED_BYTES = 12
"""The disk space of a build, per parameter: float32 weights, twice while they are written, and once in scratch."""

SOURCES = (
    "wattbench.backends.programs",
    "wattbench.models.configurations",
    "wattbench.models.plain_encoder",
    "wattbench.models.seeded",
    "wattbench.models.tiny",
    "wattbench.models.torch_build",
    "wattbench.models.torch_checkpoint",
    "wattbench.models.torch_plain",
)
"""Our modules that decide what a program is, beside the maker's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRequest:
    """What a program is made of: a model and its weights, its precision and target, and its fixed shape.

    `target` is the name of the device for which it is made. `positions` is the length of a request in tokens.
    """

    model: ModelSpec
    weights: str
    seed: int
    precision: str
    target: str
    requests: int
    positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Who makes programs: the module that is run, its packages, its own sources, the name of its folder, the remedy.

    `makes` is what its SDK calls a program.
    """

    name: str
    makes: str
    module: str
    packages: tuple[str, ...]
    sources: tuple[str, ...]
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program on disk and what is known about it.

    `nodes` are the operations of the program, `delegated` those of them that its delegate took (None: the maker does
    not tell), `left` how many of each operation it did not take. `steps` say in words how the program came to be,
    `build_s` how long that took in seconds; `cached` that it was built earlier.
    """

    path: str
    weights: WeightsRecord
    steps: tuple[str, ...]
    versions: dict[str, str]
    build_s: float
    nodes: int | None = None
    delegated: int | None = None
    left: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    cached: bool = False


def program_for(request: ProgramRequest, maker: Maker) -> Program:
    """Return a program as an earlier build left it, else built now in a process of its own.

    Raises UsageError where the packages that make it are missing; and what `kept_folder` and loading weights raise.
    """
    what = f"the {maker.name} program of {request.model.name} for {request.target}"
    job = Job(
        what=what, module=maker.module, request=request, needed_bytes=NEEDED_BYTES * request.model.parameter_count
    )
    kept = kept_folder(cache_folder() / maker.name, _key(request, maker), job)
    record = decode(json.loads((kept.path / RECORD).read_bytes()), Program)
    return replace(record, path=str(kept.path / record.path), digest=kept.path.name, cached=not kept.built)


def build_in(folder: Path, make: Callable[[ProgramRequest, Path], Program]) -> int:
    """Make in a folder what its request asks for, in a process for it alone, and return that process's exit code.

    The program's record, or what went wrong, is written beside it.
    """
    die_with_parent()
    warnings.simplefilter("ignore")  # of SDKs about their own old calls
    try:
        request = decode(json.loads((folder / REQUEST).read_bytes()), ProgramRequest)
        program = make(request, folder)
    except WattbenchError as exc:
        tell_failure(folder, exc)
        return 1
    (folder / RECORD).write_text(json.dumps(to_builtins(program)))
    return 0


def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _key(request: ProgramRequest, maker: Maker) -> str:
    """Return the digest of everything that a program depends on. Raises UsageError when a package is missing."""
    asked = asdict(replace(request, seed=0, weights=""))
    for said in ("sources", "tolerances", "precisions", "checkpoint"):
        del asked["model"][said]
    drawn = request.weights == "synthetic"
    facts: Mapping[str, object] = {
        "asked": asked,
        "weights": f"seed {request.seed}, {DISTRIBUTION}" if drawn else find_checkpoint(request.weights).digest,
        "versions": _required(maker),
        "source": [_source_digest(module) for module in (maker.module, *maker.sources, *SOURCES)],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _required(maker: Maker) -> dict[str, str]:
    found = versions_of(maker.packages)
    missing = [package for package in maker.packages if package not in found]
    if missing:
        what = f"{maker.name}'s programs cannot be made here"
        raise UsageError(what, f"{' and '.join(missing)} is not installed", maker.remedy)
    return found


def _source_digest(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise DeviceError(f"The module {module} is gone", "it is part of wattbench", "Reinstall wattbench.")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
