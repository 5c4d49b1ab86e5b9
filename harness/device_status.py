"""What was shown of each kind of device, and by which evidence: the table of README and `bench list backends`."""

import tomllib
from dataclasses import dataclass
from importlib.resources import files

__all__ = ["MEANINGS", "DeviceStatus", "markdown_lines", "read_statuses"]

MEANINGS = {
    "measured": "measured on hardware",
    "emulated": "contract-tested on emulation",
    "parser": "parser-tested on recordings",
    "untested": "untested",
}
"""What each status is called. "Recordings" are files and stand-ins of the shape of the vendor's tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """One kind of device: by which backend it is run, how far that was shown, on which day, by what; and its watts."""

    name: str
    how: str
    status: str
    date: str
    evidence: str
    watts: str


def read_statuses() -> tuple[DeviceStatus, ...]:
    """Return every row of the table, in its order."""
    text = files("wattbench.harness").joinpath("device_status.toml").read_text(encoding="utf-8")
    return tuple(DeviceStatus(**row) for row in tomllib.loads(text)["devices"])


def markdown_lines() -> list[str]:
    """Return the table as README has it."""
    lines = ["| device | run by | status | since | watts |", "|---|---|---|---|---|"]
    for row in read_statuses():
        lines.append(f"| {row.name} | {row.how} | {MEANINGS[row.status]} | {row.date} | {_watts(row.watts)} |")
    return lines


def _watts(text: str) -> str:
    """Return what is said of a device's watts, its status in words."""
    status, colon, rest = text.partition(":")
    return f"{MEANINGS[status]}:{rest}" if colon and status in MEANINGS else text
