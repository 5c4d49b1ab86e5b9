"""The litert backend on the CPU with tiny models, and NPUs that are not here; `make test-edge`."""

from pathlib import Path

import pytest

pytest.importorskip("litert_torch", reason="the litert backend is tested by make test-edge")

from edge_case import BERT, IMAGES, assert_asked_lightly, judged, preparation

from wattbench.backends.litert import backend as backend_module
from wattbench.backends.litert.accelerators import Accelerator
from wattbench.backends.litert.backend import litert_backend
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.results.availability import Availability
from wattbench.results.errors import DeviceError
from wattbench.testing import BackendCase, BackendContract

pytestmark = pytest.mark.usefixtures("kept_graphs")


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(
        make_backend=litert_backend, load=find_load("tiny-encoder/tiny-encode"), device="cpu", tuning="program"
    )


@pytest.mark.parametrize("load", [BERT, IMAGES], ids=["bert", "vit"])
def test_encoders_compute_the_references_numbers(load: Load) -> None:
    """BERT and ViT give the reference's outputs, all on the CPU."""
    found = judged(litert_backend(), preparation(load))
    record = found.made.backend

    assert found.quality.passed, found.quality.reason
    assert (1.0, None, 1) == (record.placement_share, record.fallback, record.threads)
    assert "is_fully_accelerated" in record.placement


def test_the_runtime_is_asked_in_a_child() -> None:
    """Probe, devices and levels import nothing heavy, and the absent NPUs say why."""
    assert_asked_lightly("litert", "cpu", "ai_edge_litert", "torch", "jax")


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
