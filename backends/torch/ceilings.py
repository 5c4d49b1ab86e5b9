"""The ceilings of a torch device: products in every precision, memory traffic, copies from the host."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from wattbench.backends.ceilings import CeilingBench
from wattbench.backends.contract import CeilingReport, CeilingRequest
from wattbench.backends.torch.ceilings_memory import bench_memory, bench_uploads
from wattbench.backends.torch.ceilings_products import bench_products
from wattbench.backends.torch.device import apply_threads, find_device, synchroniser
from wattbench.backends.torch.failures import first_line, is_foreign
from wattbench.results.errors import DeviceError, WattbenchError

__all__ = ["measure_ceilings"]


def measure_ceilings(request: CeilingRequest) -> CeilingReport:
    """Measure products and memory on one device, with random factors and every output allocated beforehand.

    Raises UsageError for an unknown device or processor, DeviceError when the device is gone.
    """
    device = torch.device(find_device(request.device).name)
    apply_threads(request.threads, request.affinity)
    bench = CeilingBench(
        request,
        library=f"torch {torch.__version__}",
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        synchronise=synchroniser(device),
    )
    try:
        with torch.inference_mode(), _exact_float32():
            _measure(bench, device, request.precisions)
    except WattbenchError:
        raise
    except Exception as exc:  # what a device refuses is skipped before it comes here
        if not is_foreign(exc):
            raise
        remedy = "Reset it, or restart the machine."
        raise DeviceError(f"The device {device} failed", first_line(exc), remedy) from exc
    return bench.report()


def _measure(bench: CeilingBench, device: torch.device, precisions: Sequence[str]) -> None:
    """Measure everything, giving memory back in between. Raises RuntimeError when the device is gone."""
    for precision in precisions:
        bench_products(bench, device, precision)
        _free(device)
    bench_memory(bench, device)
    _free(device)
    if device.type != "cpu":
        bench_uploads(bench, device)
        _free(device)
        torch.accelerator.synchronize(device)  # a lost device refuses everything above and says so here


def _free(device: torch.device) -> None:
    """Give the memory of what has gone out of scope back to the device."""
    if device.type != "cpu":
        torch.accelerator.empty_cache()


@contextmanager
def _exact_float32() -> Iterator[None]:
    """Compute float32 products in float32 for a while; before and after they may be set to something narrower."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
