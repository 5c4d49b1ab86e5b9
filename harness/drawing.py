"""Drawing the schedule of one window from a plan and a seed, before the window starts."""

import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE, Schedule
from wattbench.models.load import RequestShape
from wattbench.results.errors import UsageError
from wattbench.results.plan import Scenario
from wattbench.results.traffic_plan import TrafficPlan

__all__ = ["Draw", "draw_schedule"]

Integers = NDArray[numpy.int64]

CALLS_MAX = 2_000_000
"""More calls than this in one window are refused: their prompts alone would take gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one window's schedule is drawn from.

    `rate_per_s` is that of an open loop. `calls` is how many a closed loop may need until `window_s` is over, after
    which it sends none; `give_up_s` is how long after that the last answers are waited for.
    """

    scenario: Scenario
    traffic: TrafficPlan
    shape: RequestShape
    window_s: float
    rate_per_s: float | None
    calls: int
    give_up_s: float
    seed: int


def draw_schedule(draw: Draw) -> Schedule:
    """Return the schedule of one window. Raises UsageError for more calls than can be held."""
    traffic = draw.traffic
    until_ns = round(draw.window_s * 1e9)
    if draw.scenario == "server":
        due = _arrivals(draw)
        return _schedule(draw, due, open_loop=True, in_flight_max=traffic.in_flight_max, until_ns=None)
    if draw.scenario in ("offline", "single-stream", "concurrency"):
        due = numpy.zeros(_checked(draw.calls), dtype=numpy.int64)
        limit = 1 if draw.scenario == "single-stream" else traffic.concurrency or traffic.in_flight_max
        return _schedule(draw, due, open_loop=False, in_flight_max=limit, until_ns=until_ns)
    raise UsageError(f"--scenario {draw.scenario} cannot be drawn yet", "its schedule is not written", "Use another.")


def _arrivals(draw: Draw) -> Integers:
    """Return when the calls of an open loop are due, in ns from the window's start, all within the window."""
    rate, traffic = draw.rate_per_s, draw.traffic
    assert rate is not None, "an open loop has a rate"
    count = _checked(math.ceil(draw.window_s * rate + 10 * math.sqrt(draw.window_s * rate) + 10))
    generator = numpy.random.Generator(numpy.random.PCG64(draw.seed))
    if traffic.arrival == "constant":
        gaps = numpy.full(count, 1 / rate)
    else:
        shape = traffic.arrival_shape or 1.0  # gamma of shape 1 is the exponential of a Poisson process
        gaps = generator.gamma(shape, 1 / (shape * rate), count)
    at_s = numpy.cumsum(gaps) - (gaps[0] if traffic.arrival == "constant" else 0.0)
    due: Integers = numpy.rint(at_s[at_s < draw.window_s] * 1e9).astype(numpy.int64)
    return due if len(due) else numpy.zeros(1, dtype=numpy.int64)


def _schedule(
    draw: Draw, due: Integers, *, open_loop: bool, in_flight_max: int | None, until_ns: int | None
) -> Schedule:
    count, none = len(due), numpy.full(len(due), NONE, dtype=numpy.int64)
    return Schedule(
        due_ns=due,
        after=none,
        pause_ns=numpy.zeros(count, dtype=numpy.int64),
        input_tokens=numpy.full(count, draw.shape.input_tokens, dtype=numpy.int64),
        output_tokens=numpy.full(count, draw.shape.output_tokens, dtype=numpy.int64),
        session=none,
        prefix_group=none,
        prefix_tokens=numpy.zeros(count, dtype=numpy.int64),
        open_loop=open_loop,
        in_flight_max=in_flight_max,
        issue_until_ns=until_ns,
        give_up_ns=round((draw.window_s + draw.give_up_s) * 1e9),
    )


def _checked(calls: int) -> int:
    if calls > CALLS_MAX:
        why = f"{calls} calls in one window, at most {CALLS_MAX} can be held"
        raise UsageError("The schedule is too long", why, "Choose a shorter --window or a lower --rate.")
    return calls
