"""The worker's commands that follow from a plan."""

from wattbench.harness.messages import Gate, Measure, Prepare, Serve
from wattbench.harness.reference import StoredReference, gate_prompt_tokens
from wattbench.models.load import Load
from wattbench.results.measurement import WarmupRecord
from wattbench.results.plan import Plan

__all__ = ["PREPARE_TIMEOUT_S", "answer_wait_s", "gate_command", "prepare_command", "window_command"]

PREPARE_TIMEOUT_S = 3600.0
"""How long building, compiling or loading may take before the worker counts as hung."""

ANSWER_SLACK_S = 120.0


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


def window_command(
    plan: Plan, index: int, *, pause_s: float, lead_s: float, rate_per_s: float | None
) -> Measure | Serve:
    """Return the command that measures one window; each window of traffic has a seed of its own."""
    if plan.traffic is None:
        return Measure(window_s=plan.window_s, jitter_s=pause_s, lead_in_s=lead_s, lead_out_s=lead_s)
    return Serve(
        window_s=plan.window_s,
        jitter_s=pause_s,
        lead_in_s=lead_s,
        lead_out_s=lead_s,
        seed=plan.seed + index,
        rate_per_s=rate_per_s,
    )


def answer_wait_s(plan: Plan, warmup: WarmupRecord | None, seconds: float) -> float:
    """Return how long to wait for a command that should take `seconds` and some whole executions or time-outs."""
    execution_s = warmup.execution_s if warmup else None
    timeout_s = plan.endpoint.timeout_s if plan.endpoint else 0.0
    return 3 * (seconds + timeout_s) + 10 * (execution_s or 0.0) + ANSWER_SLACK_S


def gate_command(load: Load, reference: StoredReference | None) -> Gate:
    """Return the command that compares a prepared engine with the reference (None: there is none)."""
    return Gate(
        path=str(reference.path) if reference else None,
        prompt_tokens=gate_prompt_tokens(load),
        reference_weights_digest=reference.weights_digest if reference else None,
    )
