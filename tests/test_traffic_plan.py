"""The record of a traffic plan refuses what can never be true."""

import math
from typing import Any

import pytest

from wattbench.results.traffic_plan import TrafficPlan


@pytest.mark.parametrize(
    "fields",
    [
        {"rate_per_s": 0.0},
        {"rate_per_s": math.nan},
        {"rate_per_s": math.inf},
        {"rate_per_s": 1.0, "rate_auto": True, "slo": "ttft.p99=1s"},
        {"rate_auto": True},
        {"arrival": "gamma"},
        {"arrival": "poisson", "arrival_shape": 0.5},
        {"arrival": "gamma", "arrival_shape": 0.0},
        {"concurrency": 0},
        {"samples": 0},
        {"sessions": -1},
        {"in_flight_max": 0},
        {"trace_scale": 0.0},
        {"trace_digest": "sha256:0"},
        {"trace_clip_s": (5.0, 5.0)},
        {"trace_clip_s": (-1.0, 5.0)},
    ],
)
def test_refuses(fields: dict[str, Any]) -> None:  # any: each case has its own types
    """A plan that contradicts itself is no plan."""
    with pytest.raises(ValueError, match=r"."):
        TrafficPlan(**fields)


def test_holds_what_was_asked() -> None:
    """Everything is optional: the scenario says what is given."""
    plan = TrafficPlan(arrival="gamma", arrival_shape=0.5, rate_per_s=5.0, slo="ttft.p99=1s")

    assert (5.0, 1.0, None) == (plan.rate_per_s, plan.trace_scale, plan.concurrency)
