"""The same loads through optimum-benchmark and llama.cpp beside wattbench's own engines, taking turns in one run.

Run: python benchmarks/peers.py [--pairs 5] [--seconds 10] [--loads LOAD ...] [--peers NAME ...] [--candidates WORD ...]

optimum-benchmark 0.6.0 runs as its documentation shows, with its default process launcher, its default of at least ten
iterations, ten seconds and ten warm-ups, in float32 and in bfloat16; one turn is one whole run of it. llama.cpp is the
wheel xllamacpp, which its authors build without AVX-512 and AMX, with the weights as bf16, q8_0 and q4_0; a build for
the machine at hand would be faster. Both get environments of their own below build/peers, made at the first run (pip
needs the network then, about 1 GB); everything else is offline. All sides run on the CPU, with the same shape and
seeded weights.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path

from _sides import (
    Group,
    Pace,
    ScriptSide,
    Side,
    candidate_plans,
    common_arguments,
    grouped,
    machine_lines,
    plan_name,
    spread,
)

from wattbench.models.find import find_load
from wattbench.models.load import Load

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / "build" / "peers"
LOADS = ("bert-base/classify-128", "qwen3-0.6b/prefill", "qwen3-0.6b/decode-64", "qwen3-0.6b/decode-512")
PEERS = ("optimum-float32", "optimum-bfloat16", "llama-bf16", "llama-q8_0", "llama-q4_0")
PINS = {
    "optimum": (
        "torch==2.13.0",
        "optimum-benchmark==0.6.0",
        "transformers==4.57.6",
        "huggingface_hub<1",
        "datasets==5.0.1",
    ),
    "llama": ("xllamacpp==2026.10.11549",),
}
"""What was seen to work together: newer transformers, huggingface_hub or datasets break optimum-benchmark 0.6.0."""

PHASES = {"requests": "requests/s", "prefill": "prefill tokens/s", "decode": "decode tokens/s"}

TASKS = {"encoder": "feature-extraction", "decoder": "text-generation"}


def main() -> None:
    """Measure every load and print each side's paces and every ratio."""
    parser = common_arguments(__doc__.splitlines()[0], pairs=5, seconds=10.0)
    parser.set_defaults(candidates=["torch/eager float32", "torch/eager bfloat16"], ceilings="none", device="cpu")
    parser.add_argument("--loads", nargs="+", default=LOADS)
    parser.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    parser.add_argument("--batch", type=int, default=8, help="of encoders; decoders run at 1 (default %(default)s)")
    parser.add_argument("--iterations", type=int, default=10, help="of optimum-benchmark at least (its default is 10)")
    parser.add_argument("--warm-ups", type=int, default=10, help="of optimum-benchmark (its default is 10)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of llama.cpp (default %(default)s)")
    options = parser.parse_args()
    for name in dict.fromkeys(peer.partition("-")[0] for peer in options.peers):
        make_environment(name)
    print("\n".join(machine_lines()))
    for load_name in options.loads:
        measure(find_load(load_name), options)


def measure(load: Load, options: argparse.Namespace) -> None:
    """Let the peers and wattbench's engines take turns on one load, and print what came out."""
    batch = options.batch if load.model.family == "encoder" else 1
    plans = candidate_plans(load.name, batch, options)
    print(f"\n{load.name}, batch {batch}: {options.pairs} rounds of >= {options.seconds:g} s a side, in turns")
    print(f"wattbench's       {', '.join(map(plan_name, plans)) or 'none'}")
    with ExitStack() as stack:
        peers: list[Side] = []
        for name in options.peers:
            try:
                side = stack.enter_context(peer_of(name, load, batch, options))
            except RuntimeError as exc:
                print(f"{name} out: {exc}")
                continue
            if side is not None:
                peers.append(side)
        names = [peer.name for peer in peers]
        for group in grouped(plans, peers, options):
            print("\n".join(group_lines(group, names)), flush=True)


