"""Drawing the schedule of one window from a plan and a seed, before the window starts."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import NONE, Schedule
from wattbench.harness.traffic.arrivals import arrivals_ns, ramp_arrivals_ns
from wattbench.harness.traffic.assembling import Drawn, Limits, alone, assemble
from wattbench.harness.traffic.distributions import fixed, parse_distribution
from wattbench.harness.traffic.ramps import Ramp, parse_ramp
from wattbench.harness.traffic.replaying import replayed
from wattbench.harness.traffic.session_calls import sessions_arriving, sessions_in_places
from wattbench.harness.traffic.sessions import parse_sessions
from wattbench.harness.traffic.streams import checked_count, stream
from wattbench.harness.traffic.trace_file import Trace
from wattbench.models.load import RequestShape
from wattbench.results.errors import UsageError
from wattbench.results.quantities import token_count
from wattbench.results.traffic_plan import TrafficPlan

__all__ = ["SCENARIOS", "Draw", "draw_schedule"]

Integers = NDArray[numpy.int64]
T = TypeVar("T")

SAMPLES = 8
"""Samples of one query of multi-stream (MLPerf Inference, inference_rules.adoc)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What one window's schedule is drawn from.

    `rate_per_s` is that of an open loop. `calls` is how many are drawn where time does not say: all of an offline run,
    and for a closed loop as many as it may need until `window_s` is over, after which it sends none. `give_up_s` is how
    long after that the last answers are waited for. `trace` is what the plan's trace was read to be.
    """

    scenario: str
    traffic: TrafficPlan
    shape: RequestShape
    window_s: float
    rate_per_s: float | None
    calls: int
    give_up_s: float
    seed: int
    trace: Trace | None = None


def draw_schedule(draw: Draw) -> Schedule:
    """Return the schedule of one window.

    Raises UsageError for more calls than can be held, a window that no call falls into, and lengths, ramps, sessions
    or a scenario that are not understood.
    """
    drawer = SCENARIOS.get(draw.scenario)
    if drawer is None:
        raise UsageError(
            f"Unknown scenario {draw.scenario!r}", f"there are {', '.join(SCENARIOS)}", "Name one of them."
        )
    schedule = drawer(draw)
    if not len(schedule):
        why = f"no call is due within its {draw.window_s:g} s"
        raise UsageError("The window is empty", why, "Choose a longer --window, or a higher --rate.")
    return schedule


def _offline(draw: Draw) -> Schedule:
    return assemble(_at_once(draw, draw.calls), _limits(draw, open_loop=True, places=draw.traffic.in_flight_max))


def _single_stream(draw: Draw) -> Schedule:
    return assemble(_at_once(draw, draw.calls), _limits(draw, open_loop=False, places=1))


def _multi_stream(draw: Draw) -> Schedule:
    samples = draw.traffic.samples or SAMPLES
    whole = -(-draw.calls // samples) * samples
    return assemble(_at_once(draw, whole), _limits(draw, open_loop=False, places=samples, query_size=samples))


def _server(draw: Draw) -> Schedule:
    plan = draw.traffic
    arrival, source = plan.arrival or "poisson", stream(draw.seed, "arrivals")
    due = arrivals_ns(arrival, _rate(draw), plan.arrival_shape, draw.window_s, source)
    return assemble(_with_lengths(draw, due), _limits(draw, open_loop=True, places=plan.in_flight_max))


def _concurrency(draw: Draw) -> Schedule:
    places = _given(draw.traffic.concurrency, "--concurrency")
    return assemble(_at_once(draw, max(places, draw.calls)), _limits(draw, open_loop=False, places=places))


def _ramp(draw: Draw) -> Schedule:
    plan = draw.traffic
    ramp = parse_ramp(_given(plan.ramp, "--ramp"))
    if not ramp.rates:
        drawn = _opening_places(draw, ramp)
        return assemble(drawn, _limits(draw, open_loop=False, places=int(ramp.levels[-1])))
    arrival, source = plan.arrival or "poisson", stream(draw.seed, "arrivals")
    due = ramp_arrivals_ns(arrival, ramp, plan.arrival_shape, draw.window_s, source)
    return assemble(_with_lengths(draw, due), _limits(draw, open_loop=True, places=plan.in_flight_max))


def _trace(draw: Draw) -> Schedule:
    plan, trace = draw.traffic, _given(draw.trace, "--trace")
    if plan.trace_digest is not None and plan.trace_digest != trace.digest:
        why = f"the plan's has {plan.trace_digest}, {trace.name} has {trace.digest}"
        raise UsageError("The trace has changed", why, "Name the file that was planned with.")
    drawn = replayed(trace, plan.trace_scale, plan.trace_clip_s, draw.window_s)
    return assemble(drawn, _limits(draw, open_loop=True, places=plan.in_flight_max))


def _agentic(draw: Draw) -> Schedule:
    plan = draw.traffic
    words = [str(plan.sessions)] if plan.sessions is not None else []
    asked = parse_sessions(",".join([*words, *([plan.session] if plan.session else [])]), draw.shape)
    if asked.in_progress is not None:
        drawn = sessions_in_places(asked.shape, asked.in_progress, max(asked.in_progress, draw.calls), draw.seed)
        return assemble(drawn, _limits(draw, open_loop=False, places=asked.in_progress))
    arrival, source = plan.arrival or "poisson", stream(draw.seed, "arrivals")
    due = arrivals_ns(arrival, _rate(draw), plan.arrival_shape, draw.window_s, source)
    drawn = sessions_arriving(asked.shape, due, draw.seed)
    return assemble(drawn, _limits(draw, open_loop=True, places=plan.in_flight_max))


SCENARIOS = {
    "offline": _offline,
    "single-stream": _single_stream,
    "multi-stream": _multi_stream,
    "server": _server,
    "concurrency": _concurrency,
    "ramp": _ramp,
    "trace": _trace,
    "agentic": _agentic,
}
"""How each scenario is drawn; docs/scenarios.md defines them."""


def _limits(draw: Draw, *, open_loop: bool, places: int | None, query_size: int = 1) -> Limits:
    """Return what holds for a schedule: what is due within the window is sent, however late, in an open loop."""
    all_sent = open_loop and draw.scenario in ("server", "ramp", "trace")
    return Limits(
        open_loop=open_loop,
        in_flight_max=places,
        issue_until_ns=None if all_sent else round(draw.window_s * 1e9),
        give_up_ns=round((draw.window_s + draw.give_up_s) * 1e9),
        query_size=query_size,
    )


def _at_once(draw: Draw, calls: int) -> Drawn:
    return _with_lengths(draw, numpy.zeros(checked_count(calls), dtype=numpy.int64))


def _with_lengths(draw: Draw, due_ns: Integers) -> Drawn:
    """Return calls of the load's own lengths, or of drawn ones."""
    columns = []
    for name, text, own in (
        ("input tokens", draw.traffic.input_lengths, draw.shape.input_tokens),
        ("output tokens", draw.traffic.output_lengths, draw.shape.output_tokens),
    ):
        lengths = fixed(own) if text is None else parse_distribution(text, token_count, name)
        if name == "input tokens" and lengths.low < 1:
            raise UsageError("A call has at least one token in", f"got {text!r}", "Draw from 1 or more.")
        columns.append(lengths.draw_whole(len(due_ns), stream(draw.seed, name)))
    return alone(due_ns, *columns)


def _opening_places(draw: Draw, ramp: Ramp) -> Drawn:
    """Return a chain of calls for each place, due when the place opens; a place's calls follow each other."""
    opens = numpy.floor(ramp.opens() * draw.window_s * 1e9).astype(numpy.int64)
    turns = numpy.maximum(1, numpy.ceil(ramp.shares() * draw.calls)).astype(numpy.int64)
    checked_count(int(turns.sum()))
    drawn = _with_lengths(draw, numpy.repeat(opens, turns))
    after = numpy.arange(-1, len(drawn.due_ns) - 1)
    after[numpy.cumsum(turns) - turns] = NONE
    return replace(drawn, after=after)


def _rate(draw: Draw) -> float:
    return _given(draw.rate_per_s if draw.rate_per_s is not None else draw.traffic.rate_per_s, "--rate")


def _given(value: T | None, flag: str) -> T:
    if value is None:
        raise UsageError(f"The scenario needs {flag}", "nothing else says how much", "Give it.")
    return value
