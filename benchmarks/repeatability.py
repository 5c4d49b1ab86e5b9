"""Run the same plan again and again, and ask whether two runs differ by less than their stated intervals.

Run: python benchmarks/repeatability.py [--pairs 5] [--load smollm2-135m/chat] [--window 10] [--repeats 5] [--apart]
Goal: in every pair the difference of the medians is smaller than the two half-widths together.

The two runs of a pair take turns, window by window, as the points of `bench sweep` do: what the machine does in the
meantime happens to both, and what is left is what the interval states. With --apart they follow one another; then the
difference holds whatever the machine's speed has become in between, which no interval over one run can know.
"""

import argparse
import tempfile
from pathlib import Path

from wattbench.harness.clock import RunClock
from wattbench.harness.interrupts import interrupts_as_errors
from wattbench.harness.plan import Resolved, resolve
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.runner import execute, open_run
from wattbench.harness.watts import PowerSession
from wattbench.results.document import Result
from wattbench.results.metrics import Metric


def main() -> None:
    """Run the pairs and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--load", default="smollm2-135m/chat")
    parser.add_argument("--window", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--apart", action="store_true", help="one run after the other, instead of in turns")
    options = parser.parse_args()
    way = "one after the other" if options.apart else "in turns"
    print(f"{options.load}, {options.repeats} repeats of {options.window:g} s, {way}; requests/s, 95 % intervals")
    print(f"{'pair':<6}{'first':>9}{'interval':>20}{'second':>9}{'interval':>20}{'apart':>8}{'stated':>8}  inside")
    inside = sum(run_pair(options, pair) for pair in range(1, options.pairs + 1))
    print(f"{inside} of {options.pairs} pairs inside")


def run_pair(options: argparse.Namespace, pair: int) -> bool:
    """Run one pair, print its row, and return whether the medians are closer than the intervals say."""
    resolved = resolve(plan_of(options))
    with tempfile.TemporaryDirectory() as folder:
        paths = (Path(folder) / "a.json", Path(folder) / "b.json")
        first, second = (rate_of(r) for r in (apart(resolved, paths) if options.apart else in_turns(resolved, paths)))
    assert first.value is not None and second.value is not None  # noqa: PT018 (a complete run has both)
    assert first.interval is not None and second.interval is not None  # noqa: PT018
    distance = abs(first.value - second.value)
    stated = first.interval.half_width + second.interval.half_width
    row = "".join(
        f"{m.value:>9.4f}{f'{m.interval.low:.4f} .. {m.interval.high:.4f}':>20}"
        for m in (first, second)
        if m.interval is not None
    )
    percent = f"{100 * distance / first.value:>7.1f}%{100 * stated / first.value:>7.1f}%"
    print(f"{pair:<6}{row}{percent}  {'yes' if distance <= stated else 'NO'}", flush=True)
    return distance <= stated


def plan_of(options: argparse.Namespace) -> RunRequest:
    """Return what each run is asked to do."""
    return RunRequest(
        load=options.load,
        window_s=options.window,
        repeats=options.repeats,
        warmup_min_s=options.window,
        warmup_max_s=3 * options.window,
        idle_s=0.0,
        power=("none",),
        ceilings="none",
    )


def apart(resolved: Resolved, paths: tuple[Path, Path]) -> list[Result]:
    """Return two runs, one after the other."""
    return [execute(resolved, reporter=SilentReporter(), out=path).result for path in paths]


def in_turns(resolved: Resolved, paths: tuple[Path, Path]) -> list[Result]:
    """Return two runs whose windows alternate."""
    power, clock = PowerSession.open(resolved.plan, resolved.device.power_covers), RunClock()
    try:
        power.start(clock)
        runs = [
            open_run(resolved, power=power, reporter=SilentReporter(), out=path, clock=clock, shared_power=True)
            for path in paths
        ]
        with interrupts_as_errors() as signals:
            while going := [run for run in runs if run.outcome is None]:
                for run in going:
                    run.advance(signals)
        return [run.outcome.result for run in runs if run.outcome is not None]
    finally:
        power.close()


def rate_of(result: Result) -> Metric:
    """Return the run's median rate with its interval."""
    metric = result.summary.metric("throughput.requests") if result.summary else None
    assert metric is not None, result.error
    return metric


if __name__ == "__main__":
    main()
