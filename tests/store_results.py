"""Small results with raw polls beside them, each another one, as files that can be pushed."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType

from wattbench.results.sidecar import write_with_polls

__all__ = ["result_files"]


def result_files(folder: Path, factories: ModuleType, count: int, first: int = 0) -> list[Path]:
    """Write `count` results that differ in their run and their polls; return their paths."""
    plain = factories.make_result()
    paths = []
    for number in range(first, first + count):
        polls = replace(plain.power.polls[0], value=(float(number), None, number + 0.5))
        run = replace(plain.run, id=f"01234567-89ab-7def-8123-{number:012d}")
        path = folder / f"{number}.json"
        write_with_polls(replace(plain, run=run, power=replace(plain.power, polls=(polls,))), path)
        paths.append(path)
    return paths
