"""Turning what a user asks into a plan: names checked, contradictions refused, defaults filled in, memory counted."""

from dataclasses import dataclass
from typing import get_args

from wattbench.backends.contract import EAGER, Backend, DeviceInfo, DeviceLister, DeviceProber, Level, Sharer, Tunable
from wattbench.harness.endpoint_ready import refuse_unusable
from wattbench.harness.knobs import check_knobs, check_weights, known_processors
from wattbench.harness.memory import refuse_if_too_big
from wattbench.harness.peers.client import PEERS
from wattbench.harness.power.declared import declared_source, is_declared
from wattbench.harness.request import RunRequest
from wattbench.harness.storage import cache_directory
from wattbench.harness.traffic_request import (
    ENDPOINT,
    endpoint_plan,
    implied_load,
    implied_scenario,
    refuse_other_answers,
    serves_here,
    traffic_plan,
)
from wattbench.models.find import find_load
from wattbench.models.load import Load
from wattbench.models.served import AS_SERVED, SERVED
from wattbench.models.work import memory_needed_bytes
from wattbench.results.covers import covers_of, is_elsewhere
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.errors import DeviceError, UsageError
from wattbench.results.plan import Plan, Scenario
from wattbench.results.plugins import load_plugin, nearest_lines

__all__ = ["DEFAULT_BACKEND", "DEFAULT_LOAD", "Resolved", "device_of", "levels_of", "open_backend", "resolve"]

DEFAULT_LOAD = "smollm2-135m/chat"
"""The load of a bare `bench run`: a real decoder that any machine with 1 GB of free memory can run."""

DEFAULT_BACKEND = "torch"

ENCODER_BATCH = 8
"""An encoder's default batch offline: weights are read once for eight requests; larger ones are the user's to try."""

SLOT_TURNS = 4
"""A batch passes through the slots so many times by default: filling and emptying them is a small part of it."""

CEILINGS = ("auto", "fresh", "none")

SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time knobs of a protocol, in seconds, and its repeats."""

    window_s: float
    repeats_min: int
    repeats_max: int
    warmup_min_s: float
    warmup_max_s: float
    idle_s: float


FULL = Timing(window_s=60.0, repeats_min=5, repeats_max=10, warmup_min_s=30.0, warmup_max_s=180.0, idle_s=30.0)
"""The protocol's own times: design section 6 (windows >= 60 s, n >= 5, 30 s of idle before and after)."""

QUICK = Timing(window_s=6.0, repeats_min=3, repeats_max=3, warmup_min_s=4.0, warmup_max_s=15.0, idle_s=3.0)
"""The times of `--quick`: about a minute in all, too short for a valid verdict, which says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A plan with the load that it names and the device that it will use; `ranks` are those that share the load."""

    plan: Plan
    load: Load
    device: DeviceInfo
    ranks: tuple[DeviceInfo, ...] = ()

    @property
    def covers(self) -> str | None:
        """Return what power channels must cover to see every device that is used; None when one is unknown."""
        return covers_of(info.power_covers for info in self.ranks or (self.device,))

    def needed_bytes(self, batch: int) -> int:
        """Return what the load needs of `device`'s memory at a batch, which all ranks on it share; an endpoint: 0."""
        if self.plan.endpoint is not None:
            return 0
        ranks = self.ranks or (self.device,)
        needed = memory_needed_bytes(self.load, batch, self.plan.precision, len(ranks))
        return needed * ranks.count(self.device)


