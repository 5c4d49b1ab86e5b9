"""The Core ML backend: the neural engine, GPU or CPU of an Apple chip, with the place of every operation."""

import platform
from functools import cached_property

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.coreml.maker import MAKER, REMEDY
from wattbench.backends.coreml.units import MAC, UNITS, availability_of
from wattbench.backends.edge_sdk import NEVER_RUN, part_findings, part_infos, probed
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.models.load import Load

__all__ = ["CoremlSdk", "coreml_backend"]

CHILD = "wattbench.backends.coreml.probe_child"
ARCHITECTURES = ("BertConfig", "ViTConfig")
"""Of the encoders that wattbench exports, those that coremltools 9.0 converts: it stumbles over RMS norms."""

MACOS = "Darwin"


class CoremlSdk:
    """What is special about Core ML; coremltools is imported by `open` alone. It was never run on a Mac."""

    name = "coreml"
    level = Level(name="program", description="a converted model, compiled by Core ML for one part of the chip")

    def probe(self) -> Availability:
        """Say whether this is a Mac whose Core ML answers a child process."""
        if platform.system() != MACOS:
            reason = f"Core ML is part of macOS, and this is {platform.system()}"
            return Availability(state="absent", reason=reason, remedy=f"{MAC} There: {REMEDY}")
        return probed("coremltools", MAKER, self._said, title="coremltools", facts=NEVER_RUN)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the parts of the chip that Core ML has."""
        return part_infos(UNITS, self.findings())

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each part of the chip."""
        return part_findings(UNITS, lambda unit: availability_of(unit, self._parts))

    def takes(self, load: Load) -> bool:
        """Return whether coremltools converts the encoder."""
        return load.model.architecture in ARCHITECTURES

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the model and let Core ML compile it for the part of the chip."""
        from wattbench.backends.coreml.session import open_model

        return open_model(preparation, device)

    def _said(self) -> str:
        return f"Core ML with {', '.join(self._parts)}; it was never run by wattbench"

    @cached_property
    def _parts(self) -> tuple[str, ...]:
        """Return the classes of the chip's parts; a child process is asked once. None of them off a Mac."""
        if platform.system() != MACOS:
            return ()
        found = ask(CHILD, "Core ML")
        assert isinstance(found, list), "the child answers with a list"
        return tuple(map(str, found))


def coreml_backend() -> EncoderBackend:
    """Return the backend `coreml`."""
    return EncoderBackend(CoremlSdk)
