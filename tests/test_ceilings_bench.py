"""The shared part of ceilings: windows by a hand-turned clock, the fastest way, sizes of squares and buffers."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy
import pytest

from wattbench.backends.ceilings import (
    CeilingBench,
    Shape,
    Way,
    buffer_bytes,
    free_host_bytes,
    is_close,
    last_level_cache_bytes,
    product_flops,
)
from wattbench.backends.contract import CeilingRequest

SECOND = 1_000_000_000
MIB = 1 << 20


class HandTurnedClock:
    """A clock that only moves when somebody works."""

    def __init__(self) -> None:
        self.ns = 0

    def now_ns(self) -> int:
        """Return the time on the dial."""
        return self.ns

    def working(self, seconds: float) -> Callable[[], object]:
        """Return work that takes so long."""

        def work() -> None:
            self.ns += round(seconds * SECOND)

        return work

    def product(self, flops_per_s: float) -> Callable[[Shape], Sequence[Way]]:
        """Return products that are computed at a rate."""
        return lambda shape: [self.way("mm", product_flops(shape), product_flops(shape) / flops_per_s)]

    def way(self, name: str, work: float, seconds: float) -> Way:
        """Return one way to do work."""
        return Way(name=name, work=work, call=self.working(seconds), right=always)


def always(_: object) -> bool:
    """Say that the numbers are right."""
    return True


def refused() -> None:
    """Be an operation that the device lacks."""
    raise RuntimeError("no such kernel\nat line 7")


def request(*shapes: Shape, windows: int = 3) -> CeilingRequest:
    """Return a request for windows of a fifth of a second in two precisions."""
    return CeilingRequest(
        device="cpu",
        precisions=("bfloat16", "float32"),
        shapes=shapes,
        threads=None,
        affinity=None,
        window_s=0.2,
        windows=windows,
    )


def make_bench(clock: HandTurnedClock, *shapes: Shape, windows: int = 3) -> CeilingBench:
    """Return a bench by a hand-turned clock, whose device needs no waiting for."""
    return CeilingBench(
        request(*shapes, windows=windows),
        library="lib 1",
        threads=2,
        synchronise=clock.working(0),
        now_ns=clock.now_ns,
    )


def test_windows_last_as_long_as_asked() -> None:
    """Calls of 30 ms are repeated seven times for windows of 0.2 s, back to back, their work counted."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    bench.memory("memory_read", 512 * MIB, lambda: [clock.way("sum", 1e9, 0.03)])
    (sample,) = bench.report().samples

    assert (7e9, 7e9, 7e9) == sample.work
    assert [210_000_000] * 3 == [end - start for start, end in sample.spans_ns]
    assert [end for _, end in sample.spans_ns[:-1]] == [start for start, _ in sample.spans_ns[1:]]
    assert ("memory_read", None, "512 MiB", "lib 1: sum", 2) == (
        sample.kind,
        sample.precision,
        sample.shape,
        sample.library,
        sample.threads,
    )


def test_a_window_ends_when_the_device_is_done() -> None:
    """The time that the device still works after the last call belongs to the window."""
    clock = HandTurnedClock()
    bench = CeilingBench(
        request(windows=1), library="lib", threads=None, synchronise=clock.working(0.05), now_ns=clock.now_ns
    )
    bench.memory("memory_read", MIB, lambda: [clock.way("sum", 1.0, 0.0)])
    ((start, end),) = bench.report().samples[0].spans_ns

    assert 50_000_000 == end - start


def test_the_fastest_way_counts() -> None:
    """Of several ways the one with the most work in the time is measured, and named."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    ways = [clock.way("slow", 1e9, 0.02), clock.way("fast", 2e9, 0.03), clock.way("slower", 1e9, 0.04)]
    bench.memory("memory_copy", MIB, lambda: ways)

    assert ["lib 1: fast"] == [sample.library for sample in bench.report().samples]


def test_a_way_that_is_refused_falls_out() -> None:
    """What the device lacks is not measured; the other ways are."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    bench.memory(
        "memory_read", MIB, lambda: [Way(name="new", work=1.0, call=refused, right=always), clock.way("old", 1.0, 0.1)]
    )

    assert ["lib 1: old"] == [sample.library for sample in bench.report().samples]


