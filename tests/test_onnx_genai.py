"""ONNX Runtime GenAI as an engine: tiny decoders through its real model builder and generator."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from wattbench.backends.contract import Batch, Preparation
from wattbench.backends.onnxruntime import genai, genai_build, genai_support
from wattbench.backends.onnxruntime.genai import GenaiEngine, GenaiPrepared, available, supports
from wattbench.backends.onnxruntime.genai_build import BuildRequest, genai_graph
from wattbench.models.find import find_load
from wattbench.models.load import Load, ModelSpec, RequestShape
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.testing import make_batch

needs_genai = pytest.mark.skipif(available() is not None, reason=f"it builds graphs: {available()}")

TINY: dict[str, object] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.1,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
END = 95
"""The last token of the vocabulary: the one that ends a text for the generator."""

PROMPT, STEPS = 24, 32


def make_model(architecture: str = "Qwen3Config", **changes: object) -> ModelSpec:
    """Return a model of two narrow layers: the catalogue's Qwen3 or Llama in small."""
    source = {"Qwen3Config": "qwen3-0.6b", "LlamaConfig": "llama-3.2-1b"}[architecture]
    rope = {"rope_parameters": LLAMA3_ROPE} if architecture == "LlamaConfig" else {}
    model = find_load(source).model
    return replace(model, name=f"small-{source}", config=model.config | TINY | rope | changes, parameters=100_000)


def make_load(model: ModelSpec, *, turns: int = 1, steps: int = STEPS) -> Load:
    """Return a load of 24 tokens in, and 8 more in each later turn."""
    shape = RequestShape(
        name="short",
        version=1,
        input_tokens=PROMPT,
        output_tokens=steps,
        turns=turns,
        turn_input_tokens=8 if turns > 1 else 0,
        families=("decoder",),
        sources=(),
    )
    return Load(model=model, shape=shape)


def preparation(load: Load, precision: str = "float32", **changes: Any) -> Preparation:  # any: values of any field
    """Return a preparation for up to three requests on one thread."""
    made = Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision=precision,
        device="cpu",
        batch=3,
        threads=1,
        affinity=None,
        tuning="genai",
    )
    return replace(made, **changes)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the graphs of this module in one folder, away from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a Llama whose head gives the ending token far more weight than any other, so that it often wins."""
    torch = pytest.importorskip("torch")
    from wattbench.models.torch_build import build, quiet_transformers

    model = make_model("LlamaConfig", tie_word_embeddings=False)
    module: Any = build(model, weights="synthetic", seed=1, dtype=torch.float32, device=torch.device("cpu")).module
    module.lm_head.weight[END] *= 20
    folder = tmp_path_factory.mktemp("ending")
    with quiet_transformers():
        module.save_pretrained(folder)
    return folder


def case(name: str, ending: Path) -> Preparation:
    """Return the preparation of a named case."""
    if name == "llama":
        return preparation(make_load(make_model("LlamaConfig", tie_word_embeddings=False)), weights=str(ending))
    return preparation(make_load(make_model()), precision=name)


def opened(p: Preparation) -> GenaiPrepared:
    """Return the open engine of a preparation."""
    return GenaiEngine.open(p)


def torch_rows(p: Preparation, tokens: numpy.ndarray) -> numpy.ndarray:
    """Return torch's float32 logits at every position of `tokens`, (positions, vocabulary)."""
    import torch

    from wattbench.models.torch_build import build

    built = build(p.load.model, weights=p.weights, seed=p.seed, dtype=torch.float32, device=torch.device("cpu"))
    module: Any = built.module
    with torch.inference_mode():
        rows: numpy.ndarray = module(input_ids=torch.from_numpy(tokens).view(1, -1)).logits[0].numpy()
    return rows


def relative_error(found: numpy.ndarray, wanted: numpy.ndarray) -> float:
    """Return how far numbers are apart, relative to the wanted ones."""
    return float(numpy.linalg.norm(found - wanted) / numpy.linalg.norm(wanted))


