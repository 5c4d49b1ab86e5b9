"""How a provider is told what to compute in: its options, and which graph goes with a precision."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wattbench.backends.onnxruntime.offers import Offer

__all__ = ["Settings", "settings_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The precision of the graph to load, the provider's options, and the precision that it then multiplies in.

    `computes` is None where the provider takes the graph's own. `owns_threads` says that the provider has a thread
    pool of its own, beside which ONNX Runtime's would only be in the way.
    """

    graph: str
    options: dict[str, str]
    computes: str | None = None
    owns_threads: bool = False


def settings_for(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Return the settings with which a device computes in a precision; nothing is cast that was not asked for."""
    make = MAKERS.get(offer.provider.prefix, _by_number)
    return make(offer, precision, threads)


def _plain(offer: Offer, precision: str, threads: int | None) -> Settings:
    return Settings(graph=precision, options={})


def _by_number(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Return settings for a provider that takes the graph's precision and needs no more than its device's number."""
    return Settings(graph=precision, options=_number(offer))


def _number(offer: Offer) -> dict[str, str]:
    return {} if offer.listed else {"device_id": str(offer.place)}


def _cuda(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Say whether float32 graphs are multiplied in tf32: CUDA does it unless told otherwise."""
    tf32 = precision == "tf32"
    options = {**_number(offer), "use_tf32": "1" if tf32 else "0"}
    return Settings(graph="float32" if tf32 else precision, options=options, computes="tf32" if tf32 else None)


def _tensorrt(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Allow the graph's own precision; float32 graphs are multiplied in tf32, the default of TensorRT's builder."""
    allowed = {"float16": {"trt_fp16_enable": "1"}, "bfloat16": {"trt_bf16_enable": "1"}}.get(precision, {})
    tf32 = precision == "tf32"
    return Settings(
        graph="float32" if tf32 else precision,
        options={**_number(offer), **allowed},
        computes="tf32" if tf32 else None,
    )


def _tensorrt_rtx(offer: Offer, precision: str, threads: int | None) -> Settings:
    tf32 = precision == "tf32"
    graph = "float32" if tf32 else precision
    return Settings(graph=graph, options=_number(offer), computes="tf32" if tf32 else None)


def _coreml(offer: Offer, precision: str, threads: int | None) -> Settings:
    return Settings(graph=precision, options={"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"})


def _qnn(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Return float16 for a float32 graph: that is how the HTP computes it."""
    options = {"backend_type": "htp", "enable_htp_fp16_precision": "1"}
    return Settings(graph="float32", options=options, computes="float16")


def _openvino(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Fix the precision that OpenVINO computes in: unless told, it takes the lowest that its device has.

    What int8 graphs leave in floating point is computed in the device's own default.
    """
    float_type = precision if precision in HINTS else offer.info.precision_default
    properties = {"INFERENCE_PRECISION_HINT": HINTS[float_type]}
    if offer.unit == "cpu" and threads is not None:
        properties["INFERENCE_NUM_THREADS"] = str(threads)
    device = offer.info.name.partition(":")[2].upper()
    options = {"load_config": json.dumps({device: properties})}
    if not offer.listed:
        options["device_type"] = device
    graph = "float32" if precision in HINTS else precision
    return Settings(
        graph=graph, options=options, computes=float_type if graph == "float32" else None, owns_threads=True
    )


def _xnnpack(offer: Offer, precision: str, threads: int | None) -> Settings:
    options = {} if threads is None else {"intra_op_num_threads": str(threads)}
    return Settings(graph=precision, options=options, owns_threads=True)


def _ggml(offer: Offer, precision: str, threads: int | None) -> Settings:
    """Keep float32 weights as they are: ggml rounds them to float16 unless told otherwise."""
    options = {"device": str(offer.unit), "weights": "f32"}
    if threads is not None:
        options["threads"] = str(threads)
    return Settings(graph=precision, options=options, owns_threads=True)


HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
"""Our names of precisions and OpenVINO's."""

MAKERS: Mapping[str, Callable[[Offer, str, int | None], Settings]] = {
    "coreml": _coreml,
    "cpu": _plain,
    "cuda": _cuda,
    "ggml": _ggml,
    "openvino": _openvino,
    "qnn": _qnn,
    "tensorrt": _tensorrt,
    "tensorrt-rtx": _tensorrt_rtx,
    "webgpu": _plain,
    "xnnpack": _xnnpack,
}
"""By device prefix; a provider that is not here takes the graph's precision, and its device's number as device_id."""
