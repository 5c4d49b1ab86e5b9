"""Asking an SDK what it has, in a process of its own: one that aborts, hangs or prints costs no more than an answer."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from wattbench.results.codec import to_builtins
from wattbench.results.errors import DeviceError

__all__ = ["answer", "ask"]

TIMEOUT_S = 5.0
"""How long an SDK may take to be loaded and to name its devices."""

LAST_WORDS = 300


def ask(module: str, what: str, *arguments: str, timeout_s: float = TIMEOUT_S) -> object:
    """Return what `python -m module` answers by `answer`, as JSON gives it.

    Raises DeviceError that says of `what` why there is no answer, with the process's last words.
    """
    with tempfile.TemporaryDirectory(prefix="wattbench-ask-", ignore_cleanup_errors=True) as folder:
        found, said = Path(folder) / "answer", Path(folder) / "said"
        command = [sys.executable, "-P", "-m", module, str(found), *arguments]
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise DeviceError(f"{what} gives no answer", f"none within {timeout_s:g} s") from None
        finally:
            _end(process)
        try:
            return json.loads(found.read_bytes())
        except (OSError, ValueError):
            text = " ".join(said.read_text(errors="replace").split())[-LAST_WORDS:]
            why = f"its process ended with {code}{f': {text}' if text else ''}"
            raise DeviceError(f"{what} cannot be loaded", why) from None


def answer(value: object) -> None:
    """Leave a value for the process that asks; whatever was printed is not the answer."""
    Path(sys.argv[1]).write_text(json.dumps(to_builtins(value)))


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started."""
    try:
        os.killpg(process.pid, 9)
    except (OSError, AttributeError):
        process.kill()
    process.wait()
