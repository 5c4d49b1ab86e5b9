"""The records of the catalogue: a model's shape, a request's shape, and the load that joins them."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from wattbench.results.checks import require, require_not_negative
from wattbench.results.subject import Family

Modality = Literal["tokens", "image", "audio"]

__all__ = ["Load", "Modality", "ModelSpec", "RequestShape", "Tolerance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far a precision's outputs may be from the float32 reference, and why that is the right bound."""

    precision: str
    relative_error: float
    cosine: float
    reason: str

    def __post_init__(self) -> None:
        require_not_negative(relative_error=self.relative_error)
        require(-1 <= self.cosine <= 1, f"cosine must be within -1..1, got {self.cosine}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One architecture: the transformers configuration class with its field values, and where they come from.

    `architecture` is a configuration class of `transformers` (for example "Qwen3Config") or "wattbench.tiny".
    `parameters` is the published or computed count of distinct parameters (tied ones once). `checkpoint` is the hub
    id of the real weights, None where there are none. `parameters` is None for a model that only its server knows.
    """

    name: str
    version: int
    family: Family
    architecture: str
    config: dict[str, object]
    parameters: int | None
    precisions: tuple[str, ...]
    tolerances: tuple[Tolerance, ...]
    sources: tuple[str, ...]
    checkpoint: str | None

    def __post_init__(self) -> None:
        require(self.version >= 1, f"version must be at least 1, got {self.version}")
        count = self.parameters
        require(count is None or count >= 1, f"parameters must be at least 1, got {count}")
        require(len(self.precisions) >= 1, "a model declares at least one precision")

    @property
    def parameter_count(self) -> int:
        """Return the parameters of a model that is known; no engine of ours runs another one."""
        assert self.parameters is not None, f"{self.name} is known to its server alone"
        return self.parameters

    def tolerance(self, precision: str) -> Tolerance | None:
        """Return the tolerance stated for a precision, or None when the file states none."""
        return next((t for t in self.tolerances if t.precision == precision), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestShape:
    """One kind of request: tokens in and out per turn; `turns` > 1 grows the context (agent loads).

    Each later turn of an agent adds `turn_input_tokens` to all that came before. For images and audio
    `input_tokens` is the number of positions that the encoder sees. `modality` is what the model is fed with.
    """

    name: str
    version: int
    input_tokens: int
    output_tokens: int
    turns: int
    turn_input_tokens: int
    families: tuple[Family, ...]
    sources: tuple[str, ...]
    modality: Modality = "tokens"

    def __post_init__(self) -> None:
        require(self.version >= 1, f"version must be at least 1, got {self.version}")
        require(self.input_tokens >= 1, "a request has at least one input token")
        require(self.output_tokens >= 0 and self.turns >= 1, "output tokens and turns cannot be negative")
        require(self.turn_input_tokens >= 0, "turn_input_tokens cannot be negative")
        require(self.turns > 1 or self.turn_input_tokens == 0, "turn_input_tokens needs more than one turn")
        require(self.turns == 1 or self.output_tokens >= 1, "a request of several turns has tokens out")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is executed: a model and a request shape, with a name, a version and a digest."""

    model: ModelSpec
    shape: RequestShape

    @property
    def name(self) -> str:
        """Return "MODEL/SHAPE", the name for `--load`."""
        return f"{self.model.name}/{self.shape.name}"

    @property
    def version(self) -> int:
        """Return the load's version: it rises whenever the model's or the shape's does."""
        return self.model.version + self.shape.version - 1

    @property
    def context_tokens(self) -> int:
        """Return the longest context that one request reaches, in tokens."""
        shape = self.shape
        return shape.input_tokens + shape.turns * shape.output_tokens + (shape.turns - 1) * shape.turn_input_tokens

    @property
    def digest(self) -> str:
        """Return the sha256 of what is executed, as "sha256:<hex>"; what is said about it does not count.

        Sources, tolerances, the declared precisions and the checkpoint's name may change without another digest.
        """
        definition = {"model": asdict(self.model), "shape": asdict(self.shape)}
        for part in definition.values():
            for key in ("sources", "tolerances", "precisions", "checkpoint"):
                part.pop(key, None)
        text = json.dumps(definition, sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
