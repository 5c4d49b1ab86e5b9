"""Who shares a result: the names of this machine and user, which are hashed, and the secret key of the hashes."""

import getpass
import hashlib
import hmac
import os
import platform
import secrets
from pathlib import Path

from wattbench.harness.storage import state_directory
from wattbench.results.durable import write_new
from wattbench.results.errors import StorageError
from wattbench.results.store.privacy import Owner
from wattbench.results.store.records import withdrawal_digest

__all__ = ["KEY_BYTES", "key_path", "promised_withdrawal", "read_owner", "withdrawal_proof"]

KEY_BYTES = 32


def key_path() -> Path:
    """Return the file of the key. Raises UsageError without a home folder."""
    return state_directory() / "privacy.key"


def read_owner() -> Owner:
    """Return the names of this machine and its user, and the key, which is made at the first use.

    Raises StorageError when the key can neither be read nor made.
    """
    host = platform.node()
    users = {name for name in (_user(), os.environ.get("SUDO_USER"), os.environ.get("USER")) if name}
    homes = {str(Path(home)) for home in (os.environ.get("HOME"), os.path.expanduser("~")) if home and home != "~"}
    return Owner(
        key=_key(key_path()),
        hosts=tuple(dict.fromkeys(name for name in (host, host.partition(".")[0]) if name)),
        users=tuple(sorted(users)),
        homes=tuple(sorted(home for home in homes if len(home) > 1)),
    )


def promised_withdrawal(result_id: str) -> str | None:
    """Return what the log entry of a document says of the proof by which its uploader can withdraw it.

    The key is made at the first use. None where it can neither be read nor made: then only a name can withdraw.
    """
    try:
        return withdrawal_digest(_proof(_key(key_path()), result_id))
    except StorageError:
        return None


def withdrawal_proof(result_id: str) -> str | None:
    """Return the proof that a document was pushed with this machine's key; None where there is no key.

    It is another one for each document: to show it gives nothing else away.
    """
    path = key_path()
    if not path.exists():
        return None
    try:
        return _proof(_key(path), result_id)
    except StorageError:
        return None


def _proof(key: bytes, result_id: str) -> str:
    return hmac.new(key, f"withdraw {result_id}".encode(), hashlib.sha256).hexdigest()


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such name, or no such thing on this system
        return None


def _key(path: Path) -> bytes:
    """Read the key, or make it; of several processes at once all get the same one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_key(path)
        key = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as exc:
        remedy = "Set WATTBENCH_STATE to a folder that you may write to, or share with --keep-identifiers."
        raise StorageError(f"Cannot keep the key of hashes in {path}", exc.strerror or str(exc), remedy) from exc
    except ValueError as exc:
        remedy = "Put its backup back, or delete it: later results are then not linked to earlier ones."
        raise StorageError(f"{path} holds no key of hashes", "it is damaged", remedy) from exc
    if len(key) != KEY_BYTES:
        remedy = "Put its backup back, or delete it: later results are then not linked to earlier ones."
        raise StorageError(f"{path} holds no key of hashes", f"it has {len(key)} bytes", remedy)
    return key


def _make_key(path: Path) -> None:
    """Write a new key beside, flush it, and link it to its name unless another process was faster."""
    part = path.with_name(f".{path.name}-{secrets.token_hex(8)}.part")
    try:
        write_new(part, f"{secrets.token_hex(KEY_BYTES)}\n".encode(), 0o600)
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
