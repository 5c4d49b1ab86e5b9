"""Uploading what is in the spool: again after failures that pass, within a bounded time; what cannot go now stays."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from wattbench.harness.sharing.spool import Receipt, Spool, SpoolItem
from wattbench.harness.version import harness_record
from wattbench.results.errors import StoreUnreachableError, WattbenchError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.open import open_store
from wattbench.results.store.publish import Published, publish

__all__ = ["PUSH_TIMEOUT_S", "Retry", "Upload", "backoff_s", "upload_all"]

PUSH_TIMEOUT_S = 60.0
"""How long to go on trying, unless said otherwise."""

BUSY_S = 0.2

FIRST_S, LONGEST_S = 0.5, 20.0
"""The pause before the second try is below the first, later ones double up to the second (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What became of one item: in the store, taken by another process, or still pending because of an error."""

    item: SpoolItem
    standing: Literal["new", "present", "busy", "pending"]
    log_key: str | None = None
    tries: int = 0
    error: WattbenchError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How long to try, and by which clock, pause and chance; tests turn them by hand."""

    timeout_s: float = PUSH_TIMEOUT_S
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = field(default_factory=lambda: random.Random().random)


def backoff_s(tries: int, chance: float) -> float:
    """Return the pause after some failed tries: a share of a span that doubles ("full jitter", AWS Builders' Library).

    `chance` is drawn from 0..1, so that many clients that failed at once do not come back at once.
    """
    return chance * float(min(LONGEST_S, FIRST_S * 2.0 ** min(tries, 16)))


def upload_all(
    spool: Spool, items: Iterable[SpoolItem], retry: Retry, *, opener: Callable[[str], ObjectStore] = open_store
) -> Iterator[Upload]:
    """Upload items and yield what became of each, all within the time of `retry` together.

    An error that will not pass by waiting (access denied, no such store, damaged bytes) is not tried again. A store
    that did not answer until the end is not asked for the items that follow. What another process has in hand is
    waited for last.
    """
    deadline_s = retry.now_s() + retry.timeout_s
    silent: dict[str, WattbenchError] = {}
    busy: list[SpoolItem] = []
    for item in items:
        if item.store in silent:
            yield Upload(item=item, standing="pending", error=silent[item.store])
            continue
        done = _upload(spool, item, retry, deadline_s, opener)
        if done.standing == "busy":
            busy.append(item)
            continue
        if isinstance(done.error, StoreUnreachableError):
            silent[item.store] = done.error
        yield done
    for item in busy:
        yield _awaited(spool, item, retry, deadline_s, opener)


def _awaited(
    spool: Spool, item: SpoolItem, retry: Retry, deadline_s: float, opener: Callable[[str], ObjectStore]
) -> Upload:
    """Wait for the process that has an item in hand; where it gives up, upload it here."""
    while True:
        if not spool.holds(item):
            return Upload(item=item, standing="present")
        done = _upload(spool, item, retry, deadline_s, opener)
        if done.standing != "busy" or retry.now_s() + BUSY_S >= deadline_s:
            return done
        retry.sleep(BUSY_S)


def _upload(
    spool: Spool, item: SpoolItem, retry: Retry, deadline_s: float, opener: Callable[[str], ObjectStore]
) -> Upload:
    with spool.locked(item) as ours:
        if not ours:
            return Upload(item=item, standing="busy")
        tries = 0
        while True:
            tries += 1
            try:
                done = _publish(spool, item, opener)
            except StoreUnreachableError as exc:
                pause_s = backoff_s(tries - 1, retry.chance())
                if retry.now_s() + pause_s >= deadline_s:
                    return Upload(item=item, standing="pending", tries=tries, error=exc)
                retry.sleep(pause_s)
            except WattbenchError as exc:
                return Upload(item=item, standing="pending", tries=tries, error=exc)
            else:
                return Upload(item=item, standing=done.standing, log_key=done.log_key, tries=tries)


def _publish(spool: Spool, item: SpoolItem, opener: Callable[[str], ObjectStore]) -> Published:
    """Put an item into its store, then note that it is there."""
    package = spool.package(item)
    store = opener(item.store)
    try:
        done = publish(
            store,
            package,
            uploader=item.uploader,
            wattbench=harness_record().version,
            withdrawal=item.withdrawal,
        )
    finally:
        store.close()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    spool.finish(Receipt(item=item, log_key=done.log_key, done_at=at))
    return done
