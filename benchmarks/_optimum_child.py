"""One run of optimum-benchmark in its own environment; benchmarks/peers.py starts it and reads the last line.

Arguments: one JSON object with model (folder), task, dtype, batch, tokens_in, tokens_out, duration_s, iterations,
warmup_runs. The launcher is optimum-benchmark's default, a process. Its own clean-up prints, so the answer is the line
that starts with "{".
"""

import json
import logging
import sys

from optimum_benchmark import Benchmark, BenchmarkConfig, InferenceConfig, ProcessConfig, PyTorchConfig


def main() -> None:
    """Run once and print what the report says."""
    asked = json.loads(sys.argv[1])
    logging.disable(logging.WARNING)
    new = asked["tokens_out"]
    report = Benchmark.launch(
        BenchmarkConfig(
            name="wattbench-peer",
            launcher=ProcessConfig(),
            backend=PyTorchConfig(
                model=asked["model"],
                task=asked["task"],
                library="transformers",
                device="cpu",
                torch_dtype=asked["dtype"],
                model_kwargs={"local_files_only": True},
            ),
            scenario=InferenceConfig(
                input_shapes={"batch_size": asked["batch"], "sequence_length": asked["tokens_in"]},
                generate_kwargs={"max_new_tokens": new, "min_new_tokens": new} if new else {},
                duration=asked["duration_s"],
                iterations=asked["iterations"],
                warmup_runs=asked["warmup_runs"],
            ),
        )
    ).to_dict()
    print(json.dumps({name: figures(part) for name, part in report.items()}), flush=True)


def figures(part: dict) -> dict:  # type: ignore[type-arg] # JSON
    """Return what the report prints of one target: mean latency, count, throughput and its unit."""
    latency, throughput = part.get("latency") or {}, part.get("throughput") or {}
    return {
        "mean_s": latency.get("mean"),
        "count": latency.get("count"),
        "throughput": throughput.get("value"),
        "unit": throughput.get("unit"),
    }


if __name__ == "__main__":
    main()
