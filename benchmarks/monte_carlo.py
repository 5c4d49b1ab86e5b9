"""Time the Monte Carlo of a fleet's cost, beside the same draws one by one: alternated runs, medians, ratio.

Run: python benchmarks/monte_carlo.py [--samples 10000] [--alone 200] [--rounds 7]
Goal: 10,000 samples of a fleet of about 120 machines in less than 1 s.
"""

import argparse
import statistics
import time

import numpy

from wattbench.results.economics.inputs import CostInputs, parse_inputs
from wattbench.results.economics.measured import Measured, MeasuredPower, Quantity
from wattbench.results.economics.sampling import draw
from wattbench.results.economics.sensitivity import sensitivity_of
from wattbench.results.economics.sizing import fleet_plan, load_of

CASE = """
hardware: {residual_usd: 0, life_years: 4, interest_rate: 0.05}
power: {usd_per_kwh: 0.1}
workload: {queries_per_user_day: 20, peak_share: 0.1}
slo: {wait_s: 0.5, late_share: 0.05, spares: 2}
priors:
  hardware.price_usd: [200000, 300000, 400000]
  power.pue: [1.1, 1.2, 1.4]
  workload.users: [1000000, 2000000, 3000000]
"""


def machine() -> Measured:
    """Return a machine of 10 queries/s with watts at its plug; the numbers are the case's, nothing was measured."""
    wall = MeasuredPower(scope="wall", boundary="plug", active=Quantity(value=6000.0, u_rel=0.01), idle_w=2000.0)
    return Measured(
        result_id="none",
        load="a case",
        precision="none",
        device="a case",
        queries_per_s=Quantity(value=10.0, u_rel=0.02),
        input_tokens=500.0,
        output_tokens=100.0,
        prefill_share=0.25,
        success_share=1.0,
        powers=(wall,),
        no_power_reason=None,
        warnings=(),
    )


def together_s(measured: Measured, inputs: CostInputs, samples: int) -> float:
    """Return how long the whole sensitivity takes (draws, fleet, quantiles, tornado), in seconds."""
    start = time.perf_counter()
    sensitivity_of(measured, inputs, samples=samples, seed=0)
    return time.perf_counter() - start


def alone_s(measured: Measured, inputs: CostInputs, samples: int) -> float:
    """Return how long planning the fleet takes draw by draw, in seconds."""
    start = time.perf_counter()
    drawn = draw(inputs.priors, samples, numpy.random.default_rng(0))
    for k in range(samples):
        one = inputs
        for path, values in drawn.items():
            one = one.with_value(path, float(values[k]), "a draw")
        load = load_of(one)
        assert load is not None, "the case has a load"
        fleet_plan(measured, one, load)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--alone", type=int, default=200, help="draws of the side that goes one by one")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    measured, inputs = machine(), parse_inputs(CASE, {})
    together_s(measured, inputs, asked.samples)
    rows = [
        (together_s(measured, inputs, asked.samples), alone_s(measured, inputs, asked.alone))
        for _ in range(asked.rounds)
    ]
    known = sensitivity_of(measured, inputs, samples=asked.samples, seed=0)
    machines = next(spread for spread in known.spreads if spread.name == "machines")
    whole = [a for a, _ in rows]
    ratios = [(b / asked.alone) / (a / asked.samples) for a, b in rows]
    print(f"fleet of {machines.p5:.0f} .. {machines.p95:.0f} machines (p5 .. p95), {asked.rounds} alternated rounds")
    span = f"{min(whole):.3f} .. {max(whole):.3f}"
    print(f"{asked.samples} samples at once  median {statistics.median(whole):.3f} s ({span})")
    print(f"one sample, against one by one  median {statistics.median(ratios):.0f} times as fast")


if __name__ == "__main__":
    main()
