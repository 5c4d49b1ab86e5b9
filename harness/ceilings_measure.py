"""Measuring the ceilings of a device: a worker for each backend that can, and the energy of what they did."""

import time
from datetime import UTC, datetime

from wattbench.backends.ceilings import last_level_cache_bytes
from wattbench.backends.contract import CeilingProber, CeilingReport, CeilingRequest, CeilingSample, DeviceLister
from wattbench.harness.ceilings_target import CPU, Target
from wattbench.harness.clock import RunClock
from wattbench.harness.environment import PACKAGES, collect_packages
from wattbench.harness.messages import MeasureCeilings
from wattbench.harness.plan import open_backend
from wattbench.harness.power.budget import own_share_rel
from wattbench.harness.power.ladder import absent_rung, primary_rung
from wattbench.harness.reporter import Reporter
from wattbench.harness.watts import PowerSession
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.ceilings import CeilingEntry, CeilingsRecord
from wattbench.results.errors import DeviceError, InterruptedRunError, UsageError, WattbenchError
from wattbench.results.measurement import Window
from wattbench.results.plugins import plugin_names

__all__ = ["entry_of", "first_line", "measure"]

TIMEOUT_S = 600.0

ENERGY_U_MAX = 0.05
"""An energy whose relative standard uncertainty on the same board is larger is not given: the sensor is too slow.

Its gain and offset do not count: no longer window would help against them."""


def measure(target: Target, power: PowerSession, clock: RunClock, reporter: Reporter) -> CeilingsRecord:
    """Return the ceilings of a device, measured now through its backend, and on a CPU through every other one.

    Each looks at the device as often as the target says, in turns, so that a slow moment of the machine does not meet
    all windows of a ceiling; every look is an entry of its own.

    Raises UsageError for a backend without micro-benchmarks, DeviceError and its kin when it fails; a failure of
    another backend is only noted.
    """
    if not isinstance(open_backend(target.backend), CeilingProber):
        what = f"The backend {target.backend!r} has no micro-benchmarks"
        raise UsageError(what, remedy="Name another --backend to measure ceilings.")
    start = time.perf_counter()
    measured_at = datetime.now(tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    asked = [(target.backend, target.device.name, target.shapes), *((*other, ()) for other in _others(target))]
    found: list[tuple[str, CeilingReport]] = []
    skipped = []
    for _ in range(target.looks):
        for backend, device, shapes in tuple(asked):
            try:
                found.append((backend, _asked(backend, _request(target, device, shapes))))
            except InterruptedRunError:
                raise
            except (WattbenchError, RuntimeError, OSError) as exc:  # RuntimeError: a bug in its worker
                if backend == target.backend:
                    raise
                asked.remove((backend, device, shapes))
                skipped.append(f"{backend}: {first_line(exc)}")
                reporter.note(f"no second opinion on the ceilings from {skipped[-1]}")
    power.wait(power.lag_s)
    covers = target.device.power_covers
    entries = tuple(entry_of(sample, power, clock, covers) for _, report in found for sample in report.samples)
    skipped += dict.fromkeys(f"{backend}: {text}" for backend, report in found for text in report.skipped)
    if not entries:
        raise DeviceError(f"No ceiling of {target.device.name} could be measured", "; ".join(skipped))
    return CeilingsRecord(
        device=target.device.name,
        device_name=target.device.description,
        measured_at=measured_at,
        duration_s=round(time.perf_counter() - start, 3),
        cached=False,
        versions=collect_packages(PACKAGES),
        cache_bytes=_cache_bytes(target),
        entries=entries,
        skipped=tuple(skipped),
    )


def entry_of(sample: CeilingSample, power: PowerSession, clock: RunClock, covers: str | None) -> CeilingEntry:
    """Return a sample as rates, with the energy of all its windows together; None with the reason without one.

    The windows follow each other without a pause, so their energy is that of the span from the first to the last. It is
    that of the one device measured, `covers`, whatever else the session reads.
    """
    window = Window(
        start_ns=sample.spans_ns[0][0] - clock.origin_ns,
        end_ns=sample.spans_ns[-1][1] - clock.origin_ns,
    )
    energies = power.energies(window, None)
    rungs = power.rungs(energies)
    own = (primary_rung(rungs, covers) or absent_rung(rungs, covers)) if rungs else None
    energy_j = own.energy_j if own else None
    reason = own.reason if own else power.unavailable_reason
    u_rel = max((own_share_rel(e.budget) for e in energies if own and e.channel in own.channels), default=0.0)
    if energy_j is not None and u_rel > ENERGY_U_MAX:
        share = f"the energy of {window.duration_s:.2g} s is known to {100 * u_rel:.0f} % only"
        energy_j, reason = None, f"{share}: the sensor is too slow or too coarse for windows so short"
    rates = zip(sample.work, sample.spans_ns, strict=True)
    return CeilingEntry(
        kind=sample.kind,
        precision=sample.precision,
        shape=sample.shape,
        unit="FLOP/s" if sample.kind == "matmul" else "By/s",
        samples=tuple(work / ((end_ns - start_ns) / 1e9) for work, (start_ns, end_ns) in rates),
        library=sample.library,
        threads=sample.threads,
        energy_per_unit_j=None if energy_j is None else energy_j / sum(sample.work),
        energy_scope=own.scope if own is not None and energy_j is not None else None,
        energy_reason=reason,
    )


def _asked(backend: str, request: CeilingRequest) -> CeilingReport:
    """Return what a fresh worker measured through a backend."""
    with WorkerClient() as worker:
        return worker.ask(MeasureCeilings(backend=backend, request=request), CeilingReport, TIMEOUT_S)


def _request(target: Target, device: str, shapes: tuple[tuple[int, int, int], ...]) -> CeilingRequest:
    return CeilingRequest(
        device=device,
        precisions=target.precisions,
        shapes=shapes,
        threads=target.threads,
        affinity=target.affinity,
        window_s=target.window_s,
        windows=target.windows,
    )


def _others(target: Target) -> list[tuple[str, str]]:
    """Return the other backends that can measure the same CPU, each with its own name for it."""
    found = []
    for name in plugin_names("wattbench.backends") if target.device.power_covers == CPU else ():
        if name == target.backend:
            continue
        try:
            backend = open_backend(name)
            devices = backend.devices() if isinstance(backend, DeviceLister) else ()
        except (WattbenchError, ImportError, OSError, RuntimeError):
            continue  # `bench doctor` says why it cannot be used
        same = [device for device in devices if device.computes and device.power_covers == CPU]
        if same and isinstance(backend, CeilingProber):
            found.append((name, same[0].name))
    return found


def _cache_bytes(target: Target) -> int | None:
    if target.device.cache_bytes is not None or target.device.power_covers != CPU:
        return target.device.cache_bytes
    return last_level_cache_bytes()


def first_line(error: Exception) -> str:
    """Return what an error says first, or its type where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
