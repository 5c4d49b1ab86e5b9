"""The power management limit of one NVIDIA board: read it, set it. Only `bench sweep --power-limit` sets it."""

from typing import Any

from wattbench.results.errors import DeviceError, UsageError

__all__ = ["NvmlLimit"]


class NvmlLimit:
    """A board's limit through pynvml, open from its making until `close`.

    The board is told by its UUID. While it is open the driver stays loaded, which forgets a limit when it is unloaded
    (nvml.h, nvmlDeviceSetPowerManagementLimit). Raises DeviceError where there is no such board or no such limit.
    """

    def __init__(self, uuid: str) -> None:
        self.uuid = uuid
        self._nvml: Any = None  # any: pynvml has no types
        what = f"The power limit of {uuid} cannot be read"
        try:
            import pynvml
        except ImportError as exc:
            raise DeviceError(what, f"pynvml: {exc}", "pip install nvidia-ml-py") from exc
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as exc:
            raise DeviceError(what, f"NVML: {exc}", "Check that nvidia-smi works.") from exc
        self._nvml = pynvml
        try:
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid.encode())
            low_mw, high_mw = pynvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)
            self.limit_w()
        except pynvml.NVMLError as exc:
            self.close()
            raise DeviceError(what, f"NVML: {exc}", "Leave out --power-limit.") from exc
        self.low_w, self.high_w = low_mw / 1000, high_mw / 1000  # NVML counts in mW

    def limit_w(self) -> float:
        """Return the limit that is set now, in watts."""
        return int(self._nvml.nvmlDeviceGetPowerManagementLimit(self._handle)) / 1000

    def set_w(self, limit_w: float) -> None:
        """Set the limit, in watts.

        Raises UsageError for one outside the board's range, DeviceError without the right or when the board refuses.
        """
        if not self.low_w <= limit_w <= self.high_w:
            why = f"{self.uuid} takes {self.low_w:g} to {self.high_w:g} W"
            raise UsageError(f"A power limit of {limit_w:g} W cannot be set", why, "Choose one in that range.")
        nvml = self._nvml
        try:
            nvml.nvmlDeviceSetPowerManagementLimit(self._handle, round(1000 * limit_w))
        except nvml.NVMLError as exc:
            remedy = f"Run as root, or let an administrator set it: sudo nvidia-smi -i {self.uuid} -pl {limit_w:g}"
            raise DeviceError(f"The power limit of {self.uuid} cannot be set", f"NVML: {exc}", remedy) from exc

    def close(self) -> None:
        """Let the driver go; safe to call twice."""
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return  # the driver is gone already; nothing is left to release
