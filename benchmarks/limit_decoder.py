"""How near a decoder comes to the machine's limit: every engine against `generate` of `transformers`.

Run: python benchmarks/limit_decoder.py [--pairs 5] [--seconds 5] [--model qwen3-0.6b] [--shapes SHAPE ...]
     [--candidates WORD ...] [--device NAME]
Goals: prefill 512 >= 40 % of the bfloat16 GEMM rate (with AMX); decode at batch 1 and depth 64: float32 >= 90 % of the
read bandwidth, int8 >= 65 %, int4 >= 60 %; decode at depth 512 >= 2.8 x `generate`.

`generate` is called as users write it: greedy, default cache and attention, in float32 and in bfloat16, on the same
weights; a streamer tells when its first token comes. Each engine is the real worker, gated before it is timed. All
take turns in processes of their own; a ratio is the median over the rounds, of paces within one round. MBU counts the
bytes of weights and cache that a step reads, by the engine's own record, over the measured read bandwidth.
"""

import argparse
import sys
import time
from contextlib import ExitStack

from _sides import (
    CandidateSide,
    Ceilings,
    Pace,
    ScriptSide,
    candidate_plans,
    common_arguments,
    gate_text,
    gemm_share,
    grouped,
    machine_lines,
    measure_ceilings,
    median,
    peer_device,
    plan_name,
    serve_paces,
    spread,
)

from wattbench.models.find import find_load

SHAPES = ("prefill", "decode-64", "decode-512")
DTYPES = ("float32", "bfloat16")


def main() -> None:
    """Measure every engine on every shape and print a row each, as they come."""
    if sys.argv[1:2] == ["--serve"]:
        serve_generate(*sys.argv[2:5])
        return
    parser = common_arguments(__doc__.splitlines()[0], pairs=5, seconds=5.0)
    parser.add_argument("--model", default="qwen3-0.6b")
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    options = parser.parse_args()
    print("\n".join(machine_lines()))
    ceilings = measure_ceilings(options.ceilings, options.device)
    print("\n".join(ceilings.lines()))
    for shape in options.shapes:
        measure(f"{options.model}/{shape}", options, ceilings)


def measure(load_name: str, options: argparse.Namespace, ceilings: Ceilings) -> None:
    """Measure every engine on one load."""
    plans = candidate_plans(load_name, 1, options)
    shape = find_load(load_name).shape
    phase = "prefill" if shape.output_tokens == 1 else "decode"
    lengths = f"{shape.input_tokens} tokens in, {shape.output_tokens} out"
    print(
        f"\n{load_name} ({lengths}), batch 1, {phase} tokens/s: "
        f"{options.pairs} rounds of >= {options.seconds:g} s a side"
    )
    print(f"candidates        {', '.join(map(plan_name, plans)) or 'none'}")
    limit = "share of GEMM" if phase == "prefill" else "MBU"
    print(f"{'engine':<44}{'tokens/s':>9}  {'ratio to generate float32':<26}{'to bfloat16':<26}{limit:<18}gate")
    command = [sys.executable, __file__, "--serve", load_name, peer_device(plans)]
    with ExitStack() as stack:
        peers = [stack.enter_context(ScriptSide(name_of(dtype), [*command, dtype])) for dtype in DTYPES]
        for group in grouped(plans, peers, options):
            for peer in peers:
                rate = median(group.rates(peer.name, phase))
                print(f"{peer.name:<44}{rate:>9.2f}  (beside the engines below)", flush=True)
            for side in group.candidates:
                rate = median(group.rates(side.name, phase))
                ratios = [spread(group.ratios(side.name, peer.name, phase)) for peer in peers]
                share = gemm_text(side, rate, ceilings) if phase == "prefill" else mbu_text(side, rate, ceilings)
                figures = f"{ratios[0]:<26}{ratios[1]:<26}{share:<18}"
                print(f"{side.name:<44}{rate:>9.2f}  {figures}{gate_text(side)}", flush=True)


def name_of(dtype: str) -> str:
    """Return the name of the peer in a data type."""
    return f"transformers generate {dtype}"


def gemm_text(side: CandidateSide, tokens_per_s: float, ceilings: Ceilings) -> str:
    """Return the share of the best library GEMM rate that the prefill reaches."""
    return gemm_share(side, side.load.work.prefill_flops / side.load.input_tokens * tokens_per_s, ceilings)


def mbu_text(side: CandidateSide, tokens_per_s: float, ceilings: Ceilings) -> str:
    """Return the share of the read bandwidth that the weights and the cache of a step take."""
    work, backend = side.load.work, side.ready.backend
    weights = backend.weight_bytes if backend.weight_bytes is not None else work.weight_bytes
    cache = (work.decode_kv_bytes or 0) / (side.load.output_tokens - 1)
    if backend.kv_bytes_per_token is not None and work.kv_bytes_per_token:
        cache *= backend.kv_bytes_per_token / work.kv_bytes_per_token
    rate, ceiling = tokens_per_s * (weights + cache), ceilings.read()
    return f"{100 * rate / ceiling:.0f} % of {ceiling / 1e9:.1f} GB/s" if ceiling else f"{rate / 1e9:.1f} GB/s"


class Stamps:
    """A streamer as `generate` takes it: it notes when the prompt and each token are handed over."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: object) -> None:
        """Note the time of one hand-over."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Nothing is left to do at the end."""


def serve_generate(load_name: str, device: str, dtype: str) -> None:
    """Be the default: hold the model on a device in a data type and call `generate`.

    Each token is on the host when the streamer is told of it, so that its time is when the device had made it.
    """
    import torch

    from wattbench.models.inputs import make_arrays
    from wattbench.models.torch_build import build

    load = find_load(load_name)
    built = build(load.model, weights="synthetic", seed=0, dtype=getattr(torch, dtype), device=torch.device(device))
    model = built.module
    model.generation_config.eos_token_id = None  # random weights end where they like
    model.generation_config.pad_token_id = 0
    ids = torch.from_numpy(make_arrays(load, 1, 1)["input_ids"]).to(device)
    new = load.shape.output_tokens

    def turn(seconds: float) -> Pace:
        prefill_s = decode_s = 0.0
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < seconds:
            stamps, began = Stamps(), time.perf_counter()
            model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new,
                do_sample=False,
                streamer=stamps,
            )
            assert len(stamps.times) == new + 1, "generate made all tokens"
            prefill_s += stamps.times[1] - began
            decode_s += stamps.times[-1] - stamps.times[1]
            count += 1
        return Pace(
            requests=count / (time.perf_counter() - start),
            prefill=count * ids.shape[1] / prefill_s,
            decode=count * (new - 1) / decode_s if new > 1 else None,
        )

    serve_paces({"attention": built.attention, "threads": str(torch.get_num_threads())}, turn)


if __name__ == "__main__":
    main()
