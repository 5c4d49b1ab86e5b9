"""A run whose server is killed in the middle of its second window, and what its file must hold all the same."""

import contextlib
import threading
import time
from collections import Counter
from pathlib import Path

from inference_servers import Running

import wattbench
from wattbench.results.document import Result
from wattbench.results.errors import DeviceError, WattbenchError
from wattbench.results.files import read_result

__all__ = ["assert_partial", "run_and_kill"]

WINDOW_S, KILL_AFTER_S = 4.0, 2.5
"""The second window begins 1.3 s after the first is written: the seed's pause and the lead-in."""


def run_and_kill(server: Running, folder: Path, *, model: str | None = None, api: str = "chat") -> Result:
    """Return the file of a run of three windows whose server is gone in the second one, with all that it started."""
    out, over = folder / "killed.json", threading.Event()
    answer = {"output_tokens": 8} if api == "chat" else {}
    traffic = {"endpoint": server.url, "model": model, "api": api, "concurrency": 2, "input_tokens": 32, **answer}

    def kill() -> None:
        while not over.is_set() and _windows(out) < 1:
            time.sleep(0.05)
        if not over.wait(KILL_AFTER_S):
            server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with contextlib.suppress(DeviceError):
            wattbench.run(
                traffic=traffic,
                out=out,
                window_s=WINDOW_S,
                repeats=3,
                warmup_min_s=0.2,
                warmup_max_s=0.5,
                idle_s=0.0,
                power="none",
            )
    finally:
        over.set()
        killer.join()
    return read_result(out)


def assert_partial(result: Result) -> None:
    """Assert that the first window is whole, the second has all its rows by kind, and the end has a reason."""
    assert result.error is not None
    assert ("error", "DeviceError") == (result.status, result.error.kind)
    assert "cannot be reached" in result.error.what
    whole, cut = (Counter(r.traffic.calls.error_kind) for r in result.repeats if r.traffic is not None)
    assert {None} == set(whole)
    assert {None, "truncated", "unreachable"} >= set(cut) > {None}
    assert 0 < cut[None] < whole[None]
    assert cut["truncated"] <= 2, "no more than were in progress"
    assert result.summary is not None
    assert cut.total() - cut[None] == result.summary.failed_requests
    assert "failed_requests" in {doubt.code for doubt in result.doubts}


def _windows(path: Path) -> int:
    try:
        return len(read_result(path).repeats)
    except (OSError, WattbenchError):
        return 0
