"""What the harness costs: its throughput over a hand-written bare loop of the same model, alternated in one run.

Run: python benchmarks/overhead.py [--pairs 7] [--seconds 10] [--loads bert-base/classify-128 smollm2-135m/chat]
Goal: ratio >= 0.99 for an encoder and for a decoder.

Both sides hold the same weights in a process of their own and take turns. The harness side is the real worker, asked
for real windows, with the recorder polling at 20 Hz beside it. The bare side calls the module and nothing else: no
stamps, no records, no gate.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from wattbench.harness.messages import Measure, Measured, Prepare, PreparedReply
from wattbench.harness.plan import resolve
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.replay import ReplaySampler
from wattbench.harness.request import RunRequest
from wattbench.harness.worker_client import WorkerClient

LOADS = ("bert-base/classify-128", "smollm2-135m/chat")


def main() -> None:
    """Measure each load and print a row per pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--loads", nargs="+", default=LOADS)
    parser.add_argument("--bare", nargs=3, metavar=("LOAD", "PRECISION", "BATCH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        serve_bare(options.bare[0], options.bare[1], int(options.bare[2]))
        return
    for load in options.loads:
        compare(load, options.pairs, options.seconds)


def compare(load: str, pairs: int, seconds: float) -> None:
    """Alternate the two sides on one load and print what came out."""
    plan = resolve(RunRequest(load=load)).plan
    print(f"\n{load}, batch {plan.batch}, {plan.precision}: {pairs} pairs of {seconds:g} s, requests/s")
    print(f"{'pair':<6}{'harness':>10}{'bare':>10}{'ratio':>9}")
    command = Prepare(
        load=load,
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
    bare_command = [sys.executable, "-P", __file__, "--bare", load, plan.precision, str(plan.batch)]
    with WorkerClient() as worker, tempfile.TemporaryDirectory() as folder:
        recorder = recorder_of(Path(folder))
        bare = subprocess.Popen(bare_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        worker.ask(command, PreparedReply, 3600)
        ask_bare(bare, 0.0)  # wait until it is ready
        recorder.start()
        rows = []
        for pair in range(pairs + 1):
            ours = rate_of_harness(worker, seconds)
            theirs = ask_bare(bare, seconds)
            if pair:  # the first pair warms both up
                rows.append((ours, theirs))
                print(f"{pair:<6}{ours:>10.3f}{theirs:>10.3f}{ours / theirs:>9.4f}", flush=True)
        recorder.stop()
        bare.communicate("", timeout=60)
    ratio = statistics.median(a / b for a, b in rows)
    share = recorder.health()[0].cpu_share or 0.0
    print(f"median ratio {ratio:.4f} (goal >= 0.99); the recorder took {100 * share:.2f} % of one core")


def recorder_of(folder: Path) -> Recorder:
    """Return a recorder at 20 Hz over a recording of 100 W."""
    trace = folder / "trace.csv"
    trace.write_text("time_s,power_w\n0,100\n36000,100\n")
    sampler = ReplaySampler(SamplerOptions(argument=str(trace), covers=None))
    assert sampler.probe().usable
    return Recorder((sampler,), 20.0, origin_ns=time.perf_counter_ns())


def rate_of_harness(worker: WorkerClient, seconds: float) -> float:
    """Ask the worker for one window and return its requests per second."""
    command = Measure(window_s=seconds, jitter_s=0.0, lead_in_s=0.0, lead_out_s=0.0)
    done = worker.ask(command, Measured, 3600)
    return sum(done.completions.requests) / done.window.duration_s


def ask_bare(bare: "subprocess.Popen[str]", seconds: float) -> float:
    """Ask the bare side to loop for a while and return its requests per second."""
    assert bare.stdin is not None
    assert bare.stdout is not None
    bare.stdin.write(f"{seconds}\n")
    bare.stdin.flush()
    return float(bare.stdout.readline())


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
            count, start = 0, time.perf_counter()
            while (spent := time.perf_counter() - start) < float(line):
                loop(module, load, batch)
                count += batch
            print(count / spent if count else 0.0, flush=True)


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
