"""The torch backend on the CPU with tiny models."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="this is the torch backend")

import torch

from wattbench.backends.contract import Preparation
from wattbench.backends.torch import backend as backend_module
from wattbench.backends.torch.backend import TorchBackend
from wattbench.backends.torch.device import exact_products, find_device
from wattbench.backends.torch.record import placement, same_device
from wattbench.backends.torch.session import Session
from wattbench.models.find import find_load
from wattbench.models.torch_memory import memory_errors
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError
from wattbench.testing import BackendCase, BackendContract, make_batch


def preparation(
    load: str = "tiny-decoder/tiny",
    *,
    precision: str = "float32",
    device: str = "cpu",
    threads: int | None = 1,
    affinity: tuple[int, ...] | None = None,
) -> Preparation:
    """Return a preparation of a tiny load for two requests at once."""
    return Preparation(
        load=find_load(load),
        weights="synthetic",
        seed=0,
        precision=precision,
        device=device,
        batch=2,
        threads=threads,
        affinity=affinity,
    )


class TestDecoderContract(BackendContract):
    """The tiny decoder keeps the contract."""

    case = BackendCase(make_backend=TorchBackend, load=find_load("tiny-decoder/tiny"))


class TestBfloat16Contract(BackendContract):
    """The tiny decoder in bfloat16 keeps the contract."""

    case = BackendCase(make_backend=TorchBackend, load=find_load("tiny-decoder/tiny"), precision="bfloat16")


class TestEncoderContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(make_backend=TorchBackend, load=find_load("tiny-encoder/tiny-encode"))


def test_the_probe_imports_no_torch() -> None:
    """Asking whether torch is there costs no import of it."""
    code = (
        "import sys; from wattbench.backends.torch.backend import TorchBackend as T; "
        "assert T().probe().usable; assert 'torch' not in sys.modules"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_an_eager_load_imports_no_compiler() -> None:
    """Building and executing a tiny load call by call costs no import of torch's compiler, which takes two seconds."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_backends_torch import *; b = TorchBackend(); "
        "made = b.prepare(preparation()); b.run(make_batch(find_load('tiny-decoder/tiny'), 2)); b.close(); "
        "assert 'eager' == made.backend.engine; assert not {'torch._dynamo', 'transformers'} & set(sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-P", "-c", code, os.path.dirname(__file__)], check=False).returncode


def test_a_missing_torch_is_absent_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch the probe names the pip command."""
    monkeypatch.setattr(backend_module, "find_spec", lambda _: None)
    found = TorchBackend().probe()

    assert "absent" == found.state
    assert "pip install" in found.remedy


def test_an_old_torch_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch from before torch.accelerator's memory figures is refused by the probe."""
    monkeypatch.setattr(backend_module, "_version", lambda _: "2.4.1+cpu")

    assert "broken" == TorchBackend().probe().state


def test_without_transformers_the_tiny_models_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch alone is usable, and the probe says what is missing."""
    monkeypatch.setattr(backend_module, "_version", lambda name: "2.13.0" if name == "torch" else None)
    found = TorchBackend().probe()

    assert found.usable
    assert "transformers" in found.remedy


def test_the_record_reads_precision_and_threads_back() -> None:
    """Effective precision and threads are what torch says, not what was asked."""
    backend = TorchBackend()
    record = backend.prepare(preparation(precision="bfloat16")).backend
    backend.close()

    assert ("bfloat16", 1, None) == (record.precision_effective, record.threads, record.affinity)
    assert not record.mock
    assert "all on cpu" in record.placement


def test_affinity_is_set_and_recorded() -> None:
    """The process runs on the CPUs that were asked for, and the record says so."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system cannot bind processes to CPUs")
    cpus = os.sched_getaffinity(0)
    one = min(cpus)
    backend = TorchBackend()
    try:
        record = backend.prepare(preparation(threads=None, affinity=(one,))).backend

        assert ({one}, (one,), 1) == (os.sched_getaffinity(0), record.affinity, record.threads)
    finally:
        backend.close()
        os.sched_setaffinity(0, cpus)


