"""Watching a device's monitoring tool while a run goes on: its lines as they come, summarised over a window."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from wattbench.harness.telemetry.neuron import MONITOR, MONITOR_CONFIG, parse_neuron_monitor
from wattbench.harness.telemetry.sample import Parse, Sample
from wattbench.harness.telemetry.tpu import METRICS, parse_tpu
from wattbench.results.telemetry import TelemetryRecord

__all__ = ["Watch", "watch_of"]

END_TIMEOUT_S = 5.0


class Watch:
    """A tool that prints a line of figures now and then, from `running` on; it is ended with everything it started.

    Without a `command` nothing runs, and `reason` says why.
    """

    def __init__(self, source: str, command: list[str], parse: Parse, reason: str | None = None) -> None:
        self._source, self._command, self._parse, self._reason = source, command, parse, reason
        self._seen: list[tuple[int, Sample]] = []
        self._reader: threading.Thread | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the tool; that it cannot be started, or ends, is what its records then say."""
        if not self._command:
            yield
            return
        with tempfile.TemporaryDirectory(prefix="wattbench-watch-") as folder:
            config = Path(folder) / "config.json"
            config.write_text(json.dumps(MONITOR_CONFIG))
            process = self._started([word.replace("{config}", str(config)) for word in self._command])
            try:
                yield
            finally:
                if process is not None:
                    _end(process)
                if self._reader is not None:
                    self._reader.join(END_TIMEOUT_S)

    def record(self, start_ns: int, end_ns: int) -> TelemetryRecord:
        """Return what was said between two instants of `time.perf_counter_ns`."""
        samples = [sample for at_ns, sample in list(self._seen) if start_ns <= at_ns <= end_ns]
        shares = [s.utilisation for s in samples if s.utilisation is not None]
        return TelemetryRecord(
            source=self._source,
            samples=len(samples),
            utilisation_mean=sum(shares) / len(shares) if shares else None,
            memory_used_max_bytes=max((s.memory_used_bytes for s in samples if s.memory_used_bytes), default=None),
            throttle_score_max=max((s.throttle_score for s in samples if s.throttle_score is not None), default=None),
            reason=None if samples else self._reason or "it gave no figure meanwhile",
        )

    def _started(self, command: list[str]) -> "subprocess.Popen[bytes] | None":
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"TPU_SKIP_MDS_QUERY": "1"},
                start_new_session=sys.platform != "win32",
            )
        except OSError as exc:
            self._reason = f"it cannot be started: {exc.strerror or exc}"
            return None
        self._reader = threading.Thread(target=self._read, args=(process,), name="telemetry", daemon=True)
        self._reader.start()
        return process

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                sample = self._parse(line)
                if sample is not None:
                    self._seen.append((time.perf_counter_ns(), sample))
        self._reason = f"it ended with code {process.wait()}"


def watch_of(device: str) -> Watch | None:
    """Return the watch for a device by its name ("tpu:0"); None where no tool of ours knows the kind."""
    match device.partition(":")[0]:
        case "neuron":
            tool = which(MONITOR)
            reason = None if tool is not None else f"{MONITOR} is not on the PATH"
            return Watch(MONITOR, [tool, "-c", "{config}"] if tool else [], parse_neuron_monitor, reason)
        case "tpu":
            command = [sys.executable, "-P", "-m", "wattbench.harness.telemetry.tpu_child", *METRICS]
            missing = find_spec("libtpu") is None
            reason = "libtpu is not installed" if missing else None
            return Watch("libtpu's tpumonitoring", [] if missing else command, parse_tpu, reason)
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_TIMEOUT_S)
