"""The counted work against PyTorch's own counter, on the architectures as transformers builds them."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from wattbench.models.find import find_load, list_loads
from wattbench.models.inputs import make_arrays
from wattbench.models.load import Load, ModelSpec
from wattbench.models.work import decode_flops, prefill_flops

torch = pytest.importorskip("torch", reason="PyTorch's flop counter is the other side of this comparison")
transformers = pytest.importorskip("transformers", reason="its modules are the definition of the architectures")

MODELS = tuple({load.model.name: load.model for load in list_loads()}.values())
DEFINED_BY_TRANSFORMERS = [m for m in MODELS if not m.architecture.startswith("wattbench.")]
CLASSES = {
    "encoder": "AutoModel",
    "decoder": "AutoModelForCausalLM",
    "vision-encoder": "AutoModelForImageClassification",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
}


def _build(spec: ModelSpec) -> Any:  # any: a module of transformers
    """Return the model on torch's current device, without weights worth anything."""
    config = getattr(transformers, spec.architecture)(**copy.deepcopy(spec.config))
    name = "AutoModelForSpeechSeq2Seq" if spec.architecture == "WhisperConfig" else CLASSES[spec.family]
    return getattr(transformers, name).from_config(config).eval()


def _counted(module: Any, **inputs: Any) -> tuple[int, Any]:  # any: as above
    """Return the FLOPs that PyTorch counts in one forward, and the forward's output."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = module(**inputs)
    return counter.get_total_flops(), output


def _inputs(load: Load) -> dict[str, Any]:  # any: tensors on the meta device
    arrays = make_arrays(load, 1, 0)
    inputs = {name: torch.from_numpy(array).to("meta") for name, array in arrays.items()}
    return {**inputs, "logits_to_keep": 1} if load.model.family == "decoder" else inputs


@pytest.mark.parametrize("spec", DEFINED_BY_TRANSFORMERS, ids=lambda spec: spec.name)
def test_transformers_builds_the_published_parameters(spec: ModelSpec) -> None:
    """The configuration, built without memory, has the file's count of distinct parameters."""
    with torch.device("meta"):
        module = _build(spec)

    assert spec.parameters == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    "name",
    [
        "bert-base/classify-128",
        "minilm-l6/embed-256",
        "vit-b16/image-224",
        "gpt2/chat",
        "smollm2-135m/chat",
        "qwen3-0.6b/chat",
        "llama-3.2-1b/chat",
        "llama-3.1-8b/chat",
        "t5-base/translate",
        "whisper-large-v3/transcribe",
    ],
)
def test_prefill_matches_the_flop_counter(name: str) -> None:
    """Counted with full squares, as PyTorch's counter does, a prefill agrees within 2 %."""
    load = find_load(name)
    with torch.device("meta"):
        counted, _ = _counted(_build(load.model), **_inputs(load))

    assert pytest.approx(counted, rel=0.02) == prefill_flops(load, full_square=True)


@pytest.mark.parametrize("name", ["gpt2/chat", "smollm2-135m/chat", "qwen3-0.6b/chat", "t5-base/translate"])
def test_a_decode_step_matches_the_flop_counter(name: str) -> None:
    """One step after the prefill agrees within 2 %; a single position has no square to halve."""
    load = find_load(name)
    load = replace(load, shape=replace(load.shape, output_tokens=2))
    inputs = _inputs(load)
    with torch.device("meta"):
        module = _build(load.model)
        _, first = _counted(module, **inputs, use_cache=True)
        token = torch.zeros(1, 1, dtype=torch.int64)
        if load.model.family == "decoder":
            step = {"input_ids": token, "logits_to_keep": 1}
        else:
            step = {"decoder_input_ids": token, "encoder_outputs": (first.encoder_last_hidden_state,)}
        counted, _ = _counted(module, **step, past_key_values=first.past_key_values, use_cache=True)

    assert pytest.approx(counted, rel=0.02) == decode_flops(load)


@pytest.mark.parametrize("name", ["mixtral-8x7b/tiny", "gpt-oss-20b/tiny"])
def test_experts_match_the_flop_counter(name: str) -> None:
    """A small model of the same architecture, run for real because routing needs values, agrees within 2 %."""
    load = find_load(name)
    small = {"vocab_size": 96, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "eos_token_id": 2, "pad_token_id": 0}
    config = {**load.model.config, **small, **heads}
    if "layer_types" in config:
        config["layer_types"] = ["sliding_attention", "full_attention"]
    spec = replace(load.model, config=config)
    load = replace(load, model=spec)
    module = _build(spec)
    module.set_attn_implementation("eager")  # the fused CPU kernel is not counted
    module.config._experts_implementation = "eager"  # nor is the grouped one
    ids = torch.from_numpy(make_arrays(load, 1, 0)["input_ids"])

    counted, _ = _counted(module, input_ids=ids, logits_to_keep=1)

    assert pytest.approx(counted, rel=0.02) == prefill_flops(load, full_square=True)
