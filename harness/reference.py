"""The float32 reference of the quality gate: computed in a process of its own, kept in the user's cache."""

import hashlib
import json
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy

from wattbench.harness.messages import Reference, ReferenceReply
from wattbench.harness.plan import Resolved
from wattbench.harness.reporter import Reporter
from wattbench.harness.storage import cache_directory
from wattbench.harness.version import harness_record
from wattbench.harness.worker_client import WorkerClient
from wattbench.models.load import Load
from wattbench.results.errors import OutOfMemoryError

__all__ = ["GATE_STEPS", "StoredReference", "gate_prompt_tokens", "reference_for"]

GATE_STEPS = 16
"""Decode steps that are compared: enough to catch a KV cache that goes wrong after the first."""
GATE_PROMPT_TOKENS = 64
REFERENCE_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReference:
    """Reference outputs in a file (.npz: values, forced_tokens), and the digest of the weights that gave them."""

    path: Path
    weights_digest: str


def gate_prompt_tokens(load: Load) -> int:
    """Return how many prompt tokens the gate uses for a load."""
    return min(load.shape.input_tokens, GATE_PROMPT_TOKENS)


def reference_for(resolved: Resolved, reporter: Reporter) -> StoredReference | None:
    """Return the reference for a plan, from the cache when the same code and weights computed it before.

    None when there can be none: the device computes nothing (a mock), PyTorch is not installed, or the float32 model
    does not fit in the host's memory. The last two are told to the reporter; a missing gate becomes a doubt.
    """
    plan, load = resolved.plan, resolved.load
    if not resolved.device.computes:
        return None
    if not _torch_installed():
        reporter.note("no quality gate: the float32 reference needs PyTorch (pip install 'wattbench[torch]')")
        return None
    path = _folder(reporter) / f"{_key(resolved)}.npz"
    if plan.weights == "synthetic" and (kept := _kept(path)) is not None:
        return kept
    command = Reference(
        load=plan.load,
        weights=plan.weights,
        seed=plan.seed,
        steps=min(load.shape.output_tokens, GATE_STEPS),
        prompt_tokens=gate_prompt_tokens(load),
        path=str(path),
    )
    return _compute(command, reporter)


def _compute(command: Reference, reporter: Reporter) -> StoredReference | None:
    try:
        with WorkerClient() as worker:
            reply = worker.ask(command, ReferenceReply, REFERENCE_TIMEOUT_S)
    except OutOfMemoryError as exc:
        reporter.note(f"no quality gate: {exc.what}: {exc.why}")
        return None
    return StoredReference(path=Path(command.path), weights_digest=reply.weights_digest)


def _folder(reporter: Reporter) -> Path:
    """Return the cache's folder for references, or a temporary one when the cache cannot be written."""
    folder = cache_directory() / "references"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as exc:
        reporter.note(f"the cache {folder} cannot be used ({exc.strerror}); the reference is not kept")
        return Path(tempfile.mkdtemp(prefix="wattbench-reference-"))


def _kept(path: Path) -> StoredReference | None:
    """Return a reference that lies in the cache whole, or None; what cannot be read is computed again."""
    try:
        with path.open("rb") as file, numpy.load(file) as stored:  # numpy leaves a file open that it cannot read
            if stored["values"].size == 0:
                return None
            return StoredReference(path=path, weights_digest=str(stored["weights_digest"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _key(resolved: Resolved) -> str:
    """Return a digest of everything that the reference depends on."""
    plan = resolved.plan
    facts = [resolved.load.digest, plan.weights, plan.seed, GATE_STEPS, GATE_PROMPT_TOKENS]
    facts += [harness_record().source_sha256, _version("torch"), _version("transformers")]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _torch_installed() -> bool:
    return _version("torch") is not None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
