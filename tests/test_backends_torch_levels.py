"""The levels of the torch backend on the CPU: each passes the gate, none compiles while it is timed."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch
from small_models import small_load

from wattbench.backends.contract import Preparation, Prepared
from wattbench.backends.torch import compile as compile_module
from wattbench.backends.torch import session as session_module
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.compile import CompileError, compiled, compiling, sealed
from wattbench.backends.torch.levels import level_list
from wattbench.backends.torch.quantised import Int4
from wattbench.backends.torch.session import Session
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_build import BuiltModel, build
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import UsageError
from wattbench.results.subject import QualityRecord
from wattbench.testing import BackendCase, BackendContract, make_batch

needs_compiler = pytest.mark.skipif(not compile_module.can_compile("cpu"), reason="needs a C++ compiler")


class Compiled(TorchBackend):
    """The torch backend, always at the level "compiled"."""

    def prepare(self, preparation: Preparation) -> Prepared:
        """Prepare at the level."""
        return super().prepare(replace(preparation, tuning="compiled"))


@needs_compiler
class TestCompiledDecoderContract(BackendContract):
    """A compiled decode step keeps the contract."""

    case = BackendCase(make_backend=Compiled, load=find_load("tiny-decoder/tiny"))


@needs_compiler
class TestCompiledEncoderContract(BackendContract):
    """A compiled encoder keeps the contract."""

    case = BackendCase(make_backend=Compiled, load=find_load("tiny-encoder/tiny-encode"))


class TestInt8Contract(BackendContract):
    """A decoder with int8 weights keeps the contract."""

    case = BackendCase(make_backend=TorchBackend, load=find_load("tiny-decoder/tiny"), precision="int8")


def prepared(load: Load, precision: str, level: str, batch: int = 1) -> tuple[TorchBackend, Prepared]:
    """Return a backend that holds a load at a level, and what it says."""
    backend = TorchBackend()
    made = backend.prepare(
        Preparation(
            load=load,
            weights="synthetic",
            seed=3,
            precision=precision,
            device="cpu",
            batch=batch,
            threads=1,
            affinity=None,
            tuning=level,
        )
    )
    return backend, made


def gate(backend: TorchBackend, load: Load, precision: str, batch: int = 1) -> QualityRecord:
    """Return the gate's verdict on a backend that holds a load with seed 3."""
    inputs = make_batch(load, batch)
    steps = load.shape.output_tokens
    reference = reference_outputs(load.model, inputs.arrays, steps, weights="synthetic", seed=3)
    found = backend.outputs(inputs, reference.forced_tokens)
    return compare(found.values, reference.values, load.model.tolerance(precision), precision)


LEVELS = [
    (load, precision, level)
    for load, precision in (
        ("tiny-decoder/tiny", "float32"),
        ("tiny-decoder/tiny", "bfloat16"),
        ("tiny-decoder/tiny", "int8"),
        ("tiny-decoder/tiny", "int4"),
        ("tiny-encoder/tiny-encode", "bfloat16"),
        ("tiny-encoder/tiny-encode", "int8"),
    )
    for level in ("eager", "compiled", "max")
    if not (level == "max" and "encoder" in load)
]


@needs_compiler
@pytest.mark.parametrize(("name", "precision", "level"), LEVELS)
def test_a_level_passes_the_gate(name: str, precision: str, level: str) -> None:
    """Every level of every precision computes what the reference computes, and says that it ran."""
    load = find_load(name)
    backend, made = prepared(load, precision, level)
    verdict = gate(backend, load, precision)
    backend.run(make_batch(load, 1))
    backend.close()

    assert (level, None) == (made.backend.engine, made.backend.tuning_fallback)
    assert precision == made.backend.precision_effective
    assert "" == verdict.reason


@needs_compiler
@pytest.mark.parametrize("name", ["tiny-decoder/tiny@1x8", "tiny-decoder/tiny@16x1", "tiny-decoder/tiny@1x1"])
def test_short_loads_pass_the_gate_compiled(name: str) -> None:
    """One token in or out: the gate's decode steps were compiled too before anything is timed."""
    load = find_load(name)
    backend, made = prepared(load, "float32", "compiled")
    verdict = gate(backend, load, "float32")
    backend.run(make_batch(load, 1))
    backend.close()

    assert "compiled" == made.backend.engine
    assert "" == verdict.reason


@needs_compiler
def test_every_turn_of_an_agent_is_decoded_rightly_compiled() -> None:
    """Compiled steps between the prompts of later turns give the tokens of steps call by call."""
    tiny = find_load("tiny-decoder/tiny")
    load = replace(tiny, shape=replace(tiny.shape, input_tokens=6, output_tokens=4, turns=3, turn_input_tokens=5))
    batch = make_batch(load, 1)
    tokens = []
    for level in ("eager", "compiled"):
        backend, _ = prepared(load, "float32", level)
        backend.run(batch)
        assert backend._session is not None
        engine = backend._session._engine
        assert engine is not None
        tokens.append(engine.state()[-2].tolist())
        backend.close()

    assert 12 == len(tokens[0][0])
    assert tokens[0] == tokens[1]


