"""Collecting the facts of the machine, its software and its settings at the start of a run."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.harness.cpu_facts import collect_cpu
from wattbench.harness.host_facts import Detect, collect_host, detect_virt
from wattbench.results.environment import Environment

__all__ = ["PACKAGES", "collect_environment", "collect_packages", "collect_variables"]

PACKAGES = (
    *("torch", "transformers", "safetensors", "gguf", "triton", "intel-extension-for-pytorch", "torch-xla"),
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-genai", "openvino", "openvino-genai", "llama-cpp-python"),
    *("vllm", "sglang", "tensorrt", "jax", "jaxlib", "libtpu", "torch-neuronx", "neuronx-cc"),
    *("nvidia-cublas-cu12", "nvidia-cudnn-cu12", "nvidia-cublas", "nvidia-cudnn-cu13"),
    *("numpy", "psutil", "nvidia-ml-py"),
)
"""The distributions whose version can change speed, numbers or power readings."""

VARIABLE_PREFIXES = ("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "BLIS_", "DNNL_", "ONEDNN_", "VECLIB_", "NUMEXPR_")
VARIABLE_NAMES = (
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUDA_MODULE_LOADING"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "NVIDIA_VISIBLE_DEVICES"),
    *("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "ZE_AFFINITY_MASK"),
    *(
        "PYTORCH_ALLOC_CONF",
        "PYTORCH_CUDA_ALLOC_CONF",
        "PYTORCH_ENABLE_MPS_FALLBACK",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    ),
    *("TORCH_BLAS_PREFER_CUBLASLT", "TORCHINDUCTOR_FREEZING", "TORCHINDUCTOR_MAX_AUTOTUNE", "ATEN_CPU_CAPABILITY"),
    *("LD_PRELOAD", "MALLOC_CONF", "MALLOC_ARENA_MAX", "PYTHONOPTIMIZE", "PYTHONMALLOC", "PYTHON_GIL"),
)
"""The environment variables that change performance and carry no secret; everything else is left out."""

SETTING = re.compile(r"[\w.,:;=+\-{}()*@ ]*")
"""What a setting looks like. Other values, such as paths, may hold a user's name and are not kept."""


def collect_environment(
    root: Path = Path("/"), environ: Mapping[str, str] = os.environ, detect: Detect = detect_virt
) -> Environment:
    """Return the facts of the machine; what cannot be known is None and nothing is an error.

    Files are read below `root` and settings from `environ`, so that tests can show another machine; `detect` asks the
    system which virtual machine or container this is.
    """
    return Environment(
        host=collect_host(root, environ, detect),
        cpu=collect_cpu(root),
        accelerators=collect_accelerators(root),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        packages=collect_packages(PACKAGES),
        variables=collect_variables(environ),
    )


def collect_packages(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed ones of these distributions, importing none of them."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def collect_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that change performance, by name; values that hold paths are not shown."""
    chosen = (name for name in environ if name in VARIABLE_NAMES or name.startswith(VARIABLE_PREFIXES))
    return {name: _shown(name, environ[name]) for name in sorted(chosen)}


def _shown(name: str, value: str) -> str:
    """Return a value without what may be private; of preloaded libraries their file names."""
    if name == "LD_PRELOAD":
        return " ".join(path.rsplit("/", 1)[-1] for path in re.split(r"[ :]+", value))
    return value if SETTING.fullmatch(value) else "(set, not shown)"
