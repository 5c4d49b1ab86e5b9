"""Where a decode step of an ONNX Runtime engine spends its time, operator by operator.

Run: python benchmarks/decoder_profile.py [--load qwen3-0.6b/decode-64] [--precision float32 int8 int4] [--executions 3]

ONNX Runtime's own profiler times every node of the graph while the engine decodes as it does in a run. The profiler
itself costs time (the step with and without it is printed), so shares hold better than times. Weights are read once a
step, by the products: their bytes over the products' time is the bandwidth at which these read.
"""

import argparse
import json
import statistics
import tempfile
from collections import Counter
from pathlib import Path

import onnxruntime

from wattbench.backends.contract import Batch, Preparation
from wattbench.backends.onnxruntime import session as sessions
from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend
from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load

PRODUCTS = ("MatMul", "MatMulNBits", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "Gemm")


def main() -> None:
    """Profile a load in each precision and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", default="qwen3-0.6b/decode-64")
    parser.add_argument("--precision", nargs="+", default=["float32", "int8", "int4"])
    parser.add_argument("--executions", type=int, default=3)
    options = parser.parse_args()
    load = find_load(options.load)
    for precision in options.precision:
        plain_s = step_s(load, precision, options.executions)
        with tempfile.TemporaryDirectory() as folder:
            profile_s, events, bytes_read = profiled(load, precision, options.executions, Path(folder))
        print(f"\n{load.name} {precision}: {plain_s * 1e3:.2f} ms a step, {profile_s * 1e3:.2f} ms with the profiler")
        print("\n".join(table(events, bytes_read)), flush=True)


def engine_of(load: Load, precision: str) -> tuple[OnnxRuntimeBackend, int]:
    """Return the backend with the load prepared, and the bytes of weights that a step reads."""
    backend = OnnxRuntimeBackend()
    prepared = backend.prepare(
        Preparation(
            load=load,
            weights="synthetic",
            seed=0,
            precision=precision,
            device="cpu",
            batch=1,
            threads=None,
            affinity=None,
            tuning="graph",
        )
    )
    return backend, prepared.backend.weight_bytes or 0


def decode_s(backend: OnnxRuntimeBackend, load: Load, executions: int) -> float:
    """Run some executions and return the median time of a decode step."""
    shape, gaps = load.shape, []
    batch = Batch(
        arrays=make_arrays(load, 1, 1), requests=1, input_tokens=shape.input_tokens, output_tokens=shape.output_tokens
    )
    for _ in range(executions):
        done = backend.run(batch)
        assert done.first_output_ns is not None
        gaps.append((done.step_end_ns[-1] - done.first_output_ns) / len(done.step_end_ns) / 1e9)
    return statistics.median(gaps)


def step_s(load: Load, precision: str, executions: int) -> float:
    """Return the median time of a decode step without a profiler."""
    backend, _ = engine_of(load, precision)
    try:
        return decode_s(backend, load, executions)
    finally:
        backend.close()


def profiled(load: Load, precision: str, executions: int, folder: Path) -> tuple[float, list[dict], int]:
    """Return a step's time under the profiler, the profiler's events, and the bytes of weights that a step reads."""
    plain = sessions._options

    def with_profile(*args: object) -> onnxruntime.SessionOptions:
        options = plain(*args)
        options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
        return options

    sessions._options = with_profile
    try:
        backend, bytes_read = engine_of(load, precision)
        seconds = decode_s(backend, load, executions)
        backend.close()
    finally:
        sessions._options = plain
    [path] = folder.glob("profile*.json")
    return seconds, json.loads(path.read_text()), bytes_read


def table(events: list[dict], bytes_read: int) -> list[str]:
    """Return a line for each operator: its share of the decode steps, its calls and its time in one."""
    runs = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"] == "model_run"]
    short = sorted(end - start for start, end in runs)[len(runs) // 2] * 3
    steps = [run for run in runs if run[1] - run[0] < short]  # the others are prefills
    spent, calls = Counter(), Counter()
    nodes = sorted((e["ts"], e["dur"], e["args"]["op_name"]) for e in events if e["name"].endswith("_kernel_time"))
    place = 0
    for start, end in steps:
        while place < len(nodes) and nodes[place][0] < start:
            place += 1
        while place < len(nodes) and nodes[place][0] < end:
            spent[nodes[place][2]] += nodes[place][1]
            calls[nodes[place][2]] += 1
            place += 1
    whole = sum(end - start for start, end in steps)
    lines = [f"{'operator':<28}{'share':>8}{'calls a step':>14}{'us a step':>12}"]
    for name, time in spent.most_common(10):
        lines.append(f"{name:<28}{time / whole:>8.1%}{calls[name] / len(steps):>14.0f}{time / len(steps):>12.0f}")
    rest = whole - sum(spent.values())
    lines.append(f"{'between the nodes':<28}{rest / whole:>8.1%}{'':>14}{rest / len(steps):>12.0f}")
    products_s = sum(spent[name] for name in PRODUCTS) / len(steps) / 1e6
    lines.append(f"the products read {bytes_read / 1e6:.0f} MB of weights at {bytes_read / products_s / 1e9:.1f} GB/s")
    return lines


if __name__ == "__main__":
    main()
