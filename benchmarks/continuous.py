"""Continuous batching against batches in step: requests that arrive one after another and want answers of many lengths.

Run: python benchmarks/continuous.py [--load smollm2-135m/chat@64x32] [--requests 24] [--slots 4] [--rounds 5]
     [--precision NAME] [--device NAME] [--threads N] [--gap S]
No goal is stated: the figure says what waiting for the longest of a batch costs on this machine.

Each request wants between a quarter and all of the load's tokens out (seeded), and comes an exponentially distributed
time after the one before (mean: `--gap`; 0: all are there at the start). In step, the server takes what has arrived,
at most as many as there are slots, and decodes until the longest is done; tokens that a request did not want do not
count. Continuously, each request gets its own number of tokens and leaves. Both sides hold their weights in one
process, have the same prompts and arrivals, and take turns; the ratio is the median over rounds of tokens wanted per
second, continuous over in step. Before anything is timed the tokens of both are compared.
"""

import argparse
import random
import statistics
import time
from dataclasses import dataclass

import numpy
from _sides import machine_lines

from wattbench.backends.contract import Batch, Preparation
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.continuous import ContinuousEngine
from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A prompt, int64 (tokens,), how many tokens it wants, and when it comes, in seconds from the start."""

    prompt: numpy.ndarray
    wanted: int
    arrives_s: float


def main() -> None:
    """Serve the same requests both ways in turns and print the paces."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", default="smollm2-135m/chat@64x32")
    parser.add_argument("--requests", type=int, default=24)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--gap", type=float, default=0.05, metavar="S")
    options = parser.parse_args()
    load = find_load(options.load)
    requests = drawn(load, options.requests, options.gap)
    in_step, continuous = (prepared(load, options, level) for level in ("eager", "continuous"))
    print("\n".join(machine_lines()))
    print(f"same tokens     {same_tokens(in_step, continuous, requests, options.slots)} of {len(requests)} requests")
    ratios = []
    for number in range(options.rounds):
        first = (serve_in_step(in_step, requests, options.slots), serve_continuously(continuous, requests))
        ratios.append(first[0] / first[1])
        tokens = sum(request.wanted for request in requests)
        paces = ", ".join(f"{tokens / seconds:.1f}" for seconds in first)
        print(f"round {number + 1}         {paces} tokens/s in step, continuous: ratio {ratios[-1]:.3f}", flush=True)
    print(f"ratio           {statistics.median(ratios):.3f} ({min(ratios):.3f} .. {max(ratios):.3f})")
    for backend in (in_step, continuous):
        backend.close()


def drawn(load: Load, count: int, gap_s: float) -> list[Request]:
    """Return seeded requests in the order in which they come."""
    dice = random.Random(0)  # seeded: every machine serves the same requests
    most, at_s, found = load.shape.output_tokens, 0.0, []
    for prompt in make_arrays(load, count, 0)["input_ids"]:
        found.append(Request(prompt=prompt, wanted=dice.randint(max(1, most // 4), most), arrives_s=at_s))
        at_s += dice.expovariate(1 / gap_s) if gap_s else 0.0
    return found


def prepared(load: Load, options: argparse.Namespace, level: str) -> TorchBackend:
    """Return a backend that holds the load for as many requests at once as there are slots."""
    backend = TorchBackend()
    backend.prepare(
        Preparation(
            load=load,
            weights="synthetic",
            seed=0,
            precision=options.precision,
            device=options.device,
            batch=options.slots,
            threads=options.threads,
            affinity=None,
            tuning=level,
            slots=options.slots if level == "continuous" else None,
        )
    )
    return backend


def batch_of(requests: list[Request]) -> Batch:
    """Return requests as a batch in which all get as many tokens as the longest wants."""
    prompts = numpy.stack([request.prompt for request in requests])
    longest = max(request.wanted for request in requests)
    return Batch(
        arrays={"input_ids": prompts},
        requests=len(requests),
        input_tokens=prompts.size,
        output_tokens=longest * len(requests),
    )


def serve_in_step(backend: TorchBackend, requests: list[Request], slots: int) -> float:
    """Serve every request in batches in step and return how long it took, in seconds."""
    waiting, start = list(requests), time.perf_counter()
    while waiting:
        passed = time.perf_counter() - start
        time.sleep(max(0.0, waiting[0].arrives_s - passed))
        passed = time.perf_counter() - start
        arrived = [request for request in waiting[:slots] if request.arrives_s <= passed]
        backend.run(batch_of(arrived or waiting[:1]))
        del waiting[: max(1, len(arrived))]
    return time.perf_counter() - start


def serve_continuously(backend: TorchBackend, requests: list[Request]) -> float:
    """Hand every request over when it comes and return how long all took, in seconds."""
    manager, start = engine_of(backend)._manager, time.perf_counter()
    names = set()
    for request in requests:
        time.sleep(max(0.0, request.arrives_s - (time.perf_counter() - start)))
        names.add(manager.add_request(request.prompt.tolist(), max_new_tokens=request.wanted))
    while names:
        output = manager.get_result(timeout=1.0)
        if output is not None and output.is_finished():
            names.discard(output.request_id)
    return time.perf_counter() - start


def same_tokens(in_step: TorchBackend, continuous: TorchBackend, requests: list[Request], slots: int) -> int:
    """Return how many requests get the same tokens both ways."""
    groups = [requests[i : i + slots] for i in range(0, len(requests), slots)]
    same = 0
    for group in groups:
        batch = batch_of(group)
        in_step.run(batch)
        engine = in_step._session._engine if in_step._session is not None else None
        assert engine is not None
        steps = batch.output_tokens // batch.requests
        expected = engine.state()[-2][: len(group), :steps].tolist()
        found = engine_of(continuous).tokens(batch)
        same += sum(a == b for a, b in zip(expected, found, strict=True))
    return same


def engine_of(backend: TorchBackend) -> ContinuousEngine:
    """Return the engine that batches continuously."""
    engine = backend._session._engine if backend._session is not None else None
    assert isinstance(engine, ContinuousEngine)
    return engine


if __name__ == "__main__":
    main()
