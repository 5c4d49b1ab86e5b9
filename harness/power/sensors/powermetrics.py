"""The powermetrics sampler: power of Apple's chips as macOS estimates it, from the plist stream of its own tool."""

import contextlib
import plistlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO, Any
from xml.parsers.expat import ExpatError

from wattbench.harness.power.contract import Availability, ChannelRecord, Reading, SamplerOptions
from wattbench.results.errors import SensorError

__all__ = ["PowermetricsSampler"]

_PERIOD_S = 0.2

_COMMAND = ("powermetrics", "--samplers", "cpu_power,gpu_power,ane_power", "-i", "200", "-f", "plist")

_FIRST_LIMIT_S = 10.0
"""The tool takes a second or two to start; beyond this it hangs (our choice)."""

_STALE_S = 5 * _PERIOD_S
"""A sample older than this is no view of now (our choice: five periods)."""

_PARTS = {"combined_power": "soc", "cpu_power": "cpu", "gpu_power": "gpu", "ane_power": "ane"}
"""Keys of a sample's `processor`, in mW, and our names; the first is the sum of the others."""

_BASIS = "macOS estimates the power of Apple's chips by a model and states no accuracy; its manual warns of comparisons"

_REMEDY = "powermetrics needs root: run `sudo bench run ...`, or pip install 'wattbench[apple]' (no root needed)."


class PowermetricsSampler:
    """Starts `powermetrics` and gives the newest sample: the means of the last 200 ms.

    The whole chip (CPU, GPU, neural engine; memory is not in it) is a package; its parts get the scope "other".
    """

    name = "powermetrics"

    def __init__(
        self,
        options: SamplerOptions,
        *,
        command: Sequence[str] = _COMMAND,
        first_limit_s: float = _FIRST_LIMIT_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = tuple(command)
        self._first_limit_s = first_limit_s
        self._now_s = now_s
        self._stream: _Stream | None = None
        self.channels: tuple[ChannelRecord, ...] = ()

    def probe(self) -> Availability:
        """Start the tool and wait for its first sample; its own words say why there is none."""
        self.close()
        if shutil.which(self._command[0]) is None:
            reason = f"{self._command[0]} is not here: it is a part of macOS"
            return Availability(state="absent", reason=reason, remedy="Nothing to do on another system.")
        try:
            self._stream = _Stream(self._command, self._now_s)
            powers = self._stream.first(self._first_limit_s)
        except SensorError as exc:
            self.close()
            remedy = _REMEDY if "superuser" in exc.why else "Try it by hand: sudo powermetrics -n 1"
            return Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=remedy)
        self.channels = tuple(_channel(key) for key in _PARTS if key in powers)
        if not self.channels:
            self.close()
            reason = "powermetrics shows no power of this machine (it does so on Apple's own chips)"
            return Availability(state="absent", reason=reason, remedy="On an Intel Mac there is no sensor of ours.")
        names = ", ".join(f"{_PARTS[key]} {watts:.2f} W" for key, watts in powers.items())
        return Availability(state="present", reason=names)

    def read(self) -> tuple[Reading, ...]:
        """Return the newest sample's powers, in watts. Raises SensorError when the tool ended or gives no more."""
        if self._stream is None:
            raise SensorError("Cannot read powermetrics", "it is closed")
        powers = self._stream.newest()
        found = {f"powermetrics:{_PARTS[key]}": watts for key, watts in powers.items()}
        return tuple(_reading(channel.id, found.get(channel.id)) for channel in self.channels)

    def close(self) -> None:
        """End the tool."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class _Stream:
    """The running tool: a thread keeps its newest sample."""

    def __init__(self, command: Sequence[str], now_s: Callable[[], float]) -> None:
        """Start the tool. Raises SensorError when it cannot be started."""
        self._now_s = now_s
        self._lock = threading.Lock()
        self._arrived = threading.Event()
        self._powers: dict[str, float] | None = None
        self._at_s = 0.0
        self._fault = ""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the run in good order, with the tool still giving samples
            )
        except OSError as exc:
            raise SensorError(f"Cannot start {command[0]}", exc.strerror or str(exc)) from exc
        assert self._process.stdout is not None
        self._thread = threading.Thread(target=self._follow, args=(self._process.stdout,), daemon=True)
        self._thread.start()

    def first(self, limit_s: float) -> dict[str, float]:
        """Return the first sample's powers by key, in watts. Raises SensorError when none comes in time."""
        if not self._arrived.wait(limit_s):
            raise SensorError("powermetrics gives no sample", f"none within {limit_s:g} s")
        return self.newest()

    def newest(self) -> dict[str, float]:
        """Return the newest sample's powers by key, in watts. Raises SensorError when there is none, or an old one."""
        with self._lock:
            powers, age_s, fault = self._powers, self._now_s() - self._at_s, self._fault
        if powers is None or fault:
            raise SensorError("powermetrics gives no sample", fault or "it has not begun")
        if age_s > _STALE_S:
            raise SensorError("powermetrics gives no sample", f"the last one is {age_s:.1f} s old")
        return powers

    def close(self) -> None:
        """End the tool and its thread."""
        self._process.terminate()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(2.0)
        if self._process.stdout is not None:
            with contextlib.suppress(OSError):
                self._process.stdout.close()

    def _follow(self, stream: IO[bytes]) -> None:
        """Read the stream to its end: each sample is a plist, and a NUL byte stands between two."""
        waiting = b""
        while chunk := stream.read1(65536):  # type: ignore[attr-defined]  # a pipe's buffered reader has it
            *whole, waiting = (waiting + chunk).split(b"\x00")
            if waiting.rstrip().endswith(b"</plist>"):
                whole, waiting = [*whole, waiting], b""
            for text in whole:
                self._take(text)
        last = waiting.decode("utf-8", errors="replace").strip().splitlines()
        with self._lock:
            self._fault = self._fault or (last[-1] if last else "it ended")
        self._arrived.set()

    def _take(self, text: bytes) -> None:
        try:
            powers = _powers(plistlib.loads(text.strip()))
        except (ExpatError, ValueError, TypeError, AttributeError, KeyError):
            return  # a notice between samples; the age of the newest one tells when nothing else comes
        with self._lock:
            self._powers, self._at_s = powers, self._now_s()
        self._arrived.set()


def _powers(sample: dict[str, Any]) -> dict[str, float]:  # any: a plist holds any type
    """Return what a sample says of its chip, in watts by key; a key without a number is left out."""
    processor = sample["processor"]
    known = {key: processor.get(key) for key in _PARTS}
    return {
        key: value / 1000  # mW
        for key, value in known.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _reading(channel: str, watts: float | None) -> Reading:
    error = None if watts is not None else "powermetrics left it out of the sample"
    return Reading(channel=channel, value=watts, error=error)


def _channel(key: str) -> ChannelRecord:
    name = f"powermetrics:{_PARTS[key]}"
    return ChannelRecord(
        id=name,
        sampler="powermetrics",
        group=name,
        scope="package" if key == "combined_power" else "other",
        kind="power",
        provenance="measured",
        unit="W",
        covers="soc",
        resolution=0.001,
        update_period_s=_PERIOD_S,
        averaging_window_s=_PERIOD_S,
        lag_s=_PERIOD_S,  # the middle of the shown period lies half a period to one and a half back
        seen_share=1.0,
        wraps_at_j=None,
        limit_w=None,
        accuracy_rel=None,
        accuracy_basis=_BASIS,
    )