def test_what_is_refused_in_every_way_is_skipped_with_the_reason() -> None:
    """The first line of the refusal is the reason."""
    bench = make_bench(HandTurnedClock())
    bench.memory("memory_read", MIB, lambda: [Way(name="new", work=1.0, call=refused, right=always)])
    bench.products("float32", lambda _: [Way(name="mm", work=1.0, call=refused, right=always)], 256)

    assert ("memory_read: no such kernel", "products in float32: no such kernel") == bench.report().skipped
    assert () == bench.report().samples


def test_a_way_that_gives_wrong_numbers_falls_out() -> None:
    """A kernel that does nothing is fast; it does not count, and that is said once."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    lazy = Way(name="lazy", work=1.0, call=clock.working(1e-6), right=lambda _: False)
    bench.products("float32", lambda _: [lazy, clock.way("honest", 1.0, 0.01)], 1024)

    assert ["lib 1: honest"] == [sample.library for sample in bench.report().samples]
    assert ("lazy: left out, it gives wrong numbers",) == bench.report().skipped


def test_when_all_numbers_are_wrong_there_is_no_ceiling() -> None:
    """Without a single right way the work is skipped with that reason."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    lazy = Way(name="lazy", work=1.0, call=clock.working(1e-6), right=lambda _: False)
    bench.memory("memory_read", MIB, lambda: [lazy])

    assert "memory_read: every way gives wrong numbers" == bench.report().skipped[-1]
    assert () == bench.report().samples


@pytest.mark.parametrize(("found", "near"), [(1.0, True), (1.009, True), (1.02, False), (float("nan"), False)])
def test_numbers_are_compared_by_their_norms(found: float, near: bool) -> None:
    """Within a hundredth is close; what is not a number is not."""
    assert near == is_close(numpy.array([found, 0.0]), numpy.array([1.0, 0.0]), 0.01)


@pytest.mark.parametrize(("flops_per_s", "side"), [(1e12, 2048), (1e11, 2048), (1e10, 1024), (1e9, 512), (1e6, 256)])
def test_a_square_takes_at_most_two_windows(flops_per_s: float, side: int) -> None:
    """The largest square is smaller on a slow device; the smallest is measured whatever it takes."""
    clock = HandTurnedClock()
    bench = make_bench(clock)
    bench.products("float32", clock.product(flops_per_s), 2048)

    assert [f"{side}x{side}x{side}"] == [sample.shape for sample in bench.report().samples]


def test_the_loads_shapes_are_measured_in_its_own_precision() -> None:
    """The request's first precision is measured at every shape, the others at the square alone."""
    clock = HandTurnedClock()
    bench = make_bench(clock, (512, 64, 128), (512, 128, 64))
    bench.products("bfloat16", clock.product(1e12), 2048)
    bench.products("float32", clock.product(1e12), 2048)
    found = [(sample.precision, sample.shape) for sample in bench.report().samples]

    assert [
        ("bfloat16", "2048x2048x2048"),
        ("bfloat16", "512x64x128"),
        ("bfloat16", "512x128x64"),
        ("float32", "2048x2048x2048"),
    ] == found


def test_a_shape_that_would_take_too_long_is_skipped() -> None:
    """A product that the square's rate says takes more than two windows is left out, with that time."""
    clock = HandTurnedClock()
    bench = make_bench(clock, (65536, 4096, 4096))
    bench.products("bfloat16", clock.product(1e12), 2048)
    (reason,) = bench.report().skipped

    assert "products in bfloat16 of 65536x4096x4096: one takes about 2.2 s, longer than 0.4 s" == reason


def test_a_shape_that_does_not_fit_is_skipped() -> None:
    """Running out of memory for one shape leaves the square's figure."""
    clock = HandTurnedClock()
    bench = make_bench(clock, (3, 5, 7))

    def ways(shape: Shape) -> Sequence[Way]:
        if shape == (3, 5, 7):
            raise MemoryError
        return clock.product(1e12)(shape)

    bench.products("bfloat16", ways, 256)

    assert ("products in bfloat16 of 3x5x7: MemoryError",) == bench.report().skipped
    assert ["256x256x256"] == [sample.shape for sample in bench.report().samples]


