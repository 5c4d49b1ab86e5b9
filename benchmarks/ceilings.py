"""Measure the ceilings of a device twice, minutes apart, and ask how far the two differ.

Run: python benchmarks/ceilings.py [--minutes 2] [--backend torch] [--device cpu]
Goal: no ceiling differs by more than 3 %.
"""

import argparse
import os
import tempfile
import time

from wattbench.harness.ceilings import fresh_ceilings
from wattbench.harness.ceilings_target import device_target, powered
from wattbench.harness.clock import RunClock
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.results.ceilings import CeilingsRecord

GOAL = 0.03
SCALE = {"FLOP/s": (1e12, "TFLOP/s"), "By/s": (1e9, "GB/s")}


def main() -> None:
    """Measure twice and print one row a ceiling."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--device")
    options = parser.parse_args()
    request = RunRequest(backend=options.backend, device=options.device)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WATTBENCH_CACHE"] = folder  # the user's own ceilings stay as they are
        first = measured(request)
        time.sleep(60 * options.minutes)
        second = measured(request)
    print(f"{first.device_name}: {first.measured_at} and {second.measured_at}, {first.duration_s:.0f} s each")
    print(f"{'ceiling':<26}{'first':>10}{'second':>10} {'unit':<9}{'apart':>7}  (goal <= {100 * GOAL:.0f} %)")
    worst = max(row(first, second, kind) for kind in kinds(first))
    print(f"worst {100 * worst:.1f} %: {'within' if worst <= GOAL else 'NOT within'} the goal")


def measured(request: RunRequest) -> CeilingsRecord:
    """Return the ceilings of the device, measured now."""
    target, clock = device_target(request), RunClock()
    power = powered(target)
    try:
        power.start(clock)
        return fresh_ceilings(target, power, clock, SilentReporter())
    finally:
        power.close()


def kinds(record: CeilingsRecord) -> list[tuple[str, str | None]]:
    """Return each kind of ceiling once, products by their precision."""
    return list(dict.fromkeys((entry.kind, entry.precision) for entry in record.entries))


def row(first: CeilingsRecord, second: CeilingsRecord, kind: tuple[str, str | None]) -> float:
    """Print one ceiling of both records and return how far they are apart, relative to the first."""
    name = " ".join(word for word in kind if word)
    one, two = ([e for e in r.entries if (e.kind, e.precision) == kind] for r in (first, second))
    if not two:
        print(f"{name:<26}  was not measured the second time")
        return float("inf")
    divisor, unit = SCALE[one[0].unit]
    before, after = (max(entry.rate for entry in entries) for entries in (one, two))
    apart = abs(after / before - 1)
    print(f"{name:<26}{before / divisor:>10.4g}{after / divisor:>10.4g} {unit:<9}{100 * apart:>6.1f}%", flush=True)
    return apart


if __name__ == "__main__":
    main()
