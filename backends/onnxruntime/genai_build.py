"""The folder that ONNX Runtime GenAI runs: built by its model builder once, kept under the digest of what made it."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wattbench import models
from wattbench.backends.kept import Job, kept_folder
from wattbench.backends.onnxruntime.installed import version_facts
from wattbench.models.load import ModelSpec
from wattbench.models.seeded import DISTRIBUTION
from wattbench.models.torch_checkpoint import find_checkpoint
from wattbench.results.codec import decode
from wattbench.results.errors import OutOfMemoryError
from wattbench.results.subject import WeightsRecord

__all__ = [
    "FOLDER",
    "RECORD",
    "BuildRequest",
    "GenaiGraph",
    "folder_key",
    "genai_graph",
    "installed_versions",
    "refuse_if_too_big",
]

FOLDER = "genai"
"""The folder within the cache that keeps these graphs."""

RECORD = "wattbench.json"
"""The name of a graph's record, beside the files that the generator reads."""

BUILDER = "wattbench.backends.onnxruntime.genai_child"

PACKAGES = ("onnx-ir", "onnxruntime-genai-cuda", "torch", "transformers")
"""What a folder's content depends on besides ONNX Runtime's own packages; another version means another folder."""

FLOAT_BYTES, QUANTISED_BYTES = 7, 14
"""Bytes of memory that the builder took at its peak for each parameter: 6.8 and 13.8, seen with onnxruntime-genai
0.18.0 and qwen3-0.6b. It quantises a copy of the graph that it made in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to build: a model's weights in a precision for a provider, both by the builder's names, with its options."""

    model: ModelSpec
    weights: str
    seed: int
    precision: str
    provider: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenaiGraph:
    """A folder that the generator can open, and what its builder found out about it.

    `weight_bytes` is what one decode step reads, `kv_bytes_per_token` what a position takes in the cache. `nodes` says
    how many nodes of each operator each provider ran in a trial.
    """

    path: str
    weights: WeightsRecord
    weight_bytes: int
    kv_bytes_per_token: int
    nodes: dict[str, dict[str, int]]
    versions: dict[str, str]


def genai_graph(request: BuildRequest, cache: Path) -> GenaiGraph:
    """Return the folder of a request, from an earlier build where that is whole, else built now.

    The builder handles the weights in float32 twice: as it reads them, and as it writes them where it quantises none.
    Raises what loading the weights and what `kept_folder` raises.
    """
    job = Job(
        what=f"the {request.precision} graph of {request.model.name} for GenAI",
        module=BUILDER,
        request=request,
        needed_bytes=8 * request.model.parameter_count,
    )
    kept = kept_folder(cache / FOLDER, folder_key(request), job)
    return decode(json.loads((kept.path / RECORD).read_bytes()) | {"path": str(kept.path)}, GenaiGraph)


def folder_key(request: BuildRequest) -> str:
    """Return the digest of everything that a folder's content depends on."""
    model = asdict(request.model)
    for said in ("sources", "tolerances", "precisions", "checkpoint"):
        del model[said]
    drawn = request.weights == "synthetic"
    facts = {
        "model": model,
        "weights": f"seed {request.seed}, {DISTRIBUTION}" if drawn else find_checkpoint(request.weights).digest,
        "build": (request.precision, request.provider, request.options),
        "versions": installed_versions(),
        "source": [hashlib.sha256(path.read_bytes()).hexdigest() for path in _sources()],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def installed_versions() -> dict[str, str]:
    """Return the versions of everything that a folder's content depends on."""
    found = version_facts()
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def refuse_if_too_big(request: BuildRequest, free_bytes: int) -> None:
    """Raise OutOfMemoryError with both figures where building would take more than the free memory."""
    quantised = request.precision.startswith("int")
    needed = (QUANTISED_BYTES if quantised else FLOAT_BYTES) * request.model.parameter_count
    if needed > free_bytes:
        why = f"that takes about {needed / 1e9:.1f} GB, and {free_bytes / 1e9:.1f} GB are free"
        remedy = "Free memory, or choose another --tuning."
        raise OutOfMemoryError(f"GenAI's graph of {request.model.name} cannot be built here", why, remedy)


def _sources() -> list[Path]:
    """Return the files of ours that decide what is built."""
    room = Path(models.__path__[0])
    parts = [room / f"{name}.py" for name in ("seeded", "torch_build", "torch_checkpoint")]
    return [
        Path(__file__),
        *(Path(__file__).with_name(f"{name}.py") for name in ("genai_child", "graph_facts")),
        *parts,
    ]