def test_a_square_that_does_not_fit_gives_way_to_a_smaller_one() -> None:
    """When the next larger square runs out of memory, the one before it is measured."""
    clock = HandTurnedClock()
    bench = make_bench(clock)

    def ways(shape: Shape) -> Sequence[Way]:
        if shape[0] > 512:
            raise RuntimeError("out of memory")
        return clock.product(1e12)(shape)

    bench.products("float32", ways, 2048)

    assert ["512x512x512"] == [sample.shape for sample in bench.report().samples]


def test_a_multiply_add_is_two() -> None:
    """The FLOPs of a product are 2 M K N."""
    assert 2 * 3 * 5 * 7 == product_flops((3, 5, 7))


@pytest.mark.parametrize(
    ("cache", "free", "expected"),
    [
        (32 * MIB, 100_000 * MIB, 512 * MIB),
        (400 * MIB, 100_000 * MIB, 1600 * MIB),
        (None, 100_000 * MIB, 1024 * MIB),
        (None, None, 1024 * MIB),
        (32 * MIB, 800 * MIB, 100 * MIB),
        (32 * MIB, 805 * MIB, 100 * MIB),
    ],
)
def test_buffers_lie_beyond_the_cache_and_within_the_memory(cache: int | None, free: int | None, expected: int) -> None:
    """Two buffers are four caches each and at least 512 MiB, and together at most a quarter of the free memory."""
    assert expected == buffer_bytes(cache, free, buffers=2)


@pytest.mark.parametrize(("cache", "free"), [(32 * MIB, 500 * MIB), (None, 1000 * MIB), (300 * MIB, 1000 * MIB)])
def test_buffers_that_a_cache_would_hold_are_refused(cache: int | None, free: int) -> None:
    """Where memory is too small for buffers of two caches, nothing is measured, with both figures."""
    with pytest.raises(ValueError, match=f"a quarter of the free {free // MIB} MiB holds 2 of"):
        buffer_bytes(cache, free, buffers=2)


def write(folder: Path, **files: str) -> None:
    """Write files of the kernel."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def test_the_last_level_cache_is_read(tmp_path: Path) -> None:
    """Caches of the highest level are added, each once; instructions' and smaller ones do not count."""
    for cpu, shared in ((0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")):
        caches = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/cache"
        write(caches / "index1", level="1", type="Instruction", size="32K", shared_cpu_list=str(cpu))
        write(caches / "index2", level="2", type="Unified", size="1024K", shared_cpu_list=str(cpu))
        write(caches / "index3", level="3", type="Unified", size="32768K", shared_cpu_list=shared)

    assert 2 * 32 * MIB == last_level_cache_bytes(tmp_path)


def test_an_unknown_cache_is_none(tmp_path: Path) -> None:
    """Where the system lists no caches, or says it in another way, the size is unknown."""
    assert last_level_cache_bytes(tmp_path) is None

    write(tmp_path / "sys/devices/system/cpu/cpu0/cache/index3", level="3", type="Unified", size="many")

    assert last_level_cache_bytes(tmp_path) is None


@pytest.mark.parametrize(
    ("limit", "used"),
    [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")],
)
def test_a_containers_limit_counts(tmp_path: Path, limit: str, used: str) -> None:
    """What a container may still take is free, not what the host has."""
    group = tmp_path / "sys/fs/cgroup"
    (group / "memory").mkdir(parents=True)
    (group / limit).write_text(f"{100 * MIB}\n")
    (group / used).write_text(f"{60 * MIB}\n")

    assert 40 * MIB == free_host_bytes(tmp_path)


def test_without_a_limit_the_available_memory_counts(tmp_path: Path) -> None:
    """A group without a limit changes nothing."""
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/memory.max").write_text("max\n")
    (tmp_path / "sys/fs/cgroup/memory.current").write_text("1\n")

    assert free_host_bytes(tmp_path) > 1 * MIB
