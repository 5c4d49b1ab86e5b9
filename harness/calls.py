"""The Python calls behind `import wattbench`: run a load, load and save a result."""

from pathlib import Path

from wattbench.harness.plan import resolve
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest
from wattbench.harness.runner import execute
from wattbench.results.document import Result
from wattbench.results.files import read_result, write_result

__all__ = ["load", "run", "save"]


def run(
    load: str | None = None,
    *,
    backend: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    scenario: str | None = None,
    batch: int | None = None,
    weights: str | None = None,
    threads: int | None = None,
    quick: bool = False,
    window_s: float | None = None,
    repeats: int | None = None,
    power: str | tuple[str, ...] | None = None,
    out: str | Path | None = None,
) -> Result:
    """Run one load as `bench run` does, and return its result document; the file is kept as well.

    Every argument means what the flag of that name means; None lets wattbench choose. Raises a WattbenchError for bad
    names, contradictions and faults; the valid file of a run that failed lies where the error's remedy says.
    """
    request = RunRequest(
        load=load,
        backend=backend,
        device=device,
        precision=precision,
        scenario=scenario,
        batch=batch,
        weights=weights,
        threads=threads,
        quick=quick or None,
        window_s=window_s,
        repeats=repeats,
        power=(power,) if isinstance(power, str) else power,
    )
    outcome = execute(
        resolve(request), reporter=SilentReporter(), command=("wattbench.run",), out=Path(out) if out else None
    )
    if outcome.error is not None:
        error = outcome.error
        remedy = f"{error.remedy} The result file of what was measured: {outcome.path}".strip()
        raise type(error)(error.what, error.why, remedy)
    return outcome.result


def load(path: str | Path) -> Result:
    """Return the result in a file. Raises DocumentError when it is truncated, altered, newer, or no result."""
    return read_result(Path(path))


def save(result: Result, path: str | Path) -> None:
    """Write a result to a file atomically. Raises StorageError when it cannot be written."""
    write_result(result, Path(path))
