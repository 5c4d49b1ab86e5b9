"""What the harness costs: its throughput over a hand-written bare loop of the same model, alternated in one run.

Run: python benchmarks/overhead.py [--starts 3] [--pairs 4] [--seconds 10] [--loads LOAD ...]
Goal: ratio >= 0.99 for an encoder and for a decoder.

Both sides hold the same module with the same weights, as the level `eager` makes it, in a process of their own and take
turns; fresh processes for each start even out where their memory lands. The harness side is the real worker, asked for
real windows, with the recorder polling at 20 Hz beside it. The bare side calls the module in a loop written by hand and
nothing else: no stamps, no records, no gate.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattbench.harness.messages import Measure, Measured, Prepare, PreparedReply
from wattbench.harness.plan import resolve
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.request import RunRequest
from wattbench.harness.worker_client import WorkerClient
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load
from wattbench.results.plan import Plan

LOADS = ("bert-base/classify-128", "smollm2-135m/tiny")


def main() -> None:
    """Measure each load and print a row per pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--loads", nargs="+", default=LOADS)
    parser.add_argument("--bare", nargs=4, metavar=("LOAD", "DEVICE", "PRECISION", "BATCH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(*options.bare[:3], batch=int(options.bare[3]))
        return
    for load in options.loads:
        compare(load, options.starts, options.pairs, options.seconds)


def compare(load: str, starts: int, pairs: int, seconds: float) -> None:
    """Alternate the two sides on one load, in fresh processes for each start, and print what came out."""
    plan = resolve(RunRequest(load=load)).plan
    print(f"\n{load}, batch {plan.batch}, {plan.precision}: {starts} x {pairs} pairs of {seconds:g} s, requests/s")
    print(f"{'start':<7}{'pair':<6}{'harness':>10}{'bare':>10}{'ratio':>9}{'ratio of CPU time':>20}")
    rows: list[tuple[float, float, float]] = []
    shares = []
    for start in range(1, starts + 1):
        with tempfile.TemporaryDirectory() as folder:
            recorder = recorder_of(Path(folder))
            for pair, (ours, theirs) in enumerate(paces(plan, recorder, pairs, seconds), 1):
                rows.append((ours.rate / theirs.rate, theirs.cpu_s / ours.cpu_s, ours.between))
                figures = f"{ours.rate:>10.3f}{theirs.rate:>10.3f}{rows[-1][0]:>9.4f}{rows[-1][1]:>20.4f}"
                print(f"{start:<7}{pair:<6}{figures}", flush=True)
            shares.append(recorder.health()[0].cpu_share or 0.0)
    rate, cpu, between = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"median ratio {rate:.4f} by time, {cpu:.4f} by CPU time (goal >= 0.99; CPU time minds a busy host less)")
    print(f"between executions the harness took {100 * between:.4f} % of the windows")
    print(f"the recorder took {100 * statistics.median(shares):.2f} % of one core")


def paces(plan: Plan, recorder: Recorder, pairs: int, seconds: float) -> Iterator[tuple["Pace", "Pace"]]:
    """Start both sides, warm them up with one pair, and yield the pairs; who goes first takes turns."""
    command = Prepare(
        load=plan.load,
        backend="torch",
        weights="synthetic",
        seed=0,
        precision=plan.precision,
        device=plan.device,
        batch=plan.batch,
        threads=None,
        affinity=None,
        origin_ns=time.perf_counter_ns(),
    )
    bare_command = [sys.executable, "-P", __file__, "--bare", plan.load, plan.device, plan.precision]
    bare_command.append(str(plan.batch))
    with WorkerClient() as worker:
        bare = subprocess.Popen(bare_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worker.ask(command, PreparedReply, 3600)
        ask_bare(bare, 0.0)  # wait until it is ready
        recorder.start()
        for pair in range(pairs + 1):
            first = rate_of_harness(worker, seconds) if pair % 2 else None
            theirs = ask_bare(bare, seconds)
            ours = first or rate_of_harness(worker, seconds)
            if pair:
                yield ours, theirs
        recorder.stop()
        bare.communicate("", timeout=60)


def recorder_of(folder: Path) -> Recorder:
    """Return a recorder at 20 Hz over a recording of 100 W."""
    trace = folder / "trace.csv"
    trace.write_text("time_s,power_w\n0,100\n36000,100\n")
    sampler = ReplaySampler(SamplerOptions(argument=str(trace), covers=None))
    assert sampler.probe().usable
    return Recorder((sampler,), 20.0, origin_ns=time.perf_counter_ns())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a side was: requests per second, its process's CPU seconds per request, time between executions.

    The last is the share of the window that lies outside every execution: the harness's own, whatever the host does.
    """

    rate: float
    cpu_s: float
    between: float


def rate_of_harness(worker: WorkerClient, seconds: float) -> Pace:
    """Ask the worker for one window and return its pace."""
    command = Measure(window_s=seconds, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0)
    done = worker.ask(command, Measured, 3600)
    requests = sum(done.completions.requests)
    executing_ns = sum(done.completions.end_ns) - sum(done.completions.start_ns)
    return Pace(
        rate=requests / done.window.duration_s,
        cpu_s=done.worker_cpu_s / requests,
        between=1 - executing_ns / 1e9 / done.window.duration_s,
    )


def ask_bare(bare: "subprocess.Popen[str]", seconds: float) -> Pace:
    """Ask the bare side to loop for a while and return its pace."""
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdin.write(f"{seconds}\n")
    bare.stdin.flush()
    rate, cpu_s = bare.stdout.readline().split()
    return Pace(rate=float(rate), cpu_s=float(cpu_s), between=0.0)


def serve_bare(load_name: str, device: str, precision: str, *, batch: int) -> None:
    """Hold the same module, and loop over it for as long as each line of standard input says."""
    import torch

    from wattbench.models.find import find_load

    load = find_load(load_name)
    module = bare_module(load, torch.device(device), precision, batch)
    with torch.inference_mode():
        make_loop = decoder_loop if load.shape.output_tokens else encoder_loop
        loop = make_loop(module, load, device, batch)
        for line in sys.stdin:
            count, start, cpu = 0, time.perf_counter(), time.process_time()
            while (spent := time.perf_counter() - start) < float(line):
                loop()
                count += batch
            cpu_s = (time.process_time() - cpu) / max(1, count)
            print(count / spent if count else 0.0, cpu_s, flush=True)


def bare_module(load: Load, device: Any, precision: str, batch: int) -> Any:  # any: torch's device and its module
    """Return the module that the backend's level `eager` executes, without the engine around it."""
    import torch

    from wattbench.backends.torch.device import cpu_precision
    from wattbench.backends.torch.engine import Setup
    from wattbench.backends.torch.levels import make_engine
    from wattbench.backends.torch.precision import numbers_of
    from wattbench.models.torch_build import build

    numbers = numbers_of(precision, device.type, load.model, cpu_precision())
    built = build(load.model, weights="synthetic", seed=0, dtype=numbers.dtype, device=device)
    setup = Setup(
        module=built.module,
        device=device,
        dtype=numbers.dtype,
        requests=batch,
        context=load.context_tokens,
        memory=0,
        outputs=load.shape.output_tokens,
        synchronise=lambda: None,
    )
    with torch.no_grad():
        return make_engine("eager", load.model, setup, numbers).module


def encoder_loop(module: Any, load: Load, device: str, batch: int) -> Callable[[], object]:
    """Return a function that runs one batch through an encoder."""
    import torch

    inputs = {name: torch.from_numpy(array).to(device) for name, array in make_arrays(load, batch, 1).items()}
    return lambda: module(**inputs).pooler_output.cpu()


def decoder_loop(module: Any, load: Load, device: str, batch: int) -> Callable[[], object]:
    """Return a function that prefills one batch and decodes it to its end, greedily, over a lean decoder's cache."""
    import torch

    prompt = torch.from_numpy(make_arrays(load, batch, 1)["input_ids"]).to(device)
    keys, values = module.cache(batch, load.context_tokens)
    positions = torch.arange(load.context_tokens, device=device)

    def loop() -> torch.Tensor:
        ids, position, written = prompt, 0, []
        for _ in range(load.shape.output_tokens):
            end = position + ids.shape[1]
            logits = module(ids, positions[position:end], positions[:end], keys, values)
            ids, position = logits.max(-1, keepdim=True).indices, end
            written.append(ids)
        return torch.cat(written, dim=1).cpu()

    return loop


if __name__ == "__main__":
    main()
