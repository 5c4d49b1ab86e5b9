"""Where calibrations are kept: one file each in the user's data folder, found by sensor and device."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattbench.harness.power.identity import device_of
from wattbench.harness.storage import data_directory
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.codec import decode, to_builtins
from wattbench.results.durable import replace_file
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import DocumentError, StorageError, UsageError

__all__ = ["CALIBRATION_AGE", "age_of", "every_calibration", "find_calibrations", "forget", "keep"]

CALIBRATION_AGE = timedelta(days=365)
"""After this long a calibration is doubted: the interval at which meters are customarily calibrated (our choice)."""


def keep(record: CalibrationRecord) -> Path:
    """Store a calibration in place of an earlier one of the same sensor and return its file. Raises StorageError."""
    path = _path(record.sampler, record.group, record.device)
    text = json.dumps(to_builtins(record), indent=1) + "\n"
    try:
        replace_file(path, text.encode())
    except OSError as exc:
        remedy = "Free the disk or set WATTBENCH_DATA to another folder, then calibrate again."
        raise StorageError(f"Cannot store the calibration in {path}", exc.strerror or str(exc), remedy) from exc
    return path


def find_calibrations(channels: Iterable[ChannelRecord]) -> tuple[CalibrationRecord, ...]:
    """Return the calibration of each source (group of channels) that has one.

    Raises DocumentError for a file that is damaged: measured on uncorrected would look like measured.
    """
    groups = dict.fromkeys((c.sampler, c.group, device_of(c)) for c in channels)
    paths = [_path(*group) for group in groups]
    return tuple(_read(path) for path in paths if path.is_file())


def every_calibration() -> tuple[CalibrationRecord, ...]:
    """Return all that are stored, the newest first. Raises DocumentError for a damaged file."""
    found = [_read(path) for path in sorted(_folder().glob("*.json"))]
    return tuple(sorted(found, key=lambda record: record.calibrated_at, reverse=True))


def forget(name: str) -> tuple[CalibrationRecord, ...]:
    """Delete the calibrations of a device ("all": of every one) and return them.

    Raises UsageError when there is none, StorageError when a file cannot be deleted.
    """
    stored = every_calibration()
    gone = tuple(record for record in stored if name in ("all", record.device))
    if not gone:
        raise UsageError(f"No calibration of {name!r} is stored", _known(stored), "See bench calibrate --show.")
    for record in gone:
        path = _path(record.sampler, record.group, record.device)
        try:
            path.unlink()
        except OSError as exc:
            raise StorageError(f"Cannot delete {path}", exc.strerror or str(exc), "Delete it by hand.") from exc
    return gone


def age_of(record: CalibrationRecord, now: datetime) -> timedelta:
    """Return how long ago a calibration was made."""
    return now - datetime.fromisoformat(record.calibrated_at).astimezone(UTC)


def _known(stored: Sequence[CalibrationRecord]) -> str:
    return f"stored are {', '.join(dict.fromkeys(r.device for r in stored)) or 'none'}"


def _folder() -> Path:
    return data_directory() / "calibrations"


def _path(sampler: str, group: str, device: str) -> Path:
    text = json.dumps([sampler, group, device])
    return _folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> CalibrationRecord:
    try:
        return decode(json.loads(path.read_bytes()), CalibrationRecord)
    except (OSError, ValueError, RecursionError, DocumentError) as exc:
        why = exc.why if isinstance(exc, DocumentError) else str(exc)
        remedy = "Delete the file and calibrate again."
        raise DocumentError(f"The calibration in {path} cannot be read", why, remedy) from exc
