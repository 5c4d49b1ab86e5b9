"""The ceilings of the CPU through ONNX Runtime: real micro-benchmarks, very short ones."""

from dataclasses import replace

import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")
pytest.importorskip("onnx", reason="it makes the graphs")

import onnxruntime

from wattbench.backends.contract import CeilingReport, CeilingRequest
from wattbench.backends.onnxruntime.ceilings import measure_ceilings
from wattbench.results.errors import UsageError

REQUEST = CeilingRequest(
    device="cpu",
    precisions=("float32", "bfloat16", "int8"),
    shapes=((24, 64, 48),),
    threads=1,
    affinity=None,
    window_s=0.002,
    windows=3,
)


@pytest.fixture(scope="module", name="report")
def _report() -> CeilingReport:
    return measure_ceilings(REQUEST)


def test_products_and_reads_are_measured(report: CeilingReport) -> None:
    """float32 has the square and the load's shape, int8 the square; memory is read and never copied."""
    found = [(s.kind, s.precision) for s in report.samples]

    assert [("matmul", "float32"), ("matmul", "float32"), ("matmul", "int8"), ("memory_read", None)] == found
    assert "24x64x48" == report.samples[1].shape


def test_every_sample_has_its_windows(report: CeilingReport) -> None:
    """There are as many windows as asked for, with the work that they did and the threads that were asked for."""
    for sample in report.samples:
        assert (3, 3) == (len(sample.work), len(sample.spans_ns))
        assert all(start < end for start, end in sample.spans_ns)
        assert sample.library.startswith(f"onnxruntime {onnxruntime.__version__}: ")
        assert 1 == sample.threads


def test_what_the_provider_lacks_is_skipped(report: CeilingReport) -> None:
    """The CPU provider multiplies no bfloat16."""
    assert ("products in bfloat16: the CPU provider has no MatMul of that type",) == report.skipped


def test_other_devices_are_skipped() -> None:
    """The micro-benchmarks are those of the CPU."""
    report = measure_ceilings(replace(REQUEST, device="cuda:0"))

    assert () == report.samples
    assert ("cuda:0: the micro-benchmarks of onnxruntime run on its CPU provider only",) == report.skipped


def test_a_processor_that_is_not_there_is_refused() -> None:
    """Binding to a processor that this machine does not have is the user's error."""
    with pytest.raises(UsageError, match="Cannot run on the CPUs"):
        measure_ceilings(replace(REQUEST, affinity=(100_000,)))
