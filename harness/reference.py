"""The float32 reference of the quality gate: computed in a process of its own, kept in the user's cache."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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
    path = cache_directory() / "references" / f"{_key(resolved)}.npz"
    digest = path.with_suffix(".weights")
    if plan.weights == "synthetic" and path.exists() and digest.exists():
        return StoredReference(path=path, weights_digest=digest.read_text().strip())
    command = Reference(
        load=plan.load,
        weights=plan.weights,
        seed=plan.seed,
        steps=min(load.shape.output_tokens, GATE_STEPS),
        prompt_tokens=gate_prompt_tokens(load),
        path=str(path),
    )
    return _compute(command, digest, reporter)


def _compute(command: Reference, digest: Path, reporter: Reporter) -> StoredReference | None:
    try:
        with WorkerClient() as worker:
            reply = worker.ask(command, ReferenceReply, REFERENCE_TIMEOUT_S)
    except OutOfMemoryError as exc:
        reporter.note(f"no quality gate: {exc.what}: {exc.why}")
        return None
    digest.write_text(reply.weights_digest)
    return StoredReference(path=Path(command.path), weights_digest=reply.weights_digest)


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
