"""A device's compiler or runtime that fails, early or late: an error with its first line, no traceback."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch
from preparations import small_preparation

from wattbench.backends.contract import Batch, CeilingRequest, Preparation
from wattbench.backends.torch import ceilings, failures, levels
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.device import find_device, peak_memory_bytes
from wattbench.backends.torch.failures import vendor_failures
from wattbench.backends.torch.session import first_batch
from wattbench.backends.torch.vendors import vendor_of
from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.results.errors import DeviceError, OutOfMemoryError

NEURON = vendor_of("neuron")

TEXT = "\n  neuronx-cc terminated with exit code 70: unsupported operator\n  file model.hlo, line 3"


class VendorError(Exception):
    """An error of a vendor's own, of no kind that Python knows."""


def fails_lazily(error: Exception) -> Callable[..., Any]:  # any: a compile backend
    """Return a compiler that takes every graph, and fails when what it made is called."""

    def compile_(_graph: object, _inputs: object) -> Callable[..., Any]:  # any: see fails_lazily
        def call(*_: object) -> Any:  # any: see fails_lazily
            raise error

        return call

    return compile_


def preparation(name: str) -> Preparation:
    """Return what the compiled level of a load is prepared with."""
    return small_preparation(find_load(name), tuning="compiled", seed=3)


@pytest.fixture
def vendors_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU stand for AWS's device."""
    monkeypatch.setattr(failures, "vendor_of", lambda _kind: NEURON)


@pytest.mark.usefixtures("vendors_cpu")
@pytest.mark.parametrize("name", ["tiny-decoder/tiny", "tiny-encoder/tiny-encode"])
@pytest.mark.parametrize("error", [RuntimeError, VendorError, AssertionError])
def test_a_compiler_that_fails_at_the_first_call(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, error: type[Exception]
) -> None:
    """It says what failed, the vendor's first line and what to do; the whole text is on standard error."""
    monkeypatch.setattr(levels, "static_compiler", lambda _device: fails_lazily(error(TEXT)))
    backend = TorchBackend()
    with pytest.raises(DeviceError) as caught:
        backend.prepare(preparation(name))
    backend.close()

    assert f"AWS Trainium could not prepare {name} on cpu at the level compiled" == caught.value.what
    first = "neuronx-cc terminated with exit code 70: unsupported operator"
    assert f"{error.__name__}: {first}" == caught.value.why
    assert "--tuning eager" in caught.value.remedy
    assert "file model.hlo, line 3" in capfd.readouterr().err


def test_a_compiler_that_refuses_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails while it compiles is not asked again: the level below runs, and the record says why."""

    def refuse(_graph: object, _inputs: object) -> None:
        raise VendorError(TEXT)

    monkeypatch.setattr(levels, "static_compiler", lambda _device: refuse)
    backend = TorchBackend()
    made = backend.prepare(preparation("tiny-encoder/tiny-encode"))
    backend.close()

    assert "eager" == made.backend.engine
    assert "neuronx-cc terminated" in str(made.backend.tuning_fallback)


def test_call_by_call_has_other_advice() -> None:
    """Where nothing is compiled there is no lower level to name; an error without words is called by its type."""
    with pytest.raises(DeviceError) as caught, vendor_failures("a/b", "npu:0", "eager"):
        raise NotImplementedError

    assert "NotImplementedError" == caught.value.why
    assert "--tuning" not in caught.value.remedy
    assert "Huawei Ascend NPU could not prepare a/b on npu:0 at the level eager" == caught.value.what


def test_a_bug_of_ours_stays_one() -> None:
    """What our own lines raise is not laid on the vendor."""
    with pytest.raises(AttributeError), vendor_failures("a/b", "tpu:0", "eager"):
        make_arrays(None, 1, 0)  # type: ignore[arg-type] # this is the bug


@pytest.mark.parametrize("error", [OutOfMemoryError("It ran out"), DeviceError("It is gone")])
def test_an_error_of_ours_is_left_alone(error: DeviceError) -> None:
    """What is said already is not said again."""
    with pytest.raises(type(error)) as caught, vendor_failures("a/b", "tpu:0", "eager"):
        raise error

    assert error is caught.value


def prepared(name: str) -> tuple[TorchBackend, Batch]:
    """Return a backend that has prepared a load call by call, and a batch for it."""
    load, backend = find_load(name), TorchBackend()
    backend.prepare(small_preparation(load))
    return backend, first_batch(load, 2, 0)


def fail(error: Exception) -> Callable[..., Any]:  # any: stands for anything
    """Return what raises an error whatever it is asked."""

    def call(*_: object, **__: object) -> Any:  # any: see fail
        raise error

    return call


@pytest.mark.usefixtures("vendors_cpu")
@pytest.mark.parametrize("error", [RuntimeError, VendorError, OSError])
@pytest.mark.parametrize("call", ["run", "outputs"])
def test_a_device_that_fails_later(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], call: str, error: type[Exception]
) -> None:
    """An execution after the first one that fails is the vendor's too, with its first line and what to do."""
    backend, batch = prepared("tiny-encoder/tiny-encode")
    monkeypatch.setattr(torch.nn.functional, "rms_norm", fail(error(TEXT)))
    with pytest.raises(DeviceError) as caught:
        backend.run(batch) if call == "run" else backend.outputs(batch, None)

    assert "AWS Trainium could not run tiny-encoder/tiny-encode on cpu at the level eager" == caught.value.what
    first = "neuronx-cc terminated with exit code 70: unsupported operator"
    assert f"{error.__name__}: {first}" == caught.value.why
    assert "What was measured before is kept." in caught.value.remedy
    assert "file model.hlo, line 3" in capfd.readouterr().err


