"""Text from files and devices made safe for a terminal, under the name that the commands know."""

from wattbench.results.visible import visible

__all__ = ["visible"]
