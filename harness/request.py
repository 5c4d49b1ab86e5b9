"""What a user asks of a run: every knob optional, from flags, from a TOML file, or from Python."""

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from wattbench.results.errors import UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["RunRequest", "merge_requests", "read_request"]


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


def merge_requests(base: RunRequest, over: RunRequest) -> RunRequest:
    """Return `base` with every knob that `over` sets replaced by it."""
    wanted = {f.name: getattr(over, f.name) for f in fields(RunRequest) if getattr(over, f.name) is not None}
    return replace(base, **wanted)


def read_request(path: Path) -> RunRequest:
    """Return the knobs of a plan file (TOML, one key a knob).

    Raises UsageError naming the file and what is wrong: unreadable, not TOML, an unknown key, a wrong type.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"Cannot read the plan file {path}", exc.strerror or str(exc), "Check the path.") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"The plan file {path} is not TOML", str(exc), "Correct the line named above.") from exc
    known = [f.name for f in fields(RunRequest)]
    for key in raw:
        if key not in known:
            raise UsageError(f"Unknown knob {key!r} in {path}", *nearest_lines(key, known))
    return _decode(raw, path)


def _decode(raw: dict[str, object], path: Path) -> RunRequest:
    from wattbench.results.codec import decode
    from wattbench.results.errors import DocumentError

    try:
        return decode(raw, RunRequest)
    except DocumentError as exc:
        raise UsageError(f"The plan file {path} has a wrong value", str(exc), "Correct the value.") from exc
