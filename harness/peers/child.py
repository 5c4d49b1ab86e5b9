"""One other power tool at work, in a process and possibly a Python of its own, where wattbench need not be installed.

Started as `python child.py PEER COVERS` by any Python from 3.10 on. It says on its standard output, in one line of
JSON, what the tool counts or why it cannot; then it asks the tool at fixed deadlines. Each line that comes in is
answered with the rows since the last one: before and after the question (ns, the machine's monotonic clock), and J of
each part. It ends with its input.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["main"]

Part = dict[str, Any]  # any: text and one boolean
Joules = list[float | None]
Opened = tuple[list[Part], float, Callable[[], Joules]]
J_PER_KWH = 3.6e6


def main() -> None:
    """Open the peer that the first argument names and serve its figures until the input ends."""
    name, covers = sys.argv[1], sys.argv[2] or None
    sys.path[:] = [p for p in sys.path if p and os.path.realpath(p) != os.path.dirname(os.path.realpath(__file__))]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    if importlib.util.find_spec(name) is None:
        answers.write(json.dumps({"error": "missing"}) + "\n")
        return
    try:
        parts, period_s, ask = PEERS[name](covers)
    except Exception as exc:  # noqa: BLE001 - whatever a foreign tool raises is the reason why it cannot be used
        answers.write(json.dumps({"error": f"{type(exc).__name__}: {exc}"}) + "\n")
        return
    answers.write(json.dumps({"version": version_of(name), "period_s": period_s, "parts": parts}) + "\n")
    rows: list[tuple[int, int, Joules]] = []
    lock = threading.Lock()
    threading.Thread(target=poll, args=(ask, period_s, rows, lock), daemon=True).start()
    for _ in sys.stdin:
        with lock:
            answers.write(json.dumps({"rows": rows}) + "\n")
            rows.clear()
    os._exit(0)  # some tools leave threads behind that would keep this process


def version_of(name: str) -> str:
    """Return the peer's version; Zeus was once distributed as zeus-ml."""
    for distribution in (name, f"{name}-ml"):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return "unknown"


def poll(ask: Callable[[], Joules], period_s: float, rows: list[tuple[int, int, Joules]], lock: threading.Lock) -> None:
    """Ask for ever, at absolute deadlines; a question that fails leaves no row."""
    start, n = time.perf_counter(), 0
    while True:
        time.sleep(max(start + n * period_s - time.perf_counter(), 0.0))
        before_ns = time.perf_counter_ns()
        try:
            joules = ask()
        except Exception as exc:  # noqa: BLE001 - the tool failed this time; the gap shows in its rows
            sys.stderr.write(f"{type(exc).__name__}: {exc}\n")
        else:
            with lock:
                rows.append((before_ns, time.perf_counter_ns(), joules))
        n = max(n + 1, int((time.perf_counter() - start) / period_s) + 1)


def open_zeus(covers: str | None) -> Opened:
    """Return what Zeus counts: boards by NVML's counter, CPU packages by RAPL; only the board that is asked for."""
    parts: list[Part] = []
    asks: list[Callable[[], float | None]] = []
    _add_zeus_gpus(parts, asks, covers)
    _add_zeus_cpus(parts, asks)
    if not parts:
        raise LookupError("Zeus sees neither a GPU with an energy counter nor RAPL here")
    return parts, 0.1, lambda: [ask() for ask in asks]


def _add_zeus_gpus(parts: list[Part], asks: list[Callable[[], float | None]], covers: str | None) -> None:
    from zeus.device import get_gpus  # pyright: ignore[reportMissingImports] (an environment of its own has it)
    from zeus.device.gpu import ZeusGPUInitError  # pyright: ignore[reportMissingImports]

    try:
        gpus = get_gpus()
    except ZeusGPUInitError:
        return
    method = "zeus.device get_total_energy_consumption"
    for index in range(len(gpus)):
        uuid = _uuid(index)
        if (covers is None or covers.startswith("cpu") or _same(uuid, covers)) and _counts(gpus, index):
            parts.append(
                {"name": f"gpu {uuid}", "scope": "board", "covers": uuid, "estimated": False, "method": method}
            )
            asks.append(lambda index=index: gpus.get_total_energy_consumption(index) / 1000)  # type: ignore[misc]  # mJ


def _counts(gpus: Any, index: int) -> bool:  # any: Zeus has no types here
    return bool(gpus.supports_get_total_energy_consumption(index))


