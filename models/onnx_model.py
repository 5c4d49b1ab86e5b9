"""What an exported ONNX model is: its file, its weights, its cache, and the names of its inputs and outputs."""

from dataclasses import dataclass
from pathlib import Path

from wattbench.models.configurations import dimensions
from wattbench.models.load import ModelSpec
from wattbench.results.checks import require
from wattbench.results.errors import UsageError
from wattbench.results.subject import Family, WeightsRecord

__all__ = [
    "EXPORTED_PRECISIONS",
    "HEADS",
    "HIDDEN",
    "INPUT_IDS",
    "LOGITS",
    "PIXELS",
    "POOLED",
    "TOKEN",
    "TOTAL",
    "CacheShape",
    "ExportedModel",
    "past_names",
    "present_names",
    "refuse_unexportable",
]

INPUT_IDS = "input_ids"
"""Tokens, int64 (batch, new) for decoders and (batch, positions) for encoders."""

PIXELS = "pixel_values"
"""Images, float32 (batch, channels, height, width)."""

TOTAL = "total_sequence_length"
"""Decoders: the context with the new tokens, int32 (1,), the same for all requests."""

TOKEN = "token"
"""Decoders: the token with the highest logit, int64 (batch, 1)."""

LOGITS = "logits"
"""Float32 (batch, width): of the last new position (decoders), of the classes (image classifiers)."""

HIDDEN = "last_hidden_state"
"""Encoders of text: float32 (batch, positions, width)."""

POOLED = "pooler_output"
"""Encoders of text: float32 (batch, width)."""

HEADS = (POOLED, LOGITS)
"""The output that stands for a request of an encoder: whichever of the two the graph has."""

EXPORTED_PRECISIONS = ("float32", "bfloat16", "float16")
"""The precisions that a graph is exported in; others are made from an exported graph."""

ARCHITECTURES = {
    "BertConfig": "encoder",
    "GPT2Config": "decoder",
    "LlamaConfig": "decoder",
    "Qwen3Config": "decoder",
    "ViTConfig": "vision-encoder",
    "wattbench.tiny": "",
}
"""The architectures whose export is written and tested, and their family ("": whichever the model says)."""

ROTARY_TYPES = ("default", "linear", "llama3", "yarn")
"""The kinds of rotary positions whose angles depend on the position alone, so that they can be a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheShape:
    """A decoder's KV cache: for each layer a key and a value of (batch, kv_heads, capacity, head_dim)."""

    layers: int
    kv_heads: int
    head_dim: int
    precision: str

    def __post_init__(self) -> None:
        require(min(self.layers, self.kv_heads, self.head_dim) >= 1, "a cache has layers, heads and a width")

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return the input and the output of each of the cache's tensors, keys and values in turn."""
        return tuple(zip(past_names(self.layers), present_names(self.layers), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """A model as ONNX: the file (its weights lie beside it), and what it takes and gives. `cache` only for decoders."""

    path: Path
    family: Family
    precision: str
    weights: WeightsRecord
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cache: CacheShape | None
    nodes: int


def past_names(layers: int) -> tuple[str, ...]:
    """Return the cache's inputs, named as ONNX Runtime GenAI does: the memory before the new positions."""
    return tuple(f"past_key_values.{layer}.{part}" for layer in range(layers) for part in ("key", "value"))


def present_names(layers: int) -> tuple[str, ...]:
    """Return the cache's outputs: the same memory with the new positions written."""
    return tuple(f"present.{layer}.{part}" for layer in range(layers) for part in ("key", "value"))


def refuse_unexportable(model: ModelSpec) -> None:
    """Raise UsageError when there is no export of a model; needs neither torch nor onnx."""
    why = _unexportable(model)
    if why is not None:
        raise UsageError(f"There is no ONNX export of {model.name}", why, "Choose another load or backend.")


def _unexportable(model: ModelSpec) -> str | None:
    """Return why a model has no export, None when it has one."""
    family = ARCHITECTURES.get(model.architecture)
    if family is None or family not in ("", model.family):
        return f"it is a {model.family} of {model.architecture}; exported are {', '.join(ARCHITECTURES)}"
    rotary = model.config.get("rope_parameters")
    kind = rotary.get("rope_type", "default") if isinstance(rotary, dict) else "default"
    if kind not in ROTARY_TYPES:
        return f"its rotary positions are of the type {kind!r}; exported are {', '.join(ROTARY_TYPES)}"
    if model.config.get("use_sliding_window") or model.config.get("add_cross_attention"):
        return "its attention has a window or reads an encoder"
    stack, unit = dimensions(model).decoder, 8 if rotary is None else 16
    if stack is not None and stack.head_dim % unit:
        return f"its heads are {stack.head_dim} wide; ONNX Runtime's attention takes multiples of {unit}"
    return None
