"""What watching the watts costs: our samplers at 20 Hz, and beside them Zeus and CodeCarbon at their defaults.

Run: python benchmarks/sampler_cost.py [--seconds 20] [--no-peers]
Goals: at most 0.5 % of one core at 20 Hz, jitter p99 at most 5 ms; importing the power code at most 0.1 s and 30 MB.

No GPU is needed: all tools read a stand-in for NVIDIA's library (tests/native/fake_nvml.c) through NVIDIA's own
bindings, and ours also RAPL counters in files of that shape. The stand-in's own processor time is in the shares of all;
a driver's calls may take milliseconds, but of waiting, not of computing. Each tool watches in a process of its own, one
after the other; its share is all CPU time of that process and of those that it starts, once it is ready. Beside ours
stands what no tool can go below on the machine: a loop in C that only sleeps, and one that makes the same calls of the
library (benchmarks/sampler_floor.c). The peers are installed in an environment of their own, build/power-peers.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "build" / "power-peers"
PACKAGES = ("zeus==0.16.0", "codecarbon==3.3.2")
RATE_HZ = 20.0
LIBRARY = "libnvidia-ml.so.1"

ZEUS = """
from zeus.monitor import PowerMonitor
monitor = PowerMonitor()
"""
CODECARBON = """
from codecarbon import OfflineEmissionsTracker
tracker = OfflineEmissionsTracker(
    country_iso_code="FRA", save_to_file=False, log_level="error", allow_multiple_runs=True
)
tracker.start()
"""
FAMILY = """
import json, os, sys, time
import psutil
def spent(process):
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system
if __name__ == "__main__":
{start}
    me = psutil.Process()
    family = lambda: [me, *me.children(recursive=True)]
    time.sleep(2.0)
    before, start = sum(map(spent, family())), time.perf_counter()
    time.sleep(float(sys.argv[1]))
    share = (sum(map(spent, family())) - before) / (time.perf_counter() - start)
    rss = sum(p.memory_info().rss for p in family())
    print("FIGURES " + json.dumps({{"share": share, "rss": rss, "processes": len(family())}}), flush=True)
    for child in family()[1:]:
        child.kill()
    os._exit(0)
