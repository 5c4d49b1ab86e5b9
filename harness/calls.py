"""The Python calls behind `import wattbench`: run a load, load and save a result."""

from collections.abc import Mapping
from pathlib import Path

from wattbench.harness.knobs import user_path
from wattbench.harness.reporter import SilentReporter
from wattbench.harness.request import RunRequest, make_request, merge_requests, read_request, refuse_unknown
from wattbench.harness.runner import execute
from wattbench.harness.tuning import choose
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
    seed: int | None = None,
    threads: int | None = None,
    affinity: tuple[int, ...] | list[int] | None = None,
    quick: bool | None = None,
    window_s: float | None = None,
    repeats: int | None = None,
    repeats_max: int | None = None,
    warmup_min_s: float | None = None,
    warmup_max_s: float | None = None,
    idle_s: float | None = None,
    power: str | tuple[str, ...] | list[str] | None = None,
    power_rate_hz: float | None = None,
    tuning: str | None = None,
    allow_fallback: bool | None = None,
    ceilings: str | None = None,
    cross_check: str | tuple[str, ...] | list[str] | None = None,
    cross_check_python: str | None = None,
    slots: int | None = None,
    tensor_parallel: int | None = None,
    declared_watts: float | None = None,
    source: str | None = None,
    traffic: Mapping[str, object] | None = None,
    plan: str | Path | None = None,
    out: str | Path | None = None,
) -> Result:
    """Run one load as `bench run` does, and return its result document; the file is kept as well.

    Every argument means what its flag means; None lets the plan file or wattbench choose. `traffic` has
    the knobs of traffic and endpoints by name (docs/python.md). Raises a WattbenchError for bad names, types,
    contradictions and faults; a failed run's valid file lies where the error's remedy says.
    """
    knobs = {name: value for name, value in locals().items() if name not in ("traffic", "plan", "out")}
    reporter = SilentReporter()
    choice = choose(_request({**knobs, **(traffic or {})}, user_path("plan", plan)), reporter)
    where = user_path("out", out)
    command = ("wattbench.run",)
    outcome = execute(choice.resolved, tuning=choice.tuning, reporter=reporter, command=command, out=where)
    if (error := outcome.error) is not None:
        remedy = f"{error.remedy} The result file of what was measured: {outcome.path}".strip()
        raise type(error)(error.what, error.why, remedy)
    return outcome.result


def _request(knobs: dict[str, object], plan: Path | None) -> RunRequest:
    """Return the knobs of a call over those of its plan file. Raises UsageError naming one of a wrong type."""
    lists = {name: (one,) if isinstance(one := knobs[name], str) else one for name in ("power", "cross_check")}
    refuse_unknown(knobs, "traffic")
    numbers = {name: knobs.get(name) for name in ("rate", "sessions")}  # words too, such as "auto"
    words = {name: str(value) for name, value in numbers.items() if isinstance(value, int | float)}
    checked = make_request({**knobs, **lists, **words}, "wattbench.run: wrong argument")
    return merge_requests(read_request(plan), checked) if plan is not None else checked


def load(path: str | Path) -> Result:
    """Return the result in a file. Raises DocumentError when it is truncated, altered, newer, or no result."""
    return read_result(Path(path))


def save(result: Result, path: str | Path) -> None:
    """Write a result to a file atomically. Raises StorageError when it cannot be written."""
    write_result(result, Path(path))
