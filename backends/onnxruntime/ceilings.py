"""The ceilings of the CPU through ONNX Runtime: single-node graphs, an independent check of other frameworks."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec

import numpy
import onnxruntime

from wattbench.backends.ceilings import (
    SQUARE_CPU,
    CeilingBench,
    Shape,
    Way,
    buffer_bytes,
    free_host_bytes,
    last_level_cache_bytes,
    product_flops,
)
from wattbench.backends.contract import CeilingReport, CeilingRequest
from wattbench.backends.cpu_threads import threads_for
from wattbench.backends.host import bind, reduces_range
from wattbench.backends.onnxruntime.ceilings_node import ONNX_REFUSALS, Node, node_way

__all__ = ["measure_ceilings"]

BLOCK_SIZE = 32
"""Weights of MatMulNBits that share a scale."""

INT8_ACCURACY = 4
"""MatMulNBits' `accuracy_level` that computes in int8 (onnxruntime, docs/ContribOperators.md)."""

ZERO_POINT = 128
"""The weight of 8 bits that stands for zero where none is given (the same source)."""

ROWS, ROW = 128, 8192
"""A block of random numbers, of which the buffer that is read is made; drawing them all would take seconds."""

CORNER = 8
"""Rows and columns of a product that are compared with its definition."""

TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "blocks": 5e-2}
"""Relative errors that results stay below; MatMulNBits rounds its first factor to int8, block by block."""


def measure_ceilings(request: CeilingRequest) -> CeilingReport:
    """Measure products and memory reads on the CPU execution provider; other devices are skipped with the reason.

    Raises UsageError for processors that cannot be used here.
    """
    bench = CeilingBench(
        request,
        library=f"onnxruntime {onnxruntime.__version__}",
        threads=threads_for(request.threads, request.affinity),
        synchronise=_nothing,
        refusals=ONNX_REFUSALS,
    )
    if request.device != "cpu":
        bench.skip(request.device, "the micro-benchmarks of onnxruntime run on its CPU provider only")
    elif find_spec("onnx") is None:
        bench.skip("all", "the package onnx, which makes the graphs, is not installed (pip install onnx)")
    else:
        bind(request.affinity)
        _measure(bench, request)
    return bench.report()


def _measure(bench: CeilingBench, request: CeilingRequest) -> None:
    work = _Work(threads_for(request.threads, request.affinity))
    for precision in request.precisions:
        if precision in ("float32", "float16"):
            bench.products(precision, partial(work.floats, precision), SQUARE_CPU)
        elif precision == "int8":
            bench.products(precision, work.integers, SQUARE_CPU)
        else:
            bench.skip(f"products in {precision}", "the CPU provider has no MatMul of that type")
    try:
        size = buffer_bytes(last_level_cache_bytes(), free_host_bytes(), buffers=2)
    except ValueError as exc:
        bench.skip("memory_read", str(exc))
        return
    bench.memory("memory_read", size, partial(work.reads, size))


