"""The LiteRT backend: models compiled for one accelerator, with LiteRT's word on whether it took everything."""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.host import cpu_model
from wattbench.backends.litert.accelerators import ACCELERATORS, availability_of
from wattbench.backends.litert.maker import MAKER, REMEDY
from wattbench.backends.programs import versions_of
from wattbench.models.load import Load
from wattbench.models.onnx_model import refuse_unexportable
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["LitertSdk", "litert_backend"]

CHILD = "wattbench.backends.litert.probe_child"


class LitertSdk:
    """What is special about LiteRT; its runtime is imported by `open` alone."""

    name = "litert"
    level = Level(name="program", description="a converted model, compiled by LiteRT for one accelerator")

    def probe(self) -> Availability:
        """Say whether the runtime starts, by a child process, and whether models can be made."""
        facts = versions_of(MAKER.packages)
        if find_spec("ai_edge_litert") is None:
            return Availability(state="absent", reason="LiteRT is not installed", remedy=REMEDY)
        missing = [name for name in MAKER.packages if name not in facts]
        if missing:
            reason = f"no model can be made without {' and '.join(missing)}"
            return Availability(state="broken", reason=reason, remedy=REMEDY, facts=facts)
        try:
            self._vendors  # noqa: B018 (asking is what matters)
        except DeviceError as exc:
            reason = f"{exc.what}: {exc.why}"
            return Availability(state="broken", reason=reason, remedy=f"Reinstall it: {REMEDY}", facts=facts)
        return Availability(state="present", reason=f"LiteRT {facts['ai-edge-litert']}", facts=facts)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the accelerators that can be used, the CPU first: the others were never run."""
        found = {finding.name for finding in self.findings() if finding.availability.usable}
        return tuple(
            DeviceInfo(
                name=a.device,
                description=f"{cpu_model()} (XNNPACK)" if a.unit == "CPU" else a.label,
                memory_bytes=None,
                precisions=a.precisions,
                precision_default=a.precisions[0],
                power_covers="cpu" if a.unit == "CPU" else None,
            )
            for a in ACCELERATORS
            if a.device in found
        )

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each accelerator."""
        return tuple(
            DeviceFinding(name=a.device, label=a.label, availability=availability_of(a, self._vendors))
            for a in ACCELERATORS
        )

    def takes(self, load: Load) -> bool:
        """Return whether the encoder's export is written and tested."""
        try:
            refuse_unexportable(load.model)
        except UsageError:
            return False
        return True

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the model and compile it for the accelerator."""
        from wattbench.backends.litert.session import open_model

        return open_model(preparation, device.name, threads)

    @cached_property
    def _vendors(self) -> Path:
        """Return the folder of the vendors' libraries; a child process is asked once."""
        return Path(str(ask(CHILD, "LiteRT's runtime")))


def litert_backend() -> EncoderBackend:
    """Return the backend `litert`."""
    return EncoderBackend(LitertSdk)
