"""The torch backend's ceilings: real micro-benchmarks on the CPU, very short ones."""

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch

from wattbench.backends.ceilings import is_close
from wattbench.backends.contract import CeilingReport, CeilingRequest
from wattbench.backends.torch.ceilings import measure_ceilings
from wattbench.backends.torch.ceilings_products import TOLERANCES, to_host
from wattbench.results.errors import UsageError

REQUEST = CeilingRequest(
    device="cpu",
    precisions=("float32", "bfloat16", "int8"),
    shapes=((24, 64, 48), (24, 48, 64)),
    threads=None,
    affinity=None,
    window_s=0.002,
    windows=3,
)


@pytest.fixture(scope="module", name="report")
def _report() -> CeilingReport:
    return measure_ceilings(REQUEST)


def test_products_are_measured_in_every_precision(report: CeilingReport) -> None:
    """float32 has the square and the load's shapes; the other precisions have the square."""
    found = [(s.precision, s.shape) for s in report.samples if s.kind == "matmul"]

    assert {"24x64x48", "24x48x64"} < {shape for precision, shape in found if precision == "float32"}
    assert {"float32", "bfloat16", "int8"} == {precision for precision, _ in found}
    assert 5 == len(found)


def test_memory_is_read_and_copied(report: CeilingReport) -> None:
    """Reads count the buffer once, copies twice; on a CPU nothing is copied to a device."""
    (read,) = [s for s in report.samples if s.kind == "memory_read"]
    (copy,) = [s for s in report.samples if s.kind == "memory_copy"]

    assert read.shape == copy.shape
    assert 0 == read.work[0] % (int(read.shape.removesuffix(" MiB")) << 20)
    assert 0 == copy.work[0] % (2 * int(read.shape.removesuffix(" MiB")) << 20)
    assert [] == [s for s in report.samples if s.kind == "host_to_device"]


def test_every_sample_has_its_windows(report: CeilingReport) -> None:
    """There are as many windows as asked for, one after the other, and the library that did them is named."""
    for sample in report.samples:
        assert (3, 3) == (len(sample.work), len(sample.spans_ns))
        assert sorted(sample.spans_ns) == list(sample.spans_ns)
        assert all(start < end for start, end in sample.spans_ns)
        assert sample.library.startswith(f"torch {torch.__version__}: ")
        assert torch.get_num_threads() == sample.threads


def test_every_way_gives_right_numbers(report: CeilingReport) -> None:
    """No call that this torch has for the CPU computes something else than the product, sum or copy it stands for."""
    assert [] == [text for text in report.skipped if "wrong numbers" in text]


@pytest.mark.parametrize(("factors", "precision"), [(torch.bfloat16, "bfloat16"), (torch.float16, "tf32")])
def test_a_narrower_product_is_not_taken_for_float32(factors: torch.dtype, precision: str) -> None:
    """Factors rounded to bfloat16, or to tf32's 10 bits, are seen in float32; in their own precision they are right."""
    a, b = torch.randn(16, 512), torch.randn(512, 16)
    exact, rounded = to_host(a) @ to_host(b), to_host(a.to(factors)) @ to_host(b.to(factors))

    assert is_close(rounded, exact, TOLERANCES[precision])
    assert not is_close(rounded, exact, TOLERANCES["float32"])


def test_what_a_cpu_cannot_do_is_skipped_with_the_reason() -> None:
    """tf32, float8 and int4 have no products on a CPU."""
    report = measure_ceilings(replace(REQUEST, precisions=("tf32", "float8", "int4"), windows=1))

    assert [] == [s for s in report.samples if s.kind == "matmul"]
    assert "products in tf32: torch has it on NVIDIA devices only, not on cpu" in report.skipped
    assert "products in float8: torch has it on NVIDIA devices only, not on cpu" in report.skipped
    assert "products in int4: torch has no product of factors in it" in report.skipped


def test_float32_is_computed_in_float32_and_the_setting_comes_back() -> None:
    """A process that allows narrower products has them again afterwards."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        measure_ceilings(replace(REQUEST, precisions=("float32",), shapes=(), windows=1))
        after = torch.get_float32_matmul_precision()
    finally:
        torch.set_float32_matmul_precision(before)

    assert "high" == after


def test_an_unknown_device_is_refused() -> None:
    """A device that torch does not have is the user's error."""
    with pytest.raises(UsageError, match="torch has no device 'warp'"):
        measure_ceilings(replace(REQUEST, device="warp"))
