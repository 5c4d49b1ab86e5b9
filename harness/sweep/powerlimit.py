"""Setting a device's power limit for a while: through a guardian process that restores it whatever happens here."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from wattbench.harness.power.nvml_limit import NvmlLimit
from wattbench.results.errors import DeviceError, UsageError, WattbenchError

__all__ = ["CONSENT", "PowerLimit", "require_consent"]

CONSENT = "--i-may-change-the-power-limit"

END_TIMEOUT_S = 20.0


class PowerLimit:
    """The limit of one NVIDIA board, by UUID, until `close`; use it as a context manager.

    Raises, before anything was changed, UsageError for a wanted limit outside the board's range, and DeviceError
    without the right to set one, with the remedy.
    """

    def __init__(self, uuid: str, wanted_w: Sequence[float]) -> None:
        self._uuid = uuid
        _check_range(uuid, wanted_w)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONSTARTUP"}
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", "-m", "wattbench.harness.sweep.guardian", uuid],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            self.before_w = self._answer()
        except WattbenchError:
            self._end()
            raise

    def set_w(self, limit_w: float) -> None:
        """Set the limit, in watts. Raises DeviceError when it was not set."""
        assert self._guardian.stdin is not None
        try:
            self._guardian.stdin.write(f"{limit_w!r}\n")
            self._guardian.stdin.flush()
        except OSError as exc:
            raise DeviceError(f"The power limit of {self._uuid} cannot be set", "its guardian has gone") from exc
        found_w = self._answer()
        if abs(found_w - limit_w) > 0.001:
            why = f"{limit_w:g} W were asked for and {found_w:g} W are set"
            raise DeviceError(f"The power limit of {self._uuid} is another one", why, "Choose a limit that it takes.")

    def close(self) -> None:
        """Let the guardian restore the limit; do it here should it have failed. Raises DeviceError when neither can."""
        if self._end() == 0:
            return
        try:
            limit = NvmlLimit(self._uuid)
            limit.set_w(self.before_w)
            limit.close()
        except WattbenchError as exc:
            what = f"The power limit of {self._uuid} was not restored"
            remedy = f"Do it by hand: sudo nvidia-smi -i {self._uuid} -pl {self.before_w:g}"
            raise DeviceError(what, exc.why or exc.what, remedy) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answer(self) -> float:
        assert self._guardian.stdout is not None
        line = self._guardian.stdout.readline()
        try:
            answer = json.loads(line)
        except ValueError as exc:
            why = "it ended without an answer"
            raise DeviceError(f"The guardian of the power limit of {self._uuid} failed", why) from exc
        if "limit_w" in answer:
            return float(answer["limit_w"])
        kind = UsageError if answer["usage"] else DeviceError
        raise kind(answer["what"], answer["why"], answer["remedy"])

    def _end(self) -> int | None:
        """Close the pipe, wait for the guardian and return its exit code; None when it hangs."""
        for stream in (self._guardian.stdin, self._guardian.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            return self._guardian.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return None


def require_consent(limits_w: Sequence[float], *, consent: bool) -> None:
    """Raise UsageError for limits without the user's word, and for the word without limits."""
    if limits_w and not consent:
        why = "a power limit is a setting of the machine, which other users and programs feel"
        raise UsageError("--power-limit alone changes nothing", why, f"Add {CONSENT}.")
    if consent and not limits_w:
        raise UsageError(
            f"{CONSENT} without a limit", "--power-limit names none", "Add --power-limit, or leave it out."
        )


def _check_range(uuid: str, wanted_w: Sequence[float]) -> None:
    limit = NvmlLimit(uuid)
    try:
        wrong = next((w for w in wanted_w if not limit.low_w <= w <= limit.high_w), None)
        if wrong is not None:
            why = f"{uuid} takes {limit.low_w:g} to {limit.high_w:g} W"
            raise UsageError(f"A power limit of {wrong:g} W cannot be set", why, "Choose limits in that range.")
    finally:
        limit.close()
