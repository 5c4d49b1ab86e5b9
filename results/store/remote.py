"""A bucket as a store, through obstore; whatever obstore raises becomes one of our errors here.

Who we are is taken from the environment and the services' own chains (AWS_..., GOOGLE_..., AZURE_..., a machine's
role), never from the address, which is printed and logged.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import obstore
import obstore.exceptions
import obstore.store

from wattbench.results.errors import (
    MissingKeyError,
    StoreAccessError,
    StoreError,
    StoreUnreachableError,
    TamperedError,
    UsageError,
)
from wattbench.results.store.contract import GET_MAX_BYTES

__all__ = ["RemoteStore", "connect"]

CLIENT = {"connect_timeout": timedelta(seconds=5), "timeout": timedelta(seconds=120)}
RETRY = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=30),
    "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=3), "base": 2},
}
"""What obstore asks again by itself: reads, and writes that were certainly not done."""

WRITES_MAX = 4
PAUSE_S = 0.25
"""How often we send a write whose fate is unknown, and how long we wait before the second time (then twice, ...)."""

LIST_CHUNK = 1000

FOREIGN = (obstore.exceptions.BaseError, OSError, NotImplementedError, ValueError)
"""What obstore raises: its own errors, FileNotFoundError, and ValueError for settings."""

Answer = TypeVar("Answer")

KEYS = "Check the credentials in the environment (docs/store.md#credentials), and what they may do."
CLOCK = "Set this machine's clock (chronyc or timedatectl), then try again."
BUCKET = "Check the name, the region and the endpoint; the bucket itself is made by its owner."
NETWORK = "Check the network and the endpoint, then try again; what was stored before is kept."

REFUSALS = (
    ("RequestTimeTooSkewed|RequestExpired", "this machine's clock differs too much from the service's", CLOCK),
    ("NoSuchBucket|ContainerNotFound|bucket does not exist", "there is no such bucket", BUCKET),
    ("InvalidAccessKeyId", "the service does not know this access key", KEYS),
    ("SignatureDoesNotMatch", "the secret does not belong to the access key", KEYS),
    ("AuthenticationFailed|failed to authenticate", "the account's key is wrong, or this machine's clock is", KEYS),
    ("ExpiredToken|TokenRefreshRequired|InvalidToken", "the credentials have expired", KEYS),
    ("PermanentRedirect|AuthorizationHeaderMalformed", "the bucket is in another region", "Set AWS_REGION to it."),
    (r"169\.254\.169|metadata\.google|identity/oauth2", "no credentials are in the environment", KEYS),
    ("certificate|UnknownIssuer|InvalidCertificate", "the service's certificate is not trusted", BUCKET),
    ("QuotaExceeded|InsufficientCapacity|Status { status: 507", "the service has no room left", "Ask its owner."),
)
"""What an answer says by the code in it, the services' own (S3, Azure, Google): why, and what to do."""

STATUS = re.compile(r"status(?: code)?: (\d{3})")
MAY_PASS = (408, 429)
"""The answers of the 400s that may be another one later: too slow, too often."""


def connect(scheme: str, bucket: str, prefix: str | None, endpoint: str | None, *, plain: bool) -> "RemoteStore":
    """Return the store in a bucket, or in its part below a prefix; nothing is asked of the service yet.

    `plain` allows an endpoint without TLS. Raises UsageError for settings in the environment that cannot be.
    """
    kinds = {"s3": obstore.store.S3Store, "gs": obstore.store.GCSStore, "az": obstore.store.AzureStore}
    uri = f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else "")
    settings = {"endpoint": endpoint} if endpoint is not None and scheme != "gs" else {}
    try:
        store = kinds[scheme](
            bucket, prefix=prefix, client_options=CLIENT | {"allow_http": plain}, retry_config=RETRY, **settings
        )
    except FOREIGN as exc:
        raise UsageError(f"{uri} cannot be opened", _short(str(exc)), KEYS) from exc
    return RemoteStore(store, uri)


