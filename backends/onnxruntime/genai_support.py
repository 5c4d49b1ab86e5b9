"""What ONNX Runtime GenAI can run here: loads, devices and precisions, and how its model builder is told to build."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from wattbench.backends.contract import Preparation
from wattbench.backends.onnxruntime.genai_build import BuildRequest
from wattbench.models.load import Load, ModelSpec
from wattbench.results.errors import DeviceError, UsageError

__all__ = [
    "GENAI",
    "PROVIDERS",
    "Provider",
    "available",
    "build_request",
    "check",
    "is_quantised",
    "kind_of",
    "last_token",
    "settings_text",
    "supports",
]

GENAI = "genai"
"""The name of this engine as a tuning level."""

MODULES = ("onnx", "onnx_ir", "onnxruntime", "onnxruntime_genai", "torch", "transformers")
"""What building and running needs: the generator, and what its model builder imports."""

REMEDY = "pip install onnxruntime-genai onnx onnx-ir 'wattbench[torch]'"

ARCHITECTURES = ("LlamaConfig", "Qwen3Config")
"""The catalogue's architectures that the model builder builds; it does not know GPT-2 and the tiny decoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What a kind of device runs.

    `name` is the execution provider's, `builder` and `precisions` the model builder's words for it and for ours.
    Quantised graphs are built with `quantised` options besides the common ones, and multiply in `computes`. `package`
    is what it takes besides the modules above.
    """

    name: str
    builder: str
    precisions: Mapping[str, str]
    quantised: tuple[str, ...]
    computes: str
    package: str | None = None


PROVIDERS = {
    "cpu": Provider(
        name="CPUExecutionProvider",
        builder="cpu",
        precisions={"float32": "fp32", "int8": "int8", "int4": "int4"},
        quantised=("accuracy_level=4",),
        computes="int8",
    ),
    "cuda": Provider(
        name="CUDAExecutionProvider",
        builder="cuda",
        precisions={"float16": "fp16", "bfloat16": "bf16", "int8": "int8", "int4": "int4"},
        quantised=(),
        computes="float16",
        package="onnxruntime-genai-cuda",
    ),
}
"""By the first part of a device's name. Accuracy level 4 quantises the activations of a product to int8, which CPUs
have instructions for. The row of CUDA was never run on hardware."""

LAST_POSITION = "prune_lm_head=true"
"""The head is computed for the last position alone: generating needs no other."""

QUANTISED = ("shared_embeddings=false", "block_size=32", "is_symmetric=true", "fuse_mlp_gate_up=true")
"""Every matrix is quantised, the head too; the embedding table is not, of which a step reads one row. The two matrices
that a gated feed-forward begins with are one product."""

IN_WORDS = {
    "float": "weights in the graph's precision",
    "quantised": "symmetric weights in blocks of 32 with a float scale each, the head too; the embedding table is not",
}


def available() -> str | None:
    """Return why this engine cannot be used here, None when it can; looks for the packages, imports none."""
    missing = [name for name in MODULES if find_spec(name) is None]
    return f"{', '.join(missing)} cannot be imported" if missing else None


def supports(load: Load, device: str, precision: str) -> bool:
    """Return whether this engine can execute a load on a device in a precision; imports no SDK.

    An agent's turns need one request at a time (`GenaiEngine.open` refuses more).
    """
    return available() is None and _refusal(load, device, precision) is None


def check(p: Preparation) -> None:
    """Raise what keeps this engine from doing what is asked."""
    why = available()
    if why is not None:
        raise DeviceError("The engine genai is not installed", why, REMEDY)
    refusal = _refusal(p.load, p.device, p.precision)
    if refusal is not None:
        raise UsageError(f"The engine genai cannot run {p.load.name}", refusal, "Choose another --tuning.")
    if p.load.shape.turns > 1 and p.batch > 1:
        why = f"its generator continues only one request at a time after the first turn, the batch has {p.batch}"
        raise UsageError(f"The engine genai cannot run {p.load.name}", why, "Use --batch 1, or another --tuning.")


def build_request(p: Preparation, provider: Provider) -> BuildRequest:
    """Return what the model builder is asked for."""
    extra = (*QUANTISED, *provider.quantised) if is_quantised(p.precision) else ()
    return BuildRequest(
        model=p.load.model,
        weights=p.weights,
        seed=p.seed,
        precision=provider.precisions[p.precision],
        provider=provider.builder,
        options=(LAST_POSITION, *extra),
    )


def is_quantised(precision: str) -> bool:
    """Return whether weights in a precision are integers with scales."""
    return precision.startswith("int")


def kind_of(device: str) -> str:
    """Return the first part of a device's name, "cuda" of "cuda:0"."""
    return device.partition(":")[0]


def last_token(model: ModelSpec) -> int:
    """Return the last token of a model's vocabulary."""
    size = model.config["vocab_size"]
    assert isinstance(size, int), "vocab_size is an integer"
    return size - 1


def settings_text(p: Preparation, threads: int | None) -> str:
    """Return the graph's and the generator's settings in words."""
    kind = IN_WORDS["quantised" if is_quantised(p.precision) else "float"]
    pool = "" if threads is None else f", {threads} intra-op threads (spinning)"
    return f"ONNX Runtime GenAI's graph: {kind}; head at the last position only; static KV cache, kept{pool}"


def _refusal(load: Load, device: str, precision: str) -> str | None:
    """Return why a load cannot run on a device in a precision, None when it can."""
    model, provider = load.model, PROVIDERS.get(kind_of(device))
    if model.family != "decoder" or model.architecture not in ARCHITECTURES:
        return f"it runs decoders of {' and '.join(ARCHITECTURES)}, {model.name} is a {model.architecture}"
    if provider is None:
        return f"it runs on {' and '.join(PROVIDERS)}, not on {device}"
    if provider.package is not None and not _is_installed(provider.package):
        return f"on {device} it needs the package {provider.package}"
    if precision not in provider.precisions:
        return f"on {device} it has {', '.join(provider.precisions)}, not {precision}"
    return None


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
