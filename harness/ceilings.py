"""The ceilings of a device: measured in workers of their own, kept for a day in the user's cache."""

from dataclasses import replace

from wattbench.harness.ceilings_cache import keep, recall
from wattbench.harness.ceilings_measure import first_line, measure
from wattbench.harness.ceilings_target import Target, target_of
from wattbench.harness.clock import RunClock
from wattbench.harness.plan import Resolved
from wattbench.harness.reporter import Reporter
from wattbench.harness.watts import PowerSession
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.errors import InterruptedRunError, WattbenchError
from wattbench.results.metrics import Summary
from wattbench.results.utilisation import over_ceiling

__all__ = ["ceilings_for", "exceeded", "fresh_ceilings"]


def ceilings_for(
    resolved: Resolved,
    power: PowerSession,
    clock: RunClock,
    reporter: Reporter,
    *,
    so_far: CeilingsRecord | None = None,
) -> CeilingsRecord | None:
    """Return the ceilings of a plan's device; None when the plan asks for none or nothing can measure them.

    They come from the cache unless the plan asks for fresh ones, or those `so_far` were exceeded: then the entries of
    one more look follow theirs. A failure is told to the reporter and does not end the run; an interruption does.
    """
    if resolved.plan.ceilings == "none":
        return None
    try:
        target = target_of(resolved)
        kept = recall(target, power.unavailable_reason) if resolved.plan.ceilings == "auto" and so_far is None else None
        if kept is not None:
            reporter.note(f"ceilings remembered from {kept.measured_at}")
            return kept
        return fresh_ceilings(target, power, clock, reporter, so_far)
    except InterruptedRunError:
        raise
    except (WattbenchError, RuntimeError, OSError) as exc:  # RuntimeError: a bug in the worker, not the run's own
        reporter.note(f"no ceilings: {first_line(exc)}")
        return so_far


def exceeded(record: CeilingsRecord | None, summary: Summary | None) -> bool:
    """Return whether a load was faster than its ceilings, as it can be when the machine was slow at their time."""
    return record is not None and summary is not None and bool(over_ceiling(summary))


def fresh_ceilings(
    target: Target, power: PowerSession, clock: RunClock, reporter: Reporter, so_far: CeilingsRecord | None = None
) -> CeilingsRecord:
    """Return ceilings measured now, after those `so_far`, and remember them. Raises the errors of `measure`."""
    if so_far is not None:
        reporter.note("the load was faster than a ceiling: they are measured once more")
    record = measure(target, power, clock, reporter)
    reporter.note(f"ceilings measured in {record.duration_s:.0f} s")
    if so_far is not None:
        record = replace(
            so_far,
            duration_s=round(so_far.duration_s + record.duration_s, 3),
            entries=so_far.entries + record.entries,
            skipped=tuple(dict.fromkeys(so_far.skipped + record.skipped)),
        )
    keep(target, power.unavailable_reason, record)
    return record