class RemoteStore:
    """A bucket, or its part below a prefix."""

    def __init__(self, bucket: Any, uri: str) -> None:  # any: one of obstore's stores
        self.uri = uri
        self._bucket = bucket

    def get(self, key: str) -> bytes:
        """Return what is stored under a key. Raises MissingKeyError, TamperedError beyond GET_MAX_BYTES."""
        found = self._asked(key, lambda: obstore.get(self._bucket, key))
        size = int(found.meta["size"])
        if size > GET_MAX_BYTES:
            why = f"{size} bytes are more than the {GET_MAX_BYTES} that are read of one key"
            raise TamperedError(f"{self.uri}: {key} is too large", why, "It is none of ours; ask who may write there.")
        return self._asked(key, lambda: bytes(found.bytes()))

    def create(self, key: str, data: bytes) -> bool:
        """Store bytes under a key that has none; return whether they were new.

        A write whose answer got lost is sent again; when it was done, that finds the key there, and False is returned.
        """
        for attempt in range(1, WRITES_MAX + 1):
            try:
                new = self._asked(key, lambda: self._put(key, data))
            except MissingKeyError as exc:
                raise StoreAccessError(f"{self.uri} refuses {key}", "there is no such bucket", BUCKET) from exc
            except StoreUnreachableError:
                if attempt == WRITES_MAX:
                    raise
            else:
                if new or self._is_there(key):
                    return new
            time.sleep(PAUSE_S * attempt)
        why = "the service says that others write it at this moment, and it does not appear"
        raise StoreUnreachableError(f"{self.uri}: {key} could not be written", why, "Try again.")

    def stamp(self, key: str) -> datetime:
        """Return when a key was written, by the service's clock, to the second. Raises MissingKeyError."""
        at: datetime = self._asked(key, lambda: obstore.head(self._bucket, key)["last_modified"])
        return at.astimezone(UTC).replace(microsecond=0)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that start with a prefix, page by page, as the service sorts them."""
        pages = iter(obstore.list(self._bucket, prefix or None, chunk_size=LIST_CHUNK))
        while (page := self._asked(prefix, lambda: next(pages, None))) is not None:
            yield from (str(each["path"]) for each in page)

    def close(self) -> None:
        """Nothing to let go of: connections end with the process."""

    def _put(self, key: str, data: bytes) -> bool:
        try:
            obstore.put(self._bucket, key, data, mode="create", use_multipart=False)
        except obstore.exceptions.AlreadyExistsError:
            return False
        return True

    def _is_there(self, key: str) -> bool:
        """Say whether what a refused write met is there: S3 also refuses (409) where two meet and neither is done."""
        try:
            self.stamp(key)
        except MissingKeyError:
            return False
        return True

    def _asked(self, key: str, ask: Callable[[], Answer]) -> Answer:
        """Return an answer, or raise one of our errors."""
        try:
            return ask()
        except FOREIGN as exc:
            raise self._error(key, exc) from exc

    def _error(self, key: str, exc: Exception) -> StoreError:
        """Return our error for one of obstore's."""
        text = f"{type(exc).__name__} {exc}"
        for pattern, why, remedy in REFUSALS:
            if re.search(pattern, text):
                return StoreAccessError(f"{self.uri} refuses {key}", why, remedy)
        if "Encountered object with invalid path" in text or isinstance(exc, obstore.exceptions.InvalidPathError):
            what = f"{self.uri} holds a name that is no path below {key}"
            return StoreAccessError(what, _short(str(exc)), "Its owner has to look into it, and who may write there.")
        if isinstance(exc, FileNotFoundError):
            return MissingKeyError(f"{self.uri} has no {key}")
        if isinstance(exc, obstore.exceptions.PermissionDeniedError | obstore.exceptions.UnauthenticatedError):
            return StoreAccessError(f"{self.uri} refuses {key}", "the credentials may not do this", KEYS)
        status = STATUS.search(text)
        refused = status is not None and int(status[1]) // 100 == 4 and int(status[1]) not in MAY_PASS
        if isinstance(exc, obstore.exceptions.GenericError) and not refused:
            return StoreUnreachableError(f"{self.uri} does not answer", _short(str(exc)), NETWORK)
        return StoreAccessError(f"{self.uri} refuses {key}", _short(str(exc)), KEYS)


def _short(text: str) -> str:
    """Return the first line of a message without what may be secret in addresses: user names, queries."""
    line = text.strip().partition("\n")[0]
    line = re.sub(r"(https?://)[^\s/@]*@", r"\1", line)
    return re.sub(r"\?[^\s)\"']*", "", line)[:300]
