"""Where edge SDKs run a program is judged by what they say, and what is not there is never taken for an NPU."""

import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from wattbench.backends import asking, edge_sdk
from wattbench.backends.coreml.backend import coreml_backend
from wattbench.backends.coreml.placement import judge as judge_coreml
from wattbench.backends.coreml.units import unit_of
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.executorch import backend as executorch_module
from wattbench.backends.executorch.backend import executorch_backend
from wattbench.backends.executorch.delegates import DELEGATES, Delegate, availability_of, delegate_of
from wattbench.backends.executorch.placement import judge as judge_executorch
from wattbench.backends.litert import accelerators
from wattbench.backends.litert import backend as litert_module
from wattbench.backends.litert.accelerators import ACCELERATORS, accelerator_of
from wattbench.backends.litert.backend import litert_backend
from wattbench.backends.litert.placement import judge as judge_litert
from wattbench.backends.mlx import backend as mlx_module
from wattbench.backends.mlx.backend import mlx_backend
from wattbench.backends.programs import Maker, Program
from wattbench.results.availability import Availability
from wattbench.results.errors import DeviceError
from wattbench.results.subject import WeightsRecord


def program(delegated: int, **left: int) -> Program:
    """Return the record of a program of which a delegate took some operations and left others."""
    weights = WeightsRecord(
        origin="synthetic", source="synthetic", revision=None, seed=0, distribution="any", digest="0"
    )
    nodes = delegated + sum(left.values())
    return Program(
        path="program.pte",
        weights=weights,
        steps=(),
        versions={},
        build_s=0.0,
        nodes=nodes,
        delegated=delegated,
        left=left,
    )


def delegate(name: str) -> Delegate:
    """Return a delegate that is there."""
    found = delegate_of(name)
    assert found is not None
    return found


def test_what_the_cpus_delegate_leaves_stays_on_the_cpu() -> None:
    """XNNPACK's share is told, and nothing is called a fall-back: ExecuTorch's own kernels are the same CPU's."""
    placed = judge_executorch(delegate("xnnpack"), program(6, embedding=2), allow_fallback=False)

    assert (1.0, 0.75, None) == (placed.share, placed.delegated, placed.fallback)
    assert "6 of 8 operations by XnnpackBackend" in placed.text


def test_what_an_npus_delegate_leaves_is_refused() -> None:
    """Without leave nothing of a program for an NPU runs on the CPU; the error says what and how much."""
    with pytest.raises(DeviceError, match="computes only 6 of the program's 8 operations") as caught:
        judge_executorch(delegate("qualcomm"), program(6, embedding=2), allow_fallback=False)

    assert "2 embedding" in caught.value.why
    assert "--allow-fallback" in caught.value.remedy


def test_what_an_npus_delegate_leaves_is_a_fallback() -> None:
    """With leave the record has what ran on the CPU, and the NPU's share alone counts as on the device."""
    placed = judge_executorch(delegate("qualcomm"), program(6, embedding=2), allow_fallback=True)

    assert (0.75, 0.75) == (placed.share, placed.delegated)
    assert placed.fallback == "2 of 8 operations on the CPU, in float32 (2 embedding)"


@pytest.mark.parametrize("name", ["xnnpack", "qualcomm"])
def test_a_delegate_that_takes_nothing_is_refused(name: str) -> None:
    """Whatever is allowed, a program that the delegate left whole is no program for its device."""
    with pytest.raises(DeviceError, match="computes nothing of this program"):
        judge_executorch(delegate(name), program(0, linear=3), allow_fallback=True)


def test_litert_tells_no_npu_where_the_cpu_may_have_done_it() -> None:
    """A model that is not wholly accelerated has an unknown share and a fall-back."""
    npu = accelerator_of("intel-npu")
    assert npu is not None
    placed = judge_litert(npu, whole=False)

    assert (None, None) == (placed.share, placed.delegated)
    assert placed.fallback is not None
    assert "some or all operations on the CPU" in placed.fallback


def test_core_mls_plan_is_refused_where_the_engine_shares() -> None:
    """Operations that Core ML plans on the CPU are counted; with leave they are a fall-back."""
    engine = unit_of("ane")
    assert engine is not None
    places = {"MLNeuralEngineComputeDevice": 9, "MLCPUComputeDevice": 1}

    with pytest.raises(DeviceError, match="only 9 of 10 operations"):
        judge_coreml(engine, places, allow_fallback=False)
    with pytest.raises(DeviceError, match="plans nothing on the Apple neural engine"):
        judge_coreml(engine, {"MLCPUComputeDevice": 3}, allow_fallback=True)
    assert 0.9 == judge_coreml(engine, places, allow_fallback=True).share
    assert "1 on Apple CPU by Core ML" == judge_coreml(engine, places, allow_fallback=True).fallback


def test_a_delegate_that_is_only_registered_is_not_there(tmp_path: Path) -> None:
    """ExecuTorch calls Qualcomm's delegate available on any machine: it takes the driver's files as well."""
    qualcomm, registered = delegate("qualcomm"), {"QnnBackend": True}

    assert "absent" == availability_of(qualcomm, registered, "linux", tmp_path).state
    assert "absent" == availability_of(qualcomm, {}, "linux", tmp_path).state
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "fastrpc-cdsp").touch()
    assert "present" == availability_of(qualcomm, registered, "linux", tmp_path).state
    assert "broken" == availability_of(qualcomm, {"QnnBackend": False}, "linux", tmp_path).state
    assert "absent" == availability_of(delegate("coreml"), {"CoreMLBackend": True}, "linux", tmp_path).state


