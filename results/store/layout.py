"""Where things lie in a store: the key of each kind of thing, and back. docs/store.md has the picture."""

import re
from datetime import UTC, datetime

from wattbench.results.errors import StoreError

__all__ = [
    "AUDITORS",
    "BLOBS",
    "ENTRIES",
    "LOG",
    "MARKER",
    "NOTES",
    "OBJECTS",
    "SIGNATURES",
    "blob_key",
    "entry_key",
    "entry_prefix",
    "hex_of",
    "id_of_entry_key",
    "id_of_log_key",
    "id_of_object_key",
    "id_of_side_key",
    "is_blob_key",
    "log_day_prefix",
    "log_key",
    "note_key",
    "note_prefix",
    "object_key",
    "signature_key",
    "signature_prefix",
    "time_of_log_key",
]

MARKER = "v1/store.json"
AUDITORS = "v1/auditors"
"""Where the store's owner lists the keys of auditors, in the form of allowed signers (docs/trust.md#tiers)."""

OBJECTS = "v1/objects/sha256/"
BLOBS = "v1/blobs/sha256/"
ENTRIES = "v1/entries/"
LOG = "v1/log/"
SIGNATURES = "v1/signatures/"
NOTES = "v1/notes/"

ID = re.compile(r"sha256:([0-9a-f]{64})")
BLOB_NAME = re.compile(r"[0-9a-f]{64}\.[a-z0-9]{1,16}(\.[a-z0-9]{1,16})?")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
OBJECT_KEY = re.compile(re.escape(OBJECTS) + r"([0-9a-f]{2})/(\1[0-9a-f]{62})\.json")
DAY = r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])"
TIME = r"(?P<time>(?P=year)(?P=month)(?P=day)T(?:[01]\d|2[0-3])(?:[0-5]\d){2}\.\d{3})Z"
LOG_KEY = re.compile(rf"{re.escape(LOG)}{DAY}/{TIME}-(?P<hex>[0-9a-f]{{64}})\.json", re.A)
ENTRY_KEY = re.compile(re.escape(ENTRIES) + r"([0-9a-f]{2})/(\1[0-9a-f]{62})/(0|[1-9][0-9]{0,3})\.json")
BLOB_KEY = re.compile(re.escape(BLOBS) + r"([0-9a-f]{2})/(\1[0-9a-f]{62}\..*)")
SIDE_KEY = re.compile(f"(?:{SIGNATURES}|{NOTES})" + r"([0-9a-f]{64})/[A-Za-z0-9][A-Za-z0-9_-]{0,99}\.json")
LOG_TIME = "%Y%m%dT%H%M%S.%f"


def hex_of(result_id: str) -> str:
    """Return the 64 hexadecimal digits of an id ("sha256:<hex>"). Raises StoreError for anything else."""
    match = ID.fullmatch(result_id)
    if match is None:
        remedy = "Give sha256: and 64 hexadecimal digits, as `bench log` prints them."
        raise StoreError(f"{result_id!r:.80} is no result's id", "", remedy)
    return match[1]


def object_key(result_id: str) -> str:
    """Return the key of a document."""
    digits = hex_of(result_id)
    return f"{OBJECTS}{digits[:2]}/{digits}.json"


def id_of_object_key(key: str) -> str | None:
    """Return the id of the document that lies under a key; None for a key that is none of a document."""
    match = OBJECT_KEY.fullmatch(key)
    return None if match is None else f"sha256:{match[2]}"


def blob_key(name: str) -> str:
    """Return the key of a file beside a document, which is named `<digest of its bytes>.<suffix>`."""
    if BLOB_NAME.fullmatch(name) is None:
        raise StoreError(f"{name!r:.120} is no name of a file beside a result", "it is not made of a digest", "")
    return f"{BLOBS}{name[:2]}/{name}"


def is_blob_key(key: str) -> bool:
    """Say whether a key is one of a file beside a document."""
    match = BLOB_KEY.fullmatch(key)
    return match is not None and BLOB_NAME.fullmatch(match[2]) is not None


def entry_prefix(result_id: str) -> str:
    """Return the prefix of the keys under which writers agree on the one log entry of a document."""
    digits = hex_of(result_id)
    return f"{ENTRIES}{digits[:2]}/{digits}/"


def entry_key(result_id: str, number: int) -> str:
    """Return the key under which writers agree on the one log entry of a document; `number` counts the attempts."""
    return f"{entry_prefix(result_id)}{number}.json"


def id_of_entry_key(key: str) -> str | None:
    """Return the id of the document whose log entry was agreed upon under a key; None for a foreign key."""
    match = ENTRY_KEY.fullmatch(key)
    return None if match is None else f"sha256:{match[2]}"


def log_key(result_id: str, at: datetime) -> str:
    """Return the key of a log entry: its day, its time to the millisecond (UTC, so keys sort by time), its document."""
    time = at.astimezone(UTC)
    return f"{LOG}{time:%Y-%m-%d}/{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z-{hex_of(result_id)}.json"


def log_day_prefix(at: datetime) -> str:
    """Return the prefix of all log entries of a day (UTC)."""
    return f"{LOG}{at.astimezone(UTC):%Y-%m-%d}/"


def id_of_log_key(key: str) -> str | None:
    """Return the id of the document that a log entry is about, by its key; None for a foreign key."""
    match = LOG_KEY.fullmatch(key)
    return None if match is None else f"sha256:{match['hex']}"


def time_of_log_key(key: str) -> datetime | None:
    """Return when a log entry was made, by its key; None for a foreign key or an impossible time."""
    match = LOG_KEY.fullmatch(key)
    try:
        return None if match is None else datetime.strptime(match["time"], LOG_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None


def id_of_side_key(key: str) -> str | None:
    """Return the id of the document that a signature or note is about, by its key; None for a foreign key."""
    match = SIDE_KEY.fullmatch(key)
    return None if match is None else f"sha256:{match[1]}"


def signature_prefix(result_id: str) -> str:
    """Return the prefix of the signatures of a document."""
    return f"{SIGNATURES}{hex_of(result_id)}/"


def signature_key(result_id: str, key_id: str) -> str:
    """Return the key of the signature that one key made of a document."""
    return f"{signature_prefix(result_id)}{_name(key_id)}.json"


def note_prefix(result_id: str) -> str:
    """Return the prefix of the notes about a document."""
    return f"{NOTES}{hex_of(result_id)}/"


def note_key(result_id: str, note_id: str) -> str:
    """Return the key of a note about a document."""
    return f"{note_prefix(result_id)}{_name(note_id)}.json"


def _name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise StoreError(
            f"{name!r:.120} cannot be a name in a store", "it has other signs than letters, digits, - and _"
        )
    return name
