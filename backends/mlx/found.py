"""What MLX says of its devices."""

from dataclasses import dataclass

__all__ = ["Found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Whether there is a GPU for MLX, whether by Metal, and its name and memory as far as MLX tells them."""

    gpu: bool
    metal: bool
    gpu_name: str | None
    gpu_memory_bytes: int | None
