"""The graph of a load: exported or quantised once, and kept on disk under the digest of all that made it."""

import hashlib
import importlib.util
import json
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wattbench.backends.host import reduces_range
from wattbench.backends.kept import Job, kept_folder
from wattbench.models.load import Load, ModelSpec
from wattbench.models.onnx_model import CacheShape, refuse_unexportable
from wattbench.models.seeded import DISTRIBUTION
from wattbench.models.torch_checkpoint import find_checkpoint
from wattbench.results.codec import decode
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.subject import Family, WeightsRecord

__all__ = ["BASES", "RECORD", "Graph", "GraphRequest", "graph_for"]

BASES: dict[str, str | None] = {
    "float32": None,
    "bfloat16": None,
    "float16": None,
    "int8": "float32",
    "int4": "float32",
}
"""The precisions that a graph can have, and that of the graph which each is made from (None: exported)."""

RECORD = "graph.json"
"""The name of a graph's record in its folder."""

BUILDER = "wattbench.backends.onnxruntime.graph_child"

SOURCES = (
    "wattbench.backends.onnxruntime.graph_child",
    "wattbench.backends.onnxruntime.graph_facts",
    "wattbench.backends.onnxruntime.graph_int8",
    "wattbench.backends.onnxruntime.graph_quantise",
    "wattbench.backends.onnxruntime.graphs",
    "wattbench.models.configurations",
    "wattbench.models.onnx_export",
    "wattbench.models.onnx_layers",
    "wattbench.models.onnx_model",
    "wattbench.models.onnx_modules",
    "wattbench.models.plain_encoder",
    "wattbench.models.seeded",
    "wattbench.models.tiny",
    "wattbench.models.torch_build",
    "wattbench.models.torch_checkpoint",
)
"""Our modules that decide what a graph is; a change in one of them makes other graphs."""

PACKAGES = ("onnx", "onnx-ir", "onnxruntime", "onnxscript", "torch", "transformers")
"""The packages that decide what a graph is."""

NEEDED_BYTES = 10
"""The disk space of a build, per parameter: float32 weights, the head that they share twice, and a copy to quantise."""

REMEDY = "pip install 'wattbench[onnx]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphRequest:
    """What a graph is made of: a model, its weights, a precision, and the graph it is made from (None: exported).

    `reduced_range` gives 8-bit weights seven bits, for processors whose products of 8-bit numbers overflow 16 bits.
    """

    model: ModelSpec
    weights: str
    seed: int
    precision: str
    base: str | None = None
    reduced_range: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph on disk, ready for a session, and what is known about it.

    `path` is the .onnx file; its weights lie beside it. `precision` is that of the weights, `compute_precision` what
    ONNX Runtime's CPU kernels multiply them in. `weight_bytes` is what one decode step or one encoder pass reads of
    the constants: tables of which it reads rows are left out. `kv_bytes_per_token` is what a position takes in the
    cache of one request. `steps` say in words how the graph came to be, `build_s` how long the last of them took in
    seconds; `cached` that it was built earlier, `digest` under which name it is kept.
    """

    path: str
    family: Family
    precision: str
    compute_precision: str
    weights: WeightsRecord
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cache: CacheShape | None
    weight_bytes: int
    kv_bytes_per_token: int | None
    nodes: int
    steps: tuple[str, ...]
    versions: dict[str, str]
    build_s: float
    digest: str = ""
    cached: bool = False


def graph_for(load: Load, *, weights: str, seed: int, precision: str, cache: Path) -> Graph:
    """Return the graph of a load's model in a precision; `cache` is the folder that keeps graphs in its `onnx`.

    `weights` and `seed` are those of a `Preparation`. A graph that is not kept yet is built in a process of its own,
    so that torch's threads never enter this one. Raises UsageError for models and precisions without a graph, or where
    the packages that make it are missing; and what `kept_folder` and loading the weights raise.
    """
    if precision not in BASES:
        what = f"ONNX Runtime has no graph in {precision!r}"
        raise UsageError(what, f"it has {', '.join(BASES)}", "Choose one of them with --precision.")
    refuse_unexportable(load.model)
    request = GraphRequest(model=load.model, weights=weights, seed=seed, precision=precision)
    base = BASES[precision]
    if base is not None:
        source = graph_for(load, weights=weights, seed=seed, precision=base, cache=cache)
        request = replace(request, base=source.path, reduced_range=precision == "int8" and reduces_range())
    what = f"the {precision} graph of {load.model.name}"
    job = Job(what=what, module=BUILDER, request=request, needed_bytes=NEEDED_BYTES * load.model.parameter_count)
    kept = kept_folder(cache / "onnx", _key(request), job)
    record = decode(json.loads((kept.path / RECORD).read_bytes()), Graph)
    return replace(record, path=str(kept.path / record.path), digest=kept.path.name, cached=not kept.built)


def _key(request: GraphRequest) -> str:
    """Return the digest of everything that a graph depends on. Raises UsageError when a package is missing."""
    model = asdict(request.model)
    for said in ("sources", "tolerances", "precisions", "checkpoint"):
        del model[said]
    drawn = request.weights == "synthetic"
    facts = {
        "model": model,
        "weights": f"seed {request.seed}, {DISTRIBUTION}" if drawn else find_checkpoint(request.weights).digest,
        "precision": (request.precision, request.reduced_range),
        "versions": [_version(package) for package in PACKAGES],
        "source": [_source_digest(module) for module in SOURCES],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as exc:
        raise UsageError("ONNX Runtime's graphs cannot be made here", f"{package} is not installed", REMEDY) from exc


def _source_digest(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise DeviceError(f"The module {module} is gone", "it is part of wattbench", "Reinstall wattbench.")
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()
