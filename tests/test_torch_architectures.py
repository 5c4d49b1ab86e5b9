"""The real architectures, in tiny sizes, run on the torch backend and agree with a forward without a cache."""

import numpy
import pytest

pytest.importorskip("transformers", reason="the real architectures are transformers' modules")

import torch

from wattbench.backends.contract import Batch, Preparation
from wattbench.backends.torch.backend import TorchBackend
from wattbench.models.load import Load, ModelSpec, RequestShape
from wattbench.models.torch_build import build, hf_config, model_class, quiet_transformers
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.subject import Family
from wattbench.testing import make_batch

LLAMA: dict[str, object] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.2,
}
EXPERTS: dict[str, object] = {"num_local_experts": 4, "num_experts_per_tok": 2, "tie_word_embeddings": False}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

CASES: dict[str, tuple[Family, str, dict[str, object]]] = {
    "gpt2": (
        "decoder",
        "GPT2Config",
        {
            "vocab_size": 100,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": 128,
            "initializer_range": 0.2,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
    ),
    "llama": ("decoder", "LlamaConfig", LLAMA | {"rope_parameters": LLAMA3_ROPE}),
    "qwen3": ("decoder", "Qwen3Config", LLAMA | {"head_dim": 16}),
    "mixtral": ("decoder", "MixtralConfig", LLAMA | EXPERTS),
    "gpt-oss": (
        "decoder",
        "GptOssConfig",
        LLAMA
        | EXPERTS
        | {
            "head_dim": 16,
            "sliding_window": 8,
            "layer_types": ["sliding_attention", "full_attention"],
            "pad_token_id": 0,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 150000.0,
                "factor": 4.0,
                "beta_fast": 32.0,
                "beta_slow": 1.0,
                "original_max_position_embeddings": 32,
                "truncate": False,
            },
        },
    ),
    "bert": (
        "encoder",
        "BertConfig",
        {
            "vocab_size": 100,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 128,
            "type_vocab_size": 2,
        },
    ),
    "vit": (
        "vision-encoder",
        "ViTConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "image_size": 32,
            "patch_size": 16,
            "num_channels": 3,
            "num_labels": 10,
        },
    ),
    "t5": (
        "encoder-decoder",
        "T5Config",
        {
            "vocab_size": 100,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 4,
            "relative_attention_num_buckets": 32,
            "decoder_start_token_id": 0,
            "pad_token_id": 0,
            "eos_token_id": 1,
        },
    ),
    "whisper": (
        "encoder-decoder",
        "WhisperConfig",
        {
            "vocab_size": 100,
            "num_mel_bins": 8,
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_layers": 2,
            "decoder_attention_heads": 4,
            "decoder_ffn_dim": 64,
            "max_source_positions": 20,
            "max_target_positions": 64,
            "init_std": 0.2,
            "decoder_start_token_id": 3,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "begin_suppress_tokens": [4],
        },
    ),
}
DECODERS = [name for name, case in CASES.items() if case[0] == "decoder"]
WRITERS = [name for name, case in CASES.items() if "decoder" in case[0].split("-")]


def make_load(name: str, *, turns: int = 1) -> Load:
    """Return a load of 20 positions in and 16 tokens out where the family writes."""
    family, architecture, config = CASES[name]
    model = ModelSpec(
        name=name,
        version=1,
        family=family,
        architecture=architecture,
        config=config,
        parameters=1,
        precisions=("float32", "bfloat16"),
        tolerances=(),
        sources=(),
        checkpoint=None,
    )
    shape = RequestShape(
        name="test",
        version=1,
        input_tokens=20,
        output_tokens=16 if name in WRITERS else 0,
        turns=turns,
        turn_input_tokens=0 if turns == 1 else 7,
        families=(family,),
        sources=(),
    )
    return Load(model=model, shape=shape)


def prepared(load: Load, batch: int = 2) -> TorchBackend:
    """Return a torch backend that holds the load in float32 on the CPU."""
    backend = TorchBackend()
    backend.prepare(
        Preparation(
            load=load,
            weights="synthetic",
            seed=5,
            precision="float32",
            device="cpu",
            batch=batch,
            threads=1,
            affinity=None,
        )
    )
    return backend


