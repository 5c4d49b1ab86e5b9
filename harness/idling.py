"""The idle windows of a run: what is measured in them, how long they last, and which states there are."""

from wattbench.harness.clock import RunClock
from wattbench.harness.messages import ContextReply, OpenContext
from wattbench.harness.plan import Resolved
from wattbench.harness.surroundings import Surroundings
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.measurement import IdleRecord, Window
from wattbench.results.plan import Plan

__all__ = ["CONTEXT_TIMEOUT_S", "idle_length_s", "idle_window", "opened_context"]

SENSORLESS_IDLE_S = 2.0
"""Without a sensor an idle window only tells how busy the machine is; two seconds are enough for that."""

CONTEXT_TIMEOUT_S = 600.0


def idle_length_s(plan: Plan, power: PowerSession) -> float:
    """Return how long an idle window lasts, in seconds; 0: there is none."""
    return plan.idle_s if power.active else min(plan.idle_s, SENSORLESS_IDLE_S)


def idle_window(
    state: str, seconds: float, power: PowerSession, surroundings: Surroundings, clock: RunClock
) -> IdleRecord:
    """Wait until no sensor still shows a load, and then record an idle window."""
    power.wait(power.settle_before_idle_s)
    before = surroundings.moment()
    start_ns = clock.now_ns()
    power.wait(seconds)
    window = Window(start_ns=start_ns, end_ns=clock.now_ns())
    after = surroundings.moment()
    power.wait(power.lag_s)
    energy = power.energies(window, None)
    return IdleRecord(state=state, window=window, energy=energy, cpu_busy_share=after.cpu_since(before).busy_share)


def opened_context(worker: WorkerClient, resolved: Resolved) -> ContextReply:
    """Let the worker create the backend's context on the device, without a model; it stays for the run.

    Where several devices share a load there is none: each rank's context comes with its process and its part.
    """
    if len(set(resolved.plan.devices)) > 1:
        return ContextReply(created=None, reason="each rank opens its own together with its part of the model")
    command = OpenContext(backend=resolved.plan.backend, device=resolved.plan.device)
    return worker.ask(command, ContextReply, CONTEXT_TIMEOUT_S)
