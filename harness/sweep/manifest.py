"""The records of a sweep's manifest: the plan, each point with its status, and which points took turns."""

from dataclasses import dataclass, fields
from typing import Literal

from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.points import Axes, Point
from wattbench.results.checks import require
from wattbench.results.document import HarnessRecord

__all__ = ["SCHEMA", "GroupRecord", "Manifest", "PointRecord", "PointStatus", "SweepPlan", "plan_differences"]

SCHEMA = "wattbench.sweep/1"

PointStatus = Literal["pending", "started", "complete", "partial", "error", "out_of_memory", "skipped", "refused"]
"""A result's own four, and: not reached yet, too big, larger than one that was too big, impossible to plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep was asked to do: its lists, the knobs that all points share, and how many may be open at once."""

    axes: Axes
    request: RunRequest
    together: int

    def __post_init__(self) -> None:
        require(self.together >= 1, "together must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRecord:
    """One point: its result file (relative to the manifest), how far it got, and why no further ("" when complete).

    `aside` are the files of earlier attempts, which are kept.
    """

    point: Point
    name: str
    file: str
    status: PointStatus = "pending"
    reason: str = ""
    aside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRecord:
    """Points whose runs were open at the same time, so that their repeats alternated.

    `turns` are the names in the order of the repeats. `reason` says why a point was alone, "" for several.
    """

    points: tuple[str, ...]
    interleaved: bool
    reason: str
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The state of a sweep: rewritten atomically whenever a point begins or ends."""

    schema: str = SCHEMA
    created_at: str
    harness: HarnessRecord
    plan: SweepPlan
    points: tuple[PointRecord, ...]
    groups: tuple[GroupRecord, ...] = ()

    def __post_init__(self) -> None:
        require(self.schema == SCHEMA, f"this manifest is {SCHEMA}, not {self.schema}")
        require(len({p.file for p in self.points}) == len(self.points), "each point has a file of its own")


def plan_differences(old: SweepPlan, new: SweepPlan) -> tuple[str, ...]:
    """Return a line for every knob in which two plans of a sweep differ; how many are open at once may change."""
    found = []
    for before, after in ((old, new), (old.axes, new.axes), (old.request, new.request)):
        for name in (field.name for field in fields(before) if field.name not in ("axes", "request", "together")):
            was, now = getattr(before, name), getattr(after, name)
            if was != now:
                found.append(f"{name} was {_text(was)} and is now {_text(now)}")
    return tuple(found)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value) or "not given"
    return "not given" if value is None else str(value)
