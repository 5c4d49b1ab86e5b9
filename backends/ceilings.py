"""What the ceilings of every backend share: timing windows, choosing the fastest way, sizes of factors and buffers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy
import psutil

from wattbench.backends.contract import CeilingReport, CeilingRequest, CeilingSample
from wattbench.results.ceilings import CeilingKind

__all__ = [
    "REFUSALS",
    "SQUARE_ACCELERATOR",
    "SQUARE_CPU",
    "CeilingBench",
    "Shape",
    "Way",
    "buffer_bytes",
    "free_host_bytes",
    "is_close",
    "last_level_cache_bytes",
    "product_flops",
]

Shape = tuple[int, int, int]
"""A product (M, K) x (K, N)."""

SQUARE_CPU = 2048
SQUARE_ACCELERATOR = 8192
"""The side of the large square product: 17 and 1100 GFLOP, about 0.1 s of a laptop's float32 and 2 ms of an H100."""

SQUARE_FIRST = 256
"""Squares grow from here, doubling, until the next one would take too long: a slow kernel must not stall the run."""

SLOWEST_WINDOWS = 2.0
"""A single product may take this many windows; longer ones are left out."""

TRIAL_SHARE = 0.25
"""Each way is tried for a quarter of a window before the fastest one is measured."""

GROWTH_TRIAL_S = 0.01
"""Each way is tried for this long at every size on the way to the largest square."""

CACHE_FACTOR = 4
BUFFER_LEAST_BYTES = 512 << 20
BUFFER_UNKNOWN_BYTES = 1 << 30
"""Buffers are four times the last-level cache, and no less than 512 MiB, since a virtual machine may show only a part
of the cache that it uses; 1 GiB where the cache is not known."""

MEMORY_SHARE = 4
"""All buffers together take at most a quarter of the free memory."""

REFUSALS: tuple[type[Exception], ...] = (RuntimeError, ValueError, TypeError, MemoryError)
"""What Python libraries raise for an operation, a type or a size that they do not have on a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to do a piece of work: the name of the call, its FLOPs or bytes, and the call itself.

    `right` says of the call's return value whether its numbers are those of the work: what does nothing is fast.
    """

    name: str
    work: float
    call: Callable[[], object]
    right: Callable[[Any], bool]  # any: what the framework's call returns


class WrongNumbersError(RuntimeError):
    """A call computed something else than the work that it is timed for."""


