"""The ExecuTorch backend: programs made ahead of time for a delegate, with the share of operations that it took."""

from functools import cached_property
from importlib.util import find_spec

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.executorch.delegates import DELEGATES, availability_of
from wattbench.backends.executorch.maker import MAKER, REMEDY
from wattbench.backends.host import cpu_model
from wattbench.backends.programs import versions_of
from wattbench.models.load import Load
from wattbench.models.onnx_model import refuse_unexportable
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["ExecutorchSdk", "executorch_backend"]

CHILD = "wattbench.backends.executorch.probe_child"


class ExecutorchSdk:
    """What is special about ExecuTorch; its runtime is imported by `open` alone."""

    name = "executorch"
    level = Level(name="program", description="a program made ahead of time, run by ExecuTorch's runtime")

    def probe(self) -> Availability:
        """Say whether the runtime can be loaded, by a child process, and whether programs can be made."""
        facts = versions_of(MAKER.packages)
        if find_spec("executorch") is None:
            return Availability(state="absent", reason="ExecuTorch is not installed", remedy=REMEDY)
        missing = [name for name in MAKER.packages if name not in facts]
        if missing:
            reason = f"no program can be made without {' and '.join(missing)}"
            return Availability(state="broken", reason=reason, remedy=REMEDY, facts=facts)
        try:
            registered = self._registered
        except DeviceError as exc:
            reason = f"{exc.what}: {exc.why}"
            return Availability(state="broken", reason=reason, remedy=f"Reinstall it: {REMEDY}", facts=facts)
        reason = f"ExecuTorch {facts['executorch']} with {', '.join(sorted(registered))}"
        return Availability(state="present", reason=reason, facts=facts)

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the delegates that can be used, the CPU's first: the others were never run."""
        found = {finding.name for finding in self.findings() if finding.availability.usable}
        return tuple(
            DeviceInfo(
                name=delegate.device,
                description=f"{cpu_model()} (XNNPACK)" if delegate.on_cpu else delegate.label,
                memory_bytes=None,
                precisions=delegate.precisions,
                precision_default=delegate.precisions[0],
                power_covers="cpu" if delegate.on_cpu else None,
            )
            for delegate in DELEGATES
            if delegate.device in found
        )

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each delegate."""
        return tuple(
            DeviceFinding(name=d.device, label=d.label, availability=availability_of(d, self._registered))
            for d in DELEGATES
        )

    def takes(self, load: Load) -> bool:
        """Return whether the encoder's export is written and tested."""
        try:
            refuse_unexportable(load.model)
        except UsageError:
            return False
        return True

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the program for the delegate and load it."""
        from wattbench.backends.executorch.session import open_program

        return open_program(preparation, device, threads)

    @cached_property
    def _registered(self) -> dict[str, bool]:
        """Return the delegates that the runtime has; a child process is asked once."""
        found = ask(CHILD, "ExecuTorch's runtime")
        assert isinstance(found, dict), "the child answers with an object"
        return found


def executorch_backend() -> EncoderBackend:
    """Return the backend `executorch`."""
    return EncoderBackend(ExecutorchSdk)
