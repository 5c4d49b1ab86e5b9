"""Matrix products on a torch device: the ways to compute each precision, and the proof that they compute it."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy
import torch
from torch import Tensor

from wattbench.backends.ceilings import (
    SQUARE_ACCELERATOR,
    SQUARE_CPU,
    CeilingBench,
    Shape,
    Way,
    is_close,
    product_flops,
)
from wattbench.backends.host import reduces_range

__all__ = ["CORNER", "TOLERANCES", "bench_products", "to_host"]

CORNER = 8
"""Rows and columns of a product that are compared with its definition."""

TOLERANCES = {"float32": 1e-4, "tf32": 2e-3, "bfloat16": 1e-2, "float16": 1e-2, "float8": 5e-2, "int8": 0.0}
"""Relative errors that a product in a precision stays below: several roundings of its factors and its result.

For float32 it is less than the rounding of factors to tf32 (2^-11) or bfloat16 (2^-8) would give, so that a product
which is silently computed in one of these does not count.
"""

FLOAT8_CAPABILITY = (8, 9)
TF32_CAPABILITY = (8, 0)
"""The least compute capability with units for the precision (NVIDIA, CUDA programming guide, compute capabilities)."""


def bench_products(bench: CeilingBench, device: torch.device, precision: str) -> None:
    """Measure the products of one precision, or note why there are none."""
    reason = _no_products(device, precision)
    if reason is not None:
        bench.skip(f"products in {precision}", reason)
        return
    largest = SQUARE_CPU if device.type == "cpu" else SQUARE_ACCELERATOR
    if precision == "tf32":
        torch.set_float32_matmul_precision("high")
    bench.products(precision, lambda shape: _ways(device, precision, shape), largest)
    torch.set_float32_matmul_precision("highest")


def _no_products(device: torch.device, precision: str) -> str | None:
    """Return why a device has no products in a precision, as far as that is known without trying."""
    if precision in ("float32", "bfloat16", "float16", "int8"):
        return None
    if precision not in ("tf32", "float8"):
        return "torch has no product of factors in it"
    if device.type != "cuda" or torch.version.cuda is None:
        return f"torch has it on NVIDIA devices only, not on {device.type}"
    least = TF32_CAPABILITY if precision == "tf32" else FLOAT8_CAPABILITY
    capability = torch.cuda.get_device_capability(device)
    if capability < least:
        return f"it needs compute capability {least[0]}.{least[1]}, the device has {capability[0]}.{capability[1]}"
    return None


def _ways(device: torch.device, precision: str, shape: Shape) -> Sequence[Way]:
    """Return the ways to compute a product; the factors are random, since power and clocks depend on the data."""
    if precision == "int8":
        signed = _integer_ways(device, shape, torch.int8)
        return [*signed, *_integer_ways(device, shape, torch.uint8)] if device.type == "cpu" else signed
    if precision == "float8":
        return _float8_ways(device, shape)
    return _float_ways(device, precision, shape)


def _float_ways(device: torch.device, precision: str, shape: Shape) -> Sequence[Way]:
    m, k, n = shape
    dtype = torch.float32 if precision == "tf32" else getattr(torch, precision)
    a = torch.randn(m, k, device=device, dtype=dtype)
    b = torch.randn(k, n, device=device, dtype=dtype)
    weight = b.t().contiguous()  # (n, k), as a Linear layer keeps it
    out = torch.empty(m, n, device=device, dtype=dtype)
    product = partial(_product, a, weight, precision, product_flops(shape))
    ways = [
        product("mm, weight transposed", lambda: torch.mm(a, weight.t(), out=out)),
        product("mm", lambda: torch.mm(a, b, out=out)),
    ]
    packed = _packed_linear(a, weight) if device.type == "cpu" else None
    return ways if packed is None else [*ways, product("oneDNN linear, weight packed", packed)]


def _packed_linear(a: Tensor, weight: Tensor) -> Callable[[], Tensor] | None:
    """Return the product as compiled graphs with frozen weights call it: oneDNN, the weight packed once.

    The operators are torch's own for its compiler (`torch/_inductor/fx_passes/mkldnn_fusion.py`), so they may go: None
    where they are not.
    """
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, a.shape[0])
        linear = torch.ops.mkldnn._linear_pointwise
        linear(a[:1], packed, None, "none", [], "")
    except (RuntimeError, TypeError, AttributeError):
        return None
    return lambda: linear(a, packed, None, "none", [], "")


def _integer_ways(device: torch.device, shape: Shape, dtype: torch.dtype) -> Sequence[Way]:
    """Return products of int8, or of uint8 by int8, which many CPUs have instructions for."""
    m, k, n = shape
    low, name = (-128, "_int_mm") if dtype == torch.int8 else (0, "_int_mm u8s8")
    a = torch.randint(low, low + 256, (m, k), device=device, dtype=dtype)
    end = 64 if device.type == "cpu" and reduces_range() else 128  # two products would overflow 16 bits
    b = torch.randint(-end, end, (k, n), device=device, dtype=torch.int8)
    weight = b.t().contiguous()  # (n, k)
    out = torch.empty(m, n, device=device, dtype=torch.int32)
    product = partial(_product, a, weight, "int8", product_flops(shape))
    return [
        product(f"{name}, weight transposed", lambda: torch._int_mm(a, weight.t(), out=out)),
        product(name, lambda: torch._int_mm(a, b, out=out)),
    ]


def _float8_ways(device: torch.device, shape: Shape) -> Sequence[Way]:
    m, k, n = shape
    a = torch.randn(m, k, device=device).to(torch.float8_e4m3fn)
    weight = torch.randn(n, k, device=device).to(torch.float8_e4m3fn)
    one = torch.ones((), device=device)
    out = torch.empty(m, n, device=device, dtype=torch.bfloat16)

    def scaled(fast: bool) -> Tensor:
        return torch._scaled_mm(
            a, weight.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=fast, out=out
        )

    product = partial(_product, a, weight, "float8", product_flops(shape))
    return [
        product("_scaled_mm, e4m3, fast accumulation", lambda: scaled(True)),
        product("_scaled_mm, e4m3", lambda: scaled(False)),
    ]


def _product(a: Tensor, weight: Tensor, precision: str, work: float, name: str, call: Callable[[], Tensor]) -> Way:
    """Return a way whose last rows and columns are compared with the product of `a` and the transposed `weight`."""

    def right(out: Tensor) -> bool:
        expected = to_host(a[-CORNER:]) @ to_host(weight[-CORNER:]).T
        return is_close(to_host(out[-CORNER:, -CORNER:]), expected, TOLERANCES[precision])

    return Way(name=name, work=work, call=call, right=right)


def to_host(tensor: Tensor) -> numpy.ndarray:
    """Return numbers of any type as float64 in host memory."""
    values: numpy.ndarray = tensor.cpu().double().numpy()
    return values
