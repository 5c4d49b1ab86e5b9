"""What the worker does with a backend that serves traffic: warm up on the plan's own, serve measured windows."""

import contextlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy

from wattbench.backends.traffic import Schedule, Served
from wattbench.harness.messages import Measured, Serve, WarmUp
from wattbench.harness.served_columns import completions_of, traffic_of
from wattbench.harness.traffic.crew_size import CrewSize
from wattbench.harness.traffic.drawing import Draw, draw_schedule
from wattbench.harness.traffic.ramps import Ramp, parse_ramp
from wattbench.harness.traffic.trace_file import Trace, read_trace
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError
from wattbench.results.measurement import WarmupRecord, Window
from wattbench.results.plan import Scenario
from wattbench.results.stats import STEADY_TEST, is_steady, median
from wattbench.results.traffic import CrewStep
from wattbench.results.traffic_plan import TrafficPlan

__all__ = ["SPEED_TEST", "TrafficEngine"]

STAMPS_MAX = 10_000_000
"""Stamps of one window: ten windows of so many take some 4 GB of memory here, and as much to read them again."""

EXPECTED_FACTOR = 1.2
"""A window that warm-up expects to pass that limit by so much is not begun."""

PARTS = 8
"""Speeds that one stretch of warm-up gives: the steadiness test asks for six."""

SPARE = 2.0
"""A closed loop's schedule holds so many times what the warm-up's rate says that it needs."""

STRETCH_S = 2.0
"""The shortest stretch of warm-up, but for the end of its time."""

FIRST_CALLS = 4
"""Calls for each place of a closed loop whose rate is not known yet."""

SPEED_TEST = f"{STEADY_TEST}; a rate here is 1 / the median latency of an eighth of a stretch's requests"

WARM_UP_SEED, LEAD_SEED = 1_000_003, 2_000_003
"""Apart from the seeds of measured windows, which count up from the plan's."""


