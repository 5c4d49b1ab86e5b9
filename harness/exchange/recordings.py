"""Recordings of meters as files: read whole, with their digest, and what the user states of them checked."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from wattbench.results.errors import UsageError, WattbenchError
from wattbench.results.exchange.meter import MeterRecording
from wattbench.results.exchange.meter_csv import CsvOptions, read_meter_csv
from wattbench.results.exchange.mlperf_session import read_session
from wattbench.results.exchange.mlperf_spl import read_spl

__all__ = ["RecordingFile", "parse_zone", "read_csv_file", "read_spl_file", "session_offset_s"]

SIZE_MAX_BYTES = 256 * 1024 * 1024
"""A day at 10 Hz has about 40 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFile:
    """A recording, the name of its file and the sha256 of its bytes."""

    recording: MeterRecording
    name: str
    sha256: str


def parse_zone(text: str | None) -> timedelta | None:
    """Return what a zone such as "UTC", "Z" or "+01:00" is ahead of UTC. Raises UsageError for anything else."""
    if text is None:
        return None
    if text.upper() in ("UTC", "Z"):
        return timedelta(0)
    found = re.fullmatch(r"([+-])(\d\d):?(\d\d)", text)
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        raise UsageError("--time-zone is no offset", f"got {text!r}", "Use UTC or an offset such as +01:00.")
    ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return -ahead if found[1] == "-" else ahead


def read_csv_file(path: Path, options: CsvOptions) -> RecordingFile:
    """Return the recording in a CSV file. Raises UsageError naming the file for what cannot be read or used."""
    data = _bytes(path)
    return _file(path, data, lambda text: read_meter_csv(text, options))


def read_spl_file(path: Path, zone: timedelta | None) -> RecordingFile:
    """Return the recording in an spl.txt, its times being UTC unless `zone` is given. Raises as `read_csv_file`."""
    data = _bytes(path)
    return _file(path, data, lambda text: read_spl(text, zone=zone or timedelta(0), zone_stated=zone is not None))


def session_offset_s(spl: Path) -> float | None:
    """Return what the power director's session says its clock has to be moved by, from the power folder beside a run.

    None where there is no such folder; it is told to the user and never applied by itself.
    """
    client = spl.resolve().parent.parent / "power" / "client.json"
    try:
        clock = read_session(client.read_text(encoding="utf-8"), None).clock if client.is_file() else None
    except (OSError, UnicodeDecodeError, WattbenchError):
        return None
    return None if clock is None else clock.offset_s


def _file(path: Path, data: bytes, read: Callable[[str], MeterRecording]) -> RecordingFile:
    try:
        recording = read(data.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise UsageError(f"Cannot read {path}", f"it is not UTF-8: {exc.reason}", "Save it as UTF-8.") from exc
    except WattbenchError as exc:
        raise UsageError(f"{path}: {exc.what}", exc.why, exc.remedy) from exc
    return RecordingFile(recording=recording, name=path.name, sha256=hashlib.sha256(data).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise UsageError(f"Cannot read {path}", "it is no file", "Name the meter's recording.")
        if path.stat().st_size > SIZE_MAX_BYTES:
            raise UsageError(f"Cannot read {path}", "it is too large", "Cut it to the run and some minutes around it.")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"Cannot read {path}", exc.strerror or str(exc), "Make the file readable.") from exc
