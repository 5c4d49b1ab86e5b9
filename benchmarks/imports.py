"""Compare `bench --help` with an empty Python, and weigh `import wattbench`: alternated runs, medians, ratios.

Run: python benchmarks/imports.py [--pairs 15]
Goals: `bench --help` takes at most 4 times `python -c pass`; importing the core takes at most 40 MB.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time

RSS = "import resource, sys; {}; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def seconds(command: list[str]) -> float:
    """Return how long a command takes as a whole process, in seconds."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def peak_kib(statement: str) -> int:
    """Return the peak resident memory of a Python that executes one statement, in KiB."""
    ended = subprocess.run([sys.executable, "-c", RSS.format(statement)], capture_output=True, text=True, check=True)
    return int(ended.stdout)


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    bench = shutil.which("bench", path=str(sys.prefix) + "/bin") or "bench"
    seconds([bench, "--help"])
    rows = [(seconds([bench, "--help"]), seconds([sys.executable, "-c", "pass"])) for _ in range(pairs)]
    ratios = [a / b for a, b in rows]
    print(f"bench --help      median {1000 * statistics.median(a for a, _ in rows):6.1f} ms")
    print(f"python -c pass    median {1000 * statistics.median(b for _, b in rows):6.1f} ms")
    print(f"ratio             median {statistics.median(ratios):6.2f}   (goal <= 4, {pairs} alternated pairs)")
    empty, core = peak_kib("pass"), peak_kib("import wattbench")
    used = peak_kib("import wattbench; wattbench.run")
    print(f"import wattbench  {core / 1024:6.1f} MiB, of which Python itself {empty / 1024:.1f} MiB   (goal <= 40 MB)")
    print(f"with wattbench.run loaded {used / 1024:6.1f} MiB (numpy, msgspec, psutil; no SDK)")


if __name__ == "__main__":
    main()
