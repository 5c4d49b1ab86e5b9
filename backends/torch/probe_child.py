"""Says which devices one vendor brings to torch here, in a process that may die of it.

`python -m wattbench.backends.torch.probe_child KIND FILE` loads the vendor's extension and writes the devices to FILE
as JSON; "KIND" may be an extension's own name.
"""

import json
import sys
from pathlib import Path

from wattbench.backends.serving import die_with_parent
from wattbench.backends.torch.extensions import load_extension
from wattbench.results.codec import to_builtins

__all__ = ["main"]


def main(kind: str, answer: Path) -> None:
    """Load, list and write; whatever the vendor's code prints is not the answer."""
    die_with_parent()
    load_extension(kind)
    from wattbench.backends.torch.device import accelerator_infos

    answer.write_text(json.dumps(to_builtins(accelerator_infos())))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
