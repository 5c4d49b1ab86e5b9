"""How near an encoder comes to the machine's limit: every engine against the default forward of `transformers`.

Run: python benchmarks/limit_encoder.py [--pairs 5] [--seconds 5] [--load LOAD] [--batch 8] [--candidates WORD ...]
     [--device NAME]
Goals with AMX: bfloat16 >= 3.0 x the default and >= 50 % of the best library GEMM rate, int8 >= 3.8 x.

The default is what users write: the model of the same configuration and weights in float32, `torch.no_grad()`, eager,
input_ids and attention_mask. Each engine is the real worker, gated before it is timed. Default and engines take turns
in processes of their own; a ratio is the median over the rounds, of paces within one round.
"""

import sys
import time

from _sides import (
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

DEFAULT = "transformers float32, as users write it"


def main() -> None:
    """Measure every engine and print a row each."""
    if sys.argv[1:2] == ["--serve"]:
        serve_default(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = common_arguments(__doc__.splitlines()[0], pairs=5, seconds=5.0)
    parser.add_argument("--load", default="bert-base/classify-128")
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()
    plans = candidate_plans(options.load, options.batch, options)
    print("\n".join(machine_lines()))
    print(f"candidates        {', '.join(map(plan_name, plans)) or 'none'}")
    ceilings = measure_ceilings(options.ceilings, options.device)
    print("\n".join(ceilings.lines()))
    print(
        f"\n{options.load}, batch {options.batch}: {options.pairs} rounds of >= {options.seconds:g} s a side, in turns"
    )
    print(f"{'engine':<44}{'seq/s':>8}  {'ratio to default':<24}{'GFLOP/s':>8}  share of GEMM   gate")
    serve = [sys.executable, __file__, "--serve", options.load, peer_device(plans), str(options.batch)]
    with ScriptSide(DEFAULT, serve) as default:
        for group in grouped(plans, [default], options):
            print(f"{DEFAULT:<44}{median(group.rates(DEFAULT)):>8.2f}  (beside the engines below)", flush=True)
            for side in group.candidates:
                rate = median(group.rates(side.name))
                flops_per_s = rate * side.load.work.prefill_flops
                ratios = spread(group.ratios(side.name, DEFAULT))
                shares = f"{flops_per_s / 1e9:>8.0f}  {gemm_share(side, flops_per_s, ceilings):<16}"
                print(f"{side.name:<44}{rate:>8.2f}  {ratios:<24}{shares}{gate_text(side)}", flush=True)


def serve_default(load_name: str, device: str, batch: int) -> None:
    """Be the default: hold the float32 model on a device and call it as the documentation of `transformers` does."""
    import torch

    from wattbench.models.find import find_load
    from wattbench.models.inputs import make_arrays
    from wattbench.models.torch_build import TINY, build

    load = find_load(load_name)
    built = build(load.model, weights="synthetic", seed=0, dtype=torch.float32, device=torch.device(device))
    inputs = {name: torch.from_numpy(array).to(device) for name, array in make_arrays(load, batch, 1).items()}
    if "input_ids" in inputs and load.model.architecture != TINY:
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])

    def turn(seconds: float) -> Pace:
        count, start = 0, time.perf_counter()
        while count == 0 or time.perf_counter() - start < seconds:
            with torch.no_grad():
                output = built.module(**inputs)
            (output.pooler_output if "pooler_output" in output else output.logits).cpu().numpy()
            count += batch
        return Pace(requests=count / (time.perf_counter() - start))

    serve_paces({"attention": built.attention, "threads": str(torch.get_num_threads())}, turn)


if __name__ == "__main__":
    main()
