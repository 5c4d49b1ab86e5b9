"""What SDKs with programs made ahead of time have in common: how they are found, and the parts that they have."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Protocol, TypeVar

from wattbench.backends.contract import Availability, DeviceFinding, DeviceInfo
from wattbench.backends.host import cpu_model
from wattbench.backends.programs import Maker, versions_of
from wattbench.models.load import Load
from wattbench.models.onnx_model import refuse_unexportable
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["NEVER_RUN", "Part", "is_exportable", "part_findings", "part_infos", "probed"]

NEVER_RUN = {"never run on hardware": "yes"}
"""The fact about a part or an SDK that wattbench has never run."""


class Part(Protocol):
    """A part of a machine that an SDK computes on: its name for `--device`, what it is, its precisions, best first."""

    @property
    def device(self) -> str:
        """Return the name for `--device`."""
        ...

    @property
    def label(self) -> str:
        """Return what it is, in words."""
        ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """Return the precisions that it can be asked for, the default first."""
        ...


Each = TypeVar("Each", bound=Part)


def probed(
    package: str,
    maker: Maker,
    answer: Callable[[], str],
    *,
    title: str,
    facts: dict[str, str] | None = None,
    repair: str = "Reinstall it",
) -> Availability:
    """Say whether an SDK's package is here, whether its programs can be made, and whether it answers.

    `answer` asks it in a child process, returns what it says of itself, and raises DeviceError where it is broken.
    `title` is its name in words, `facts` are told beside the versions of the maker's packages.
    """
    if find_spec(package) is None:
        return Availability(state="absent", reason=f"{title} is not installed", remedy=maker.remedy)
    versions = versions_of(maker.packages)
    found = versions | (facts or {})
    missing = [name for name in maker.packages if name not in versions]
    if missing:
        reason = f"no {maker.makes} can be made without {' and '.join(missing)}"
        return Availability(state="broken", reason=reason, remedy=maker.remedy, facts=found)
    try:
        reason = answer()
    except DeviceError as exc:
        remedy = f"{repair}: {maker.remedy}"
        return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=remedy, facts=found)
    return Availability(state="present", reason=reason, facts=found)


def part_findings(parts: Iterable[Each], availability: Callable[[Each], Availability]) -> tuple[DeviceFinding, ...]:
    """Return what is known of each part."""
    return tuple(DeviceFinding(name=p.device, label=p.label, availability=availability(p)) for p in parts)


def part_infos(
    parts: Iterable[Part], findings: Iterable[DeviceFinding], *, cpu: str | None = None
) -> tuple[DeviceInfo, ...]:
    """Return the parts that can be used by their findings; `cpu` is the one that is the host's CPU, by XNNPACK."""
    usable = {finding.name for finding in findings if finding.availability.usable}
    return tuple(
        DeviceInfo(
            name=part.device,
            description=f"{cpu_model()} (XNNPACK)" if part.device == cpu else part.label,
            memory_bytes=None,
            precisions=part.precisions,
            precision_default=part.precisions[0],
            power_covers="cpu" if part.device == cpu else None,
        )
        for part in parts
        if part.device in usable
    )


def is_exportable(load: Load) -> bool:
    """Return whether an encoder's export from torch is written and tested."""
    try:
        refuse_unexportable(load.model)
    except UsageError:
        return False
    return True
