"""The worker's commands that follow from a plan."""

from wattbench.harness.messages import Gate, Prepare
from wattbench.harness.reference import StoredReference, gate_prompt_tokens
from wattbench.models.load import Load
from wattbench.results.plan import Plan

__all__ = ["PREPARE_TIMEOUT_S", "gate_command", "prepare_command"]

PREPARE_TIMEOUT_S = 3600.0
"""How long building, compiling or loading may take before the worker counts as hung."""


def prepare_command(plan: Plan, origin_ns: int) -> Prepare:
    """Return the command that makes a worker ready for a plan; its times count from `origin_ns`."""
    return Prepare(
        load=plan.load,
        backend=plan.backend,
        weights=plan.weights,
        seed=plan.seed,
        precision=plan.precision,
        device=plan.device,
        batch=plan.batch,
        threads=plan.threads,
        affinity=plan.affinity,
        origin_ns=origin_ns,
        tuning=plan.tuning,
        allow_fallback=plan.allow_fallback,
        slots=plan.slots,
        devices=plan.devices,
        scenario=plan.scenario,
        traffic=plan.traffic,
        endpoint=plan.endpoint,
    )


def gate_command(load: Load, reference: StoredReference | None) -> Gate:
    """Return the command that compares a prepared engine with the reference (None: there is none)."""
    return Gate(
        path=str(reference.path) if reference else None,
        prompt_tokens=gate_prompt_tokens(load),
        reference_weights_digest=reference.weights_digest if reference else None,
    )
