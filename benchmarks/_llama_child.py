"""llama.cpp in its own environment, as a side that takes turns; benchmarks/peers.py starts it.

Arguments: one JSON object with model (GGUF file), prompt (token numbers), tokens_out, context, threads. It is the
server of llama.cpp within the wheel xllamacpp, asked without its prompt cache; times are the server's own `timings`.
"""

import json
import sys
import time

import xllamacpp


def main() -> None:
    """Load the model, say so, then answer each number of seconds with the pace."""
    asked = json.loads(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = asked["model"]
    params.n_ctx = asked["context"]
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = asked["threads"]
    params.verbosity = -1
    server = xllamacpp.Server(params)
    system = " ".join(xllamacpp.get_system_info().split())
    print(json.dumps({"ready": {"version": xllamacpp.__version__, "system": system}}), flush=True)
    for line in sys.stdin:
        print(json.dumps(pace(server, asked, float(line))), flush=True)


def pace(server: xllamacpp.Server, asked: dict, seconds: float) -> dict:  # type: ignore[type-arg] # JSON
    """Ask for completions for a while, at least once, and return requests/s and tokens/s of each phase."""
    prompt_s = decode_s = 0.0
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < seconds:
        answer = server.handle_completions(
            {
                "prompt": asked["prompt"],
                "n_predict": asked["tokens_out"],
                "samplers": ["top_k"],
                "top_k": 1,
                "temperature": 0.0,
                "ignore_eos": True,
                "cache_prompt": False,
            }
        )
        timings = answer["timings"]
        assert (timings["prompt_n"], timings["predicted_n"]) == (len(asked["prompt"]), asked["tokens_out"]), answer
        prompt_s += timings["prompt_ms"] / 1000
        decode_s += timings["predicted_ms"] / 1000
        count += 1
    steps = count * (asked["tokens_out"] - 1)  # the first token is sampled from the prompt's logits
    return {
        "requests": count / (time.perf_counter() - start),
        "prefill": count * len(asked["prompt"]) / prompt_s,
        "decode": steps / decode_s if steps else None,
    }


if __name__ == "__main__":
    main()
