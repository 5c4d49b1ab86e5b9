"""Keys in the command of a server of one's own, which everybody could read and the result would keep: refused."""

import re
from collections.abc import Iterator

from wattbench.results.errors import UsageError

__all__ = ["refuse_command_secrets"]

_START = r"(?:^|(?<=[\s\"'(;&|]))"
_VALUE = r"[\"']?([^\s\"']+)"

_FLAG = re.compile(rf"{_START}(--?[A-Za-z][\w.-]*)(?:=|\s+){_VALUE}")
_VARIABLE = re.compile(rf"{_START}([A-Za-z_]\w*)={_VALUE}")
_BEARER = re.compile(r"(?i)\bbearer\s+[^\s\"'$]{8,}")
_USER_IN_URL = re.compile(r"//[^/?#\s:@]*:[^/?#\s@]+@")

_KNOWN = re.compile(r"\b(?:sk-[\w-]{16,}|csk-[\w-]{16,}|gsk_\w{16,}|hf_[A-Za-z0-9]{20,}|nvapi-[\w-]{16,})")
"""How keys of OpenAI's kind, Cerebras, Groq, Hugging Face and NVIDIA begin, wherever they stand."""

_SECRET = frozenset(
    {"key", "apikey", "token", "hft", "secret", "password", "passwd", "pwd", "passphrase", "credentials"}
)
"""Last words of flags and variables whose value is a secret; a word such as "file" behind them makes it a place."""

_NUMBER = re.compile(r"\d{1,6}")

_REMEDY = (
    "Take it out and change it. Give it to the server by a variable of this shell's environment, which it inherits "
    "(VLLM_API_KEY, LLAMA_API_KEY, HF_TOKEN), or by a file, and to the requests by --key-env or --key-file."
)


def refuse_command_secrets(command: str) -> None:
    """Raise UsageError when a server's command holds a key, token or password; the message does not repeat it.

    Names of variables ($KEY, for a shell that the command starts), files and short numbers are none.
    """
    name = next(_names(command), None)
    if name is not None:
        why = f"{name}: everybody on this machine can read it in the list of processes, and the result would keep it"
        raise UsageError("--server-command holds a key", why, _REMEDY)


def _names(command: str) -> Iterator[str]:
    """Yield what holds a secret, by its flag or variable where it has one."""
    for match in (*_FLAG.finditer(command), *_VARIABLE.finditer(command)):
        name, value = match[1], match[2]
        if re.split(r"[-_.]", name.lower())[-1] in _SECRET and not _is_no_secret(value):
            yield name
    for pattern, what in ((_BEARER, "a bearer token"), (_USER_IN_URL, "a password in an address"), (_KNOWN, "a key")):
        if pattern.search(command):
            yield what


def _is_no_secret(value: str) -> bool:
    return value.startswith(("$", "-")) or _NUMBER.fullmatch(value) is not None
