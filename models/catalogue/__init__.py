"""The built-in catalogue: one TOML file a model and one a request shape, beside this file."""

from pathlib import Path

__all__ = ["directory"]


def directory() -> Path:
    """Return the folder that holds `models/*.toml` and `shapes/*.toml` (entry point group `wattbench.loads`)."""
    return Path(__file__).parent