def relative_error(values: numpy.ndarray, reference: numpy.ndarray) -> float:
    """Return ||values - reference|| / ||reference||."""
    return float(numpy.linalg.norm(values - reference) / numpy.linalg.norm(reference))


@pytest.mark.parametrize("name", CASES)
def test_outputs_agree_with_the_uncached_reference(name: str) -> None:
    """Prefill and 16 cached steps in float32 are the full forward's within 1e-4."""
    load = make_load(name)
    backend, batch = prepared(load), make_batch(load, 2)
    reference = reference_outputs(load.model, batch.arrays, load.shape.output_tokens, weights="synthetic", seed=5)

    found = backend.outputs(batch, reference.forced_tokens)

    assert reference.values.shape == found.values.shape
    assert relative_error(found.values, reference.values) < 1e-4


@pytest.mark.parametrize("name", WRITERS)
def test_a_run_writes_the_greedy_tokens_of_the_reference(name: str) -> None:
    """The timed path writes exactly the tokens that the uncached forward writes, run after run."""
    load = make_load(name)
    backend, batch = prepared(load), make_batch(load, 2)
    reference = reference_outputs(load.model, batch.arrays, load.shape.output_tokens, weights="synthetic", seed=5)
    written = [tokens_of(backend, batch) for _ in range(2)]

    assert reference.forced_tokens is not None
    assert [reference.forced_tokens.tolist()] * 2 == written


def tokens_of(backend: TorchBackend, batch: Batch) -> list[int]:
    """Run a batch and return the tokens of request 0 that the engine holds."""
    backend.run(batch)
    session = backend._session
    assert session is not None
    tokens = next(t for t in reversed(session._engine.state()[:-1]) if t.ndim == 2)  # type: ignore[union-attr]
    return [int(token) for token in tokens[0]]


@pytest.mark.parametrize("name", DECODERS)
def test_an_agent_s_turns_see_all_that_came_before(name: str) -> None:
    """A second turn on the kept cache writes what one uncached forward over the whole conversation would."""
    load = make_load(name, turns=2)
    backend, batch = prepared(load, batch=1), make_batch(load, 1)
    written = tokens_of(backend, batch)
    arrays = batch.arrays
    said = numpy.concatenate([arrays["input_ids"][0], written[:16], arrays["turn_input_ids"][0, 0]])
    reference = reference_outputs(load.model, {"input_ids": said[None]}, 16, weights="synthetic", seed=5)

    assert reference.forced_tokens is not None
    assert reference.forced_tokens.tolist() == written[16:]


@pytest.mark.parametrize("name", CASES)
def test_buffers_are_those_of_a_normal_construction(name: str) -> None:
    """Rotary frequencies and position numbers are right although the module was made without memory."""
    model = make_load(name).model
    built = build(model, weights="synthetic", seed=0, dtype=torch.bfloat16, device=torch.device("cpu"))
    config = hf_config(model)
    with quiet_transformers():
        usual = model_class(model, config)(config)

    expected = {name: buffer.tolist() for name, buffer in usual.named_buffers()}
    assert expected == {name: buffer.tolist() for name, buffer in built.module.named_buffers()}


@pytest.mark.parametrize("name", CASES)
def test_matrices_are_random_and_tied_where_the_architecture_ties(name: str) -> None:
    """No matrix is constant, and there are as many parameters as in a normal construction."""
    model = make_load(name).model
    built = build(model, weights="synthetic", seed=0, dtype=torch.float32, device=torch.device("cpu"))
    config = hf_config(model)
    with quiet_transformers():
        usual = model_class(model, config)(config)
    matrices = [p for n, p in built.module.named_parameters() if p.ndim > 1 and not n.endswith("bias")]

    assert sum(p.numel() for p in usual.parameters()) == sum(p.numel() for p in built.module.parameters())
    assert all(float(matrix.std()) > 0 for matrix in matrices)