def _add_zeus_cpus(parts: list[Part], asks: list[Callable[[], float | None]]) -> None:
    from zeus.device import get_cpus  # pyright: ignore[reportMissingImports]
    from zeus.device.cpu import ZeusCPUInitError  # pyright: ignore[reportMissingImports]

    try:
        cpus = get_cpus()
    except (ZeusCPUInitError, OSError):  # no RAPL, or no permission
        return
    for index in range(len(cpus)):
        kinds = [("package", "cpu_mj")]
        kinds += [("dram", "dram_mj")] if cpus.supports_get_dram_energy_consumption(index) else []
        for scope, field in kinds:
            name, covers = f"{scope} {index}", f"cpu:{index}"
            parts.append({"name": name, "scope": scope, "covers": covers, "estimated": False, "method": "RAPL"})
            asks.append(
                lambda index=index, field=field: getattr(cpus.get_total_energy_consumption(index), field) / 1000  # type: ignore[misc]
            )


def _uuid(index: int) -> str:
    """Return the UUID of the board that NVML lists at an index, as Zeus does while no variable reorders them."""
    import pynvml

    uuid = pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index))
    return uuid.decode() if isinstance(uuid, bytes) else str(uuid)


def _index(covers: str) -> int:
    """Return the index at which NVML lists a board. Raises LookupError when it lists no such board."""
    import pynvml

    pynvml.nvmlInit()
    for index in range(pynvml.nvmlDeviceGetCount()):
        if _same(_uuid(index), covers):
            return index
    raise LookupError(f"NVML lists no board {covers}")


def _same(uuid: str, covers: str) -> bool:
    """Return whether a board is one of those under test, "GPU-a+GPU-b"."""
    return uuid.lower().removeprefix("gpu-") in [one.lower().removeprefix("gpu-") for one in covers.split("+")]


class Totals(logging.Handler):
    """Keeps the last totals that CodeCarbon's logger output wrote, in kWh."""

    def __init__(self) -> None:
        super().__init__()
        self.last: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of totals."""
        self.last = json.loads(record.getMessage())


def open_codecarbon(covers: str | None) -> Opened:
    """Return what CodeCarbon counts, asked once a second; what it models instead of measuring is named estimated."""
    from codecarbon import OfflineEmissionsTracker  # pyright: ignore[reportMissingImports] (as Zeus)
    from codecarbon.output import LoggerOutput  # pyright: ignore[reportMissingImports]

    logger, totals = logging.Logger("wattbench.codecarbon"), Totals()
    logger.addHandler(totals)
    gpu = covers if covers is not None and not covers.startswith("cpu") else None
    tracker = OfflineEmissionsTracker(
        country_iso_code="FRA",  # only its kWh are used
        measure_power_secs=86400,  # it measures when it is asked, below
        save_to_file=False,
        save_to_api=False,
        save_to_logger=True,
        logging_logger=LoggerOutput(logger),
        log_level="critical",
        allow_multiple_runs=True,
        **({"gpu_ids": [_index(one) for one in gpu.split("+")]} if gpu else {}),  # 3.3.2 finds no board by UUID: 0 J
    )
    tracker.start()
    tracker.flush()
    kinds = {type(h).__name__: h for h in getattr(tracker, "_hardware", ())}
    parts = [part for kind, h in kinds.items() if (part := _codecarbon_part(kind, h, gpu)) is not None]
    fields = [part.pop("field") for part in parts]

    def ask() -> Joules:
        tracker.flush()
        return [totals.last[field] * J_PER_KWH for field in fields]

    return parts, 1.0, ask


def _codecarbon_part(kind: str, hardware: Any, gpu: str | None) -> Part | None:  # any: CodeCarbon has no types here
    """Return what one of CodeCarbon's hardware classes stands for; its documents have no field for how it knows."""
    if kind == "GPU":
        method = "energy counter of the driver"
        name, scope, covers, estimated = "gpu", "board", gpu, False
    elif kind == "CPU":
        method = str(getattr(hardware, "_mode", "unknown"))
        name, scope, covers, estimated = "cpu", "package", "cpu", method not in ("intel_rapl", "windows_emi")
    elif kind == "RAM":
        name, scope, covers, estimated, method = "ram", "dram", "cpu", True, "watts by memory size"
    else:
        return None
    return {
        "name": name,
        "scope": scope,
        "covers": covers,
        "estimated": estimated,
        "method": method,
        "field": f"{name}_energy",
    }


PEERS: dict[str, Callable[[str | None], Opened]] = {"codecarbon": open_codecarbon, "zeus": open_zeus}

if __name__ == "__main__":
    main()
