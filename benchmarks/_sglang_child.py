"""sglang's load generator in a process of its own; benchmarks/client.py starts it with the folder that has the package.

The Rust client is a module inside sglang's wheel; loading that file alone needs neither torch nor the package.
"""

import importlib.util
import sys
from pathlib import Path


def main() -> None:
    """Load the module of the folder in the first argument, and run it with the others."""
    [path] = Path(sys.argv[1]).glob("sglang/srt/rust_extensions/_bench*.so")
    spec = importlib.util.spec_from_file_location("_bench", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run_argv(["sglang-bench", *sys.argv[2:]])


if __name__ == "__main__":
    main()
