"""The errors that wattbench raises on purpose; each says what happened, why, and what to do.

WattbenchError
├── UsageError          a wrong flag, name or file given by the user (exit code 2)
├── DocumentError       a result file that cannot be read or trusted
│   ├── TruncatedError      the JSON ends early
│   ├── NewerSchemaError    written by a newer wattbench
│   └── TamperedError       the bytes do not match the recorded digest
├── DeviceError         a device or its SDK is missing or failed
│   └── OutOfMemoryError    the device or host has not enough memory
├── SensorError         a power sensor is missing, forbidden or talks nonsense
├── SamplingGapError    the power curve between two samples is unknown
├── WorkerError         the worker process died or broke its protocol
├── StorageError        a result could not be written
├── StoreError          a store of results failed or holds what it must not
│   ├── MissingKeyError         nothing is stored under a key
│   ├── StoreAccessError        the store refuses: credentials, permissions, a bucket that is not there
│   └── StoreUnreachableError   the store does not answer; what was asked may be tried again
├── SignatureError      a signature does not hold
│   └── SignatureToolError  what makes or checks signatures is missing here
└── InterruptedRunError Ctrl-C or SIGTERM ended the run
"""

__all__ = [
    "DeviceError",
    "DocumentError",
    "InterruptedRunError",
    "MissingKeyError",
    "NewerSchemaError",
    "OutOfMemoryError",
    "SamplingGapError",
    "SensorError",
    "SignatureError",
    "SignatureToolError",
    "StorageError",
    "StoreAccessError",
    "StoreError",
    "StoreUnreachableError",
    "TamperedError",
    "TruncatedError",
    "UsageError",
    "WattbenchError",
    "WorkerError",
]


class WattbenchError(Exception):
    """The root of every error that is meant for the user's eyes.

    `what` says what happened, `why` the cause, `remedy` what to do next; either of the last two may be empty.
    """

    def __init__(self, what: str, why: str = "", remedy: str = "") -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        super().__init__(what, why, remedy)

    def __str__(self) -> str:
        head = f"{self.what}: {self.why}" if self.why else self.what
        return f"{head}\n{self.remedy}" if self.remedy else head


class UsageError(WattbenchError):
    """The user gave a flag, name or file that cannot be used."""


class DocumentError(WattbenchError):
    """A result document cannot be read or trusted."""


class TruncatedError(DocumentError):
    """The result file ends before its JSON does."""


class NewerSchemaError(DocumentError):
    """The result file was written by a newer wattbench."""


class TamperedError(DocumentError):
    """The result file's bytes do not match the digest that it carries."""


class DeviceError(WattbenchError):
    """A device or its SDK is missing or failed."""


class OutOfMemoryError(DeviceError):
    """The device or the host has not enough memory for the load."""


class SensorError(WattbenchError):
    """A power sensor is missing, forbidden, or gave a value that cannot be true."""


class SamplingGapError(WattbenchError):
    """Two neighbouring power samples are too far apart to know the curve between them."""


class WorkerError(WattbenchError):
    """The worker process died, hung or broke its protocol."""


class StorageError(WattbenchError):
    """A result could not be written to the place asked for."""


class StoreError(WattbenchError):
    """A store of results failed, or holds what it must not."""


class MissingKeyError(StoreError):
    """Nothing is stored under the key asked for."""


class StoreAccessError(StoreError):
    """The store refuses: the credentials, the permissions, or a bucket or folder that is not there."""


class StoreUnreachableError(StoreError):
    """The store does not answer; what was asked may be tried again."""


class SignatureError(WattbenchError):
    """A signature does not hold, is for something else, or is none."""


class SignatureToolError(SignatureError):
    """What makes or checks signatures (ssh-keygen, the package cryptography) is missing here, or does not answer."""


class InterruptedRunError(WattbenchError):
    """Ctrl-C or SIGTERM ended the run before its plan was done."""
