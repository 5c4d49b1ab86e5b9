"""wattbench: measure what transformer inference really costs, in throughput, watts and joules.

    import wattbench
    result = wattbench.run(load="smollm2-135m/chat", quick=True)
    result.to_frame()

Importing this package loads nothing heavy; each name is imported when it is first used.
"""

TYPE_CHECKING = False  # type checkers know this name; importing `typing` would double the cost of `bench --help`
if TYPE_CHECKING:
    from wattbench.harness.calls import load, run, save
    from wattbench.results.document import Result
    from wattbench.results.errors import WattbenchError

__all__ = ["Result", "WattbenchError", "load", "run", "save"]

HOMES = {
    "Result": "wattbench.results.document",
    "WattbenchError": "wattbench.results.errors",
    "load": "wattbench.harness.calls",
    "run": "wattbench.harness.calls",
    "save": "wattbench.harness.calls",
}


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module 'wattbench' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
