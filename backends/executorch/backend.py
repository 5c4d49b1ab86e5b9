"""The ExecuTorch backend: programs made ahead of time for a delegate, with the share of operations that it took."""

from functools import cached_property
from importlib.metadata import version

from wattbench.backends.asking import ask
from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo, Level, Preparation
from wattbench.backends.edge_sdk import is_exportable, part_findings, part_infos, probed
from wattbench.backends.encoder_backend import EncoderBackend
from wattbench.backends.encoders import OpenEncoder
from wattbench.backends.executorch.delegates import DELEGATES, availability_of
from wattbench.backends.executorch.maker import MAKER
from wattbench.models.load import Load

__all__ = ["ExecutorchSdk", "executorch_backend"]

CHILD = "wattbench.backends.executorch.probe_child"


class ExecutorchSdk:
    """What is special about ExecuTorch; its runtime is imported by `open` alone."""

    name = "executorch"
    level = Level(name="program", description="a program made ahead of time, run by ExecuTorch's runtime")

    def probe(self) -> Availability:
        """Say whether the runtime can be loaded, by a child process, and whether programs can be made."""
        return probed("executorch", MAKER, self._said, title="ExecuTorch")

    def devices(self) -> tuple[DeviceInfo, ...]:
        """Return the delegates that can be used, the CPU's first: the others were never run."""
        return part_infos(DELEGATES, self.findings(), cpu="xnnpack")

    def findings(self) -> tuple[DeviceFinding, ...]:
        """Return what is known of each delegate."""
        return part_findings(DELEGATES, lambda delegate: availability_of(delegate, self._registered))

    def takes(self, load: Load) -> bool:
        """Return whether the encoder's export is written and tested."""
        return is_exportable(load)

    def open(self, preparation: Preparation, device: DeviceInfo, threads: int) -> OpenEncoder:
        """Make or find the program for the delegate and load it."""
        from wattbench.backends.executorch.session import open_program

        return open_program(preparation, device, threads)

    def _said(self) -> str:
        return f"ExecuTorch {version('executorch')} with {', '.join(sorted(self._registered))}"

    @cached_property
    def _registered(self) -> dict[str, bool]:
        """Return the delegates that the runtime has; a child process is asked once."""
        found = ask(CHILD, "ExecuTorch's runtime")
        assert isinstance(found, dict), "the child answers with an object"
        return found


def executorch_backend() -> EncoderBackend:
    """Return the backend `executorch`."""
    return EncoderBackend(ExecutorchSdk)