def forced_path(p: Preparation, requests: int) -> tuple[Batch, numpy.ndarray, numpy.ndarray]:
    """Return a batch, tokens to force after its first prompt, and torch's logits along that path."""
    batch = make_batch(p.load, requests, seed=3)
    forced = numpy.arange(STEPS, dtype=numpy.int64) * 7 % END
    path = numpy.concatenate([batch.arrays["input_ids"][0], forced])
    return batch, forced, torch_rows(p, path)[PROMPT - 1 :]


@needs_genai
@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize(
    ("name", "bound"), [("float32", 1e-4), ("llama", 1e-4), ("int8", 0.05), ("int4", 0.5)], ids=lambda v: str(v)
)
def test_logits_are_torch_s(name: str, bound: float, requests: int, ending: Path) -> None:
    """Prefill and 32 decode steps agree with torch's float32 as far as the precision allows, alone and in a batch."""
    p = case(name, ending)
    ready = opened(p)
    batch, forced, wanted = forced_path(p, requests)
    found = ready.engine.outputs(batch, forced).values
    ready.engine.close()

    assert (STEPS + 1, 96) == found.shape
    assert relative_error(found, wanted) < bound


@needs_genai
@pytest.mark.parametrize(("name", "least"), [("int8", 1e-4), ("int4", 0.02)])
def test_quantised_graphs_are_quantised(name: str, least: float, ending: Path) -> None:
    """What is called int8 or int4 is not float32 under another name."""
    p = case(name, ending)
    ready = opened(p)
    batch, forced, wanted = forced_path(p, 1)
    found = ready.engine.outputs(batch, forced).values
    ready.engine.close()

    assert least < relative_error(found, wanted)


@needs_genai
def test_the_work_of_every_batch_is_done(ending: Path) -> None:
    """Batches of three, one and three requests give all their tokens, with a stamp for each in order."""
    p = case("float32", ending)
    engine = opened(p).engine
    for requests in (3, 1, 3):
        done = engine.run(make_batch(p.load, requests))
        stamps = [done.start_ns, done.first_output_ns or 0, *done.step_end_ns, done.end_ns]

        assert (requests, requests * PROMPT, requests * STEPS) == (
            done.requests,
            done.input_tokens,
            done.output_tokens,
        )
        assert STEPS - 1 == len(done.step_end_ns)
        assert sorted(stamps) == stamps
    engine.close()


@needs_genai
def test_executions_leave_nothing_behind(ending: Path) -> None:
    """The kept generator is empty for the next execution: the same outputs come before and after others."""
    p = case("float32", ending)
    engine = opened(p).engine
    batch, forced, _ = forced_path(p, 3)
    before = engine.outputs(batch, forced).values
    engine.run(make_batch(p.load, 3, seed=9))
    engine.run(make_batch(p.load, 2, seed=8))
    after = engine.outputs(batch, forced).values
    engine.close()

    assert numpy.array_equal(before, after)


@needs_genai
def test_the_token_that_ends_a_text_shortens_nothing(ending: Path) -> None:
    """All tokens come although the ending one would have been the first."""
    p = case("llama", ending)
    engine = opened(p).engine
    batches = (make_batch(p.load, seed=seed) for seed in range(50))
    batch = next(b for b in batches if engine.outputs(b, None).values[0].argmax() == END)
    done = engine.run(batch)
    tokens = engine._generator.get_sequence(0)[PROMPT:]
    engine.close()

    assert STEPS == done.output_tokens == len(tokens)
    assert END not in tokens


@needs_genai
def test_forcing_the_ending_token_is_refused(ending: Path) -> None:
    """The generator would stop there, and the numbers after it would be another text's."""
    p = case("llama", ending)
    engine = opened(p).engine

    with pytest.raises(UsageError, match="95 ends a text"):
        engine.outputs(make_batch(p.load), numpy.array([3, END]))


