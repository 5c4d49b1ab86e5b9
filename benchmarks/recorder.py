"""What polling costs: the recorder at 20 Hz over a real RAPL tree (or a copy of its shape), as a share of one core.

Run: python benchmarks/recorder.py [--seconds 30]
Goal: at most 0.5 % of one core.
"""

import argparse
import tempfile
import time
from pathlib import Path

from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.rapl import RaplSampler
from wattbench.harness.power.recorder import Recorder

REAL = Path("/sys/class/powercap")
RATE_HZ = 20.0


def sampler_of(root: Path) -> RaplSampler | None:
    """Return a RAPL sampler below `root`, or None when it cannot be read there."""
    sampler = RaplSampler(SamplerOptions(argument=None, covers=None), root=root)
    return sampler if sampler.probe().usable else None


def build_tree(root: Path) -> None:
    """Write two packages with DRAM, as Linux shows them."""
    for zone, name in (("0", "package-0"), ("0:0", "dram"), ("1", "package-1"), ("1:0", "dram")):
        folder = root / f"intel-rapl:{zone}"
        folder.mkdir(parents=True)
        for file, text in (("name", name), ("energy_uj", "123456789"), ("max_energy_range_uj", "262143328850")):
            (folder / file).write_text(text + "\n")


def main() -> None:
    """Poll for a while and print the cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        build_tree(Path(folder))
        sampler = sampler_of(REAL) or sampler_of(Path(folder))
        assert sampler is not None
        where = "this machine's own counters" if sampler_of(REAL) else "files in the shape of a two-socket machine"
        recorder = Recorder((sampler,), RATE_HZ, origin_ns=time.perf_counter_ns())
        cpu, start = time.process_time(), time.perf_counter()
        recorder.start()
        time.sleep(seconds)
        recorder.stop()
        share = (time.process_time() - cpu) / (time.perf_counter() - start)
    health = recorder.health()[0]
    print(f"channels          {len(recorder.channels)} ({where})")
    print(f"asked / reached   {RATE_HZ:g} Hz / {health.reached_rate_hz:.2f} Hz, largest gap {health.max_gap_s:.3f} s")
    print(f"cost              {100 * share:.2f} % of one core for the whole process   (goal <= 0.5 %)")


if __name__ == "__main__":
    main()
