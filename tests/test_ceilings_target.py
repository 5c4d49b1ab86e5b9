"""What is measured for the ceilings of a device: its precisions in order, the shapes of a load's products."""

from dataclasses import replace

import pytest

from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo
from wattbench.backends.mock import MockBackend
from wattbench.harness.ceilings_target import device_target, product_precisions, product_shapes, target_of
from wattbench.harness.plan import resolve
from wattbench.harness.request import RunRequest
from wattbench.models.find import find_load
from wattbench.results.errors import DeviceError, UsageError


def device(covers: str | None) -> DeviceInfo:
    """Return a device whose power is seen so."""
    return DeviceInfo(
        name="one",
        description="a device",
        memory_bytes=None,
        precisions=("float32", "bfloat16"),
        precision_default="bfloat16",
        power_covers=covers,
    )


@pytest.mark.parametrize(
    ("covers", "precision", "expected"),
    [
        ("cpu", "bfloat16", ("bfloat16", "float32", "int8")),
        ("cpu", "int8", ("int8", "float32", "bfloat16")),
        ("cpu", "int4", ("bfloat16", "float32", "int8")),
        ("cpu", "float16", ("float16", "float32", "bfloat16", "int8")),
        ("GPU-1", "float8", ("float8", "float32", "tf32", "bfloat16", "float16", "int8")),
    ],
)
def test_the_loads_precision_comes_first(covers: str, precision: str, expected: tuple[str, ...]) -> None:
    """Weights that are widened first are multiplied in the device's own precision."""
    assert expected == product_precisions(device(covers), precision)


@pytest.mark.parametrize(
    ("load", "batch", "expected"),
    [
        ("bert-base/classify-128", 8, ((1024, 768, 3072), (1024, 3072, 768))),
        ("mixtral-8x7b/classify-128", 8, ((256, 4096, 14336), (256, 14336, 4096))),
        ("t5-base/classify-128", 2, ((256, 768, 3072), (256, 3072, 768))),
    ],
)
def test_the_shapes_are_those_of_the_prefill(load: str, batch: int, expected: tuple[tuple[int, int, int], ...]) -> None:
    """The rows are all tokens of the batch, of which each of eight experts sees a quarter; encoders go first."""
    model, _, _ = load.partition("/")
    shape = find_load("bert-base/classify-128").shape

    assert expected == product_shapes(replace(find_load(model), shape=shape), batch)


def test_a_plan_gives_its_target() -> None:
    """Backend, device, threads and power are the plan's."""
    request = RunRequest(load="tiny-encoder/tiny-encode", backend="mock", precision="bfloat16", power=("none",))
    target = target_of(resolve(request))

    assert ("mock", "mock", "bfloat16", ("none",)) == (
        target.backend,
        target.device.name,
        target.precisions[0],
        target.power,
    )
    assert 2 == len(target.shapes)


def test_without_a_load_there_are_no_shapes() -> None:
    """`bench ceilings` measures the squares, in the device's own precision first."""
    target = device_target(RunRequest(backend="mock"))

    assert (("float32",), (), ("auto",)) == (target.precisions[:1], target.shapes, target.power)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (RunRequest(backend="warp"), "Unknown backend 'warp'"),
        (RunRequest(backend="mock", device="warp"), "Unknown device 'warp'"),
        (RunRequest(backend="mock", threads=0), "--threads is out of range"),
        (RunRequest(backend="mock", threads=2, affinity=(0,)), "--threads contradicts --affinity"),
    ],
)
def test_nonsense_is_refused(request_: RunRequest, message: str) -> None:
    """Unknown names, numbers out of range and contradictions are the user's errors."""
    with pytest.raises(UsageError, match=message):
        device_target(request_)


def missing_warp(_: MockBackend) -> tuple[DeviceFinding, ...]:
    """Return what a backend says of a device that it knows and could not find."""
    absent = Availability(state="absent", reason="no warp drive is built in", remedy="Build one in.")
    return (DeviceFinding(name="warp", label="Warp drive", availability=absent),)


def test_a_device_that_is_not_here_is_no_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a device that the backend knows and lacks, `bench ceilings` says what is missing, as `bench run` does."""
    monkeypatch.setattr(MockBackend, "findings", missing_warp, raising=False)
    with pytest.raises(DeviceError) as caught:
        device_target(RunRequest(backend="mock", device="warp:1"))

    assert ("no warp drive is built in", "Build one in.") == (caught.value.why, caught.value.remedy)