def test_every_device_says_how_to_get_it(tmp_path: Path) -> None:
    """Each absent delegate and accelerator has a reason and a remedy, and says that it was never run."""
    found = [availability_of(d, {}, "linux", tmp_path) for d in DELEGATES if not d.on_cpu]
    found += [accelerators.availability_of(a, tmp_path, tmp_path) for a in ACCELERATORS if a.unit != "CPU"]

    assert [] == [f for f in found if f.state != "absent" or not f.reason or not f.remedy]
    assert [] == [f for f in found if f.facts != {"never run on hardware": "yes"}]


def test_an_npu_of_litert_takes_both_libraries_and_hardware(tmp_path: Path) -> None:
    """Without a vendor's compiler LiteRT would run everything on the CPU, so both libraries are asked for."""
    intel = accelerator_of("intel-npu")
    assert intel is not None
    vendors = tmp_path / "vendors"
    (vendors / "intel_openvino" / "dispatch").mkdir(parents=True)
    (vendors / "intel_openvino" / "dispatch" / "libLiteRtDispatch_IntelOpenvino.so").touch()

    assert "no compiler library" in accelerators.availability_of(intel, vendors, tmp_path).reason
    (vendors / "intel_openvino" / "compiler").mkdir()
    (vendors / "intel_openvino" / "compiler" / "libLiteRtCompilerPlugin_IntelOpenvino.so").touch()
    assert "there is no /dev/accel/accel*" in accelerators.availability_of(intel, vendors, tmp_path).reason
    (tmp_path / "dev" / "accel").mkdir(parents=True)
    (tmp_path / "dev" / "accel" / "accel0").touch()
    assert accelerators.availability_of(intel, vendors, tmp_path).usable


@pytest.mark.parametrize("make", [executorch_backend, litert_backend, mlx_backend])
def test_a_missing_sdk_is_absent_with_the_command(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], EncoderBackend]
) -> None:
    """Where the SDK is not installed the probe says so and names the pip command; no process is started."""
    monkeypatch.setattr(edge_sdk, "find_spec", lambda _: None)
    for module in (executorch_module, litert_module, mlx_module):
        monkeypatch.setattr(module, "ask", None)
    backend = make()

    assert ("absent", f"pip install 'wattbench[{backend.name}]'") == (backend.probe().state, backend.probe().remedy)


def refuse() -> str:
    """Answer as an SDK that cannot be loaded."""
    raise DeviceError("The SDK does not answer", "it ended with -6")


@pytest.mark.parametrize(
    ("packages", "answer", "expected"),
    [
        (("pytest", "no-such-package"), refuse, ("broken", "no program can be made without no-such-package")),
        (("pytest",), refuse, ("broken", "The SDK does not answer: it ended with -6")),
        (("pytest",), lambda: "The SDK 1.0", ("present", "The SDK 1.0")),
    ],
)
def test_an_installed_sdk_is_asked(
    packages: tuple[str, ...], answer: Callable[[], str], expected: tuple[str, str]
) -> None:
    """Without the packages that make its programs it is broken before it is asked, and when it does not answer."""
    maker = Maker(name="sdk", makes="program", module="", packages=packages, sources=(), remedy="pip install sdk")
    found = edge_sdk.probed("pytest", maker, answer, title="The SDK", facts=edge_sdk.NEVER_RUN)

    assert expected == (found.state, found.reason)
    assert edge_sdk.NEVER_RUN.items() <= found.facts.items()
    assert (found.state == "present") == (not found.remedy)


def test_parts_that_can_be_used_are_devices() -> None:
    """The host's CPU is told by its name and has its watts; what is absent is no device."""
    here = {"xnnpack", "qualcomm"}
    findings = edge_sdk.part_findings(
        DELEGATES, lambda d: Availability(state="present" if d.device in here else "absent", reason="said so")
    )
    cpu, npu = edge_sdk.part_infos(DELEGATES, findings, cpu="xnnpack")

    assert ("xnnpack", "cpu", "float32") == (cpu.name, cpu.power_covers, cpu.precision_default)
    assert cpu.description.endswith("(XNNPACK)")
    assert ("qualcomm", None, "Qualcomm NPU (Hexagon)") == (npu.name, npu.power_covers, npu.description)


@pytest.mark.skipif(platform.system() == "Darwin", reason="a Mac has Core ML")
def test_core_ml_is_a_macs() -> None:
    """Elsewhere it is absent and has no devices, whatever is installed."""
    backend = coreml_backend()

    assert "absent" == backend.probe().state
    assert () == backend.devices()
    assert {"absent"} == {finding.availability.state for finding in backend.findings()}


BAD = {
    "aborts": ("import os\nprint('CHECK failed')\nos.abort()", "ended with -6: CHECK failed"),
    "hangs": ("import time\ntime.sleep(60)", "none within 0.5 s"),
    "raises": ("raise ImportError('libvendor.so.7')", "libvendor.so.7"),
    "says nothing": ("", "ended with 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_sdk_that_misbehaves_costs_an_answer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that aborts, hangs, fails or is silent when it is asked is told by its last words; nothing is printed."""
    code, says = BAD[name]
    (tmp_path / "asked.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(DeviceError, match="The SDK") as caught:
        asking.ask("asked", "The SDK", timeout_s=0.5 if name == "hangs" else 30.0)
    assert says in caught.value.why
    assert ("", "") == tuple(capfd.readouterr())
