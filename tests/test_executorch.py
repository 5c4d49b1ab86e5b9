"""The executorch backend on the CPU with tiny models, and programs for absent delegates; `make test-edge`."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("executorch.runtime", reason="the executorch backend is tested by make test-edge")

from edge_case import BERT, IMAGES, assert_asked_lightly, judged, preparation

from wattbench.backends.executorch.backend import executorch_backend
from wattbench.backends.executorch.delegates import delegate_of
from wattbench.backends.executorch.maker import MAKER
from wattbench.backends.executorch.placement import judge
from wattbench.backends.programs import ProgramRequest, program_for
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError, UsageError
from wattbench.testing import BackendCase, BackendContract

pytestmark = pytest.mark.usefixtures("kept_graphs")


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(
        make_backend=executorch_backend, load=find_load("tiny-encoder/tiny-encode"), device="xnnpack", tuning="program"
    )


@pytest.mark.parametrize("load", [BERT, IMAGES], ids=["bert", "vit"])
def test_encoders_compute_the_references_numbers(load: Load) -> None:
    """BERT and ViT give the reference's outputs; the share that XNNPACK took is in the record."""
    found = judged(executorch_backend(), preparation(load, device="xnnpack"))
    record = found.made.backend

    assert found.quality.passed, found.quality.reason
    assert record.delegated_share is not None
    assert 0.5 < record.delegated_share < 1.0
    assert (1.0, None, 1) == (record.placement_share, record.fallback, record.threads)


def test_the_runtime_is_asked_without_torch() -> None:
    """Probe, devices and levels import neither torch nor ExecuTorch here, and the absent NPUs say why."""
    assert_asked_lightly("executorch", "xnnpack", "executorch", "torch")
    assert ["xnnpack"] == [device.name for device in executorch_backend().devices()]


def request(target: str, precision: str) -> ProgramRequest:
    """Return a request of the small BERT for a delegate."""
    return ProgramRequest(
        model=BERT.model, weights="synthetic", seed=0, precision=precision, target=target, requests=1, positions=20
    )


def test_a_program_for_core_ml_is_made_where_core_ml_is_not() -> None:
    """The same path with another partitioner: the delegate takes operations, and what it leaves is counted."""
    program, coreml = program_for(request("coreml", "float16"), MAKER), delegate_of("coreml")
    assert coreml is not None
    placed = judge(coreml, program, allow_fallback=True)

    assert program.delegated is not None
    assert 0 < program.delegated <= (program.nodes or 0)
    assert placed.share == placed.delegated
    assert (placed.fallback is None) == (not program.left)


def test_a_program_for_a_chip_asks_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs for an NPU are made for one chip; without its name the build is refused with what to set."""
    monkeypatch.delenv("WATTBENCH_QUALCOMM_SOC", raising=False)

    with pytest.raises(UsageError, match="chip to make a program for") as caught:
        program_for(request("qualcomm", "float16"), MAKER)
    assert "WATTBENCH_QUALCOMM_SOC is not set" in caught.value.why


def test_a_microcontrollers_npu_is_refused() -> None:
    """Ethos-U takes int8, for which there are no programs."""
    with pytest.raises(UsageError, match="no ExecuTorch programs for ethos-u"):
        program_for(request("ethos-u", "int8"), MAKER)


def test_a_broken_program_is_a_device_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the runtime says of a file that is no program rises as one of our errors."""
    from wattbench.backends.executorch import session

    def broken(*arguments: object) -> object:
        made = program_for(*arguments)  # type: ignore[arg-type] # passed on
        path = tmp_path / "program.pte"
        path.write_bytes(b"no program")
        return replace(made, path=str(path))

    monkeypatch.setattr(session, "program_for", broken)

    with pytest.raises(DeviceError, match="executorch failed to load"):
        executorch_backend().prepare(preparation(BERT, device="xnnpack"))
