"""The ONNX Runtime backend: any execution provider by name, with proof of what ran where."""

from __future__ import annotations

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
from wattbench.backends.onnxruntime.installed import runtime_distributions, version_facts
from wattbench.backends.onnxruntime.levels import levels_for
from wattbench.backends.onnxruntime.listing import Listing, listing_from_child, plugin_modules
from wattbench.backends.onnxruntime.offers import missing, offers
from wattbench.backends.onnxruntime.placement import NEEDED
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError

if TYPE_CHECKING:
    import numpy

    from wattbench.backends.onnxruntime.run import Run

__all__ = ["OnnxRuntimeBackend"]

REMEDY = "pip install 'wattbench[onnx]'"
BUILDERS = ("onnx", "onnxscript", "torch")
"""The packages that make graphs; without them nothing can be run that was not run before."""


class OnnxRuntimeBackend:
    """Executes transformer loads with ONNX Runtime, which is imported by the first call that needs a device."""

    name = "onnxruntime"

    def __init__(self) -> None:
        self._run: Run | None = None
        self._listing: Listing | None = None

    def probe(self) -> Availability:
        """Say whether ONNX Runtime can be used, and which plug-in providers cannot; a child process finds out."""
        if find_spec("onnxruntime") is None:
            return Availability(state="absent", reason="ONNX Runtime is not installed", remedy=REMEDY)
        found, facts = runtime_distributions(), version_facts(plugin_modules())
        if len(found) > 1:
            names = " ".join(found)
            reason = f"{' and '.join(found)} are installed and have overwritten each other's files"
            remedy = f"pip uninstall -y {names}, then install the one that you need"
            return Availability(state="broken", reason=reason, remedy=remedy, facts=facts)
        try:
            listing = self._listed()
        except DeviceError as exc:
            reason = f"{exc.what}: {exc.why}"
            return Availability(state="broken", reason=reason, remedy=f"Reinstall it: {REMEDY}", facts=facts)
        if not listing.proves:
            reason = f"ONNX Runtime {listing.version} cannot tell which provider was given a node of a graph"
            return Availability(state="broken", reason=reason, remedy=NEEDED, facts=facts)
        missing = [name for name in BUILDERS if find_spec(name) is None]
        if missing:
            reason = f"ONNX Runtime {listing.version}, without {' and '.join(missing)}: no graph can be made"
            return Availability(state="broken", reason=reason, remedy=REMEDY, facts=facts)
        left_out = "".join(f"; {module} is left out: {why}" for module, why in listing.refused.items())
        return Availability(state="present", reason=f"ONNX Runtime {listing.version}{left_out}", facts=facts)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the devices that can be used now: accelerators, the CPU, other ways to use the CPU."""
        return tuple(offer.info for offer in offers(self._listed()))

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what each provider that offers no device here would need."""
        return missing(offers(self._listed()), self._listed())

    def levels(self, load: Load, device: str, precision: str) -> tuple[Level, ...]:
        """Return `graph` and `genai`, as far as they can execute the load there in this precision."""
        return levels_for(load, device, precision)

    def prepare(self, preparation: Preparation) -> Prepared:
        """Make or find the graph, open it on the device, prove its placement, run once; errors as the contract says."""
        from wattbench.backends.onnxruntime.run import Run

        self.close()
        self._run = Run(preparation)
        return self._run.prepare()

    def run(self, batch: Batch) -> Completion:
        """Execute one batch to its end and return truthful times."""
        return self._prepared().run(batch)

    def outputs(self, batch: Batch, forced_tokens: numpy.ndarray | None) -> Outputs:
        """Return the numbers of request 0 by the code path of `run`."""
        return self._prepared().outputs(batch, forced_tokens)

    def ceilings(self, request: CeilingRequest) -> CeilingReport:
        """Measure what the device can do at most, through single-node graphs."""
        from wattbench.backends.onnxruntime.ceilings import measure_ceilings

        return measure_ceilings(request)

    def memory_peak_bytes(self) -> int | None:
        """Return the peak memory so far in bytes, None where ONNX Runtime cannot tell."""
        return None if self._run is None else self._run.memory_peak_bytes()

    def close(self) -> None:
        """Free the device; safe to call twice and after a failed prepare."""
        if self._run is not None:
            self._run.close()
            self._run = None

    def _prepared(self) -> Run:
        if self._run is None:
            raise DeviceError("The onnxruntime backend is not prepared", "it was closed or never prepared")
        return self._run

    def _listed(self) -> Listing:
        """Return what a child process found, asked once."""
        if self._listing is None:
            self._listing = listing_from_child()
        return self._listing