class TrafficEngine:
    """Draws a schedule for each stretch of time and has it served; what serves is given as a function."""

    def __init__(
        self,
        serve: Callable[[Schedule], Served],
        load: Load,
        scenario: Scenario,
        traffic: TrafficPlan,
        *,
        give_up_s: float,
        origin_ns: int,
        crew: CrewSize | None = None,
    ) -> None:
        self._serve = serve
        self._crew = crew
        self._load = load
        self._scenario: Scenario = scenario
        self._traffic = traffic
        self._give_up_s = give_up_s
        self._origin_ns = origin_ns
        self._calls_per_s = self._stamps_per_s = 0.0
        self._drawn = 0
        self._opening = _opening(traffic)
        self._trace: Trace | None = read_trace(Path(traffic.trace)) if traffic.trace is not None else None

    def warm_up(self, command: WarmUp, seed: int) -> WarmupRecord:
        """Serve the plan's traffic until requests are served at a steady speed or the cap is reached.

        A rate that is searched is not known yet: the traffic is then a closed loop of one request.
        """
        start = time.perf_counter_ns()
        end_s = command.max_s if command.slice_s is None else min(command.slice_s, command.max_s)
        speeds: list[float] = []
        crew: list[CrewStep] = []
        slowest_s, spent_s = 0.0, 0.0
        while True:
            stretch_s = max(min(STRETCH_S, end_s), min(command.min_s, end_s) - spent_s)
            schedule = self._schedule(stretch_s, self._traffic.rate_per_s, seed + WARM_UP_SEED + self._next())
            served = self._served_by_crew(schedule, crew)
            self._learn(served)
            latencies = _latencies_s(served)
            speeds = [*(() if any(step.changes for step in crew[-2:-1]) else speeds), *_speeds(latencies)]
            slowest_s = max([slowest_s, *latencies])
            spent_s = (time.perf_counter_ns() - start) / 1e9
            settled = not (crew and crew[-1].changes)
            steady = settled and spent_s >= command.min_s and is_steady(speeds)
            if spent_s >= end_s or (steady and command.slice_s is None):
                return WarmupRecord(
                    window=self._window(start, time.perf_counter_ns()),
                    rates_per_s=tuple(speeds),
                    test=SPEED_TEST,
                    steady=steady,
                    execution_s=slowest_s or None,
                    crew=tuple(crew),
                )

    def _served_by_crew(self, schedule: Schedule, steps: list[CrewStep]) -> Served:
        """Return what was served of a stretch of warm-up; add a step where the number of processes is to be found."""
        if self._crew is None:
            return self._serve(schedule)
        served, step = self._crew.served(self._serve, schedule)
        steps.append(step)
        return served

    def measure(self, command: Serve) -> Measured:
        """Serve one measured window, whole: it begins with its first request and ends with the last answer."""
        time.sleep(command.jitter_s)
        if not self._traffic.rate_auto:  # whose warm-up says nothing of the rate
            expected = round(self._stamps_per_s * command.window_s)
            _refuse_too_much(expected, EXPECTED_FACTOR * STAMPS_MAX, "at the speed of the warm-up it would bring")
        self._lead(command.lead_in_s, command)
        schedule = self._schedule(command.window_s, command.rate_per_s, command.seed)
        cpu_ns = time.process_time_ns()
        served = self._serve(schedule)
        cpu_ns = time.process_time_ns() - cpu_ns
        _refuse_too_much(_stamps(served), STAMPS_MAX, "it brought")
        with contextlib.suppress(DeviceError):  # a server that is gone by now takes no row of the window with it
            self._lead(command.lead_out_s, command)
        return Measured(
            window=self._window(served.window_start_ns, served.window_end_ns),
            completions=completions_of(served, schedule, self._origin_ns),
            worker_cpu_s=max(cpu_ns / 1e9, served.health.cpu_s),
            outside_share=0.0,
            memory_peak_bytes=None,
            traffic=traffic_of(served, schedule, self._origin_ns, seed=command.seed, rate_per_s=command.rate_per_s),
        )

    def _lead(self, seconds: float, command: Serve) -> None:
        """Let the traffic run without measuring it, so that what stands before and after a window is no idle server."""
        if seconds > 0:
            self._serve(self._schedule(seconds, command.rate_per_s, command.seed + LEAD_SEED + self._next()))

    def _schedule(self, seconds: float, rate_per_s: float | None, seed: int) -> Schedule:
        traffic = self._traffic
        places = traffic.concurrency or traffic.sessions or traffic.samples or traffic.in_flight_max or 1
        scenario: Scenario = self._scenario
        if (scenario == "server" and rate_per_s is None) or (self._opening is not None and not self._calls_per_s):
            # a rate that is still to be found, or how long a call takes, without which a ramp's places run out of calls
            scenario = "single-stream"
        return draw_schedule(
            Draw(
                scenario=scenario,
                traffic=self._traffic,
                shape=self._load.shape,
                window_s=seconds,
                rate_per_s=rate_per_s,
                calls=max(FIRST_CALLS * places, math.ceil(SPARE * self._calls_per_s * seconds) + places),
                give_up_s=self._give_up_s,
                seed=seed,
                trace=self._trace,
            )
        )

    def _learn(self, served: Served) -> None:
        span_s = (served.window_end_ns - served.window_start_ns) / 1e9
        if self._opening is None:
            self._calls_per_s = max(self._calls_per_s, len(served) / max(span_s, 1e-3))
        else:  # by the time that calls took: a place that ran out of them stood still
            busy_s = float((served.end_ns - served.start_ns).sum()) / 1e9
            self._calls_per_s = self._opening.mean_places * len(served) / max(busy_s, 1e-3)
        self._stamps_per_s = _stamps(served) / max(span_s, 1e-3)

    def _next(self) -> int:
        self._drawn += 1
        return self._drawn

    def _window(self, start_ns: int, end_ns: int) -> Window:
        return Window(start_ns=start_ns - self._origin_ns, end_ns=end_ns - self._origin_ns)


def _opening(traffic: TrafficPlan) -> Ramp | None:
    """Return the ramp whose places open within the window; None where there is none, or one of rates."""
    ramp = parse_ramp(traffic.ramp) if traffic.ramp is not None else None
    return None if ramp is None or ramp.rates else ramp


def _stamps(served: Served) -> int:
    return sum(map(len, served.token_ns))


def _refuse_too_much(stamps: int, limit: float, brings: str) -> None:
    """Raise DeviceError for a window with more token stamps than a result can hold."""
    if stamps > limit:
        why = f"{brings} {stamps:,} pieces of output with a time of their own, a result holds {STAMPS_MAX:,} a window"
        raise DeviceError("One window is too much for a result", why, "Choose a shorter --window, or --no-stream.")


def _latencies_s(served: Served) -> list[float]:
    """Return the latencies of the calls that succeeded, in the order of their ends."""
    good = numpy.array([error is None for error in served.error], dtype=bool)
    order = numpy.argsort(served.end_ns[good], kind="stable")
    spans = (served.end_ns - served.start_ns)[good][order]
    return [float(span) for span in spans / 1e9]


def _speeds(latencies_s: list[float]) -> list[float]:
    """Return 1 / median latency for each eighth of the requests; all of them where there are fewer."""
    parts = numpy.array_split(numpy.array(latencies_s), min(PARTS, len(latencies_s)) or 1)
    return [1 / max(1e-9, median([float(x) for x in part])) for part in parts if len(part)]
