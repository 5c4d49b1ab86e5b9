"""A plain case of costs for tests: a machine with measured watts at its plug, owned, and what it costs."""

from dataclasses import replace
from typing import Any

from wattbench.results.economics.inputs import CostInputs, parse_inputs
from wattbench.results.economics.measured import LatencyQuantile, Measured, MeasuredPower, Quantity

OWNED = {
    "hardware.price_usd": 300_000.0,
    "hardware.residual_usd": 0.0,
    "hardware.life_years": 4.0,
    "hardware.interest_rate": 0.0,
    "power.usd_per_kwh": 0.10,
    "power.pue": 1.2,
    "use.utilisation": 0.5,
}
CAPITAL_H = 300_000 / 4 / 8760
RENTED = {"cloud.usd_per_h": 3.6, "use.utilisation": 0.5}


def make_measured(**overrides: Any) -> Measured:  # any: values of any field
    """Return 10 queries/s of 500 tokens in and 100 out, a quarter of the time prefill, 6 kW at work, 2 kW at rest."""
    wall = MeasuredPower(
        scope="wall", boundary="the machine's plug", active=Quantity(value=6000.0, u_rel=0.01), idle_w=2000.0
    )
    measured = Measured(
        result_id="sha256:" + "0" * 64,
        load="some/load",
        precision="bfloat16",
        device="a board",
        queries_per_s=Quantity(value=10.0, u_rel=0.02),
        input_tokens=500.0,
        output_tokens=100.0,
        prefill_share=0.25,
        success_share=1.0,
        powers=(wall,),
        no_power_reason=None,
        warnings=(),
        load_digest="sha256:" + "1" * 64,
        latencies=(
            LatencyQuantile(name="latency.request", q=0.5, value_s=1.0),
            LatencyQuantile(name="latency.request", q=0.9, value_s=1.5),
            LatencyQuantile(name="latency.request", q=0.99, value_s=2.0),
            LatencyQuantile(name="latency.ttft", q=0.99, value_s=0.3),
        ),
    )
    return replace(measured, **overrides)


def make_inputs(**changes: float | None) -> CostInputs:
    """Return the owned machine's inputs with changes: `power__pue=1.5` sets power.pue, None takes a value away."""
    return _given(OWNED, changes)


def make_rented(**changes: float | None) -> CostInputs:
    """Return a rented machine's inputs with changes."""
    return _given(RENTED, changes)


def _given(base: dict[str, float], changes: dict[str, float | None]) -> CostInputs:
    merged = {**base, **{name.replace("__", "."): value for name, value in changes.items()}}
    return parse_inputs(None, {path: value for path, value in merged.items() if value is not None})
