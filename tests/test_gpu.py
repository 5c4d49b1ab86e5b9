"""What only a machine with an NVIDIA GPU can show: the torch backend on it, its sensors, a run with joules."""

from pathlib import Path

import pytest

import wattbench
from wattbench.harness.power.contract import SamplerOptions
from wattbench.harness.power.nvml import NvmlSampler

torch = pytest.importorskip("torch", reason="needs PyTorch")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that PyTorch can use"),
]


@pytest.fixture(name="folders", autouse=True)
def _folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep results and caches out of the user's folders."""
    monkeypatch.setenv("WATTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WATTBENCH_CACHE", str(tmp_path / "cache"))


def test_the_boards_channels_can_be_read() -> None:
    """NVML gives a positive value for every channel that the probe found."""
    sampler = NvmlSampler(SamplerOptions(argument=None, covers=None))

    assert sampler.probe().usable
    assert all(reading.value is not None and reading.value > 0 for reading in sampler.read())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_on_the_gpu_passes_its_gate_and_has_joules(precision: str) -> None:
    """A small decoder runs on the GPU, agrees with the CPU's float32 reference, and is measured in joules."""
    result = wattbench.run(
        "tiny-decoder/tiny", device="cuda", precision=precision, window_s=5.0, repeats=2, power="nvml"
    )
    energy = result.summary.metric("energy.total", "board")

    assert result.quality.passed
    assert result.backend.placement
    assert energy.value > 0
    assert not {"cpu_fallback", "unproven_completion"} & {doubt.code for doubt in result.doubts}
