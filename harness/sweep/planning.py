"""Planning a sweep: every point checked before anything is started, batches found, points put into groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from wattbench.harness.candidates import candidates
from wattbench.harness.memory import available_bytes
from wattbench.harness.plan import Resolved
from wattbench.harness.request import RunRequest
from wattbench.harness.sweep.points import Axes, Point, product_of
from wattbench.models.find import find_load
from wattbench.models.lengths import MARK
from wattbench.results.errors import UsageError, WattbenchError

__all__ = ["Group", "Planned", "groups_of", "loads_with_lengths", "plan_point", "plan_points"]

BATCH_LIMIT = 2**20
"""The largest batch that `bench run` takes."""

BATCH_LIMIT_UNKNOWN = 64
"""How far `--batch auto` goes on a device whose memory is not known (our choice)."""

WORKER_BYTES = 1_000_000_000
"""What a worker holds besides its load: the interpreter, the framework and its libraries (our allowance)."""

MEMORY_SHARE = 0.5
"""The share of the free memory that the loads of a group may need: while an engine is built, weights exist twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A point with the plan that it stands for (its first candidate), or the error that says why it has none."""

    point: Point
    resolved: Resolved | None
    refusal: WattbenchError | None

    @property
    def needed_bytes(self) -> int:
        """Return the memory that an open run of this point takes, as far as it can be counted."""
        if self.resolved is None:
            return 0
        plan = self.resolved.plan
        return self.resolved.needed_bytes(plan.batch) + plan.tensor_parallel * WORKER_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Points whose runs are open at the same time; `reason` says why a point stays alone ("" for several)."""

    points: tuple[Planned, ...]
    reason: str


def plan_points(axes: Axes, base: RunRequest) -> tuple[Planned, ...]:
    """Return every point of a sweep in its order, the batches of a series ascending.

    A point that cannot be planned keeps its error. Raises the error when that holds for every point, or for every
    point with one value of a list: that value is a mistake.
    """
    found: list[Planned] = []
    for series in product_of(axes):
        for batch in _batches(series, axes, base):
            found.append(plan_point(replace(series, batch=batch), base))
    _refuse_mistakes(found)
    return tuple(found)


def plan_point(point: Point, base: RunRequest) -> Planned:
    """Return a point with its plan, or with the error that says why it has none."""
    try:
        return Planned(point=point, resolved=candidates(point.request(base)).resolved[0], refusal=None)
    except WattbenchError as exc:
        return Planned(point=point, resolved=None, refusal=exc)


def loads_with_lengths(
    names: Sequence[str], input_tokens: Sequence[int], output_tokens: Sequence[int] = ()
) -> tuple[str, ...]:
    """Return the full names of loads, each with every combination of lengths; an empty list leaves the load's own.

    Raises UsageError for an unknown load or length, and for lengths that say nothing or come twice.
    """
    loads = [find_load(name) for name in names]
    if output_tokens and not input_tokens:
        why = "the shape's own tokens in are not meant, or they would not be changed"
        raise UsageError("--output-tokens needs --input-tokens", why, "Give both, or --load MODEL/SHAPE@INxOUT.")
    if not input_tokens:
        return tuple(dict.fromkeys(load.name for load in loads))
    for load in loads:
        if MARK in load.name:
            why = f"{load.name} has a length already"
            raise UsageError("--input-tokens contradicts --load", why, "Leave the length out of --load, or the option.")
    outputs = [f"x{tokens}" for tokens in output_tokens] or [""]
    lengths = [f"{tokens}{output}" for tokens in input_tokens for output in outputs]
    varied = (find_load(f"{load.name}{MARK}{length}") for load in loads for length in lengths)
    return tuple(dict.fromkeys(load.name for load in varied))


def groups_of(
    points: Sequence[Planned], together: int, available: Callable[[Planned], int | None] | None = None
) -> tuple[Group, ...]:
    """Return the points in groups whose runs may be open at once, in their order.

    A group has at most `together` points, one power limit, one device, and needs no more than half of the free memory.
    `available` tells the free memory of a point's device in bytes (None: unknown; then only the count limits a group).
    """
    free = available or _free_bytes
    groups: list[list[Planned]] = []
    for planned in points:
        last = groups[-1] if groups else None
        if last is not None and len(last) < together and _may_share(last, planned, free(planned)):
            last.append(planned)
        else:
            groups.append([planned])
    return tuple(Group(points=tuple(group), reason=_alone_because(group, together)) for group in groups)


def _may_share(group: Sequence[Planned], planned: Planned, free_bytes: int | None) -> bool:
    first = group[0]
    if first.resolved is None or planned.resolved is None:
        return False
    if first.point.power_limit_w != planned.point.power_limit_w:
        return False
    if first.resolved.covers != planned.resolved.covers:
        return False
    needed = planned.needed_bytes + sum(member.needed_bytes for member in group)
    return free_bytes is None or needed <= MEMORY_SHARE * free_bytes


def _alone_because(group: Sequence[Planned], together: int) -> str:
    if len(group) > 1:
        return ""
    if together == 1:
        return "--together 1"
    return f"no neighbour fits beside it: about {group[0].needed_bytes / 1e9:.1f} GB with its worker"


def _free_bytes(planned: Planned) -> int | None:
    return None if planned.resolved is None else available_bytes(planned.resolved.device)


def _batches(series: Point, axes: Axes, base: RunRequest) -> tuple[int | None, ...]:
    """Return the batches of a series, ascending."""
    if not axes.batch_auto:
        return tuple(sorted(axes.batch)) or (None,)
    smallest = plan_point(replace(series, batch=1), base)
    limit = _batch_limit(smallest) if axes.batch_max is None else min(axes.batch_max, _batch_limit(smallest))
    powers = [2**exponent for exponent in range(BATCH_LIMIT.bit_length()) if 2**exponent <= limit]
    return tuple(sorted({1, *powers, *axes.batch}))


def _batch_limit(smallest: Planned) -> int:
    """Return the largest batch whose memory, as counted, is free on the device of a series."""
    if smallest.resolved is None:
        return 1
    free = available_bytes(smallest.resolved.device)
    if free is None:
        return BATCH_LIMIT_UNKNOWN
    one, two = smallest.resolved.needed_bytes(1), smallest.resolved.needed_bytes(2)
    fitting = 1 + max(0, free - one) // max(1, two - one)  # each request more needs as much as the second
    return min(fitting, BATCH_LIMIT)


def _refuse_mistakes(found: Sequence[Planned]) -> None:
    first = next((p.refusal for p in found if p.refusal is not None), None)
    if first is not None and all(p.refusal is not None for p in found):
        raise first
    for name in Point.__slots__:
        for value in dict.fromkeys(getattr(p.point, name) for p in found):
            refusals = [p.refusal for p in found if getattr(p.point, name) == value]
            mistakes = [refusal for refusal in refusals if isinstance(refusal, UsageError)]
            if len(mistakes) == len(refusals):
                raise mistakes[0]