@needs_compiler
def test_prompts_of_other_lengths_go_call_by_call() -> None:
    """Prompts shorter than the one that was compiled give the tokens of the level "eager", and nothing is compiled."""
    load = find_load("tiny-decoder/tiny")
    batch = make_batch(load, 1)
    tokens: dict[str, list[object]] = {"eager": [], "max": []}
    for level, found in tokens.items():
        backend, made = prepared(load, "float32", level)
        assert level == made.backend.engine
        assert backend._session is not None
        engine = backend._session._engine
        assert engine is not None
        for length in (batch.input_tokens, batch.input_tokens - 3, 5, 2):
            ids = batch.arrays["input_ids"][:, :length]
            backend.run(replace(batch, arrays={"input_ids": ids}, input_tokens=length))
            found.append(engine.state()[-2].tolist())
        backend.close()

    assert tokens["eager"] == tokens["max"]


SMALL: dict[str, dict[str, object]] = {
    "qwen3-0.6b": {"head_dim": 16},
    "llama-3.1-8b": {"tie_word_embeddings": False},
    "bert-base": {},
}
"""Real architectures with few and narrow layers; what is not named here is as in the catalogue."""


# The step of "compiled" is that of "max" without the wrapper in C++, which the steps in int8 do without too.
@needs_compiler
@pytest.mark.parametrize(
    ("name", "precision", "level"),
    [
        *((name, "float32", "max") for name in ("qwen3-0.6b", "llama-3.1-8b")),
        ("bert-base", "float32", "compiled"),
        *((name, "int8", "compiled") for name in SMALL),
    ],
)
def test_a_real_architecture_passes_the_gate_compiled(name: str, precision: str, level: str) -> None:
    """Rotations, head norms and biases of transformers' modules survive fusing and compiling."""
    pytest.importorskip("transformers", reason="the real architectures are transformers' modules")
    load = small_load(name, **SMALL[name])
    backend, made = prepared(load, precision, level)
    verdict = gate(backend, load, precision)
    backend.close()

    assert level == made.backend.engine
    assert "" == verdict.reason


def test_levels_are_listed_cheapest_first() -> None:
    """The catalogue's decoders and encoders have the levels that make sense for them."""
    if not compile_module.can_compile("cpu"):
        pytest.skip("needs a C++ compiler")
    names = {
        name: [level.name for level in level_list(find_load(name).model, "cpu")]
        for name in ("qwen3-0.6b", "bert-base", "gpt2", "t5-base")
    }

    assert {
        "qwen3-0.6b": ["eager", "compiled", "max"],
        "bert-base": ["eager", "compiled"],
        "gpt2": ["eager"],
        "t5-base": ["eager"],
    } == names


def test_without_a_compiler_only_eager_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No g++ on the path: nothing that compiles is offered."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)

    assert ["eager"] == [level.name for level in level_list(find_load("qwen3-0.6b").model, "cpu")]


@pytest.mark.parametrize(
    ("name", "precision", "listed"),
    [
        ("tiny-decoder/tiny", "int4", True),
        ("tiny-encoder/tiny-encode", "int4", False),
        ("tiny-decoder/tiny", "float8", False),
        ("gpt2/chat", "int8", False),
    ],
)
def test_a_precision_without_kernels_has_no_levels(name: str, precision: str, listed: bool) -> None:
    """What torch cannot multiply on a device is not offered there."""
    assert listed == bool(TorchBackend().levels(find_load(name), "cpu", precision))


def test_an_unknown_level_lists_the_known_ones() -> None:
    """A misspelt level is the user's error."""
    with pytest.raises(UsageError, match="no tuning 'maximal'"):
        prepared(find_load("tiny-decoder/tiny"), "float32", "maximal")


@needs_compiler
def test_a_batch_too_big_for_compiled_steps_falls_back_with_a_reason() -> None:
    """Above four requests the compiled products would read the weights once for each: eager runs, and it is said."""
    load = find_load("tiny-decoder/tiny")
    backend, made = prepared(load, "float32", "compiled", batch=5)
    verdict = gate(backend, load, "float32", batch=5)
    backend.close()

    assert "eager" == made.backend.engine
    assert "at most 4 requests" in str(made.backend.tuning_fallback)
    assert verdict.passed


