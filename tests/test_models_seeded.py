"""Drawing synthetic weights."""

import threading

import numpy
import pytest

from wattbench.models import seeded
from wattbench.models.seeded import TensorPlan, fill


def drawn(plans: list[TensorPlan], seed: int = 0, threads: int = 1) -> tuple[dict[str, numpy.ndarray], str]:
    """Fill arrays by plan and return them with the digest."""
    arrays = {plan.name: numpy.full(plan.values, numpy.nan, dtype=numpy.float32) for plan in plans}
    lock = threading.Lock()

    def put(name: str, start: int, values: numpy.ndarray) -> None:
        with lock:
            arrays[name][start : start + len(values)] = values

    digest = fill(plans, seed, threads, put)
    return arrays, digest


def plan(name: str, values: int, constant: float | None = None) -> TensorPlan:
    """Return a plan with deviation 0.5."""
    return TensorPlan(name=name, values=values, constant=constant, deviation=0.5)


def test_the_numbers_are_pinned() -> None:
    """The first numbers and the digest of one small tensor never change, on no machine."""
    arrays, digest = drawn([plan("a", 5)])

    expected = [0.4710506796836853, 0.16249345242977142, -0.050775960087776184, 0.4991271197795868, 0.5229869484901428]
    assert expected == pytest.approx(arrays["a"].tolist(), rel=1e-7)
    assert "sha256:065852828cfdb976b6e33bb5762d7a26213ca685aa5d423fedf8c772f86860d2" == digest


def test_a_tensor_depends_on_its_name_alone() -> None:
    """Order and company of the tensors change no number."""
    alone, _ = drawn([plan("b", 100)])
    together, _ = drawn([plan("c", 10), plan("b", 100), plan("a", 7)])

    assert numpy.array_equal(alone["b"], together["b"])


def test_order_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads over small blocks in another order give the same numbers and digest."""
    monkeypatch.setattr(seeded, "BLOCK_VALUES", 16)
    plans = [plan("a", 100), plan("b", 33)]
    one, first = drawn(plans)
    two, second = drawn(plans[::-1], threads=2)

    assert first == second
    assert all(numpy.array_equal(one[name], two[name]) for name in one)


def test_every_value_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No value is left out at the edge of a block, and none is 0."""
    monkeypatch.setattr(seeded, "BLOCK_VALUES", 16)
    arrays, _ = drawn([plan("a", 50)])

    assert numpy.isfinite(arrays["a"]).all()
    assert (arrays["a"] != 0).all()


def test_the_distribution_is_normal() -> None:
    """Mean, deviation and kurtosis of many values are those of a normal distribution."""
    values = drawn([plan("a", 400_000)])[0]["a"].astype(numpy.float64) / 0.5

    assert 0.0 == pytest.approx(values.mean(), abs=0.01)
    assert 1.0 == pytest.approx(values.std(), rel=0.01)
    assert 3.0 == pytest.approx((values**4).mean(), rel=0.03)


def test_constants_are_constant() -> None:
    """A plan with a constant draws nothing."""
    arrays, _ = drawn([plan("norm", 9, constant=1.0)])

    assert numpy.array_equal(numpy.ones(9, dtype=numpy.float32), arrays["norm"])


def test_the_digest_depends_on_the_seed() -> None:
    """Other numbers have another digest."""
    assert drawn([plan("a", 5)], seed=1)[1] != drawn([plan("a", 5)], seed=2)[1]