def test_a_cpu_that_is_not_there_is_refused() -> None:
    """An affinity outside the machine is a UsageError."""
    with pytest.raises(UsageError, match="Cannot run on the CPUs"):
        TorchBackend().prepare(preparation(affinity=(100_000,)))


def test_a_precision_that_the_model_lacks_is_refused() -> None:
    """The tiny decoder is not declared for float16."""
    with pytest.raises(UsageError, match="tiny-decoder has no precision 'float16'"):
        TorchBackend().prepare(preparation(precision="float16"))


def test_an_unknown_device_lists_the_known_ones() -> None:
    """The message names the devices that are there."""
    with pytest.raises(UsageError, match=r"known are.*cpu"):
        find_device("cpux")


def test_more_requests_than_prepared_are_refused() -> None:
    """The cache was sized for two requests."""
    backend = TorchBackend()
    backend.prepare(preparation())

    with pytest.raises(UsageError, match="prepared for 2 requests at once, the batch has 3"):
        backend.run(make_batch(find_load("tiny-decoder/tiny"), 3))


def test_executions_reuse_their_memory() -> None:
    """Cache and token buffers are at the same addresses after further executions."""
    session = Session(preparation())
    session.prepare()
    engine = session._engine
    assert engine is not None
    before = [t.data_ptr() for t in engine.state()[:-1]]
    for seed in range(3):
        session.run(make_batch(find_load("tiny-decoder/tiny"), 2, seed))

    assert before == [t.data_ptr() for t in engine.state()[:-1]]


def test_a_tensor_off_the_device_is_found() -> None:
    """A buffer that lies elsewhere fails the placement proof."""
    module = torch.nn.Linear(2, 2)
    module.register_buffer("stray", torch.empty(1, device="meta"))

    with pytest.raises(DeviceError, match="buffers do not lie on cpu"):
        placement(module, (), torch.device("cpu"))


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [("cpu", "cpu", True), ("cuda:1", "cuda:1", True), ("cuda:1", "cuda:0", False), ("mps:0", "mps", True)],
)
def test_another_device_of_the_same_kind_is_another_device(found: str, wanted: str, same: bool) -> None:
    """A tensor on the second GPU does not prove that the first one did the work."""
    assert same == same_device(torch.device(found), torch.device(wanted))


@pytest.mark.parametrize("tf32", [True, False])
def test_float32_is_shortened_only_where_tf32_was_asked_for(tf32: bool) -> None:
    """Products and cuDNN's convolutions, which shorten unless told otherwise, follow the precision."""
    exact_products(tf32=tf32)
    found = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    exact_products(tf32=False)

    assert ("high" if tf32 else "highest", tf32) == found


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
)
def test_running_out_of_memory_is_one_error_with_figures(error: Exception) -> None:
    """Whatever torch raises, the user reads what is needed and what is free."""
    with (
        pytest.raises(OutOfMemoryError, match=r"needs about 3\.00 GB and .* GB are free"),
        memory_errors("x", 3_000_000_000, torch.device("cpu")),
    ):
        raise error


def test_a_real_refusal_of_the_allocator_is_out_of_memory() -> None:
    """The CPU allocator's own refusal of an absurd size is recognised."""
    with pytest.raises(OutOfMemoryError), memory_errors("x", 1 << 60, torch.device("cpu")):
        torch.empty(1 << 60, dtype=torch.uint8)


def test_other_errors_of_torch_stay_bugs() -> None:
    """A RuntimeError about something else keeps its type."""
    with pytest.raises(RuntimeError, match="shape"), memory_errors("x", 1, torch.device("cpu")):
        raise RuntimeError("shape mismatch")


def test_the_cpu_is_always_a_device() -> None:
    """The last device is the CPU with its memory."""
    cpu = TorchBackend().devices()[-1]

    assert ("cpu", "cpu") == (cpu.name, cpu.power_covers)
    assert cpu.memory_bytes is not None
