"""Every precision's tolerance lets a right kernel pass and stops a broken one: emulated on the tiny models."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.results.subject import QualityRecord

pytest.importorskip("torch", reason="the rounding is emulated with PyTorch")

CASES = [
    *(("tiny-decoder", precision) for precision in ("tf32", "bfloat16", "float8", "int8", "int4")),
    *(("tiny-encoder", precision) for precision in ("tf32", "bfloat16", "float8", "int8")),
]
FAULTS = (
    "first layer's scales x 2",
    "last layer's scales / 2",
    "first layer skipped",
    "last layer skipped",
    "blocks transposed",
    "blocks shifted",
)
SEEDS = (0, 1, 2)


@cache
def emulation() -> ModuleType:
    """Return benchmarks/precision_errors.py, which rounds and breaks."""
    path = Path(__file__).parents[1] / "benchmarks" / "precision_errors.py"
    spec = importlib.util.spec_from_file_location("precision_errors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def seeded(name: str, seed: int) -> Any:  # any: a tiny module
    """Return a module with seeded weights."""
    return emulation().seeded(find_load(name), seed)


@cache
def reference(name: str, seed: int) -> numpy.ndarray:
    """Return what the gate compares with."""
    values: numpy.ndarray = emulation().gate_outputs(find_load(name), seeded(name, seed), seed)
    return values


def judged(name: str, precision: str, seed: int, *, index: int = 0, fault: str = "", says: str = "") -> QualityRecord:
    """Return the gate's verdict on a scheme of a precision, maybe with a fault; `says` is the precision it claims."""
    load, module, emulate = find_load(name), seeded(name, seed), emulation()
    with emulate.rounding(module, emulate.SCHEMES[precision][index]):
        if fault:
            emulate.FAULTS[fault](module)
        values = emulate.gate_outputs(load, module, seed)
    claimed = says or precision
    return compare(values, reference(name, seed), load.model.tolerance(claimed), claimed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_right_kernel_passes(name: str, precision: str, seed: int) -> None:
    """However right engines round in a precision, the gate lets them pass with a quarter of the bound to spare."""
    schemes = emulation().SCHEMES[precision]
    found = [judged(name, precision, seed, index=index) for index in range(len(schemes))]

    assert [True] * len(schemes) == [quality.passed for quality in found]
    assert max(quality.relative_error for quality in found) < 0.75 * found[0].tolerance_relative_error


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("name", "precision"), CASES)
def test_a_broken_kernel_is_stopped(name: str, precision: str, fault: str) -> None:
    """A fault in one layer or one matrix is beyond the tolerance of every precision."""
    verdicts = [judged(name, precision, seed, fault=fault).passed for seed in SEEDS]

    assert [False] * len(SEEDS) == verdicts


@pytest.mark.parametrize(
    ("name", "says", "does"),
    [
        ("tiny-decoder", "float32", "tf32"),
        ("tiny-decoder", "tf32", "bfloat16"),
        ("tiny-decoder", "float8", "int4"),
        ("tiny-decoder", "int8", "int4"),
        ("tiny-encoder", "float32", "tf32"),
        ("tiny-encoder", "tf32", "bfloat16"),
    ],
)
def test_a_secretly_coarser_kernel_is_stopped(name: str, says: str, does: str) -> None:
    """A kernel that computes more coarsely than it says does not pass where the two differ enough to be told apart."""
    verdicts = [judged(name, does, seed, says=says).passed for seed in SEEDS]

    assert [False] * len(SEEDS) == verdicts


def test_every_declared_precision_is_tried_here() -> None:
    """No precision of a tiny model is without its right and broken kernels."""
    declared = {(n, p) for n in ("tiny-decoder", "tiny-encoder") for p in find_load(n).model.precisions}

    assert set(CASES) == declared - {("tiny-decoder", "float32"), ("tiny-encoder", "float32")}


def test_every_fault_is_tried_here() -> None:
    """The list above is the list of faults."""
    assert set(FAULTS) == set(emulation().FAULTS)