class _Work:
    """Makes the ways to do a piece of work, over random numbers that are the same in every run."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._random = numpy.random.default_rng(0)

    def floats(self, precision: str, shape: Shape) -> Sequence[Way]:
        """Return MatMul with its second factor as a constant, which is packed once, and as an input."""
        m, k, n = shape
        a, b = (self._normal(size).astype(precision) for size in ((m, k), (k, n)))
        way = partial(
            node_way,
            out=numpy.empty((m, n), precision),
            expected=_corner(a, b),
            tolerance=TOLERANCES[precision],
            work=product_flops(shape),
            threads=self._threads,
        )
        constant = Node(operator="MatMul", inputs={"a": a}, constants={"b": b})
        variable = Node(operator="MatMul", inputs={"a": a, "b": b})
        return [way("MatMul, weight constant", constant), way("MatMul", variable)]

    def integers(self, shape: Shape) -> Sequence[Way]:
        """Return MatMulInteger of uint8 by int8, and MatMulNBits, whose products are in int8 too.

        Where two products overflow 16 bits the weights have seven bits, as they have in graphs.
        """
        m, k, n = shape
        a = self._random.integers(0, 256, (m, k), dtype=numpy.uint8)
        end = 64 if reduces_range() else 128
        b = self._random.integers(-end, end, (k, n), dtype=numpy.int8)
        whole = node_way(
            "MatMulInteger u8s8, weight constant",
            Node(operator="MatMulInteger", inputs={"a": a}, constants={"b": b}),
            out=numpy.empty((m, n), numpy.int32),
            expected=_corner(a, b),
            tolerance=0.0,
            work=product_flops(shape),
            threads=self._threads,
        )
        with suppress(*ONNX_REFUSALS):  # an older onnxruntime knows 4 bits only
            return [whole, *self._blocks(shape)]
        return [whole]

    def _blocks(self, shape: Shape) -> Sequence[Way]:
        """Return MatMulNBits with weights of 8 bits, where its blocks divide the shape."""
        m, k, n = shape
        if k % BLOCK_SIZE != 0:
            return []
        a, scales = self._normal((m, k)), self._random.random((n, k // BLOCK_SIZE), dtype=numpy.float32)
        packed = self._random.integers(0, 256, (n, k // BLOCK_SIZE, BLOCK_SIZE), dtype=numpy.uint8)
        weight = (packed[-CORNER:].astype(numpy.float64) - ZERO_POINT) * scales[-CORNER:, :, None]
        settings = {"K": k, "N": n, "bits": 8, "block_size": BLOCK_SIZE, "accuracy_level": INT8_ACCURACY}
        node = Node(
            operator="MatMulNBits",
            inputs={"a": a},
            constants={"b": packed, "scales": scales},
            domain="com.microsoft",
            settings=settings,
        )
        way = node_way(
            "MatMulNBits, 8 bits, int8 products",
            node,
            out=numpy.empty((m, n), numpy.float32),
            expected=a[-CORNER:] @ weight.reshape(-1, k).T,
            tolerance=TOLERANCES["blocks"],
            work=product_flops(shape),
            threads=self._threads,
        )
        return [way]

    def reads(self, size_bytes: int) -> Sequence[Way]:
        """Return reductions of one buffer, and its product with a vector."""
        block = self._normal((ROWS, ROW))
        matrix = numpy.tile(block, (max(1, size_bytes // block.nbytes), 1))
        vector = self._normal((1, len(matrix)))
        way = partial(node_way, tolerance=TOLERANCES["float32"], work=float(matrix.nbytes), threads=self._threads)
        rows = Node(operator="ReduceSum", inputs={"a": matrix}, constants={"axes": numpy.array([1])})
        return [
            way(
                "ReduceMax",
                Node(operator="ReduceMax", inputs={"a": matrix}),
                out=numpy.empty((1, 1), numpy.float32),
                expected=block.max(keepdims=True),
            ),
            way(
                "ReduceSum of rows",
                rows,
                out=numpy.empty((len(matrix), 1), numpy.float32),
                expected=block[-CORNER:].sum(axis=1, keepdims=True, dtype=numpy.float64),
            ),
            way(
                "MatMul with a vector",
                Node(operator="MatMul", inputs={"v": vector, "a": matrix}),
                out=numpy.empty((1, ROW), numpy.float32),
                expected=_corner(vector, matrix),
            ),
        ]

    def _normal(self, size: tuple[int, ...]) -> numpy.ndarray:
        return self._random.standard_normal(size, dtype=numpy.float32)


def _corner(a: numpy.ndarray, b: numpy.ndarray) -> numpy.ndarray:
    """Return the last rows and columns of a product, in float64."""
    return a[-CORNER:].astype(numpy.float64) @ b[:, -CORNER:].astype(numpy.float64)


def _nothing() -> None:
    return None
