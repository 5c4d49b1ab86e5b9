"""Devices without a power sensor: known by name or PCI number, told with the reason."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from wattbench.harness.power.sensorless import SENSORLESS, no_sensor_reason, present_here, sensorless_reason
from wattbench.results.endpoint_plan import EndpointPlan


@pytest.mark.parametrize(
    ("backend", "device", "name"),
    [
        ("torch", "xla:0", "Google TPU"),
        ("tpu", "tpu:3", "Google TPU"),
        ("torch", "mtia:0", "Meta MTIA"),
        ("endpoint", "https://api.example.com/v1", "hosted endpoint"),
        ("groq", "lpu", "Groq LPU"),
        ("cerebras", "wse", "Cerebras"),
    ],
)
def test_a_device_is_known_by_its_name(backend: str, device: str, name: str) -> None:
    """The reason names the device, why there are no watts, and who says so."""
    found = sensorless_reason(backend, device)

    assert str(found).startswith(f"{name} has no power sensor: ")
    assert str(found).endswith(")")


@pytest.mark.parametrize(("backend", "device"), [("torch", "cpu"), ("torch", "cuda:0"), ("onnxruntime", "openvino")])
def test_others_may_have_a_sensor(backend: str, device: str) -> None:
    """Nothing is said of a device that is not in the table."""
    assert sensorless_reason(backend, device) is None


def test_a_card_is_known_by_its_pci_number(tmp_path: Path) -> None:
    """A GroqCard is found by its vendor; a Google network card is no TPU."""
    for address, vendor, device in (("0000:01:00.0", "0x1de0", "0x0000"), ("0000:00:04.0", "0x1ae0", "0x0042")):
        folder = tmp_path / address
        folder.mkdir()
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "device").write_text(f"{device}\n")

    assert ["Groq LPU"] == [row.device for row in present_here(tmp_path)]
    assert () == present_here(tmp_path / "none")


def test_every_row_is_complete() -> None:
    """Each device has a name to be known by, a reason, its source and what to do instead."""
    assert all(row.words and row.why and row.source and row.instead for row in SENSORLESS)


@pytest.mark.parametrize(
    ("url", "power", "words"),
    [
        ("http://127.0.0.1:8000", "auto", ("on this machine", "--power agent:127.0.0.1", "bench agent")),
        ("http://[::1]:8000", "nvml", ("on this machine",)),
        ("http://192.0.2.7:8000", "none", ("on another machine", "--power agent:HOST")),
        ("https://api.example.com/v1", "none", ("out of reach",)),
    ],
)
def test_an_endpoint_says_where_its_watts_are(
    factories: ModuleType, url: str, power: str, words: tuple[str, ...]
) -> None:
    """A server on loopback draws its power here; one elsewhere needs an agent or a meter there."""
    endpoint = EndpointPlan(url=url, api="chat", model=None, stream=True, timeout_s=1, workers=1)
    plan = replace(factories.make_plan(), backend="endpoint", device="remote", endpoint=endpoint, power=(power,))
    found = str(no_sensor_reason(plan))

    assert all(word in found for word in words)
    assert "hosted endpoint has no power sensor" not in found


def test_a_server_here_that_was_not_to_be_measured_has_nothing_to_explain(factories: ModuleType) -> None:
    """`--power none` says all."""
    endpoint = EndpointPlan(url="http://localhost:1", api="chat", model=None, stream=True, timeout_s=1, workers=1)

    assert no_sensor_reason(replace(factories.make_plan(), endpoint=endpoint, power=("none",))) is None
