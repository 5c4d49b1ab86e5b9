"""Drawing synthetic weights from a seed: the same numbers on every machine, device and framework."""

import hashlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy

__all__ = ["DISTRIBUTION", "TensorPlan", "fill"]

BLOCK_VALUES = 1 << 22
"""Values of one block (16 MB of float32): the unit of work of a thread, which bounds the memory that filling needs."""

BLOCKS_AT_ONCE = 64
"""Blocks handed to the threads together; bounds the list of waiting digests, not the memory."""

QUANTILES = 1 << 16

DISTRIBUTION = (
    "normal with mean 0 and the architecture's initializer range (norm weights 1, biases 0), drawn from 65536 "
    "quantiles of the normal distribution by PCG64"
)
"""What `fill` draws, in the words of a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """One tensor to fill: its name, how many values, and either a constant or the deviation of a normal."""

    name: str
    values: int
    constant: float | None
    deviation: float


@dataclass(frozen=True, slots=True)
class _Block:
    plan: TensorPlan
    index: int
    start: int
    end: int


def fill(plans: Sequence[TensorPlan], seed: int, threads: int, put: Callable[[str, int, numpy.ndarray], None]) -> str:
    """Draw every tensor in blocks, hand each to `put(name, start, values)`, and return the digest of all values.

    `values` is float32 and one-dimensional; `start` its place in the flattened tensor. A block depends on the seed,
    the tensor's name and its place alone, so neither order, threads, device nor precision change a number. `put` is
    called from several threads, never twice for one place. The digest is "sha256:<hex>" over name, length and the
    sha256 of each block's little-endian float32 bytes, in the order of the sorted names.

    A number is one of 65536 equally likely quantiles of the normal distribution (within +-4.2 deviations, never 0),
    picked by 16 bits of PCG64's raw stream, which numpy guarantees (NEP 19).
    """

    def draw(block: _Block) -> bytes:
        values = _values(block, seed)
        digest = hashlib.sha256(values.astype("<f4", copy=False).data).digest()
        put(block.plan.name, block.start, values)
        return digest

    _quantiles()  # once, before the threads ask for it
    total = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        blocks = _blocks(plans)
        while group := list(islice(blocks, BLOCKS_AT_ONCE)):
            for block, digest in zip(group, pool.map(draw, group), strict=True):
                total.update(f"{block.plan.name} {block.plan.values} {block.start}\n".encode() + digest)
    return f"sha256:{total.hexdigest()}"


def _blocks(plans: Sequence[TensorPlan]) -> Iterator[_Block]:
    for plan in sorted(plans, key=lambda p: p.name):
        for index, start in enumerate(range(0, plan.values, BLOCK_VALUES)):
            yield _Block(plan, index, start, min(start + BLOCK_VALUES, plan.values))


def _values(block: _Block, seed: int) -> numpy.ndarray:
    count = block.end - block.start
    if block.plan.constant is not None:
        return numpy.full(count, block.plan.constant, dtype=numpy.float32)
    name = int.from_bytes(hashlib.sha256(block.plan.name.encode()).digest()[:16], "little")
    raw = numpy.random.PCG64(numpy.random.SeedSequence([seed, name, block.index]))
    words = raw.random_raw((count + 3) // 4).astype("<u8", copy=False)
    values = numpy.take(_quantiles(), words.view("<u2")[:count], mode="clip")  # clip: no copy of the indices' check
    values *= numpy.float32(block.plan.deviation)
    return values


@cache
def _quantiles() -> numpy.ndarray:
    """Return the quantiles of the standard normal at (i + 1/2) / 65536, scaled to variance 1, as float32."""
    normal = statistics.NormalDist()
    half = numpy.array([normal.inv_cdf((i + 0.5) / QUANTILES) for i in range(QUANTILES // 2, QUANTILES)])
    table = numpy.concatenate([-half[::-1], half])
    scaled: numpy.ndarray = (table / numpy.sqrt(numpy.mean(table**2))).astype(numpy.float32)
    return scaled
