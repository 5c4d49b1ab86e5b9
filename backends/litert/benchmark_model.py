"""LiteRT's own `benchmark_model` on a phone: how it is told what to do, and what it says, line by line.

Its words and flags are those of tflite/tools/benchmark in google-ai-edge/LiteRT (benchmark_model.cc,
benchmark_tflite_model.cc), read in November 2026; those of older TensorFlow Lite are understood too.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from wattbench.results.errors import DeviceError

__all__ = ["Applied", "Batchwise", "Phase", "Replaced", "Report", "arguments", "parse", "refused"]

START = "Running benchmark for at least "
COUNT = re.compile(r"count=([0-9]{1,15})(?: |$)")
FIELD = re.compile(r"(?:^| )(first|curr|min|max|avg|std|median)=(\S+)")
INIT = re.compile(r"Init: (\d+)")
REPLACED = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate \(([^)]*)\)(?:.* for subgraph (\d+))?")
APPLIED = re.compile(r"Explicitly applied (\S+) delegate, and the model graph will be (completely|partially) ")
NOT_APPLIED = re.compile(r"Though (\S+) delegate is explicitly applied, the model graph will not be ")
UNKNOWN_FLAGS = "Unconsumed cmdline flags: "
LEVELS = ("INFO: ", "VERBOSE: ", "WARNING: ", "WARN: ", "ERROR: ")
WORDS = 400

ROUNDED = 1e-5
"""The mean is told with six digits, the least and the most whole."""

NEWER = "Take benchmark_model from a current LiteRT (or TensorFlow Lite 2.11 or newer)."

LAST_WORDS = (
    ("CANNOT LINK EXECUTABLE", "A library that it needs is not on the phone: build it for Android with the NDK."),
    ("not executable", "It is a program of another processor: take the one for the phone's ABI."),
    ("Exec format error", "It is a program of another processor: take the one for the phone's ABI."),
    ("syntax error", "It is no program of Android's: take the one for the phone's ABI."),
    ("Segmentation fault", "The delegate or its driver crashed; try another device, or a newer delegate."),
)
"""What to do about some ends, by words of the last lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batchwise:
    """How to execute: at least `runs` times and for `seconds`, after `warm_up_s` of warming up, with `input_file`."""

    runs: int
    seconds: float
    warm_up_s: float
    threads: int
    shape: tuple[int, ...]
    model: str
    input_file: str
    output_file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One phase of executions: when it began and ended on the phone's clock, and what the tool says of their times.

    `std_s` and `median_s` are None where it does not say them, or nothing that could be one.
    """

    start_s: float
    end_s: float
    count: int
    mean_s: float
    min_s: float
    max_s: float
    std_s: float | None
    median_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """A delegate that took nodes of a graph: how many, of how many, and which graph of the model's it was."""

    delegate: str
    taken: int
    nodes: int
    graph: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What the tool says of a delegate that it was told to apply."""

    delegate: str
    whole: Literal["completely", "partially", "not"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one call of the tool said; `warm_up` is None where nothing warmed up, `unknown` are flags it ignored."""

    init_s: float | None
    warm_up: Phase | None
    runs: Phase
    replaced: tuple[Replaced, ...]
    applied: tuple[Applied, ...]
    unknown: str


def arguments(how: Batchwise, flags: Sequence[str]) -> tuple[str, ...]:
    """Return the tool's arguments; `flags` choose the delegate."""
    shape = ",".join(map(str, how.shape))
    outputs = () if how.output_file is None else (f"--output_filepath={how.output_file}",)
    return (
        f"--graph={how.model}",
        f"--num_runs={how.runs}",
        f"--min_secs={how.seconds:g}",
        f"--max_secs={2 * how.seconds + 60:g}",
        f"--warmup_runs={0 if how.warm_up_s == 0 else 1}",
        f"--warmup_min_secs={how.warm_up_s:g}",
        f"--num_threads={how.threads}",
        "--input_layer=inputs",
        f"--input_layer_shape={shape}",
        f"--input_layer_value_files=inputs:{how.input_file}",
        *outputs,
        *flags,
    )