@pytest.mark.usefixtures("vendors_cpu")
def test_a_device_that_fails_when_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeing is the device's too: it is an error with its first line, and closing once more does nothing."""
    backend, _ = prepared("tiny-encoder/tiny-encode")
    monkeypatch.setattr("gc.collect", fail(VendorError(TEXT)))
    with pytest.raises(DeviceError, match="could not free the memory of tiny-encoder/tiny-encode"):
        backend.close()
    monkeypatch.undo()
    backend.close()


def test_a_memory_figure_that_fails_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a vendor's software raises when it is asked for its memory ends no run."""
    monkeypatch.setattr(torch.accelerator, "max_memory_allocated", fail(VendorError(TEXT)))

    assert peak_memory_bytes(torch.device("mtia:0")) is None


@pytest.mark.parametrize("what", ["is_available", "device_count"])
def test_a_device_that_cannot_name_itself(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Vendor's software that fails when it is asked what there is is named, with what it says."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, what, fail(VendorError("the runtime is gone")))
    with pytest.raises(DeviceError, match="the runtime is gone"):
        find_device("xpu")


def test_an_error_without_words_in_the_ceilings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device of a vendor's own kind of error, which says nothing, is called by its type."""
    request = CeilingRequest(
        device="cpu", precisions=(), shapes=(), threads=None, affinity=None, window_s=0.002, windows=3
    )
    monkeypatch.setattr(ceilings, "bench_memory", fail(OSError()))
    with pytest.raises(DeviceError) as caught:
        ceilings.measure_ceilings(request)

    assert ("The device cpu failed", "OSError") == (caught.value.what, caught.value.why)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"),
        RuntimeError("HIP error: the device is lost"),
    ],
)
def test_what_a_gpu_says_is_its_own(error: Exception) -> None:
    """An error that the GPU's libraries report is a device's, where its vendor has no record too."""
    with pytest.raises(DeviceError) as caught, vendor_failures("a/b", "cuda:0", "max", "run"):
        raise error

    assert "torch could not run a/b on cuda:0 at the level max" == caught.value.what
    assert str(error).splitlines()[0] in caught.value.why


@pytest.mark.parametrize(
    ("device", "text"), [("tpu:0", "DefaultCPUAllocator: not enough memory"), ("cuda:0", TEXT), ("cpu", TEXT)]
)
def test_what_is_not_the_vendors_is_left_alone(device: str, text: str) -> None:
    """Memory that ran out has an error of its own, and torch's own devices have no vendor's code between."""
    with pytest.raises(RuntimeError, match=r"not enough|neuronx"), vendor_failures("a/b", device, "compiled"):
        raise RuntimeError(text)
