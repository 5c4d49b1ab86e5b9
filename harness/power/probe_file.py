"""Where probes of sensors are remembered: in the user's cache, by device, driver and channel, for a stated time."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from wattbench.harness.power.identity import BoardFacts, device_of, facts_of
from wattbench.harness.storage import cache_directory, keep_cached
from wattbench.results.codec import decode, to_builtins
from wattbench.results.energy import ChannelRecord
from wattbench.results.errors import DocumentError
from wattbench.results.observed import StepResponse

__all__ = ["PROBE_AGE", "keep_response", "recall_responses"]

PROBE_AGE = timedelta(days=90)
"""A probe is remembered for a quarter of a year; a sensor's behaviour comes with its driver, which is in the key."""


def keep_response(channel: ChannelRecord, response: StepResponse) -> None:
    """Remember how a channel answered; a cache that cannot be written costs only another probe."""
    keep_cached(_path(channel, response.driver), to_builtins(response))


def recall_responses(
    channels: Iterable[ChannelRecord], boards: BoardFacts, now: datetime | None = None
) -> dict[str, StepResponse]:
    """Return the last probe of each channel, by channel id, if it is of this driver and young enough."""
    moment = now or datetime.now(tz=UTC)
    found = {c.id: _read(_path(c, facts_of(device_of(c), boards)[1]), moment) for c in channels}
    return {name: response for name, response in found.items() if response is not None}


def _path(channel: ChannelRecord, driver: str | None) -> Path:
    text = json.dumps([channel.sampler, channel.id, device_of(channel), driver])
    return cache_directory() / "sensors" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _read(path: Path, now: datetime) -> StepResponse | None:
    """Return the probe in a file, None when there is none, it is too old, or it cannot be read."""
    try:
        response = decode(json.loads(path.read_bytes()), StepResponse)
        age = now - datetime.fromisoformat(response.probed_at)
    except (OSError, ValueError, TypeError, DocumentError, RecursionError):
        return None
    return response if timedelta() <= age <= PROBE_AGE else None
