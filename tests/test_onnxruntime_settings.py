"""What each provider is told to compute in."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")

from wattbench.backends.onnxruntime.listing import EpDevice, Listing
from wattbench.backends.onnxruntime.offers import Offer, offers
from wattbench.backends.onnxruntime.providers import PROVIDERS, Provider
from wattbench.backends.onnxruntime.settings import settings_for


def offer(provider: str, *, unit: str = "gpu", listed: bool = True, **metadata: str) -> Offer:
    """Return a device of a provider as if ONNX Runtime had listed it."""
    device = EpDevice(provider=provider, unit=unit, vendor="Someone", module=None, metadata=metadata)
    listing = Listing(version="1", proves=True, built_in=(), devices=(device,), refused={})
    return replace(offers(listing)[0], listed=listed)


@pytest.mark.parametrize(("precision", "graph", "flag"), [("float32", "float32", "0"), ("tf32", "float32", "1")])
def test_cuda_multiplies_in_tf32_only_when_asked(precision: str, graph: str, flag: str) -> None:
    """The provider's own default would be tf32 for float32 graphs."""
    settings = settings_for(offer("CUDAExecutionProvider"), precision, 2)

    assert (graph, flag) == (settings.graph, settings.options["use_tf32"])
    assert ("tf32" if precision == "tf32" else None) == settings.computes


def test_a_built_in_provider_is_told_its_device() -> None:
    """Devices that ONNX Runtime lists carry their number themselves; others are named by device_id."""
    assert "device_id" not in settings_for(offer("CUDAExecutionProvider"), "float16", 2).options
    assert "0" == settings_for(offer("CUDAExecutionProvider", listed=False), "float16", 2).options["device_id"]


@pytest.mark.parametrize(("precision", "hint"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_openvino_computes_in_what_is_asked(precision: str, hint: str) -> None:
    """A float32 graph is computed in float32 or bfloat16 as the hint says, and the settings say so."""
    device = offer("OpenVINOExecutionProvider", unit="cpu", ov_device="CPU", OPTIMIZATION_CAPABILITIES="FP32 BF16")
    settings = settings_for(device, precision, 3)

    wanted = {"CPU": {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": "3"}}
    assert wanted == json.loads(settings.options["load_config"])
    assert ("float32", precision, True) == (settings.graph, settings.computes, settings.owns_threads)


def test_openvino_takes_int8_graphs_as_they_are() -> None:
    """What an int8 graph leaves in floating point is computed in the device's default."""
    capabilities = "FP32 BF16 INT8"
    device = offer("OpenVINOExecutionProvider", unit="cpu", ov_device="CPU", OPTIMIZATION_CAPABILITIES=capabilities)
    settings = settings_for(device, "int8", 3)

    assert ("int8", None) == (settings.graph, settings.computes)
    assert "bf16" == json.loads(settings.options["load_config"])["CPU"]["INFERENCE_PRECISION_HINT"]


def test_the_hidden_casts_of_others_are_known() -> None:
    """The ggml provider would round weights to float16, and QNN's HTP computes float32 graphs in float16."""
    assert "f32" == settings_for(offer("ggml", unit="cpu"), "float32", 2).options["weights"]
    assert ("float32", "float16") == (
        settings_for(offer("QNNExecutionProvider", unit="npu"), "float16", 2).graph,
        settings_for(offer("QNNExecutionProvider", unit="npu"), "float16", 2).computes,
    )


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.prefix)
def test_every_provider_has_settings_for_its_precisions(provider: Provider) -> None:
    """Each precision of the table has a graph that can be made, and a precision in effect that is the one asked for."""
    device = offer(provider.name)
    for precision in provider.precisions:
        settings = settings_for(device, precision, 2)

        assert settings.graph in ("float32", "bfloat16", "float16", "int8", "int4")
        assert precision in (settings.graph, settings.computes)
