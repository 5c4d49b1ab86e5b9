"""What the harness costs: its throughput over a hand-written bare loop of the same model, alternated in one run.

Run: python benchmarks/overhead.py [--starts 3] [--pairs 4] [--seconds 10] [--loads LOAD ...]
Goal: ratio >= 0.99 for an encoder and for a decoder.

Both sides hold the same weights in a process of their own and take turns; fresh processes for each start even out
where their memory lands. The harness side is the real worker, asked for real windows, with the recorder polling at
20 Hz beside it. The bare side calls the module and nothing else: no stamps, no records, no gate.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.messages import Measure, Measured, Prepare, PreparedReply
from wattbench.harness.plan import resolve
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.request import RunRequest
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.plan import Plan

LOADS = ("bert-base/classify-128", "smollm2-135m/tiny")


def main() -> None:
    """Measure each load and print a row per pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--loads", nargs="+", default=LOADS)
    parser.add_argument("--bare", nargs=3, metavar=("LOAD", "PRECISION", "BATCH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(options.bare[0], options.bare[1], int(options.bare[2]))
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
    bare_command = [sys.executable, "-P", __file__, "--bare", plan.load, plan.precision, str(plan.batch)]
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


def serve_bare(load_name: str, precision: str, batch: int) -> None:
    """Hold the same weights, and loop over the module for as long as each line of standard input says."""
    import torch

    from wattbench.models.find import find_load
    from wattbench.models.torch_build import build

    load = find_load(load_name)
    dtype = getattr(torch, precision)
    module = build(load.model, weights="synthetic", seed=0, dtype=dtype, device=torch.device("cpu")).module
    loop = decoder_loop if load.model.family == "decoder" else encoder_loop
    with torch.inference_mode():
        for line in sys.stdin:
            count, start, cpu = 0, time.perf_counter(), time.process_time()
            while (spent := time.perf_counter() - start) < float(line):
                loop(module, load, batch)
                count += batch
            cpu_s = (time.process_time() - cpu) / max(1, count)
            print(count / spent if count else 0.0, cpu_s, flush=True)


def encoder_loop(module: object, load: object, batch: int) -> None:
    """Run one batch through an encoder."""
    import torch

    from wattbench.models.inputs import make_arrays

    arrays = CACHE.setdefault("arrays", make_arrays(load, batch, 1))
    inputs = {name: torch.from_numpy(array) for name, array in arrays.items()}
    module(**inputs).pooler_output.cpu()


def decoder_loop(module: object, load: object, batch: int) -> None:
    """Prefill one batch and decode it to its end, greedily."""
    import torch

    from wattbench.backends.torch.slots_transformers import slot_cache
    from wattbench.models.inputs import make_arrays

    arrays = CACHE.setdefault("arrays", make_arrays(load, batch, 1))
    cache = CACHE.setdefault("cache", slot_cache(module.config, capacity=load.context_tokens, batch=batch))
    positions = CACHE.setdefault("positions", torch.arange(load.context_tokens).unsqueeze(0))
    cache.reset()
    ids, position, written = torch.from_numpy(arrays["input_ids"]), 0, []
    for _ in range(load.shape.output_tokens):
        where = positions[:, position : position + ids.shape[1]]
        logits = module(
            input_ids=ids, position_ids=where, past_key_values=cache, use_cache=True, logits_to_keep=1
        ).logits
        position += ids.shape[1]
        ids = logits[:, -1].argmax(-1, keepdim=True)
        written.append(ids)
    torch.cat(written, dim=1).cpu()


CACHE: dict[str, object] = {}
"""What the bare loop makes once and uses again."""


if __name__ == "__main__":
    main()
