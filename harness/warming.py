"""Warming up until rate, power and temperature stand still, or the cap is reached."""

from collections.abc import Callable
from dataclasses import replace

from wattbench.harness.clock import RunClock
from wattbench.harness.messages import WarmUp
from wattbench.harness.power.steadiness import (
    POWER_TEST,
    SPAN_S,
    TEMPERATURE_TEST,
    power_moves,
    slope_of,
    temperature_moves,
)
from wattbench.harness.reporter import Reporter
from wattbench.harness.temperatures import TemperatureLog
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.measurement import WarmupRecord, Window
from wattbench.results.plan import Plan
from wattbench.results.stats import is_steady
from wattbench.results.traffic_words import crew_lines

__all__ = ["SLICE_S", "told", "warm_up"]

SLICE_S = 5.0
"""How long the worker executes between two looks at the sensors."""

RATE_TEST = "the rate of executions drifts"
CREW_TEST = "the number of processes that send has just changed"


def warm_up(
    worker: WorkerClient, plan: Plan, power: PowerSession, clock: RunClock, covers: str | None, timeout_s: float
) -> WarmupRecord:
    """Return how the warm-up went.

    With a power sensor it ends when the rate's test holds and neither power nor temperature moves more than
    `POWER_TEST` and `TEMPERATURE_TEST` allow, judged over the last 30 s or what there is of it. Without one the
    worker judges by the rate alone.
    """
    if not power.active:
        return worker.ask(WarmUp(min_s=plan.warmup_min_s, max_s=plan.warmup_max_s), WarmupRecord, timeout_s)
    with TemperatureLog(covers, clock.now_ns) as temperatures:
        ask = _asker(worker, plan, timeout_s)
        done = ask(min(SLICE_S, plan.warmup_max_s), False)
        while True:
            spent_s = done.window.duration_s
            moving = _moving(done, power, temperatures)
            ended = spent_s >= plan.warmup_min_s and not moving
            if ended or spent_s >= plan.warmup_max_s:
                return _judged(done, power, temperatures, moving, steady=ended)
            left_s = plan.warmup_max_s - spent_s
            done = _joined(done, ask(min(SLICE_S, left_s), True))


def told(done: WarmupRecord, reporter: Reporter) -> WarmupRecord:
    """Tell how the number of processes that send was changed in a warm-up, and return the warm-up."""
    for line in crew_lines(done.crew):
        reporter.note(f"load generator: {line}")
    return done


def _asker(worker: WorkerClient, plan: Plan, timeout_s: float) -> Callable[[float, bool], WarmupRecord]:
    def ask(slice_s: float, more: bool) -> WarmupRecord:
        command = WarmUp(min_s=plan.warmup_min_s, max_s=plan.warmup_max_s, slice_s=slice_s, more=more)
        return worker.ask(command, WarmupRecord, timeout_s)

    return ask


def _joined(first: WarmupRecord, more: WarmupRecord) -> WarmupRecord:
    window = Window(start_ns=first.window.start_ns, end_ns=more.window.end_ns)
    rates, crew = (*first.rates_per_s, *more.rates_per_s), (*first.crew, *more.crew)
    return replace(first, window=window, rates_per_s=rates, crew=crew)


def _moving(done: WarmupRecord, power: PowerSession, temperatures: TemperatureLog) -> tuple[str, ...]:
    """Return in words everything that still moves."""
    from_ns = max(done.window.start_ns, done.window.end_ns - round(SPAN_S * 1e9))
    last = Window(start_ns=from_ns, end_ns=done.window.end_ns)
    warm = [(at_ns, celsius) for at_ns, celsius in temperatures.points if at_ns >= from_ns]
    found = (
        None if is_steady(done.rates_per_s) else RATE_TEST,
        CREW_TEST if done.crew and done.crew[-1].changes else None,
        power_moves(power.slope(last)),
        temperature_moves(slope_of([t for t, _ in warm], [c for _, c in warm])),
    )
    return tuple(text for text in found if text is not None)


def _judged(
    done: WarmupRecord, power: PowerSession, temperatures: TemperatureLog, moving: tuple[str, ...], *, steady: bool
) -> WarmupRecord:
    tests = [done.test]
    tests += [POWER_TEST] if power.slope(done.window) is not None else []
    tests += [TEMPERATURE_TEST] if temperatures.points else []
    return replace(done, test="; and ".join(tests), steady=steady, moving=moving)
