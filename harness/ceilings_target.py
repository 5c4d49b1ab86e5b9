"""What to measure for the ceilings of a device: precisions, the shapes of a load's products, threads, power."""

from dataclasses import dataclass

from wattbench.backends.contract import DeviceInfo
from wattbench.harness.knobs import check_knobs
from wattbench.harness.plan import DEFAULT_BACKEND, Resolved, device_of, open_backend
from wattbench.harness.request import RunRequest
from wattbench.harness.watts import PowerSession
from wattbench.models.architecture import Stack
from wattbench.models.configurations import dimensions
from wattbench.models.load import Load
from wattbench.results.errors import UsageError
from wattbench.results.plan import Plan

__all__ = ["CPU", "LOOKS", "Target", "device_target", "powered", "product_precisions", "product_shapes", "target_of"]

CPU = "cpu"
"""What power channels cover of a device that is the processor itself."""

CPU_PRECISIONS = ("float32", "bfloat16", "int8")
ACCELERATOR_PRECISIONS = ("float32", "tf32", "bfloat16", "float16", "float8", "int8")
"""Every precision that an engine may compute in; on a CPU without float16, whose kernels can take minutes there."""

POWER_RATE_HZ = 20.0

WINDOW_S = 0.2
WINDOWS = 7
"""Seven windows of a fifth of a second a look: the whole list takes about 20 s on a small CPU (our choice)."""

LOOKS = 2
"""On a busy virtual machine the best of windows within 2 s differed from that two minutes later by up to a third (95 %
of all pairs), of windows spread over 10 s by 9 to 17 %; a minute is hardly better than that (docs/performance.md).
"""

WEIGHT_ONLY = frozenset({"int4"})
"""Precisions of weights that are widened before they are multiplied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A device through one backend; the first of `precisions` is measured at `shapes` too, the others at a square."""

    backend: str
    device: DeviceInfo
    precisions: tuple[str, ...]
    shapes: tuple[tuple[int, int, int], ...]
    threads: int | None
    affinity: tuple[int, ...] | None
    power: tuple[str, ...]
    window_s: float = WINDOW_S
    windows: int = WINDOWS
    looks: int = LOOKS


def target_of(resolved: Resolved) -> Target:
    """Return what the ceilings of a plan need."""
    plan = resolved.plan
    return Target(
        backend=plan.backend,
        device=resolved.device,
        precisions=product_precisions(resolved.device, plan.precision),
        shapes=product_shapes(resolved.load, plan.batch),
        threads=plan.threads,
        affinity=plan.affinity,
        power=plan.power,
        looks=1 if plan.quick else LOOKS,
    )


def device_target(request: RunRequest) -> Target:
    """Return what a request for ceilings without a load means: the best device of the backend, squares alone.

    Raises UsageError for unknown names, values out of range and contradictions, DeviceError for what cannot be used.
    """
    check_knobs(request)
    threads, affinity = request.threads, request.affinity
    if threads is not None and affinity is not None and threads > len(set(affinity)):
        why = f"{threads} threads would share {len(set(affinity))} processors"
        raise UsageError("--threads contradicts --affinity", why, "Name as many processors as threads.")
    backend = open_backend(request.backend or DEFAULT_BACKEND)
    device = device_of(backend, request.device)
    return Target(
        backend=backend.name,
        device=device,
        precisions=product_precisions(device, device.precision_default),
        shapes=(),
        threads=threads,
        affinity=affinity,
        power=request.power or ("auto",),
    )


def powered(target: Target) -> PowerSession:
    """Return the power side of measuring a target without a run, opened and not started.

    Raises UsageError or SensorError when a sampler cannot be had. The session reads sources and rate from a plan, so it
    is given one that runs nothing.
    """
    plan = Plan(
        load="",
        backend=target.backend,
        device=target.device.name,
        precision=target.precisions[0],
        scenario="offline",
        batch=1,
        weights="",
        seed=0,
        threads=target.threads,
        affinity=target.affinity,
        quick=False,
        window_s=1.0,
        repeats_min=1,
        repeats_max=1,
        warmup_min_s=0.0,
        warmup_max_s=0.0,
        idle_s=0.0,
        jitter_max_s=0.0,
        interval_goal_throughput=0.0,
        interval_goal_energy=0.0,
        power=target.power,
        power_rate_hz=POWER_RATE_HZ,
    )
    return PowerSession.open(plan, target.device.power_covers)


def product_precisions(device: DeviceInfo, precision: str) -> tuple[str, ...]:
    """Return the precisions to measure, that of the load's products first."""
    first = device.precision_default if precision in WEIGHT_ONLY else precision
    return tuple(dict.fromkeys((first, *(CPU_PRECISIONS if device.power_covers == CPU else ACCELERATOR_PRECISIONS))))


def product_shapes(load: Load, batch: int) -> tuple[tuple[int, int, int], ...]:
    """Return the two largest products of a load's prefill as (rows, width in, width out): into the MLP and out of it.

    The rows are the tokens of the whole batch; of a mixture of experts those that one expert gets on average.
    """
    architecture = dimensions(load.model)
    stack = architecture.encoder or architecture.decoder
    if stack is None:
        return ()
    rows = _rows(stack, batch * load.shape.input_tokens)
    return ((rows, stack.hidden, stack.mlp_width), (rows, stack.mlp_width, stack.hidden))


def _rows(stack: Stack, tokens: int) -> int:
    return max(1, tokens * stack.experts_active // stack.experts)
