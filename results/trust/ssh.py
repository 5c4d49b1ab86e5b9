"""Signing and verifying with the user's own ssh-keygen, which knows agents, passphrases and security keys."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from wattbench.results.errors import SignatureError, SignatureToolError, UsageError
from wattbench.results.trust.keys import fingerprint
from wattbench.results.trust.sshsig import NAMESPACE, parse_armoured

__all__ = ["SIGN_TIMEOUT_S", "sign_ssh", "verify_ssh"]

SIGN_TIMEOUT_S = 120.0
"""How long a person has to type a passphrase or to touch a key."""

VERIFY_TIMEOUT_S = 30.0

SELF = "signer"
"""The identity in the one-line list of allowed signers that a signature's own key is checked against."""


def sign_ssh(message: bytes, key: Path) -> str:
    """Return the armoured signature of a message by a private key's file (or a public one whose key an agent holds).

    Raises UsageError when the key cannot be used, SignatureToolError when there is no ssh-keygen.
    """
    done = _run(["-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(key)], message, SIGN_TIMEOUT_S)
    if done.returncode or b"BEGIN SSH SIGNATURE" not in done.stdout:
        why = _words(done.stderr) or "ssh-keygen gave no signature"
        remedy = "Give a private key (ssh-keygen -t ed25519 makes one), or a public one that ssh-agent holds."
        raise UsageError(f"Cannot sign with {key}", why, remedy)
    return done.stdout.decode("ascii")


def verify_ssh(message: bytes, armoured: str) -> str:
    """Return the public key (one line) whose signature of the message this is.

    That the key is anybody's in particular is for the caller to know. Raises SignatureError when the signature does
    not hold or is for another namespace, SignatureToolError when it cannot be checked here.
    """
    said = parse_armoured(armoured)
    if said.namespace != NAMESPACE:
        raise SignatureError("The signature is for something else", f"{said.namespace!r:.60}, not {NAMESPACE!r}")
    with tempfile.TemporaryDirectory(prefix="wattbench-sig-") as folder:
        signature, allowed = Path(folder, "signature"), Path(folder, "allowed")
        signature.write_text(armoured, encoding="ascii")
        allowed.write_text(f"{SELF} {said.public_key}\n", encoding="ascii")
        flags = ["-Y", "verify", "-f", str(allowed), "-I", SELF, "-n", NAMESPACE, "-s", str(signature)]
        done = _run(flags, message, VERIFY_TIMEOUT_S)
    if done.returncode:
        why = f"{_words(done.stderr) or _words(done.stdout)} ({fingerprint(said.public_key)})"
        raise SignatureError("The signature does not hold for these bytes", why)
    return said.public_key


def _run(flags: list[str], message: bytes, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        remedy = "Install OpenSSH's client (Debian: apt install openssh-client)."
        raise SignatureToolError("SSH signatures cannot be handled here", "there is no ssh-keygen", remedy)
    try:
        return subprocess.run([program, *flags], input=message, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as exc:
        raise SignatureToolError("ssh-keygen did not answer", f"not within {timeout_s:g} s", "Try again.") from exc


def _words(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())[:200]
