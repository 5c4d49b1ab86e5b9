"""Reads a tokenizer in a process of its own: answers nothing when it can be read, else why not."""

import sys

from wattbench.backends.asking import answer
from wattbench.backends.endpoint.tokenizer import counter_of
from wattbench.backends.lines import failure_of
from wattbench.results.errors import WattbenchError

__all__ = ["main"]


def main() -> None:
    """Answer for the folder that the second argument names."""
    try:
        counter_of(sys.argv[2])("a word")
    except WattbenchError as exc:
        answer(failure_of(exc))
    else:
        answer(None)


if __name__ == "__main__":
    main()