@needs_genai
def test_an_agent_s_turns_continue_one_context(ending: Path) -> None:
    """Every token of three turns is the one that torch's logits over the whole context choose."""
    p = case("float32", ending)
    p = replace(p, load=make_load(p.load.model, turns=3, steps=5), batch=1)
    engine = opened(p).engine
    batch = make_batch(p.load)
    done = engine.run(batch)
    tokens = numpy.array(engine._generator.get_sequence(0), dtype=numpy.int64)
    engine.close()
    rows = torch_rows(p, tokens)
    rows[:, END] = -numpy.inf
    starts = [PROMPT, PROMPT + 5 + 8, PROMPT + 2 * (5 + 8)]
    written = [start + step for start in starts for step in range(5)]

    assert (PROMPT + 16, 15, 14) == (done.input_tokens, done.output_tokens, len(done.step_end_ns))
    assert [int(rows[at - 1].argmax()) for at in written] == [int(tokens[at]) for at in written]
    assert list(batch.arrays["turn_input_ids"][0, 1]) == list(tokens[starts[2] - 8 : starts[2]])


@needs_genai
def test_an_agent_s_outputs_are_those_of_one_context(ending: Path) -> None:
    """The logits of every forced token of three turns are torch's over the whole context."""
    p = case("float32", ending)
    p = replace(p, load=make_load(p.load.model, turns=3, steps=5), batch=1)
    batch, forced = make_batch(p.load), numpy.arange(1, 16, dtype=numpy.int64)
    engine = opened(p).engine
    found = engine.outputs(batch, forced).values
    engine.close()
    news = [batch.arrays["input_ids"][0], *batch.arrays["turn_input_ids"][0]]
    text = numpy.concatenate(
        [part for new, said in zip(news, forced.reshape(3, 5), strict=True) for part in (new, said)]
    )
    starts = [PROMPT, PROMPT + 5 + 8, PROMPT + 2 * (5 + 8)]
    before = [start + step - 1 for start in starts for step in range(5)]

    numpy.testing.assert_allclose(found, torch_rows(p, text)[[*before, len(text) - 1]], rtol=0, atol=1e-3)


def test_turns_of_several_requests_are_refused() -> None:
    """GenAI's generator appends to one request only."""
    p = preparation(make_load(make_model(), turns=2), batch=2)

    with pytest.raises((UsageError, DeviceError), match=r"only one request at a time|not installed"):
        GenaiEngine.open(p)


@needs_genai
def test_the_record_s_facts_are_the_graph_s(ending: Path) -> None:
    """Bytes follow from the shape and the number of bits; every node of the trial was on the CPU's provider."""
    facts = {name: opened(case(name, ending)).facts for name in ("float32", "int8", "int4")}
    attention = 64 * (4 + 2 + 2) * 16 + 4 * 16 * 64
    matrices = 2 * (attention + 3 * 64 * 128) + 96 * 64
    norms = 2 * (2 * 64 + 2 * 16) + 64
    scales = matrices // 32 * 4

    assert 4 * (matrices + norms) == facts["float32"].weight_bytes
    assert matrices + scales + 4 * norms == facts["int8"].weight_bytes
    assert matrices // 2 + scales + 4 * norms == facts["int4"].weight_bytes
    assert {2 * 2 * 2 * 16 * 4} == {f.kv_bytes_per_token for f in facts.values()}
    assert [None, "int8", "int8"] == [f.compute_precision for f in facts.values()]
    assert {1.0} == {f.placement_share for f in facts.values()}
    assert "CPUExecutionProvider" in facts["int4"].placement
    assert 1 == facts["int4"].threads


@needs_genai
def test_weights_are_those_of_the_torch_backend(ending: Path) -> None:
    """The digest is that of the same seed's weights in torch, or that of the checkpoint."""
    import torch

    from wattbench.models.torch_build import build
    from wattbench.models.torch_checkpoint import find_checkpoint

    drawn, real = case("float32", ending), case("llama", ending)
    built = build(drawn.load.model, weights="synthetic", seed=0, dtype=torch.float32, device=torch.device("cpu"))

    assert built.weights == opened(drawn).weights
    assert find_checkpoint(str(ending)).digest == opened(real).weights.digest


