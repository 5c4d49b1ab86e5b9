"""The execution providers that we know, as a table: what each computes in, what it needs, and where it ever ran."""

from dataclasses import dataclass

__all__ = ["CPU", "NEVER", "PROVIDERS", "Provider", "provider_of"]

CPU = "CPUExecutionProvider"

NEVER = "never run on hardware"
"""What `Provider.ran` says of the rows that were written from documentation alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An execution provider: ONNX Runtime's name, ours in device names, and what is known of it.

    `precisions` are those that it computes in, the default first; `counted` says how many devices a provider has that
    ONNX Runtime does not list ("nvidia", "amd": as the kernel's files say; "one"). `lacks_newer` says that it leaves
    newer operators to the CPU unless they are written out, `decodes` whether it takes the attention node of our
    decoders' graphs, and `ran` where our code ever ran.
    """

    name: str
    prefix: str
    precisions: tuple[str, ...]
    needs: str
    ran: str = NEVER
    counted: str = "one"
    lacks_newer: bool = False
    decodes: bool = True


PROVIDERS = (
    Provider(
        name="CUDAExecutionProvider",
        prefix="cuda",
        precisions=("float16", "bfloat16", "tf32", "float32"),
        needs="the package onnxruntime-gpu and an NVIDIA GPU with its driver",
        counted="nvidia",
    ),
    Provider(
        name="NvTensorRTRTXExecutionProvider",
        prefix="tensorrt-rtx",
        precisions=("float16", "bfloat16", "tf32"),
        needs="the package onnxruntime-ep-nv-tensorrt-rtx and an NVIDIA RTX GPU",
        counted="nvidia",
    ),
    Provider(
        name="TensorrtExecutionProvider",
        prefix="tensorrt",
        precisions=("float16", "bfloat16", "tf32"),
        needs="the package onnxruntime-gpu, TensorRT's libraries and an NVIDIA GPU",
        counted="nvidia",
    ),
    Provider(
        name="MIGraphXExecutionProvider",
        prefix="migraphx",
        precisions=("float16", "float32"),
        needs="the package onnxruntime-migraphx, ROCm and an AMD GPU",
        counted="amd",
    ),
    Provider(
        name="ROCMExecutionProvider",
        prefix="rocm",
        precisions=("float16", "float32"),
        needs="the package onnxruntime-rocm (older ONNX Runtimes) and an AMD GPU",
        counted="amd",
    ),
    Provider(
        name="CoreMLExecutionProvider",
        prefix="coreml",
        precisions=("float16", "float32"),
        needs="macOS; Core ML chooses among CPU, GPU and Neural Engine",
    ),
    Provider(
        name="DmlExecutionProvider",
        prefix="dml",
        precisions=("float16", "float32"),
        needs="Windows and the package onnxruntime-directml",
    ),
    Provider(
        name="WebGpuExecutionProvider",
        prefix="webgpu",
        precisions=("float16", "float32"),
        needs="the package onnxruntime-ep-webgpu and a GPU",
    ),
    Provider(
        name="QNNExecutionProvider",
        prefix="qnn",
        precisions=("float16",),
        needs="the package onnxruntime-qnn and a Qualcomm NPU",
    ),
    Provider(
        name=CPU,
        prefix="cpu",
        precisions=("float32", "int8", "int4"),
        needs="nothing more",
        ran="run on CPU",
    ),
    Provider(
        name="OpenVINOExecutionProvider",
        prefix="openvino",
        precisions=("float32", "bfloat16", "float16", "int8"),
        needs="the package onnxruntime-ep-openvino and an Intel CPU, GPU or NPU",
        ran="run on CPU",
        lacks_newer=True,
        decodes=False,
    ),
    Provider(
        name="XnnpackExecutionProvider",
        prefix="xnnpack",
        precisions=("float32",),
        needs="an ONNX Runtime that was built with XNNPACK",
    ),
    Provider(
        name="ggml",
        prefix="ggml",
        precisions=("float32",),
        needs="the package onnxruntime-ggml",
        ran="run on CPU",
    ),
)
"""Best first. A name's row is a claim about our code and not about the provider: most have never met their hardware."""


def provider_of(name: str, module: str | None = None) -> Provider:
    """Return the table's row of a provider; a plug-in that nobody has heard of gets one named after its module."""
    return next((p for p in PROVIDERS if p.name == name), None) or _unknown(name, module)


def _unknown(name: str, module: str | None) -> Provider:
    """Return what may be assumed of a provider that is not in the table: float32, and nothing else."""
    prefix = (module or name).removeprefix("onnxruntime_").removeprefix("ep_").removesuffix("ExecutionProvider")
    return Provider(name=name, prefix=prefix.lower(), precisions=("float32",), needs="what its makers say")
