"""The words for what a power channel sees."""

from typing import Literal

__all__ = ["Scope"]

Scope = Literal["board", "module", "package", "dram", "psys", "node", "wall", "other"]
"""docs/power.md#scopes says what is inside each."""