class CeilingBench:
    """Measures the ceilings that one request asks for, and collects what it found and what it could not measure.

    `library` names framework and version, `synchronise` waits until the device has done all its work, `refusals` are
    the exceptions by which the framework says that it cannot do something.
    """

    def __init__(
        self,
        request: CeilingRequest,
        *,
        library: str,
        threads: int | None,
        synchronise: Callable[[], None],
        refusals: tuple[type[Exception], ...] = REFUSALS,
        now_ns: Callable[[], int] = perf_counter_ns,
    ) -> None:
        self._request = request
        self._library = library
        self._threads = threads
        self._synchronise = synchronise
        self._refusals = refusals
        self._now_ns = now_ns
        self._samples: list[CeilingSample] = []
        self._skipped: list[str] = []

    def skip(self, what: str, reason: str) -> None:
        """Note that something was not measured, and why."""
        self._skipped.append(f"{what}: {reason}")

    def report(self) -> CeilingReport:
        """Return everything found so far."""
        return CeilingReport(samples=tuple(self._samples), skipped=tuple(self._skipped))

    def products(self, precision: str, ways: Callable[[Shape], Sequence[Way]], largest: int) -> None:
        """Measure products in one precision: the largest square up to `largest` that is quick enough, and the shapes.

        The request's shapes are those of a load; they are measured in the request's first precision only, which is the
        load's own. `ways` makes the ways to compute a shape; making or calling one may raise any of the refusals.
        """
        try:
            side, square = self._square(ways, largest)
            rate = self._measure("matmul", precision, _product_text((side, side, side)), square)
        except self._refusals as exc:
            self.skip(f"products in {precision}", _first_line(exc))
            return
        for shape in self._request.shapes if precision == self._request.precisions[0] else ():
            if shape == (side, side, side):
                continue
            what, expected_s = f"products in {precision} of {_product_text(shape)}", product_flops(shape) / rate
            if expected_s > self._limit_s:
                self.skip(what, f"one takes about {expected_s:.2g} s, longer than {self._limit_s:g} s")
                continue
            try:
                self._measure("matmul", precision, _product_text(shape), ways(shape))
            except self._refusals as exc:
                self.skip(what, _first_line(exc))

    def memory(self, kind: CeilingKind, size_bytes: int, ways: Callable[[], Sequence[Way]]) -> None:
        """Measure one kind of memory traffic over buffers of a size; the fastest way counts."""
        try:
            self._measure(kind, None, _size_text(size_bytes), ways())
        except self._refusals as exc:
            self.skip(kind, _first_line(exc))

    @property
    def _limit_s(self) -> float:
        return SLOWEST_WINDOWS * self._request.window_s

    def _square(self, ways: Callable[[Shape], Sequence[Way]], largest: int) -> tuple[int, Sequence[Way]]:
        """Return the side of the largest square whose product does not take too long, and the ways to compute it.

        A small one counts whatever it takes.
        """
        side = min(SQUARE_FIRST, largest)
        found = ways((side, side, side))
        _, call_s = self._fastest(found, GROWTH_TRIAL_S, self._warm)
        while 2 * side <= largest and 8 * call_s <= self._limit_s:  # twice the side, eight times the work
            try:
                larger = ways((2 * side, 2 * side, 2 * side))
                _, call_s = self._fastest(larger, GROWTH_TRIAL_S, self._warm)
            except self._refusals:  # out of memory: the size before it stands
                break
            side, found = 2 * side, larger
        return side, found

    def _measure(self, kind: CeilingKind, precision: str | None, shape: str, ways: Sequence[Way]) -> float:
        """Measure the fastest of several ways, keep the sample, and return its best rate in FLOP/s or By/s."""
        way, call_s = self._fastest(ways, TRIAL_SHARE * self._request.window_s, self._prove)
        calls = max(1, ceil(self._request.window_s / call_s))
        spans = [self._window(way.call, calls) for _ in range(self._request.windows)]
        sample = CeilingSample(
            kind=kind,
            precision=precision,
            shape=shape,
            work=(calls * way.work,) * len(spans),
            spans_ns=tuple(spans),
            library=f"{self._library}: {way.name}",
            threads=self._threads,
        )
        self._samples.append(sample)
        return max(calls * way.work / ((end - start) / 1e9) for start, end in spans)

    def _window(self, call: Callable[[], object], calls: int) -> tuple[int, int]:
        """Return start and end of a window of `calls` calls, with the device idle before and done after it."""
        start_ns = self._now_ns()
        for _ in range(calls):
            call()
        self._synchronise()
        return start_ns, max(self._now_ns(), start_ns + 1)

    def _fastest(self, ways: Sequence[Way], trial_s: float, ready: Callable[[Way], None]) -> tuple[Way, float]:
        """Return the fastest of several ways and the seconds that a call of it takes; `ready` sees to its first call.

        Ways that the device refuses and ways with wrong numbers fall out; when all do, the first refusal is raised.
        """
        found: list[tuple[float, int]] = []
        refusals: list[Exception] = []
        for index, way in enumerate(ways):
            try:
                ready(way)
                found.append((self._call_s(way.call, trial_s) / way.work, index))
            except self._refusals as exc:
                refusals.append(exc)
        if not found:
            raise refusals[0] if refusals else RuntimeError("there is no way to do it")
        s_per_work, index = min(found)
        return ways[index], s_per_work * ways[index].work

    def _warm(self, way: Way) -> None:
        """Call a way once, untimed."""
        self._window(way.call, 1)

    def _prove(self, way: Way) -> None:
        """Call a way once, untimed. Raises WrongNumbersError, and notes it, when it did not do its work."""
        result = way.call()
        self._synchronise()
        if way.right(result):
            return
        text = f"{way.name}: left out, it gives wrong numbers"
        if text not in self._skipped:
            self._skipped.append(text)
        raise WrongNumbersError("every way gives wrong numbers")

    def _call_s(self, call: Callable[[], object], trial_s: float) -> float:
        """Return the least seconds that a call takes within a trial.

        Calls are timed together, twice as many each time, until they take a quarter of the trial.
        """
        calls, spent_s, least_s = 1, 0.0, inf
        while spent_s < trial_s:
            start_ns, end_ns = self._window(call, calls)
            duration_s = (end_ns - start_ns) / 1e9
            spent_s += duration_s
            least_s = min(least_s, duration_s / calls)
            calls *= 2 if duration_s < trial_s / 4 else 1
        return least_s


