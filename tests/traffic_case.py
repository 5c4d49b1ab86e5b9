"""What tests of traffic share: a shape of requests, and drawing a schedule in one line."""

from typing import Any

from wattbench.backends.traffic import Schedule
from wattbench.harness.traffic.drawing import Draw, draw_schedule
from wattbench.harness.traffic.trace_file import Trace
from wattbench.models.load import RequestShape
from wattbench.results.traffic_plan import TrafficPlan

SHAPE = RequestShape(
    name="short",
    version=1,
    input_tokens=100,
    output_tokens=10,
    turns=1,
    turn_input_tokens=0,
    families=("decoder",),
    sources=(),
)


def drawn(
    scenario: str,
    *,
    rate: float | None = None,
    calls: int = 64,
    seed: int = 1,
    window_s: float = 10.0,
    trace: Trace | None = None,
    planned: tuple[str, str] | None = None,
    shape: RequestShape = SHAPE,
    **plan: Any,  # any: fields of a plan have their own types
) -> Schedule:
    """Return the schedule of a scenario with these fields of a plan; `planned` names its trace and its digest."""
    if planned is not None:
        plan |= {"trace": planned[0], "trace_digest": planned[1]}
    return draw_schedule(
        Draw(
            scenario=scenario,
            traffic=TrafficPlan(**plan),
            shape=shape,
            window_s=window_s,
            rate_per_s=rate,
            calls=calls,
            give_up_s=5.0,
            seed=seed,
            trace=trace,
        )
    )
