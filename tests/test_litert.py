"""The litert backend on the CPU with tiny models, and NPUs that are not here; `make test-edge`."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("litert_torch", reason="the litert backend is tested by make test-edge")

from small_models import small_load

from wattbench.backends.contract import Preparation
from wattbench.backends.litert import backend as backend_module
from wattbench.backends.litert.accelerators import Accelerator
from wattbench.backends.litert.backend import litert_backend
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.availability import Availability
from wattbench.results.errors import DeviceError
from wattbench.testing import BackendCase, BackendContract, make_batch

BERT = small_load("bert-base/classify-128")
IMAGES = small_load("vit-b16/image-224", image_size=32, patch_size=16)


@pytest.fixture(scope="module", autouse=True)
def programs(graph_cache: Path) -> Iterator[None]:
    """Share models among tests, so that each is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_CACHE", str(graph_cache))
        yield


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(
        make_backend=litert_backend, load=find_load("tiny-encoder/tiny-encode"), device="cpu", tuning="program"
    )


def preparation(load: Load, **knobs: object) -> Preparation:
    """Return a preparation of a load for two requests on the CPU."""
    asked = Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision="float32",
        device="cpu",
        batch=2,
        threads=1,
        affinity=None,
        tuning="program",
    )
    return replace(asked, **knobs)  # type: ignore[arg-type] # knobs of any field


@pytest.mark.parametrize("load", [BERT, IMAGES], ids=["bert", "vit"])
def test_encoders_compute_the_references_numbers(load: Load) -> None:
    """BERT and ViT give the reference's outputs, all on the CPU."""
    backend, batch = litert_backend(), make_batch(load)
    record = backend.prepare(preparation(load)).backend
    found = backend.outputs(batch, None)
    backend.close()
    wanted = reference_outputs(load.model, batch.arrays, 0, weights="synthetic", seed=0)
    quality = compare(found.values, wanted.values, load.model.tolerance("float32"), "float32")

    assert quality.passed, quality.reason
    assert (1.0, None, 1) == (record.placement_share, record.fallback, record.threads)
    assert "is_fully_accelerated" in record.placement


def test_the_runtime_is_asked_in_a_child() -> None:
    """Probe, devices and levels import nothing heavy, and the absent NPUs say why."""
    code = (
        "import sys; from wattbench.backends.litert.backend import litert_backend; "
        "from wattbench.models.find import find_load; b = litert_backend(); "
        "assert b.probe().usable; assert 'cpu' == b.devices()[0].name; "
        "assert b.levels(find_load('tiny-encoder'), 'cpu', 'float32'); "
        "assert all(f.availability.remedy for f in b.findings() if not f.availability.usable); "
        "assert not {'ai_edge_litert', 'torch', 'jax'} & set(sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the probe believe in an NPU that is not in this machine; LiteRT itself is the real one."""

    def there(accelerator: Accelerator, vendors: Path) -> Availability:
        return Availability(state="present", reason="believed")

    monkeypatch.setattr(backend_module, "availability_of", there)


@pytest.mark.usefixtures("believed")
def test_an_npu_that_takes_nothing_is_refused() -> None:
    """Asked for the NPU alone, LiteRT does not compile for it, and the error says how to measure both."""
    with pytest.raises(DeviceError, match="does not take every operation") as caught:
        litert_backend().prepare(preparation(BERT, device="intel-npu", precision="float16"))

    assert "--allow-fallback" in caught.value.remedy


@pytest.mark.usefixtures("believed")
def test_an_npu_with_the_cpu_is_a_fallback() -> None:
    """Asked for NPU and CPU, LiteRT runs on the CPU without a word; the record says so, and has no share of an NPU."""
    backend = litert_backend()
    record = backend.prepare(preparation(BERT, device="intel-npu", precision="float16", allow_fallback=True)).backend
    backend.close()

    assert (None, None) == (record.placement_share, record.delegated_share)
    assert "Intel NPU by OpenVINO and the CPU, in unknown shares" == record.device_name
    assert record.fallback is not None
    assert "some or all operations on the CPU" in record.fallback
