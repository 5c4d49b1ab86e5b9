"""Says whether LiteRT's runtime can be loaded and starts, in a process that may die of it.

`python -m wattbench.backends.litert.probe_child FILE` writes to FILE, as JSON, the folder of the vendors' libraries.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

from pathlib import Path

import ai_edge_litert
from ai_edge_litert.environment import Environment

from wattbench.backends.asking import answer
from wattbench.backends.serving import die_with_parent

__all__: list[str] = []

if __name__ == "__main__":
    die_with_parent()
    Environment.create()
    answer(str(Path(ai_edge_litert.__path__[0]) / "vendors"))
