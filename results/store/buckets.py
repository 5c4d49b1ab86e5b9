"""The addresses of stores behind S3, Google Cloud Storage and Azure: s3://, gs:// and az:// BUCKET[/PREFIX]."""

import ipaddress
import os
import re
from urllib.parse import urlsplit

from wattbench.results.errors import UsageError
from wattbench.results.store.contract import ObjectStore

__all__ = ["open_az", "open_gs", "open_s3"]

ADDRESS = re.compile(r"[a-z0-9]+://([a-z0-9][a-z0-9._-]{1,220})((?:/[A-Za-z0-9][A-Za-z0-9._-]*)*)/?")

ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""The variables that name a service other than the vendor's own; the first that is set counts."""


def open_s3(uri: str) -> ObjectStore:
    """Return the store of s3://BUCKET[/PREFIX]: S3, or what speaks its language at AWS_ENDPOINT_URL."""
    return _opened("s3", uri)


def open_gs(uri: str) -> ObjectStore:
    """Return the store of gs://BUCKET[/PREFIX]: Google Cloud Storage."""
    return _opened("gs", uri)


def open_az(uri: str) -> ObjectStore:
    """Return the store of az://CONTAINER[/PREFIX]: Azure Blob Storage of the account AZURE_STORAGE_ACCOUNT_NAME."""
    return _opened("az", uri)


def _opened(scheme: str, uri: str) -> ObjectStore:
    match = ADDRESS.fullmatch(uri)
    if match is None:  # what was given may hold a secret, so it is not repeated
        why = f"it should be {scheme}://BUCKET or {scheme}://BUCKET/PREFIX, of letters, digits, dots, - and _"
        remedy = "Credentials belong into the environment (docs/store.md#credentials)."
        raise UsageError(f"This is no address of a {scheme} store", why, remedy)
    endpoint = next((os.environ[name] for name in ENDPOINTS[scheme] if os.environ.get(name)), None)
    try:
        from wattbench.results.store.remote import connect
    except ImportError as exc:
        raise UsageError(f"A {scheme} store needs obstore", str(exc), "pip install 'wattbench[store]'") from exc
    prefix = match[2].strip("/") or None
    return connect(scheme, match[1], prefix, endpoint, plain=_is_plain(scheme, endpoint))


def _is_plain(scheme: str, endpoint: str | None) -> bool:
    """Say whether an endpoint is reached without TLS, which only loopback may be. Raises UsageError."""
    if endpoint is None:
        return False
    variable = next(name for name in ENDPOINTS[scheme] if os.environ.get(name))
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UsageError(f"{variable} is no address of a service", "", "Give https://HOST[:PORT], without credentials.")
    if parts.scheme == "https":
        return False
    if not _is_loopback(parts.hostname):
        why = "without TLS anybody on the way could read and change what is sent; only loopback may be without"
        raise UsageError(f"{variable} starts with http://", why, "Give the https:// address.")
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