@needs_compiler
def test_a_level_of_no_use_costs_no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights are built once: that a batch is too big for a level is known before."""
    built = []
    monkeypatch.setattr(session_module, "build", lambda *a, **k: built.append(1) or build(*a, **k))
    backend, made = prepared(find_load("tiny-decoder/tiny"), "float32", "max", batch=5)
    backend.close()

    assert "eager" == made.backend.engine
    assert [1] == built


def test_a_level_that_failed_leaves_its_memory_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of a level that could not be compiled are gone before those of the next one are built."""
    alive: list[int] = []
    made: list[weakref.ref[Any]] = []

    def watched(*arguments: Any, **named: Any) -> BuiltModel:
        alive.append(sum(ref() is not None for ref in made))
        found = build(*arguments, **named)
        made.append(weakref.ref(found.module))
        return found

    def refuse(*_: object) -> None:
        raise CompileError("no")

    load = find_load("tiny-decoder/tiny")
    monkeypatch.setattr(session_module, "build", watched)
    monkeypatch.setattr(session_module, "cheaper_levels", lambda *_: ("compiled", "eager"))
    execute = Session._execute_first
    monkeypatch.setattr(
        Session, "_execute_first", lambda s, level, m: refuse() if level == "compiled" else execute(s, level, m)
    )
    backend, _ = prepared(load, "float32", "eager")
    backend.close()

    assert [0, 0] == alive


def test_the_threads_are_part_of_what_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code for another number of threads is never taken from the compiler's cache."""
    seen: list[dict[str, object]] = []
    monkeypatch.setattr(torch, "compile", lambda function, *, fullgraph, options: seen.append(options) or function)
    compiled(len, {"max_autotune": True})

    assert [{"max_autotune": True, "cpp.threads": torch.get_num_threads()}] == seen


@needs_compiler
def test_a_compiler_that_fails_gives_way_to_eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A C++ compiler that cannot compile leaves the load running eagerly, with the reason in one line."""
    broken = tmp_path / "broken-compiler"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    with torch._inductor.config.patch({"cpp.cxx": (None, str(broken))}):
        backend, made = prepared(find_load("tiny-decoder/tiny"), "float32", "compiled")
    backend.close()

    assert "eager" == made.backend.engine
    assert str(made.backend.tuning_fallback).startswith("compiled: torch.compile failed")
    assert "\n" not in str(made.backend.tuning_fallback)


@needs_compiler
def test_nothing_is_compiled_while_it_is_timed() -> None:
    """A call of another shape fails under the seal; without it, it would have been compiled in a measured window."""
    torch.compiler.reset()
    double = compiled(lambda x: x * 2, {})
    with compiling(freezes=False):
        double(torch.ones(3))

    with sealed(), pytest.raises(RuntimeError, match="recompile"):
        double(torch.ones(3, 3))
    torch.compiler.reset()


def test_what_cannot_be_traced_is_a_compile_error() -> None:
    """A failure of the compiler is told in one line."""
    torch.compiler.reset()
    broken = compiled(lambda x: x + x.numpy().sum() if x.tolist() else open("/dev/null"), {})  # noqa: SIM115

    with pytest.raises(CompileError, match=r"torch\.compile failed"), compiling(freezes=False):
        broken(torch.ones(3))
    torch.compiler.reset()


def test_int8_says_what_a_step_reads() -> None:
    """Weights in a byte each, products in the CPU's own type, and the cache's bytes are in the record."""
    backend, made = prepared(find_load("tiny-decoder/tiny"), "int8", "eager")
    backend.close()
    record = made.backend
    weights = 94_528 - 64 * 64 - 5 * 64  # less the positions, of which a row is read, and the norms

    assert record.weight_bytes is not None
    assert record.weight_bytes > weights
    assert record.weight_bytes < 1.2 * weights
    assert record.kv_bytes_per_token in (2 * 2 * 32 * 2, 2 * 2 * 32 * 4)
    assert record.compute_precision in ("bfloat16", "float32")


def test_the_precision_is_read_back_from_rounded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where int4's kernel takes no matrix, the weights are int8, and the record does not say int4."""
    monkeypatch.setattr(Int4, "fits", lambda _: False)
    backend, made = prepared(find_load("tiny-decoder/tiny"), "int4", "eager")
    backend.close()

    assert ("int4", "int8") == (made.backend.precision_requested, made.backend.precision_effective)


def test_a_larger_batch_is_said_to_read_the_dense_copy() -> None:
    """With more than four requests the rounded weights are not what a step reads."""
    read = []
    for batch in (4, 5):
        backend, made = prepared(find_load("tiny-decoder/tiny"), "int8", "eager", batch=batch)
        backend.close()
        read.append(made.backend.weight_bytes or 0)

    assert read[1] > 1.8 * read[0]


def test_dense_records_leave_the_count_to_the_load() -> None:
    """Plain weights are what the load's own count says they are."""
    backend, made = prepared(find_load("tiny-decoder/tiny"), "bfloat16", "eager")
    backend.close()

    assert (None, None) == (made.backend.weight_bytes, made.backend.compute_precision)
