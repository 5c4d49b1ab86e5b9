"""The class of the hardware that executed a load: a name of the vendor database, or its own name, unmapped."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from wattbench.results.document import Result
from wattbench.results.imported import Document, ImportedResult
from wattbench.results.vendor.database import database
from wattbench.results.vendor.match import Identity, IdentityKind, match_accelerator

__all__ = ["UNMAPPED", "HardwareClass", "class_of", "class_text", "hardware_classes"]

UNMAPPED = "unmapped:"
"""How the class of hardware begins that the vendor database does not know; what follows is its own name."""

NAME_CHARACTERS_MAX = 120
"""As much of a device's own name as a class keeps: a document may say anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareClass:
    """Devices of one kind that executed a load together, and how many; None where the document does not say.

    `cores` is how many cores of processors could be used: a share of a processor is not the processor.
    """

    class_id: str
    count: int | None
    cores: float | None = None

    @property
    def mapped(self) -> bool:
        """Return whether the vendor database knows the devices."""
        return not self.class_id.startswith(UNMAPPED)

    @property
    def text(self) -> str:
        """Return the class with its count, such as "nvidia/h100-sxm5 x8"."""
        cores = "" if self.cores is None else f" ({self.cores:g} cores)"
        return f"{self.class_id} x{'?' if self.count is None else self.count}{cores}"


def class_of(name: str | None, kinds: Sequence[IdentityKind]) -> str:
    """Return the class of a device by its name, as the first of the kinds that knows it; never the nearest name.

    A processor's class holds its model too, since a row of the database may stand for a series.
    """
    if name is None or not name.strip():
        return f"{UNMAPPED}unknown"
    return _class_of(" ".join(name.split()), tuple(kinds))


def hardware_classes(document: Document) -> tuple[HardwareClass, ...]:
    """Return the classes of the devices that executed the document's load, sorted; derived, whatever it says itself."""
    if isinstance(document, ImportedResult):
        return (_stated(document),)
    backend = document.backend
    if backend is None:
        return (HardwareClass(class_id=f"{UNMAPPED}unknown", count=None),)
    if _is_processor(backend.device):
        return (_processor(document),)
    names = {rank.device: rank.device_name for rank in backend.ranks} or {backend.device: backend.device_name}
    cut = {board.name for board in document.environment.accelerators if board.mig}
    counts = Counter(_accelerator(name, cut) for name in names.values())
    return tuple(HardwareClass(class_id=each, count=count) for each, count in sorted(counts.items()))


def class_text(classes: Iterable[HardwareClass]) -> str:
    """Return classes in one line."""
    return " + ".join(each.text for each in classes)


@lru_cache(maxsize=4096)
def _class_of(name: str, kinds: tuple[IdentityKind, ...]) -> str:
    rows = tuple(database().accelerators.values())
    for kind in kinds:
        found = match_accelerator(Identity(kind=kind, value=name), rows).accelerator
        if found is not None:
            model = f":{_slug(name)}" if found.names.cpu else ""
            return f"{_slug(found.vendor)}/{found.key}{model}"
    return f"{UNMAPPED}{name[:NAME_CHARACTERS_MAX]}"


def _accelerator(name: str | None, cut: set[str]) -> str:
    """Return an accelerator's class; a board that is cut into instances is not the board that the database knows."""
    found = class_of(name, ("driver", "apple"))
    return f"{UNMAPPED}{name} (cut into instances)" if name in cut and not found.startswith(UNMAPPED) else found


def _processor(result: Result) -> HardwareClass:
    cpu = result.environment.cpu
    return HardwareClass(class_id=class_of(cpu.model, ("apple", "cpu")), count=cpu.sockets, cores=cpu.cores_usable)


def _stated(document: ImportedResult) -> HardwareClass:
    system = document.system
    name = system.processor if system.accelerators == 0 else system.accelerator
    return HardwareClass(class_id=class_of(name, ("text",)), count=system.n_devices)


def _is_processor(device: str) -> bool:
    return device.partition(":")[0] == "cpu"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", text.casefold())).strip("-")