def parse(lines: Iterable[tuple[float, str]]) -> Report:
    """Return what the tool's lines say, each with the phone's clock in seconds.

    Raises DeviceError where they do not tell of a whole run.
    """
    said = [(at_s, _bare(text)) for at_s, text in lines]
    phases = list(_phases(said))
    if len(phases) != 2:
        why = f"it tells of {len(phases)} phases of executions, not of warming up and running"
        raise DeviceError("benchmark_model's output is not understood", f"{why}; it ends with: {_end(said)}", NEWER)
    runs = phases[1]
    if runs is None:
        raise DeviceError("benchmark_model executed nothing", f"its output ends with: {_end(said)}", NEWER)
    texts = [text for _, text in said]
    found = [REPLACED.search(text) for text in texts]
    init = next((match for text in texts if " timings in us: " in text and (match := INIT.search(text))), None)
    return Report(
        init_s=None if init is None else int(init[1]) / 1e6,
        warm_up=phases[0],
        runs=runs,
        replaced=tuple(
            Replaced(delegate=m[3], taken=int(m[1]), nodes=int(m[2]), graph=int(m[4] or 0)) for m in found if m
        ),
        applied=tuple(_applied(texts)),
        unknown=next((t.removeprefix(UNKNOWN_FLAGS).strip() for t in texts if t.startswith(UNKNOWN_FLAGS)), ""),
    )


def refused(lines: Iterable[tuple[float, str]], code: int, abi: str) -> DeviceError:
    """Return the error for a call that ended with a code other than 0, by the tool's own words."""
    texts = [text for _, text in lines]
    errors = [text for text in texts if text.startswith("ERROR: ")] or texts[-2:]
    why = " ".join(" ".join(_bare(text) for text in errors).split())[-WORDS:]
    remedy = next((what for words, what in LAST_WORDS if any(words in text for text in texts)), "")
    remedy = remedy or "Choose another --device, or run the tool by hand as docs/accelerators.md shows."
    return DeviceError(
        "benchmark_model failed on the phone",
        f"it ended with {code}: {why or 'no words'} (the phone's ABI: {abi})",
        remedy,
    )


def _bare(text: str) -> str:
    """Return a line without the level that newer builds begin it with."""
    level = next((level for level in LEVELS if text.startswith(level)), "")
    return text.removeprefix(level)


def _phases(said: Sequence[tuple[float, str]]) -> Iterator[Phase | None]:
    """Yield every phase that began and ended, None for one without executions."""
    start_s: float | None = None
    for at_s, text in said:
        if text.startswith(START):
            start_s = at_s
        elif text.startswith("count=") and start_s is not None:
            yield _phase(start_s, at_s, text)
            start_s = None


def _phase(start_s: float, end_s: float, text: str) -> Phase | None:
    try:
        values = {name: float(value) / 1e6 for name, value in FIELD.findall(text)}  # told in us
    except ValueError:
        raise _not_understood(text) from None
    counted, latest = COUNT.match(text), values.get("curr")
    if counted is None:
        raise _not_understood(text)
    if int(counted[1]) == 0:
        return None
    same = {"first", "min", "max"}.isdisjoint(values)  # one execution, or all alike: the latest time is told alone
    mean, least, most = (values.get(name, latest if same else None) for name in ("avg", "min", "max"))
    if mean is None or least is None or most is None:
        raise _not_understood(text)
    known = (mean, least, most, values.get("median", least))
    std = values.get("std", math.nan)
    if not all(map(math.isfinite, known)) or min(known) < 0 or not least <= values.get("median", least) <= most:
        raise _not_understood(text)
    if not least * (1 - ROUNDED) <= mean <= most * (1 + ROUNDED):
        raise _not_understood(text)
    return Phase(
        start_s=start_s,
        end_s=end_s,
        count=int(counted[1]),
        mean_s=mean,
        min_s=least,
        max_s=most,
        std_s=std if 0 <= std < math.inf else None,  # the tool takes the root of a rounded difference
        median_s=values.get("median"),
    )


def _not_understood(text: str) -> DeviceError:
    return DeviceError("benchmark_model's output is not understood", f"it says {text[:WORDS]!r}", NEWER)


def _applied(texts: Iterable[str]) -> Iterator[Applied]:
    for text in texts:
        if match := APPLIED.search(text):
            yield Applied(delegate=match[1], whole="completely" if match[2] == "completely" else "partially")
        elif match := NOT_APPLIED.search(text):
            yield Applied(delegate=match[1], whole="not")


def _end(said: Sequence[tuple[float, str]]) -> str:
    return " ".join(" ".join(text for _, text in said[-3:]).split())[-WORDS:] or "nothing"
