"""The candidates for a load: every backend, device, precision and tuning level that a request leaves open."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from wattbench.backends.contract import Backend, DeviceInfo, DeviceLister
from wattbench.harness.plan import DEFAULT_BACKEND, DEFAULT_LOAD, Resolved, device_of, levels_of, open_backend, resolve
from wattbench.harness.request import RunRequest
from wattbench.harness.traffic_request import implied_load
from wattbench.models.find import find_load
from wattbench.results.errors import DeviceError, OutOfMemoryError, UsageError, WattbenchError
from wattbench.results.plugins import plugin_names

__all__ = ["Candidates", "candidates"]

AUTO = "auto"
FASTEST = "fastest"
"""`--precision fastest`: every precision that load and device declare may win, by the speed that passes the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The plans that a request allows, and in words what was ruled out and why.

    Those of the default backend come first, which the others must beat; of a backend the cheapest to prepare.
    """

    resolved: tuple[Resolved, ...]
    refused: tuple[str, ...]


def candidates(request: RunRequest) -> Candidates:
    """Return every plan that a request leaves open.

    `--backend auto` opens all usable backends, on their best device and what else draws from the same power;
    `--precision fastest` opens the precisions, `--tuning auto` (the default) the levels. Raises the error of the first
    combination when none is possible.
    """
    found: list[Resolved] = []
    refused: list[str] = []
    first_error: WattbenchError | None = None
    for point in _points(request):
        try:
            found += _levels(point)
        except (UsageError, DeviceError, OutOfMemoryError) as exc:
            first_error = first_error or exc
            refused.append(f"{exc.what}: {exc.why}" if exc.why else exc.what)
    if not found and first_error is None and request.device not in (None, AUTO):
        what, why = f"No backend can use the device {request.device!r} here", "none of the usable ones has it"
        raise DeviceError(what, why, "`bench doctor` lists the devices of each, and says why one is missing.")
    if not found:
        raise first_error or DeviceError("No backend can be used here", "all were ruled out", "Try `bench doctor`.")
    return Candidates(resolved=tuple(found), refused=tuple(refused))


def _levels(point: RunRequest) -> list[Resolved]:
    """Return the plan of a request, once for each level that it leaves open."""
    base = resolve(point)
    if point.tuning not in (None, AUTO):
        return [base]
    levels = levels_of(open_backend(base.plan.backend), base.load, base.device, base.plan.precision)
    levels = tuple(level for level in levels if level.continuous == (point.slots is not None))
    return [replace(base, plan=replace(base.plan, tuning=level.name)) for level in levels]


def _points(request: RunRequest) -> Iterator[RunRequest]:
    """Yield the request with backend, device and precision filled in, as far as it leaves them open."""
    if request.backend != AUTO:
        yield from _precisions(request)
        return
    for name in sorted(plugin_names("wattbench.backends"), key=lambda name: name != DEFAULT_BACKEND):
        for device in _devices(name, request.device):
            yield from _precisions(replace(request, backend=name, device=device.name))


def _devices(name: str, wanted: str | None) -> list[DeviceInfo]:
    """Return a backend's devices that `--backend auto` may use; none when it is not usable or computes nothing.

    A type alone ("cuda") means its first, as for a backend that is named.
    """
    try:
        backend: Backend = open_backend(name)
        infos = backend.devices() if isinstance(backend, DeviceLister) else ()
    except WattbenchError:
        return []
    real = [info for info in infos if info.computes]
    if wanted not in (None, AUTO):
        exact_first = sorted(real, key=lambda info: info.name != wanted)
        return [info for info in exact_first if wanted in (info.name, info.name.partition(":")[0])][:1]
    return [info for info in real if info.power_covers == real[0].power_covers]


def _precisions(request: RunRequest) -> Iterator[RunRequest]:
    if request.precision != FASTEST:
        yield request
        return
    device = device_of(open_backend(request.backend or DEFAULT_BACKEND), request.device)
    for precision in find_load(implied_load(request, DEFAULT_LOAD)).model.precisions:
        if precision in device.precisions:
            yield replace(request, precision=precision)
