"""Which devices a run claims: by its plan, its ranks, its environment, its power channels."""

from collections.abc import Iterator

from wattbench.results.covers import device_name, devices_of, is_among
from wattbench.results.document import Result
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.environment import AcceleratorFacts
from wattbench.results.subject import BackendRecord
from wattbench.results.trust.verification import Check, failed, judged, ok, unknown

__all__ = ["WIDE", "count_check", "device_count", "memory_check", "under_test"]

WIDE = ("psys", "node", "wall", "other")
"""Scopes whose channels see whatever device the machine has."""

PROCESSOR = "cpu"


def device_count(backend: BackendRecord | None) -> int:
    """Return how many devices executed the load, by the backend's record; ranks on one CPU are one device."""
    return max(1, len({rank.device for rank in backend.ranks})) if backend is not None else 1


def under_test(result: Result) -> tuple[AcceleratorFacts, ...]:
    """Return the accelerators of the environment that the power record names as under test; none for a CPU."""
    covers = result.power.covers
    return tuple(a for a in result.environment.accelerators if is_among(a.uuid, covers))


def count_check(result: Result, polls: tuple[Polls, ...]) -> Check:
    """Hold the devices that ran against those of the environment and those whose power was read."""
    backend = result.backend
    if backend is None:
        return unknown("device_count", "the run did not get as far as its backend")
    problems = [*_ranks(result, backend), *_environment(result), *_channels(result, polls)]
    if problems:
        return judged("device_count", problems, "")
    count = device_count(backend)
    if result.power.covers is None:
        return unknown("device_count", f"{count} claimed; which devices these are is not in the document")
    return ok("device_count", f"{count} device{'s' if count > 1 else ''}, the same in plan, environment and power")


def memory_check(result: Result) -> Check:
    """Hold what a step reads of the weights, and the peak, against the memory of the devices that are claimed."""
    backend = result.backend
    if backend is None:
        return unknown("device_memory", "the run did not get as far as its backend")
    have = _memory_bytes(result)
    if have is None:
        return unknown("device_memory", "the memory of the devices under test is not in the document")
    counted = None if result.load.work is None else result.load.work.weight_bytes
    weights = counted if backend.weight_bytes is None else backend.weight_bytes
    if weights is None:
        return unknown("device_memory", "the model is known to its server alone")
    for what, need in (("the weights of a step", weights), ("the peak", backend.memory_peak_bytes or 0)):
        if need > have:
            return failed("device_memory", f"{what}: {need / 1e9:.1f} GB, the devices have {have / 1e9:.1f} GB")
    return ok("device_memory", f"{weights / 1e9:.1f} GB of weights in {have / 1e9:.1f} GB")


def _ranks(result: Result, backend: BackendRecord) -> Iterator[str]:
    planned, ran = result.plan.tensor_parallel, max(1, len(backend.ranks))
    if planned != ran:
        yield f"the plan has {planned} ranks, the backend {ran}"
    numbers = [rank.rank for rank in backend.ranks]
    if sorted(set(numbers)) != list(range(len(numbers))):
        yield f"the ranks are numbered {numbers}"
    seen = {rank.covers for rank in backend.ranks if rank.covers is not None}
    apart = {rank.device for rank in backend.ranks}
    if seen and None not in {rank.covers for rank in backend.ranks} and len(seen) != len(apart):
        yield f"the ranks name {len(apart)} devices and {len(seen)} boards"
    covers = {device_name(one) for one in devices_of(result.power.covers)}
    if seen and covers and {device_name(one) for one in seen} != covers:
        yield f"the ranks ran on {len(seen)} boards, power is that of {len(covers)}"


def _environment(result: Result) -> Iterator[str]:
    known = [a.uuid for a in result.environment.accelerators if a.uuid is not None]
    if len({device_name(uuid) for uuid in known}) != len(known):
        yield "the environment lists an accelerator twice"
    for one in devices_of(result.power.covers):
        listed = any(is_among(uuid, one) for uuid in known)
        if known and one.lower().startswith("gpu-") and not listed:
            yield f"{one} is under test and not among the {len(known)} accelerators of the environment"


def _channels(result: Result, polls: tuple[Polls, ...]) -> Iterator[str]:
    """Yield where channels, polls and the devices under test part."""
    channels = result.power.channels
    names, logged = {channel.id for channel in channels}, [log.channel for log in polls]
    if len(set(logged)) != len(logged):
        yield "a channel has two logs of polls"
    for name in sorted(set(logged) - names):
        yield f"there are polls of {name}, which is no channel of the document"
    if polls:
        yield from (f"the channel {name} has no polls" for name in sorted(names - set(logged)))
    close = [channel for channel in channels if channel.scope not in WIDE]
    if close:
        yield from _unseen(result, close)


def _unseen(result: Result, close: list[ChannelRecord]) -> Iterator[str]:
    """Yield devices of several under test that no channel sees though others of them are seen."""
    devices = devices_of(result.power.covers)
    seen = [one for one in devices if any(is_among(one, channel.covers) for channel in close)]
    if seen and len(seen) < len(devices):
        yield f"{len(devices)} devices are under test, power channels see {len(seen)} of them"


def _memory_bytes(result: Result) -> int | None:
    """Return the memory of the devices under test together; None when any of it is not known."""
    assert result.backend is not None
    if result.backend.device.partition(":")[0] == PROCESSOR:
        host = result.environment.host
        return min(host.memory_bytes, host.memory_limit_bytes or host.memory_bytes)
    boards = under_test(result)
    sizes = [board.memory_bytes for board in boards if board.memory_bytes is not None]
    if not boards or len(sizes) < len(boards) or len(boards) < device_count(result.backend):
        return None
    return sum(sizes)
