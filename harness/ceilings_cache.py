"""The cache of ceilings: kept for a day, for the same device, settings and versions."""

import hashlib
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattbench.harness.accelerator_facts import collect_accelerators
from wattbench.harness.ceilings_target import Target
from wattbench.harness.environment import PACKAGES, collect_packages, collect_variables
from wattbench.harness.storage import cache_directory, keep_cached
from wattbench.harness.version import harness_record
from wattbench.results.ceilings import CeilingsRecord
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import DocumentError
from wattbench.results.plugins import plugin_names

__all__ = ["CACHE_AGE", "keep", "newest", "recall"]

CACHE_AGE = timedelta(days=1)


def recall(target: Target, no_power: str | None, now: datetime | None = None) -> CeilingsRecord | None:
    """Return what was measured for exactly this target within a day, or None.

    `no_power` is why there are no watts (None: there are some): ceilings without energy are measured again once a
    sensor is there.
    """
    return _read(_path(target, no_power), _device_facts(target), now or datetime.now(tz=UTC))


def newest(target: Target, now: datetime | None = None) -> CeilingsRecord | None:
    """Return the newest ceilings of the target's device within a day, whatever was asked of it, or None."""
    facts, moment = _device_facts(target), now or datetime.now(tz=UTC)
    found = [record for path in _files() if (record := _read(path, facts, moment)) is not None]
    return max(found, key=lambda record: record.measured_at, default=None)


def keep(target: Target, no_power: str | None, record: CeilingsRecord) -> None:
    """Remember ceilings; a cache that cannot be written costs only time."""
    keep_cached(_path(target, no_power), {"facts": _device_facts(target), "record": to_builtins(record)})


def _path(target: Target, no_power: str | None) -> Path:
    """Return the file for a target, named by the digest of all that its ceilings depend on."""
    asked = [target.precisions, target.shapes, target.looks, target.power, no_power]
    text = json.dumps([_device_facts(target), asked], sort_keys=True)
    return _folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


def _folder() -> Path:
    return cache_directory() / "ceilings"


def _files() -> Iterator[Path]:
    yield from sorted(_folder().glob("*.json"))


def _device_facts(target: Target) -> str:
    """Return the device with its settings, drivers and every version that can change its speed, as text."""
    boards = [(a.name, a.uuid, a.driver, a.power_limit_w) for a in collect_accelerators()]
    facts = [
        *(target.backend, asdict(target.device), target.threads, target.affinity),
        *(boards, platform.release(), collect_packages(PACKAGES), collect_variables(os.environ)),
        *(plugin_names("wattbench.backends"), harness_record().source_sha256),
    ]
    return json.dumps(facts, sort_keys=True)


def _read(path: Path, facts: str, now: datetime) -> CeilingsRecord | None:
    """Return the ceilings in a file if they are of these facts and young enough; what cannot be read is forgotten."""
    try:
        stored = json.loads(path.read_bytes())
        if stored["facts"] != facts:
            return None
        record = decode(stored["record"], CeilingsRecord)
        age = now - datetime.fromisoformat(record.measured_at)
    except (OSError, ValueError, TypeError, KeyError, DocumentError, RecursionError):
        return None
    return replace(record, cached=True) if timedelta() <= age <= CACHE_AGE else None
