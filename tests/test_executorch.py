"""The executorch backend on the CPU with tiny models, and programs for absent delegates; `make test-edge`."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("executorch.runtime", reason="the executorch backend is tested by make test-edge")

from small_models import small_load

from wattbench.backends.contract import Preparation
from wattbench.backends.executorch.backend import executorch_backend
from wattbench.backends.executorch.delegates import delegate_of
from wattbench.backends.executorch.maker import MAKER
from wattbench.backends.executorch.placement import judge
from wattbench.backends.programs import ProgramRequest, program_for
from wattbench.harness.quality import compare
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.torch_reference import reference_outputs
from wattbench.results.errors import DeviceError, UsageError
from wattbench.testing import BackendCase, BackendContract, make_batch

BERT = small_load("bert-base/classify-128")
IMAGES = small_load("vit-b16/image-224", image_size=32, patch_size=16)


@pytest.fixture(scope="module", autouse=True)
def programs(graph_cache: Path) -> Iterator[None]:
    """Share programs among tests, so that each is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_CACHE", str(graph_cache))
        yield


class TestContract(BackendContract):
    """The tiny encoder keeps the contract."""

    case = BackendCase(
        make_backend=executorch_backend, load=find_load("tiny-encoder/tiny-encode"), device="xnnpack", tuning="program"
    )


def preparation(load: Load, **knobs: object) -> Preparation:
    """Return a preparation of a load for two requests on XNNPACK."""
    asked = Preparation(
        load=load,
        weights="synthetic",
        seed=0,
        precision="float32",
        device="xnnpack",
        batch=2,
        threads=1,
        affinity=None,
        tuning="program",
    )
    return replace(asked, **knobs)  # type: ignore[arg-type] # knobs of any field


@pytest.mark.parametrize("load", [BERT, IMAGES], ids=["bert", "vit"])
def test_encoders_compute_the_references_numbers(load: Load) -> None:
    """BERT and ViT give the reference's outputs; the share that XNNPACK took is in the record."""
    backend, batch = executorch_backend(), make_batch(load)
    record = backend.prepare(preparation(load)).backend
    found = backend.outputs(batch, None)
    backend.close()
    wanted = reference_outputs(load.model, batch.arrays, 0, weights="synthetic", seed=0)
    quality = compare(found.values, wanted.values, load.model.tolerance("float32"), "float32")

    assert quality.passed, quality.reason
    assert record.delegated_share is not None
    assert 0.5 < record.delegated_share < 1.0
    assert (1.0, None, 1) == (record.placement_share, record.fallback, record.threads)


def test_the_runtime_is_asked_without_torch() -> None:
    """Probe, devices and levels import neither torch nor ExecuTorch here, and the absent NPUs say why."""
    code = (
        "import sys; from wattbench.backends.executorch.backend import executorch_backend; "
        "from wattbench.models.find import find_load; b = executorch_backend(); "
        "assert b.probe().usable; assert ['xnnpack'] == [d.name for d in b.devices()]; "
        "assert b.levels(find_load('tiny-encoder'), 'xnnpack', 'float32'); "
        "assert not b.levels(find_load('tiny-decoder'), 'xnnpack', 'float32'); "
        "assert all(f.availability.remedy for f in b.findings() if not f.availability.usable); "
        "assert not {'executorch', 'torch'} & set(sys.modules)"
    )

    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


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
        executorch_backend().prepare(preparation(BERT))
