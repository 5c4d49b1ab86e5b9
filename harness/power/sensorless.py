"""Devices that have no power sensor anybody can read: a table of them, with the reason and its source."""

import re
from dataclasses import dataclass
from pathlib import Path

from wattbench.backends.endpoint.address import is_here, target_of
from wattbench.harness.power.sysfs import try_word
from wattbench.results.plan import Plan

__all__ = ["SENSORLESS", "Sensorless", "no_sensor_reason", "present_here", "sensorless_reason"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensorless:
    """One kind of device without a power sensor: how to know it, why there are no watts, and who says so.

    `words` are parts of a backend's or device's name; `pci_ids` are "vendor:device" numbers as sysfs writes them, with
    "*" for any device of the vendor. `instead` is what can be done.
    """

    device: str
    words: tuple[str, ...]
    pci_ids: tuple[str, ...]
    why: str
    source: str
    instead: str


_OUTSIDE = "an outside meter sees the whole machine: a plug, a BMC or a laboratory meter"
_PROVIDER = "nothing: the provider's machines are out of reach, so cost can be told but energy cannot"

SENSORLESS = (
    Sensorless(
        device="Google TPU",
        words=("tpu", "xla"),
        pci_ids=(),
        why="its libraries tell memory, duty cycle and latencies, but no power",
        source="the metrics of tpu-info 0.14.2 (libtpu)",
        instead=_PROVIDER,
    ),
    Sensorless(
        device="Groq LPU",
        words=("groq",),
        pci_ids=("0x1de0:*",),
        why="no public interface to its power was found",
        source="search of public documentation, November 2026; PCI number by pci.ids",
        instead=_OUTSIDE,
    ),
    Sensorless(
        device="Cerebras",
        words=("cerebras",),
        pci_ids=(),
        why="no public interface to its power was found",
        source="search of public documentation, November 2026",
        instead=_OUTSIDE,
    ),
    Sensorless(
        device="Meta MTIA",
        words=("mtia",),
        pci_ids=(),
        why="no public interface to its power was found",
        source="search of public documentation, November 2026",
        instead=_OUTSIDE,
    ),
    Sensorless(
        device="hosted endpoint",
        words=("endpoint", "http", "https", "openai", "remote"),
        pci_ids=(),
        why="an interface over the network tells tokens and times, but no power",
        source="the OpenAI-compatible interface that hosted services speak has no field for it",
        instead=_PROVIDER,
    ),
)
"""Looked up in order; TPUs have no PCI number here since Google's vendor number is every GCP network card's too."""


_SERVER_HERE = (
    "the server runs on this machine, and which of its devices it uses is not known here: a meter of the whole machine "
    "sees it (--power), and so does `bench agent` with the sensors of those devices (--power agent:127.0.0.1); behind "
    "a tunnel the agent runs at its other end"
)
_SERVER_ELSEWHERE = (
    "the server is on another machine, and its interface tells tokens and times, but no power: `bench agent` there "
    "(--power agent:HOST) or a meter of that machine sees it; a hosted service's machines are out of reach"
)
"""Of an endpoint, what is true of its watts and what can be done (docs/endpoints.md, docs/agent.md)."""


def no_sensor_reason(plan: Plan) -> str | None:
    """Return why there are no watts of what a plan runs on, and what helps, in one sentence; None: there may be some.

    A server on this machine was not to be measured where the user says `--power none`.
    """
    if plan.endpoint is None:
        return sensorless_reason(plan.backend, plan.device)
    if not is_here(target_of(plan.endpoint)):
        return _SERVER_ELSEWHERE
    return None if plan.power == ("none",) else _SERVER_HERE


def sensorless_reason(backend: str, device: str) -> str | None:
    """Return why a run's device has no power sensor, in one sentence, or None when it may have one."""
    words = set(re.split(r"[^a-z]+", f"{backend} {device}".lower()))
    found = next((row for row in SENSORLESS if words & set(row.words)), None)
    return None if found is None else f"{found.device} has no power sensor: {found.why} ({found.source})"


def present_here(root: Path = Path("/sys/bus/pci/devices")) -> tuple[Sensorless, ...]:
    """Return the rows whose device is in this machine, as far as its PCI numbers tell."""
    folders = sorted(root.iterdir()) if root.is_dir() else []
    here = {(try_word(f / "vendor") or "", try_word(f / "device") or "") for f in folders}
    ids = {f"{vendor}:{part}" for vendor, device in here for part in (device, "*")}
    return tuple(row for row in SENSORLESS if ids & set(row.pci_ids))
