"""The ceilings of a device: measured in workers of their own, kept for a day in the user's cache."""

from wattbench.harness.ceilings_cache import keep, recall
from wattbench.harness.ceilings_measure import measure
from wattbench.harness.ceilings_target import Target, target_of
from wattbench.harness.clock import RunClock
from wattbench.harness.plan import Resolved
from wattbench.harness.reporter import Reporter
from wattbench.harness.watts import PowerSession
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.errors import InterruptedRunError, WattbenchError

__all__ = ["ceilings_for", "fresh_ceilings"]


def ceilings_for(resolved: Resolved, power: PowerSession, clock: RunClock, reporter: Reporter) -> CeilingsRecord | None:
    """Return the ceilings of a plan's device; None when the plan asks for none or nothing can measure them.

    They come from the cache unless the plan asks for fresh ones. A failure is told to the reporter and does not end the
    run; an interruption does.
    """
    if resolved.plan.ceilings == "none":
        return None
    try:
        target = target_of(resolved)
        kept = recall(target, power.unavailable_reason) if resolved.plan.ceilings == "auto" else None
        if kept is not None:
            reporter.note(f"ceilings remembered from {kept.measured_at}")
            return kept
        return fresh_ceilings(target, power, clock, reporter)
    except InterruptedRunError:
        raise
    except (WattbenchError, RuntimeError, OSError) as exc:  # RuntimeError: a bug in the worker, not the run's own
        reporter.note(f"no ceilings: {(str(exc).splitlines() or [type(exc).__name__])[0]}")
        return None


def fresh_ceilings(target: Target, power: PowerSession, clock: RunClock, reporter: Reporter) -> CeilingsRecord:
    """Return ceilings that are measured now, and remember them. Raises the errors of `measure`."""
    record = measure(target, power, clock, reporter)
    keep(target, power.unavailable_reason, record)
    reporter.note(f"ceilings measured in {record.duration_s:.0f} s")
    return record
