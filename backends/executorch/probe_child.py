"""Says which delegates ExecuTorch's runtime has, in a process that may die of it.

`python -m wattbench.backends.executorch.probe_child FILE` writes them to FILE as JSON. The bindings are imported
without torch, which alone would take seconds.
"""
# pyright: reportMissingImports=false
# The SDK has an environment of its own.

import executorch.extension.pybindings._C as runtime

from wattbench.backends.asking import answer
from wattbench.backends.serving import die_with_parent

__all__: list[str] = []

if __name__ == "__main__":
    die_with_parent()
    names = [str(name) for name in runtime._get_registered_backend_names()]
    answer({name: bool(runtime._is_available(name)) for name in names})