"""
IMPORT = """
import json, resource, time
start = time.perf_counter()
{statement}
seconds = time.perf_counter() - start
print("FIGURES " + json.dumps({{"seconds": seconds, "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}}))
"""
OURS = "import wattbench.harness.power.nvml, wattbench.harness.power.rapl, wattbench.harness.power.recorder, pynvml"


def main() -> None:
    """Measure ours, then the peers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--ours", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ours:
        watch_ours(options.ours, options.seconds)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = stand_in(folder)
        print_floor(folder, min(options.seconds, 10.0))
        own = figures([sys.executable, "-P", __file__, "--ours", name, "--seconds", str(options.seconds)], environment)
        print_ours(own)
        print_import("ours", sys.executable, OURS, environment)
        if not options.no_peers:
            python = peers_python()
            for tool, start, statement in (
                ("Zeus PowerMonitor", ZEUS, "from zeus.monitor import PowerMonitor"),
                ("CodeCarbon", CODECARBON, "from codecarbon import OfflineEmissionsTracker"),
            ):
                print_peer(tool, python, start, options.seconds, folder, environment)
                print_import(tool, python, statement, environment)


def stand_in(folder: Path) -> dict[str, str]:
    """Compile the library, write the counters' files, and return the environment in which every tool sees a board."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise SystemExit("needs a C compiler for the stand-in library and the loop in C")
    source = ROOT / "tests" / "native" / "fake_nvml.c"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(folder / LIBRARY), str(source)], check=True)
    floor = ROOT / "benchmarks" / "sampler_floor.c"
    subprocess.run([compiler, "-O2", "-o", str(folder / "sampler_floor"), str(floor), "-ldl"], check=True)
    for zone, word in (("0", "package-0"), ("0:0", "dram"), ("1", "package-1"), ("1:0", "dram")):
        path = folder / "powercap" / f"intel-rapl:{zone}"
        path.mkdir(parents=True)
        for file, text in (("name", word), ("energy_uj", "123456789"), ("max_energy_range_uj", "262143328850")):
            (path / file).write_text(text + "\n")
    command = folder / "nvidia-smi"  # CodeCarbon looks for NVIDIA by this command
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    settings = {"FAKE_NVML_CLOCK_REAL": "1", "FAKE_NVML_SAMPLES_PERIOD_US": "20000", "LD_LIBRARY_PATH": str(folder)}
    return {**os.environ, **settings, "PATH": f"{folder}:{os.environ['PATH']}"}


def watch_ours(folder: Path, seconds: float) -> None:
    """Poll NVML and RAPL at 20 Hz, and print what it cost and how late the polls were."""
    from wattbench.harness.power.contract import SamplerOptions
    from wattbench.harness.power.nvml import NvmlSampler
    from wattbench.harness.power.rapl import RaplSampler
    from wattbench.harness.power.recorder import Recorder

    options = SamplerOptions(argument=None, covers=None)
    samplers = (NvmlSampler(options), RaplSampler(options, root=folder / "powercap"))
    assert all(sampler.probe().usable for sampler in samplers)
    recorder = Recorder(samplers, RATE_HZ, origin_ns=time.perf_counter_ns())
    recorder.start()
    time.sleep(2.0)
    cpu, start = time.process_time(), time.perf_counter()
    time.sleep(seconds)
    share = (time.process_time() - cpu) / (time.perf_counter() - start)
    recorder.stop()
    late_ms = [late for polls in recorder.polls() if polls.taken_ns is None for late in lateness_ms(polls.before_ns)]
    found = {
        "share": share,
        "channels": [c.id.rsplit(":", 1)[1] for c in recorder.channels],
        "late_ms": [quantile(late_ms, 0.5), quantile(late_ms, 0.99), max(late_ms)],
        "by_sampler": {h.sampler: h.cpu_share for h in recorder.health()},
        "failed": sum(h.failed for h in recorder.health()),
    }
    print("FIGURES " + json.dumps(found))


def lateness_ms(before_ns: tuple[int, ...]) -> list[float]:
    """Return how late each poll of a channel was, in ms, against deadlines laid through the earliest of them."""
    period_ns = 1e9 / RATE_HZ
    offsets = [(t - before_ns[0] + period_ns / 2) % period_ns - period_ns / 2 for t in before_ns]
    first = min(offsets)
    return [(offset - first) / 1e6 for offset in offsets]


def quantile(values: list[float], q: float) -> float:
    """Return the smallest value that a share `q` of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(q * len(ordered)), len(ordered) - 1)]


def peers_python() -> str:
    """Return the Python of the peers' environment, made and filled when it is not there yet."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEERS)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return str(python)


def figures(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command and return the figures that it printed among whatever else."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    line = next((text for text in done.stdout.splitlines() if text.startswith("FIGURES ")), None)
    if line is None:
        raise SystemExit(f"{command[0]} gave no figures:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(line.removeprefix("FIGURES "))
    return found


def print_floor(folder: Path, seconds: float) -> None:
    """Print what the machine itself costs: a loop in C that only sleeps, then one with the library's calls."""
    for name, more in (("C, only sleeping", []), ("C, with the calls", [str(folder / LIBRARY)])):
        found = figures([str(folder / "sampler_floor"), str(seconds), f"{RATE_HZ:g}", *more], dict(os.environ))
        calls = f", the calls alone {100 * found['calls_share']:.2f} %" if more else ""
        middle, most, worst = found["late_ms"]
        late = f"late by {middle:.2f} ms median, {most:.2f} ms p99, {worst:.2f} ms at most"
        print(f"{name:<18}{100 * found['share']:.2f} % of one core{calls}; {late}")


def print_ours(found: dict[str, Any]) -> None:
    """Print what our samplers cost."""
    print(f"ours, {RATE_HZ:g} Hz       channels {', '.join(found['channels'])}; {found['failed']} polls failed")
    parts = ", ".join(f"{name} {100 * share:.2f} %" for name, share in found["by_sampler"].items())
    print(f"                  {100 * found['share']:.2f} % of one core ({parts})   (goal <= 0.5 %)")
    middle, most, worst = found["late_ms"]
    late = f"late by {middle:.2f} ms median, {most:.2f} ms p99, {worst:.2f} ms at most"
    print(f"                  {late}   (goal p99 <= 5 ms)")


def print_peer(tool: str, python: str, start: str, seconds: float, folder: Path, environment: dict[str, str]) -> None:
    """Print what a peer costs at its defaults, its child processes included."""
    script = folder / f"{tool.split()[0].lower()}_alone.py"
    script.write_text(FAMILY.format(start="\n".join("    " + line for line in start.strip().splitlines())))
    try:
        found = figures([python, str(script), str(seconds)], environment)
    except SystemExit as exc:
        print(f"{tool:<18}did not run: {str(exc.code).strip().splitlines()[-1]}")
        return
    size = f"{found['rss'] / 1e6:.0f} MB resident in {found['processes']} processes"
    print(f"{tool:<18}{100 * found['share']:.2f} % of one core, {size}")


def print_import(tool: str, python: str, statement: str, environment: dict[str, str]) -> None:
    """Print how long an import takes and how much memory it adds to an empty Python, medians of seven."""
    runs = [figures([python, "-c", IMPORT.format(statement=statement)], environment) for _ in range(8)][1:]
    empty = [figures([python, "-c", IMPORT.format(statement="pass")], environment) for _ in range(3)]
    seconds = statistics.median(run["seconds"] for run in runs)
    whole, bare = (statistics.median(run["kib"] for run in some) * 1024 / 1e6 for some in (runs, empty))
    goal = "   (goal <= 0.1 s, <= 30 MB)" if tool == "ours" else ""
    print(f"{'':<18}import {seconds:.3f} s, {whole:.1f} MB resident of which Python itself {bare:.1f} MB{goal}")


if __name__ == "__main__":
    main()
