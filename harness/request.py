"""What a user asks of a run: every knob optional, from flags, from a TOML file, or from Python."""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["RunRequest", "make_request", "merge_requests", "read_request", "refuse_unknown"]

PLAN_MAX_BYTES = 1_000_000
"""The largest plan file that is read; one with every knob set has less than a kilobyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """The knobs of `bench run`; None means "choose for me", and the choice is recorded in the plan."""

    load: str | None = None
    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    scenario: str | None = None
    batch: int | None = None
    weights: str | None = None
    seed: int | None = None
    threads: int | None = None
    affinity: tuple[int, ...] | None = None
    quick: bool | None = None
    window_s: float | None = None
    repeats: int | None = None
    repeats_max: int | None = None
    warmup_min_s: float | None = None
    warmup_max_s: float | None = None
    idle_s: float | None = None
    power: tuple[str, ...] | None = None
    power_rate_hz: float | None = None
    tuning: str | None = None
    allow_fallback: bool | None = None
    ceilings: str | None = None
    cross_check: tuple[str, ...] | None = None
    cross_check_python: str | None = None
    slots: int | None = None
    tensor_parallel: int | None = None
    declared_watts: float | None = None
    source: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    rate: str | None = None
    arrival: str | None = None
    arrival_shape: float | None = None
    concurrency: int | None = None
    ramp: str | None = None
    trace: str | None = None
    trace_scale: float | None = None
    sessions: str | None = None
    input_lengths: str | None = None
    output_lengths: str | None = None
    slo: str | None = None
    in_flight_max: int | None = None
    endpoint: str | None = None
    api: str | None = None
    model: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    ca_file: str | None = None
    no_stream: bool | None = None
    tokenizer: str | None = None
    timeout_s: float | None = None
    workers: int | str | None = None
    server_command: str | None = None


def merge_requests(base: RunRequest, over: RunRequest) -> RunRequest:
    """Return `base` with every knob that `over` sets replaced by it."""
    wanted = {f.name: getattr(over, f.name) for f in fields(RunRequest) if getattr(over, f.name) is not None}
    return replace(base, **wanted)


def make_request(knobs: dict[str, object], what: str) -> RunRequest:
    """Return the knobs as a request, every value being of its knob's type.

    Raises UsageError for a value of another type, naming the knob; `what` is the message's first part.
    """
    from wattbench.results.codec import decode
    from wattbench.results.errors import DocumentError

    try:
        return decode(knobs, RunRequest)
    except DocumentError as exc:
        raise UsageError(what, exc.why, "Correct the value.") from exc


def read_request(path: Path) -> RunRequest:
    """Return the knobs of a plan file (TOML, one key a knob).

    Raises UsageError naming the file and what is wrong: unreadable, no regular file, larger than a plan can be, not
    TOML, an unknown key, a wrong type.
    """
    raw = _toml(path)
    refuse_unknown(raw, str(path))
    return make_request(raw, f"The plan file {path} has a wrong value")


def refuse_unknown(knobs: Mapping[str, object], where: str) -> None:
    """Raise UsageError with the nearest names for a knob that does not exist."""
    known = [f.name for f in fields(RunRequest)]
    for key in knobs:
        if key not in known:
            raise UsageError(f"Unknown knob {key!r} in {where}", *nearest_lines(key, known))


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(_plan_bytes(path).decode())
    except RecursionError as exc:
        raise UsageError(f"Cannot read the plan file {path}", "it is nested too deeply", "One key a knob.") from exc
    except ValueError as exc:  # not UTF-8, not TOML, or a number with more digits than Python reads
        raise UsageError(f"The plan file {path} is not TOML", str(exc), "Correct the line named above.") from exc


def _plan_bytes(path: Path) -> bytes:
    """Return the content of a regular file of a plan's size; a pipe or a device is refused without being opened."""
    what = f"Cannot read the plan file {path}"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(what, "it is not a regular file", "Give a TOML file.")
        with path.open("rb") as file:
            data = file.read(PLAN_MAX_BYTES + 1)
    except OSError as exc:
        raise UsageError(what, exc.strerror or str(exc), "Check the path.") from exc
    if len(data) > PLAN_MAX_BYTES:
        raise UsageError(what, f"it is larger than {PLAN_MAX_BYTES} bytes", "Give a TOML file with one key a knob.")
    return data
