"""Run the same plan again and again, and ask whether two runs differ by less than their stated intervals.

Run: python benchmarks/repeatability.py [--pairs 5] [--load smollm2-135m/chat] [--window 10] [--repeats 5]
Goal: in every pair the difference of the medians is smaller than the two half-widths together.
"""

import argparse
import tempfile
from pathlib import Path

import wattbench


def main() -> None:
    """Run the pairs and print one row each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--load", default="smollm2-135m/chat")
    parser.add_argument("--window", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{options.load}, {options.repeats} repeats of {options.window:g} s; requests/s, 95 % intervals")
    print(f"{'pair':<6}{'first':>9}{'interval':>20}{'second':>9}{'interval':>20}{'apart':>8}{'stated':>8}  inside")
    inside = 0
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(options.pairs):
            first, second = (measure(options, Path(folder) / f"{pair}{side}.json") for side in "ab")
            apart = abs(first[0] - second[0])
            stated = (first[2] - first[1]) / 2 + (second[2] - second[1]) / 2
            inside += apart <= stated
            row = "".join(f"{m:>9.4f}{f'{low:.4f} .. {high:.4f}':>20}" for m, low, high in (first, second))
            percent = f"{100 * apart / first[0]:>7.1f}%{100 * stated / first[0]:>7.1f}%"
            print(f"{pair + 1:<6}{row}{percent}  {'yes' if apart <= stated else 'NO'}", flush=True)
    print(f"{inside} of {options.pairs} pairs inside")


def measure(options: argparse.Namespace, path: Path) -> tuple[float, float, float]:
    """Run once and return the median rate and its interval, in requests per second."""
    result = wattbench.run(
        options.load,
        window_s=options.window,
        repeats=options.repeats,
        warmup_min_s=options.window,
        warmup_max_s=3 * options.window,
        idle_s=0.0,
        power="none",
        out=path,
    )
    metric = result.summary.metric("throughput.requests") if result.summary else None
    assert metric is not None
    assert metric.value is not None
    assert metric.interval is not None
    return metric.value, metric.interval.low, metric.interval.high


if __name__ == "__main__":
    main()