@needs_genai
def test_the_timed_process_holds_no_torch(ending: Path, cache: Path) -> None:
    """Opening a graph that is kept, and running it, imports neither torch nor transformers."""
    opened(case("int4", ending)).engine.close()
    code = (
        "import sys, test_onnx_genai as t\n"
        "p = t.case('int4', None)\n"
        "t.opened(p).engine.run(t.make_batch(p.load))\n"
        "print([m for m in ('torch', 'transformers') if m in sys.modules])\n"
    )
    environment = {"WATTBENCH_CACHE": str(cache), "PYTHONPATH": str(Path(__file__).parent), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


@needs_genai
def test_a_kept_graph_is_not_built_again(ending: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second opening starts no builder."""
    opened(case("float32", ending)).engine.close()
    monkeypatch.setattr(genai_build, "BUILDER", "wattbench.no_such_module")

    assert opened(case("float32", ending)).facts.weight_bytes > 0


@needs_genai
def test_a_damaged_graph_is_built_again(ending: Path, cache: Path) -> None:
    """A folder with one wrong bit is replaced by a whole one, and nothing is left of the build but the result."""
    p = case("int8", ending)
    opened(p).engine.close()
    request = genai_support.build_request(p, genai_support.PROVIDERS["cpu"])
    folder = cache / "genai" / genai_build.folder_key(request)
    data = folder / "model.onnx.data"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    opened(p).engine.close()
    settings = json.loads((folder / "genai_config.json").read_text())["model"]
    kept = {"files.json", "genai_config.json", "model.onnx", "model.onnx.data", "wattbench.json"}

    assert content != data.read_bytes()
    assert (END, -1) == (settings["eos_token_id"], settings["pad_token_id"])
    assert kept | {"tokenizer.json", "tokenizer_config.json"} == {path.name for path in folder.iterdir()}
    assert not list(folder.parent.glob(".partial-*"))


@needs_genai
def test_weights_of_another_model_are_refused_by_the_builder_s_process(ending: Path) -> None:
    """What loading the weights raises in the other process is raised here."""
    p = replace(case("float32", ending), weights=str(ending))

    with pytest.raises(UsageError, match="it is a LlamaConfig, the load needs a Qwen3Config"):
        GenaiEngine.open(p)


def build_of(model: ModelSpec, **changes: Any) -> BuildRequest:  # any: values of any field
    """Return the request for a graph of synthetic weights."""
    made = BuildRequest(model=model, weights="synthetic", seed=0, precision="fp32", provider="cpu", options=())
    return replace(made, **changes)


def test_a_builder_that_dies_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error carries the exit code and the process's last words, and nothing is left behind."""
    monkeypatch.setattr(genai_build, "BUILDER", "wattbench.no_such_module")

    with pytest.raises(DeviceError, match=r"exit code 1; it said: .*No module named"):
        genai_graph(build_of(make_model()), tmp_path)
    assert [] == list((tmp_path / "genai").iterdir())


@pytest.mark.parametrize(("precision", "needed"), [("fp32", "7"), ("int4", "14")])
def test_a_model_too_big_to_build_is_refused_with_both_figures(precision: str, needed: str) -> None:
    """Before memory runs out for everybody on the machine; a build that fits goes on."""
    request = build_of(replace(make_model(), parameters=1_000_000_000), precision=precision)
    genai_build.refuse_if_too_big(request, 14_000_000_000)

    with pytest.raises(OutOfMemoryError, match=rf"about {needed}\.0 GB, and 6\.9 GB are free"):
        genai_build.refuse_if_too_big(request, 6_900_000_000)


def test_a_graph_belongs_to_all_that_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another model, seed, precision, option or version is another folder; what is only said of a model is not."""
    model = make_model()
    same = [build_of(model), build_of(replace(model, sources=("elsewhere",), precisions=("int2",)))]
    others = [
        build_of(make_model(intermediate_size=160)),
        build_of(model, seed=1),
        build_of(model, precision="int4"),
        build_of(model, options=("block_size=64",)),
        build_of(model, provider="cuda"),
    ]
    keys = [genai_build.folder_key(request) for request in (*same, *others)]
    monkeypatch.setattr(genai_build, "installed_versions", lambda: {"torch": "0"})
    keys.append(genai_build.folder_key(build_of(model)))

    assert keys[0] == keys[1]
    assert 1 + len(others) + 1 == len(set(keys))


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without GenAI nothing is supported, and opening says what to install."""
    monkeypatch.setattr(genai_support, "find_spec", lambda name: None if name == "onnxruntime_genai" else name)
    load = make_load(make_model())

    assert "onnxruntime_genai cannot be imported" == available()
    assert not supports(load, "cpu", "int4")
    with pytest.raises(DeviceError, match="pip install onnxruntime-genai"):
        GenaiEngine.open(preparation(load))


def test_only_what_can_be_built_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Llama and Qwen3 in the CPU's three precisions; no GPT-2, no tiny model, no encoder, no other device."""
    monkeypatch.setattr(genai_support, "find_spec", lambda name: name)
    monkeypatch.setattr(genai_support, "_is_installed", lambda _: False)
    asked = {
        ("smollm2-135m/chat", "cpu", "float32"): True,
        ("qwen3-0.6b/chat", "cpu", "int8"): True,
        ("llama-3.2-1b/agent", "cpu", "int4"): True,
        ("qwen3-0.6b/chat", "cpu", "bfloat16"): False,
        ("qwen3-0.6b/chat", "cpu", "float16"): False,
        ("qwen3-0.6b/chat", "cuda:0", "float16"): False,
        ("qwen3-0.6b/chat", "openvino:cpu", "float32"): False,
        ("gpt2/chat", "cpu", "float32"): False,
        ("tiny-decoder/tiny", "cpu", "float32"): False,
        ("bert-base/classify-128", "cpu", "float32"): False,
    }

    assert asked == {key: supports(find_load(key[0]), key[1], key[2]) for key in asked}


def test_gpus_need_genai_s_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, float16 is on offer there; the CPU's package alone is not enough."""
    monkeypatch.setattr(genai_support, "find_spec", lambda name: name)
    load = find_load("qwen3-0.6b/chat")
    found = []
    for packages in ({"onnxruntime-genai"}, {"onnxruntime-genai", "onnxruntime-genai-cuda"}):
        monkeypatch.setattr(genai_support, "_is_installed", packages.__contains__)
        found.append(supports(load, "cuda:0", "float16"))

    assert [False, True] == found


@pytest.mark.parametrize(
    ("load", "precision", "reason"),
    [
        ("qwen3-0.6b/chat", "bfloat16", "on cpu it has float32, int8, int4, not bfloat16"),
        ("gpt2/chat", "float32", "gpt2 is a GPT2Config"),
    ],
)
def test_what_is_not_supported_is_refused_with_the_reason(
    load: str, precision: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Precision and architecture are named, nothing is cast."""
    monkeypatch.setattr(genai_support, "find_spec", lambda name: name)

    with pytest.raises(UsageError, match=reason):
        GenaiEngine.open(preparation(find_load(load), precision))


@needs_genai
def test_more_requests_than_prepared_are_refused(ending: Path) -> None:
    """The memory was reckoned for three requests."""
    p = case("float32", ending)
    engine = opened(p).engine

    with pytest.raises(UsageError, match="prepared for 3 requests at once, the batch has 4"):
        engine.run(make_batch(p.load, 4))


@needs_genai
def test_a_closed_engine_runs_nothing(ending: Path) -> None:
    """Closing twice is allowed, running afterwards is not."""
    p = case("float32", ending)
    engine = opened(p).engine
    engine.close()
    engine.close()

    with pytest.raises(DeviceError, match="was closed"):
        engine.run(make_batch(p.load))


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (RuntimeError("Failed to allocate memory for requested buffer of size 9"), OutOfMemoryError),
        (MemoryError("std::bad_alloc"), OutOfMemoryError),
        (RuntimeError("Non-zero status code returned while running MatMulNBits node"), DeviceError),
    ],
)
def test_genai_s_errors_become_ours(raised: Exception, kind: type[DeviceError]) -> None:
    """Its plain RuntimeErrors carry their own words; those about memory are OutOfMemoryErrors."""
    with pytest.raises(DeviceError, match=str(raised)[:20]) as caught, genai._genai_errors("x"):
        raise raised

    assert kind is type(caught.value)


@needs_genai
def test_a_whole_text_fits_to_its_last_token(ending: Path) -> None:
    """As many tokens can be forced as the load gives out, and the logits after the last one are there."""
    p = case("float32", ending)
    engine = opened(p).engine
    rows = engine.outputs(make_batch(p.load), numpy.zeros(p.load.shape.output_tokens, dtype=numpy.int64)).values
    engine.close()

    assert numpy.isfinite(rows).all()
