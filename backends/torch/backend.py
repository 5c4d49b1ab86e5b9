"""The torch backend: one code path for the CPU and for every accelerator that torch.accelerator knows."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from wattbench.backends.contract import (
    Availability,
    Batch,
    CeilingReport,
    CeilingRequest,
    Completion,
    DeviceFinding,
    DeviceInfo,
    Level,
    Outputs,
    Preparation,
    Prepared,
)
from wattbench.backends.torch.extensions import import_torch
from wattbench.results.errors import DeviceError, UsageError

if TYPE_CHECKING:
    import numpy

    from wattbench.backends.torch.session import Session
    from wattbench.backends.torch.team import Team
    from wattbench.models.load import Load

__all__ = ["TorchBackend"]

OLDEST = (2, 8)
"""The oldest torch that this code was written for: `torch.accelerator` with memory figures."""

REMEDY = "pip install 'wattbench[torch]' (keep your vendor's own torch build where you have one)"


class TorchBackend:
    """Executes transformer loads with PyTorch; torch is imported by the first call that needs a device."""

    name = "torch"

    def __init__(self) -> None:
        self._session: Session | Team | None = None

    def probe(self) -> Availability:
        """Say whether torch is installed and new enough, without importing it."""
        if find_spec("torch") is None:
            return Availability(state="absent", reason="PyTorch is not installed", remedy=REMEDY)
        facts = {name: found for name in ("torch", "transformers") if (found := _version(name)) is not None}
        if "torch" not in facts:
            return Availability(state="broken", reason="a module torch without version", remedy=REMEDY, facts=facts)
        if _numbers(facts["torch"]) < OLDEST:
            reason = f"PyTorch {facts['torch']} is older than {'.'.join(map(str, OLDEST))}"
            return Availability(state="broken", reason=reason, remedy=REMEDY, facts=facts)
        if "transformers" not in facts:
            reason = f"PyTorch {facts['torch']}, without transformers: only the tiny models"
            return Availability(state="present", reason=reason, remedy="pip install transformers", facts=facts)
        return Availability(state="present", reason=f"PyTorch {facts['torch']}", facts=facts)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the accelerators that torch can use now, then the CPU."""
        from wattbench.backends.torch.probing import device_infos

        return device_infos()

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what was found of torch's own GPUs and of each vendor, whose code runs in processes of its own."""
        import_torch()
        from wattbench.backends.torch.device import gpu_finding
        from wattbench.backends.torch.probing import found_here

        return (gpu_finding(), *(found.finding for found in found_here()))

    def levels(self, load: Load, device: str, precision: str) -> tuple[Level, ...]:
        """Return the optimisation levels of a load, the cheapest to prepare first; none if the precision is no use."""
        import_torch()
        from wattbench.backends.torch.device import cpu_precision
        from wattbench.backends.torch.levels import CONTINUOUS, batches_continuously, level_list
        from wattbench.backends.torch.precision import numbers_of

        kind = device.partition(":")[0]
        try:
            numbers_of(precision, kind, load.model, cpu_precision())
        except UsageError:
            return ()
        found = level_list(load.model, kind)
        if (
            kind not in ("cpu", "cuda")
            or find_spec("transformers") is None
            or not batches_continuously(load, precision)
        ):
            return found
        return (*found, Level(name=CONTINUOUS, description="transformers' continuous batching", continuous=True))

    def rank_devices(self, load: Load, device: str, ranks: int) -> tuple[DeviceInfo, ...]:
        """Return the device of each rank that shares the load out; errors as the contract says."""
        import_torch()
        from wattbench.backends.torch.seats import rank_devices

        return rank_devices(load, device, ranks)

    def prepare(self, preparation: Preparation) -> Prepared:
        """Build or load the weights on the device or those of all ranks, and run once; errors as the contract says."""
        import_torch()
        from wattbench.backends.torch.session import Session
        from wattbench.backends.torch.team import Team

        self.close()
        self._session = Team(preparation) if preparation.devices else Session(preparation)
        return self._session.prepare()

    def run(self, batch: Batch) -> Completion:
        """Execute one batch to its end and return truthful times."""
        return self._prepared().run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 by the code path of `run`."""
        return self._prepared().outputs(batch, forced_tokens)

    def memory_peak_bytes(self) -> int | None:
        """Return the peak memory so far in bytes, None when the device cannot tell."""
        return None if self._session is None else self._session.memory_peak_bytes()

    def ceilings(self, request: CeilingRequest) -> CeilingReport:
        """Measure products and memory on a device."""
        import_torch()
        from wattbench.backends.torch.ceilings import measure_ceilings

        return measure_ceilings(request)

    def open_context(self, device: str) -> str | None:
        """Create torch's context on an accelerator by one element there; the CPU has none."""
        if device.partition(":")[0] == "cpu":
            return None
        import_torch()
        from wattbench.backends.torch.device import open_context

        return open_context(device)

    def close(self) -> None:
        """Free the device; safe to call twice and after a failed prepare."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _prepared(self) -> Session | Team:
        if self._session is None:
            raise DeviceError("The torch backend is not prepared", "it was closed or never prepared")
        return self._session


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, (2, 13) of "2.13.0+cpu"; () for a text without."""
    parts = text.split("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
