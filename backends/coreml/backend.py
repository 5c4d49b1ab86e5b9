"""The Core ML backend: the neural engine, GPU or CPU of an Apple chip, with the place of every operation."""

import platform
from functools import cached_property
from importlib.util import find_spec

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.coreml.maker import MAKER, REMEDY
from wattbench.backends.coreml.units import UNITS
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.programs import versions_of
from wattbench.models.load import Load
from wattbench.results.errors import DeviceError

__all__ = ["CoremlSdk", "coreml_backend"]

CHILD = "wattbench.backends.coreml.probe_child"
ARCHITECTURES = ("BertConfig", "ViTConfig")
"""Of the encoders that wattbench exports, those that coremltools 9.0 converts: it stumbles over RMS norms."""

MACOS = "Darwin"

MAC = "Use a Mac with Apple silicon."


class CoremlSdk:
    """What is special about Core ML; coremltools is imported by `open` alone. It was never run on a Mac."""

    name = "coreml"
    level = Level(name="program", description="a converted model, compiled by Core ML for one part of the chip")

    def probe(self) -> Availability:
        """Say whether this is a Mac whose Core ML answers a child process."""
        if platform.system() != MACOS:
            reason = f"Core ML is part of macOS, and this is {platform.system()}"
            return Availability(state="absent", reason=reason, remedy=f"{MAC} There: {REMEDY}")
        if find_spec("coremltools") is None:
            return Availability(state="absent", reason="coremltools is not installed", remedy=REMEDY)
        facts = versions_of(MAKER.packages) | {"never run on hardware": "yes"}
        try:
            units = self._parts
        except DeviceError as exc:
            reason = f"{exc.what}: {exc.why}"
            return Availability(state="broken", reason=reason, remedy=f"Reinstall it: {REMEDY}", facts=facts)
        reason = f"Core ML with {', '.join(units)}; it was never run by wattbench"
        return Availability(state="present", reason=reason, facts=facts)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the parts of the chip that Core ML has."""
        return tuple(
            DeviceInfo(
                name=unit.device,
                description=unit.label,
                memory_bytes=None,
                precisions=unit.precisions,
                precision_default=unit.precisions[0],
                power_covers=None,
            )
            for unit in UNITS
            if unit.computes in self._parts
        )

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each part of the chip."""
        found = []
        for unit in UNITS:
            there = unit.computes in self._parts
            reason = "Core ML has it; it was never run by wattbench" if there else "Core ML has none in this machine"
            state = Availability(state="present" if there else "absent", reason=reason, remedy="" if there else MAC)
            found.append(DeviceFinding(name=unit.device, label=unit.label, availability=state))
        return tuple(found)

    def takes(self, load: Load) -> bool:
        """Return whether coremltools converts the encoder."""
        return load.model.architecture in ARCHITECTURES

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the model and let Core ML compile it for the part of the chip."""
        from wattbench.backends.coreml.session import open_model

        return open_model(preparation, device)

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