def product_flops(shape: Shape) -> float:
    """Return the arithmetic of a product: a multiply-add is two."""
    m, k, n = shape
    return 2.0 * m * k * n


def is_close(found: numpy.ndarray, expected: numpy.ndarray, relative_error: float) -> bool:
    """Return whether numbers are within a relative error, by their norms, of those expected; NaN is not."""
    found, expected = found.astype(numpy.float64), expected.astype(numpy.float64)
    return bool(numpy.linalg.norm(found - expected) <= relative_error * numpy.linalg.norm(expected))


def buffer_bytes(cache_bytes: int | None, free_bytes: int | None, buffers: int) -> int:
    """Return the size of each of `buffers` buffers for memory traffic: far beyond the cache, but not all memory.

    Raises ValueError when a quarter of the free memory does not hold buffers of twice the cache: reading them would
    measure the cache.
    """
    wanted = max(CACHE_FACTOR * cache_bytes, BUFFER_LEAST_BYTES) if cache_bytes else BUFFER_UNKNOWN_BYTES
    if free_bytes is None:
        return wanted
    size = min(wanted, free_bytes // MEMORY_SHARE // buffers) & ~0xFFFFF  # whole MiB
    least = CACHE_FACTOR // 2 * cache_bytes if cache_bytes else BUFFER_UNKNOWN_BYTES // 8
    if size < least:
        free = f"a quarter of the free {_size_text(free_bytes)} holds {buffers} of {_size_text(size)}"
        raise ValueError(f"{free}, and beyond the cache they need {_size_text(least)} each")
    return size


def last_level_cache_bytes(root: Path = Path("/")) -> int | None:
    """Return the size of all last-level caches of the machine together, in bytes; None where Linux lists none.

    Each cache is counted once, however many processors share it (Linux, ABI/testing/sysfs-devices-system-cpu:
    cache/index*/level, type, size, shared_cpu_list).
    """
    found: dict[int, dict[str, int]] = {}
    for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        level, kind, size, shared = (_word(folder / n) for n in ("level", "type", "size", "shared_cpu_list"))
        if (match := re.fullmatch(r"(\d+)K", size)) and level.isdigit() and kind in ("Unified", "Data"):
            found.setdefault(int(level), {})[shared or str(folder)] = int(match[1]) * 1024
    return sum(found[max(found)].values()) if found else None


def free_host_bytes(root: Path = Path("/")) -> int:
    """Return the memory that this process may still take, in bytes: what is available, cut by a container's limit.

    The limit is that of the group which the container shows as its own (Linux: cgroup-v2.rst, cgroup-v1/memory.rst).
    """
    available = int(psutil.virtual_memory().available)
    group = root / "sys/fs/cgroup"
    pairs = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
    for limit, used in ((_word(group / a), _word(group / b)) for a, b in pairs):
        if limit.isdigit() and used.isdigit():
            available = min(available, max(0, int(limit) - int(used)))
    return available


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _product_text(shape: Shape) -> str:
    return "x".join(str(length) for length in shape)


def _size_text(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:.0f} MiB"


def _first_line(exc: Exception) -> str:
    """Return the first line of a refusal, cut to a readable length."""
    lines = str(exc).strip().splitlines() or [type(exc).__name__]
    return lines[0][:200]
