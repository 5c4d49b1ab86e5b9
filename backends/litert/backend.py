"""The LiteRT backend: models compiled for one accelerator, with LiteRT's word on whether it took everything."""

from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.edge_sdk import is_exportable, part_findings, part_infos, probed
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.litert.accelerators import ACCELERATORS, availability_of
from wattbench.backends.litert.maker import MAKER
from wattbench.models.load import Load

__all__ = ["LitertSdk", "litert_backend"]

CHILD = "wattbench.backends.litert.probe_child"


class LitertSdk:
    """What is special about LiteRT; its runtime is imported by `open` alone."""

    name = "litert"
    level = Level(name="program", description="a converted model, compiled by LiteRT for one accelerator")

    def probe(self) -> Availability:
        """Say whether the runtime starts, by a child process, and whether models can be made."""
        return probed("ai_edge_litert", MAKER, self._said, title="LiteRT")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the accelerators that can be used, the CPU first: the others were never run."""
        return part_infos(ACCELERATORS, self.findings(), cpu="cpu")

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each accelerator."""
        return part_findings(ACCELERATORS, lambda accelerator: availability_of(accelerator, self._vendors))

    def takes(self, load: Load) -> bool:
        """Return whether the encoder's export is written and tested."""
        return is_exportable(load)

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the model and compile it for the accelerator."""
        from wattbench.backends.litert.session import open_model

        return open_model(preparation, device.name, threads)

    def _said(self) -> str:
        self._vendors  # noqa: B018 (asking is what matters)
        return f"LiteRT {version('ai-edge-litert')}"

    @cached_property
    def _vendors(self) -> Path:
        """Return the folder of the vendors' libraries; a child process is asked once."""
        return Path(str(ask(CHILD, "LiteRT's runtime")))


def litert_backend() -> EncoderBackend:
    """Return the backend `litert`."""
    return EncoderBackend(LitertSdk)