def resolve(request: RunRequest) -> Resolved:
    """Return the plan that a request stands for, with nothing started and no device touched.

    Raises UsageError for wrong knobs, DeviceError without a usable device, and OutOfMemoryError with both figures.
    """
    check_knobs(request)
    load = find_load(implied_load(request, DEFAULT_LOAD))
    scenario, timing = _scenario(request), _timing(request)
    traffic, endpoint = traffic_plan(request, scenario, load.shape, timing.window_s), endpoint_plan(request)
    backend = open_backend(_backend_name(request, load))
    device = device_of(backend, request.device)
    ranks = _ranks(backend, load, device, request)
    precision, batch = _precision(load, device, request.precision), _batch(request, scenario, load)
    level, power = _level(backend, load, device, precision, request), _power(request, endpoint, device)
    plan = Plan(
        load=load.name,
        backend=backend.name,
        device=device.name,
        precision=precision,
        scenario=scenario,
        batch=batch,
        weights=_weights(request) if endpoint is None else AS_SERVED,
        seed=request.seed or 0,
        threads=_threads(request),
        affinity=tuple(dict.fromkeys(request.affinity)) if request.affinity is not None else None,
        quick=bool(request.quick),
        window_s=timing.window_s,
        repeats_min=timing.repeats_min,
        repeats_max=timing.repeats_max,
        warmup_min_s=timing.warmup_min_s,
        warmup_max_s=timing.warmup_max_s,
        idle_s=0.0 if any(map(is_declared, power)) else timing.idle_s,
        jitter_max_s=1.0,
        interval_goal_throughput=0.01,
        interval_goal_energy=0.02,
        power=power,
        power_rate_hz=_or_default(request.power_rate_hz, 20.0),
        tuning=level.name,
        allow_fallback=bool(request.allow_fallback),
        ceilings=_ceilings(request.ceilings or "auto") if endpoint is None else "none",
        cross_check=_peers(request),
        cross_check_python=request.cross_check_python if request.cross_check else None,
        slots=min(batch, request.slots or max(1, batch // SLOT_TURNS)) if level.continuous else None,
        tensor_parallel=max(1, len(ranks)),
        devices=tuple(info.name for info in ranks),
        traffic=traffic,
        endpoint=endpoint,
    )
    _refuse_early(load, plan, ranks or (device,))
    return Resolved(plan=plan, load=load, device=device, ranks=ranks)


def _backend_name(request: RunRequest, load: Load) -> str:
    """Return the backend that a request names; an endpoint's address alone names its own."""
    if request.endpoint is not None:
        if request.backend not in (None, ENDPOINT):
            why = f"{request.backend} computes in this process"
            raise UsageError("--endpoint contradicts --backend", why, "Drop one of the two.")
        return ENDPOINT
    if load.model.name == SERVED:
        raise UsageError(f"The load {load.name!r} needs an endpoint", "its model is a server's", "Give --endpoint URL.")
    return request.backend or DEFAULT_BACKEND


def _power(request: RunRequest, endpoint: EndpointPlan | None, device: DeviceInfo) -> tuple[str, ...]:
    """Return what `--power` asks for; declared watts stand alone and have a source. They need no idle windows.

    Sensors of this machine see nothing of a server on another one, nor of a phone.
    """
    watts, source = request.declared_watts, request.source
    if watts is None:
        if source is not None:
            raise UsageError("--source says nothing", "no watts are declared", "Give --declared-watts W too.")
        away = is_elsewhere(device.power_covers)
        if away and "auto" in (request.power or ()):
            why = f"{device.name} is no part of this machine"
            raise UsageError("--power auto reads this machine's sensors", why, "Use --power android, or drop --power.")
        here = endpoint is None or serves_here(endpoint)
        return request.power or ("auto" if here and not away else "none",)
    if source is None:
        why = "nobody could tell where the watts come from"
        raise UsageError("--declared-watts needs a source", why, "Give --source TEXT, such as 'data sheet, page 3'.")
    if request.power is not None:
        why = f"{', '.join(request.power)} would stand beside a declaration"
        raise UsageError("--declared-watts contradicts --power", why, "Drop one of the two.")
    return (declared_source(watts, source),)


def _weights(request: RunRequest) -> str:
    weights = request.weights or "synthetic"
    check_weights(weights)
    return weights


def _ranks(backend: Backend, load: Load, device: DeviceInfo, request: RunRequest) -> tuple[DeviceInfo, ...]:
    """Return the device of each rank that `--tensor-parallel` asks for; none for one rank."""
    ranks, flag = request.tensor_parallel or 1, f"--tensor-parallel {request.tensor_parallel}"
    if ranks == 1:
        return ()
    if request.slots is not None:
        why = "continuous batching runs on one device here"
        raise UsageError(f"{flag} contradicts --slots", why, "Drop one of the two.")
    if not isinstance(backend, Sharer):
        raise UsageError(f"{backend.name} has no {flag}", "it uses one device for a load", "Drop --tensor-parallel.")
    found = backend.rank_devices(load, device.name, ranks)
    if device.power_covers == "cpu":
        _refuse_crowd(ranks, request)
    return found


def _refuse_crowd(ranks: int, request: RunRequest) -> None:
    """Refuse more ranks on a CPU than there are processors or threads for: they would wait for each other by turns."""
    processors = len(set(request.affinity)) if request.affinity is not None else len(known_processors())
    threads = processors if request.threads is None else request.threads
    if ranks > min(processors, threads):
        what = f"--tensor-parallel {ranks} asks for more ranks than the CPU has room for"
        why = f"there are {processors} processors and {threads} threads, and each rank needs one of its own"
        raise UsageError(what, why, f"Choose --tensor-parallel {min(processors, threads)} or less, or drop it.")


def _refuse_early(load: Load, plan: Plan, devices: tuple[DeviceInfo, ...]) -> None:
    """Refuse what would end the run later: an endpoint without its key or files, no place for a file, no memory."""
    if plan.endpoint is not None:
        refuse_other_answers(load, plan.endpoint)
        refuse_unusable(plan.endpoint)
        return
    if devices[0].computes:
        cache_directory()
    refuse_if_too_big(load, plan.slots or plan.batch, plan.precision, devices)


def open_backend(name: str) -> Backend:
    """Return the backend of that name, probed.

    Raises UsageError for an unknown name and DeviceError with the remedy when it is not usable here.
    """
    backend: Backend = load_plugin("wattbench.backends", name, "backend")()
    availability = backend.probe()
    if not availability.usable:
        raise DeviceError(f"The backend {name!r} cannot be used here", availability.reason, availability.remedy)
    return backend


def device_of(backend: Backend, wanted: str | None) -> DeviceInfo:
    """Return the device of a backend that a request names (a type alone: its first), its best one for None or "auto".

    Raises UsageError for an unknown name, DeviceError when the backend sees none, or none of a kind that it knows.
    """
    devices = backend.devices() if isinstance(backend, DeviceLister) else ()
    if not devices:
        raise DeviceError(f"The backend {backend.name!r} sees no device", "its list is empty", "Try `bench doctor`.")
    if wanted in (None, "auto"):
        return devices[0]
    for device in sorted(devices, key=lambda info: info.name != wanted):
        if wanted in (device.name, device.name.partition(":")[0]):
            return device
    _refuse_missing(backend, str(wanted))
    why, remedy = nearest_lines(str(wanted), [d.name for d in devices])
    raise UsageError(
        f"Unknown device {wanted!r}", why, f"{remedy} `bench doctor` says why a device is missing.".strip()
    )


def _refuse_missing(backend: Backend, wanted: str) -> None:
    """Raise DeviceError for a kind of device that a backend knows and could not find, with the way to get it."""
    for finding in backend.findings() if isinstance(backend, DeviceProber) else ():
        if finding.name in (wanted, wanted.partition(":")[0]) and not finding.availability.usable:
            what = f"The device {wanted!r} ({finding.label}) cannot be used here"
            raise DeviceError(what, finding.availability.reason, finding.availability.remedy)


def levels_of(backend: Backend, load: Load, device: DeviceInfo, precision: str) -> tuple[Level, ...]:
    """Return the ways in which a backend can execute a load, the cheapest to prepare first; one if it lists none."""
    if isinstance(backend, Tunable):
        return backend.levels(load, device.name, precision)
    return (Level(name=EAGER, description="the backend's only way"),)


def _level(backend: Backend, load: Load, device: DeviceInfo, precision: str, request: RunRequest) -> Level:
    """Return the level that a request names, or the one that is the cheapest to prepare of those that fit `--slots`."""
    levels, what = levels_of(backend, load, device, precision), f"{load.name} on {device.name} in {precision}"
    if not levels:
        remedy = "Choose another --precision, --device or --backend."
        raise UsageError(f"{backend.name} cannot execute {what}", "none of its engines can", remedy)
    fitting = [level for level in levels if level.continuous == (request.slots is not None)]
    if request.tuning in (None, "auto"):
        if not fitting:
            why = "none of its engines batches continuously"
            raise UsageError(f"{backend.name} has no --slots for {what}", why, "Drop --slots.")
        return fitting[0]
    named = next((level for level in levels if level.name == request.tuning), None)
    if named is None:
        names = [level.name for level in levels]
        missing = f"{backend.name} has no tuning {request.tuning!r} for {what}"
        raise UsageError(missing, *nearest_lines(str(request.tuning), names))
    if named.continuous and (request.tensor_parallel or 1) > 1:
        why = f"the level {named.name!r} runs on one device"
        raise UsageError("--tensor-parallel contradicts --tuning", why, "Drop one of the two.")
    if request.slots is not None and not named.continuous:
        why = f"at the level {named.name!r} all requests of a batch go in step"
        raise UsageError("--slots contradicts --tuning", why, "Drop one of the two.")
    return named


def _ceilings(wanted: str) -> str:
    if wanted not in CEILINGS:
        raise UsageError(f"Unknown --ceilings {wanted!r}", *nearest_lines(wanted, CEILINGS))
    return wanted


def _peers(request: RunRequest) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(request.cross_check or ()))
    for name in wanted:
        if name not in PEERS:
            raise UsageError(f"Unknown --cross-check {name!r}", *nearest_lines(name, tuple(PEERS)))
    return wanted


def _scenario(request: RunRequest) -> Scenario:
    wanted = implied_scenario(request)
    for scenario in SCENARIOS:
        if scenario == wanted:
            return scenario
    raise UsageError(f"Unknown scenario {wanted!r}", *nearest_lines(wanted, SCENARIOS))


def _batch(request: RunRequest, scenario: Scenario, load: Load) -> int:
    fitting = ENCODER_BATCH if scenario == "offline" and load.shape.output_tokens == 0 else 1
    batch = request.batch if request.batch is not None else fitting
    if scenario == "single-stream" and batch != 1:
        why = "single-stream sends one request at a time, so its batch is 1"
        raise UsageError(f"--scenario single-stream contradicts --batch {batch}", why, "Drop one of the two.")
    return batch


def _threads(request: RunRequest) -> int | None:
    processors = len(set(request.affinity)) if request.affinity is not None else None
    if request.threads is not None and processors is not None and request.threads > processors:
        why = f"{request.threads} threads would share {processors} processors"
        raise UsageError("--threads contradicts --affinity", why, "Name as many processors as threads.")
    return request.threads


def _timing(request: RunRequest) -> Timing:
    base = QUICK if request.quick else FULL
    repeats = request.repeats
    repeats_min = repeats if repeats is not None else base.repeats_min
    repeats_max = request.repeats_max if request.repeats_max is not None else (repeats or base.repeats_max)
    if repeats_max < repeats_min:
        why = f"{repeats_max} is less than the {repeats_min} repeats asked for"
        raise UsageError("--repeats-max contradicts --repeats", why, "Raise --repeats-max.")
    warmup_max = _or_default(request.warmup_max_s, base.warmup_max_s)
    warmup_min = _or_default(request.warmup_min_s, min(base.warmup_min_s, warmup_max))
    if warmup_min > warmup_max:
        why = f"{warmup_min} s is more than the cap of {warmup_max} s"
        raise UsageError("--warm-up-min contradicts --warm-up-max", why, "Raise --warm-up-max.")
    return Timing(
        window_s=_or_default(request.window_s, base.window_s),
        repeats_min=repeats_min,
        repeats_max=repeats_max,
        warmup_min_s=warmup_min,
        warmup_max_s=warmup_max,
        idle_s=_or_default(request.idle_s, base.idle_s),
    )


def _or_default(value: float | None, default: float) -> float:
    return default if value is None else float(value)


def _precision(load: Load, device: DeviceInfo, wanted: str | None) -> str:
    if device.precisions == (AS_SERVED,) and wanted in (None, "auto", AS_SERVED):
        return AS_SERVED
    if wanted in (None, "auto"):
        both = [p for p in (device.precision_default, *device.precisions) if p in load.model.precisions]
        if both:
            return both[0]
        why = f"the device does {', '.join(device.precisions)}; the load declares {', '.join(load.model.precisions)}"
        raise UsageError(f"No precision fits {load.name} on {device.name}", why, "Choose another load or device.")
    name = str(wanted)
    if name not in load.model.precisions:
        raise UsageError(
            f"{load.name} does not declare precision {name!r}", *nearest_lines(name, load.model.precisions)
        )
    if name not in device.precisions:
        why = f"it has {', '.join(device.precisions)}"
        remedy = "Choose one of them with --precision, or another --device or --backend."
        raise UsageError(f"{device.name} cannot run precision {name!r}", why, remedy)
    return name
