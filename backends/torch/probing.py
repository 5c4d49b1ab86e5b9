"""Asking vendors' extensions of torch for their devices, each in a process of its own with a limit of time."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from wattbench.backends.contract import DeviceFinding, DeviceInfo
from wattbench.backends.torch.extensions import extension_names
from wattbench.backends.torch.vendors import VENDORS, Vendor, vendor_of
from wattbench.results.availability import Availability
from wattbench.results.codec import decode
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.plugins import nearest_lines

__all__ = ["Found", "device_infos", "find_device", "found_here", "probe_vendors"]

TIMEOUT_S = 90.0
"""How long an extension may take to name its devices, all of them being asked at once.

torch_tpu 0.2.0 took 55 s the first time after its installation, and then 16 to 19 s, on a busy machine of two cores:
half as long again, since software that works must not be called broken.
"""

GIVES_UP = "gives up after"
"""The fact of each finding that says how long its software may take to answer."""

WORDS_MAX = 300

PLACEHOLDER = "WRONG PACKAGE"
"""What AWS's empty packages on PyPI say of themselves (torch-neuronx 1.0, neuronx-cc 1.0.post1: their metadata)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found of one vendor: whether its devices can be used, and which there are."""

    finding: DeviceFinding
    devices: tuple[DeviceInfo, ...] = ()


def device_infos() -> tuple[DeviceInfo, ...]:
    """Return the devices that could be used now: CUDA's and vendors' accelerators, the CPU, then emulated ones."""
    from wattbench.backends.torch.extensions import import_torch

    import_torch()
    from wattbench.backends.torch.device import accelerator_type, own_infos

    kind = accelerator_type()
    vendors = [info for found in found_here() for info in found.devices]
    own = [info for info in own_infos(accelerators=kind is None or vendor_of(kind) is None)]
    known = {info.name for info in own}
    every = [*own[:-1], *(info for info in vendors if info.name not in known), own[-1]]
    return tuple(sorted(every, key=lambda info: info.emulated_on is not None))


def find_device(name: str) -> DeviceInfo:
    """Return the device called `name`; a type alone ("cuda") means its first. Raises UsageError if there is none."""
    infos = device_infos()
    for info in infos:
        if name in (info.name, info.name.partition(":")[0]):
            return info
    raise UsageError(f"torch has no device {name!r}", *nearest_lines(name, [info.name for info in infos]))


@cache
def found_here() -> tuple[Found, ...]:
    """Return what `probe_vendors` finds, asked once a process: what is installed does not change meanwhile."""
    return probe_vendors()


def probe_vendors(timeout_s: float = TIMEOUT_S) -> tuple[Found, ...]:
    """Return what can be said of each vendor's devices; never raises, prints or hangs, whatever its code does.

    Only what is installed is asked, all at once, each for at most `timeout_s` seconds.
    """
    refused = {vendor.kind: _refusal(vendor) for vendor in VENDORS}
    asked = [kind for kind, why in refused.items() if why is None] + list(extension_names())
    answers = dict(zip(asked, _ask(asked, timeout_s), strict=True))
    found = [
        answers[vendor.kind] if why is None else _found(vendor.kind, vendor.label, why, timeout_s)
        for vendor in VENDORS
        for why in (refused[vendor.kind],)
    ]
    return (*found, *(answers[name] for name in asked if name not in refused))


def _refusal(vendor: Vendor) -> Availability | None:
    """Return why a vendor's devices need not even be asked for: its software is missing, a placeholder, or too old."""
    if vendor.package is None:
        return _missing_in_torch(vendor)
    try:
        package = distribution(vendor.package)
    except PackageNotFoundError:
        reason = f"{vendor.package} is not installed"
        return Availability(state="absent", reason=reason, remedy=vendor.remedy)
    facts = {vendor.package: package.version}
    name = f"{vendor.package} {package.version}"
    if _is_placeholder(package):
        remedy = f"pip uninstall {vendor.package}. {vendor.remedy}"
        reason = f"{name} is an empty placeholder, not the vendor's software"
        return Availability(state="broken", reason=reason, remedy=remedy, facts=facts)
    if _numbers(package.version) < vendor.oldest:
        reason = f"{name} is older than {'.'.join(map(str, vendor.oldest))}"
        return Availability(state="broken", reason=reason, remedy=vendor.remedy, facts=facts)
    return None