def group_lines(group: Group, peers: Sequence[str]) -> Iterator[str]:
    """Return every side's paces, then the ratios of each of ours to each peer, a line each: median and range."""
    ours = [side.name for side in group.candidates]
    phases = [phase for phase in PHASES if None not in group.rates(ours[0], phase)]
    for name in (*peers, *ours):
        paces = [f"{PHASES[phase]} {spread(group.rates(name, phase))}" for phase in phases]
        yield f"  {name:<46}{'; '.join(paces)}"
    for name in ours:
        for peer in peers:
            ratios = [f"{phase} {spread(group.ratios(name, peer, phase))}" for phase in phases]
            yield f"  ratio {name} / {peer}: {'; '.join(ratios)}"


def peer_of(name: str, load: Load, batch: int, options: argparse.Namespace) -> AbstractContextManager[Side | None]:
    """Return a peer's side for a load; none where the peer cannot run such a load."""
    tool, _, form = name.partition("-")
    if tool == "optimum":
        return nullcontext(OptimumSide(name, form, load, batch, options))
    if load.model.family != "decoder":
        return nullcontext(None)
    path = HOME / f"{load.model.name}-{form}.gguf"
    run_here(
        "from _gguf import write_gguf; from pathlib import Path",
        f"write_gguf({load.name!r}, {form!r}, Path({str(path)!r}))",
    )
    side = ScriptSide(
        f"llama.cpp {form}",
        [python_of("llama"), str(HERE / "_llama_child.py"), json.dumps(llama_request(load, path, options))],
    )
    print(f"llama.cpp {form}: xllamacpp {side.facts['version']}, {side.facts['system']}")
    return side


def llama_request(load: Load, path: Path, options: argparse.Namespace) -> dict[str, object]:
    """Return what the llama.cpp process needs to know."""
    from wattbench.models.inputs import make_arrays

    return {
        "model": str(path),
        "prompt": make_arrays(load, 1, 1)["input_ids"][0].tolist(),
        "tokens_out": load.shape.output_tokens,
        "context": load.context_tokens + 8,
        "threads": options.threads,
    }


class OptimumSide:
    """optimum-benchmark: every turn is one run of it, model loading and warm-up included but not counted."""

    def __init__(self, name: str, dtype: str, load: Load, batch: int, options: argparse.Namespace) -> None:
        self.name = f"optimum-benchmark {dtype}, process launcher"
        self._load, self._batch = load, batch
        folder = HOME / load.model.name
        if not (folder / "config.json").exists():
            run_here("from _hf_folder import save_folder", f"save_folder({load.name!r}, {str(folder)!r})")
        self._asked = {
            "model": str(folder),
            "task": TASKS[load.model.family],
            "dtype": dtype,
            "batch": batch,
            "tokens_in": load.shape.input_tokens,
            "tokens_out": max(2, load.shape.output_tokens) if load.shape.output_tokens else 0,  # it needs two
            "iterations": options.iterations,
            "warmup_runs": options.warm_ups,
        }

    def turn(self, seconds: float) -> Pace:
        """Run once for at least `seconds` and return what the report says."""
        command = [
            python_of("optimum"),
            str(HERE / "_optimum_child.py"),
            json.dumps({**self._asked, "duration_s": seconds}),
        ]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "LOG_LEVEL": "ERROR", "LOG_TO_FILE": "0"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        answers = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not answers:
            raise RuntimeError(f"{self.name} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        found = json.loads(answers[-1])
        if self._load.shape.output_tokens == 0:
            return Pace(requests=found["forward"]["throughput"])
        decodes = self._load.shape.output_tokens > 1
        whole = found["generate" if decodes else "prefill"][
            "mean_s"
        ]  # its generate throughput counts tokens as samples
        return Pace(
            requests=self._batch / whole,
            prefill=found["prefill"]["throughput"] * self._load.shape.input_tokens,  # samples/s
            decode=found["decode"]["throughput"] if decodes else None,
        )


def make_environment(name: str) -> None:
    """Create a peer's virtual environment below build/peers, unless it is there."""
    folder = HOME / name
    if (folder / "made").exists():
        return
    print(f"making {folder}: pip install {' '.join(PINS[name])}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    subprocess.run(
        [python_of(name), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *PINS[name]], check=True
    )
    (folder / "made").touch()


def python_of(name: str) -> str:
    """Return the interpreter of a peer's environment."""
    return str(HOME / name / "bin" / "python")


def run_here(imports: str, call: str) -> None:
    """Run a function of these scripts in a process of its own, so that its memory is given back."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); {imports}; {call}"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


if __name__ == "__main__":
    main()