def _missing_in_torch(vendor: Vendor) -> Availability | None:
    """Return why the installed torch cannot have a device of its own; told from its name, without importing it."""
    build = distribution("torch").version
    here = {"xpu": "+xpu" in build, "mps": sys.platform == "darwin", "mtia": find_spec("mtia") is not None}
    if here[vendor.kind]:
        return None
    return Availability(
        state="absent", reason=f"this torch ({build}, {sys.platform}) has no {vendor.kind}", remedy=vendor.remedy
    )


def _is_placeholder(package: Distribution) -> bool:
    """Tell it from the file as it is: TorchTPU 0.2.0's cannot be written out again once it is parsed."""
    return PLACEHOLDER in (package.read_text("METADATA") or "")


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (2, 13) of "2.13.3.0"; () for a text without."""
    return tuple(int(part) for part in version.split("+")[0].split(".")[:2] if part.isdigit())


def _ask(kinds: Sequence[str], timeout_s: float) -> list[Found]:
    """Return what the children say, started together."""
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_child(kind, timeout_s)) for kind in kinds]
        deadline = time.monotonic() + timeout_s
        return [child.answer(deadline) for child in children]


class _Child:
    """One child that asks one vendor; its output lies in files, so that nothing that it leaves behind holds us up."""

    def __init__(self, kind: str, folder: Path, timeout_s: float) -> None:
        self._kind, self._folder, self._timeout_s = kind, folder, timeout_s
        command = [sys.executable, "-P", "-m", "wattbench.backends.torch.probe_child", kind, str(folder / "answer")]
        with (folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=sys.platform != "win32"
            )

    def answer(self, deadline: float) -> Found:
        """Return what was found, at the latest at the deadline."""
        vendor = vendor_of(self._kind)
        label = vendor.label if vendor is not None else f"torch extension {self._kind}"
        remedy = f"Reinstall or remove {vendor.package if vendor is not None else self._kind}."
        patience = f"Ask once more, since the first time is the slowest. {remedy}"
        try:
            code = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            reason = f"its software gives no answer within {self._timeout_s:g} s{self._words()}"
            return self._found(label, Availability(state="broken", reason=reason, remedy=patience))
        try:
            devices = decode(json.loads((self._folder / "answer").read_bytes()), tuple[DeviceInfo, ...])
        except (OSError, ValueError, DocumentError):
            how = f"with {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            reason = f"its software ends the process that asks it {how}{self._words()}"
            return self._found(label, Availability(state="broken", reason=reason, remedy=remedy))
        if not devices:
            remedy = "" if vendor is None else vendor.remedy
            reason = "its software is installed and finds no device in this machine"
            return self._found(label, Availability(state="absent", reason=reason, remedy=remedy or "Check it."))
        found = Availability(state="present", reason=f"{len(devices)} found{_emulated(devices)}")
        return replace(self._found(label, found), devices=devices)

    def _found(self, label: str, availability: Availability) -> Found:
        return _found(self._kind, label, availability, self._timeout_s)

    def _words(self) -> str:
        """Return the end of what it printed, as the rest of a sentence."""
        text = " ".join((self._folder / "said").read_bytes().decode(errors="replace").split())
        return f"; its last words: {text[-WORDS_MAX:]}" if text else ""

    def end(self) -> None:
        """End it and all that it started."""
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def _child(kind: str, timeout_s: float) -> Iterator[_Child]:
    with tempfile.TemporaryDirectory(prefix="wattbench-probe-", ignore_cleanup_errors=True) as folder:
        child = _Child(kind, Path(folder), timeout_s)
        try:
            yield child
        finally:
            child.end()


def _emulated(devices: Sequence[DeviceInfo]) -> str:
    emulated = next((info.emulated_on for info in devices if info.emulated_on is not None), None)
    return "" if emulated is None else f", EMULATED on {emulated}"


def _found(kind: str, label: str, availability: Availability, timeout_s: float) -> Found:
    """Return a finding with what is known of the kind anyway; `timeout_s` is how long it was, or would be, asked."""
    vendor = vendor_of(kind)
    facts = {GIVES_UP: f"{timeout_s:g} s"} | ({} if vendor is None else {"telemetry": vendor.telemetry})
    availability = replace(availability, facts=availability.facts | facts)
    return Found(finding=DeviceFinding(name=kind, label=label, availability=availability))
