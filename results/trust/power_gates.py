"""What a run's power cannot be: above its limits, below rest, under the best hardware's energy, made by a generator."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from wattbench.results.covers import devices_of, is_among
from wattbench.results.document import Result
from wattbench.results.energy import ChannelEnergy, ChannelRecord, Polls
from wattbench.results.environment import AcceleratorFacts
from wattbench.results.peaks import RELIED_ON
from wattbench.results.trust.devices import WIDE, under_test
from wattbench.results.trust.verification import Check, judged, ok, unknown
from wattbench.results.utilisation import compute_precision
from wattbench.results.vendor.database import database
from wattbench.results.vendor.match import Identity, match_accelerator

__all__ = [
    "COVERAGE",
    "EFFICIENCY_MARGIN",
    "FLOOR_SHARE",
    "LIMIT_MARGIN",
    "best_flops_per_j",
    "coverage_check",
    "energy_floor_check",
    "floor_check",
    "limit_check",
    "poll_times_check",
    "poll_values_check",
]

LIMIT_MARGIN = 1.1
"""A limit is held on average over the limiter's own window, and sensors err by some per cent (our choice)."""

FLOOR_SHARE = 0.9
"""Work may draw a little less than the idle window's mean when something ended meanwhile (our choice)."""

EFFICIENCY_MARGIN = 4.0
"""Chips do more per joule below their nameplate power, but not four times as much (our choice)."""

COVERAGE = 0.99

SENSOR_DOUBTS = frozenset({"sensor_frozen", "sensor_failed", "sensor_absurd"})
"""Doubts by which a document itself says that a sensor did not work."""

REGULAR = 50
"""So many polls in a row at one and the same distance, to the nanosecond, come from no clock."""


def limit_check(result: Result) -> Check:
    """Hold the mean power of every window against the power limits of what its channel sees."""
    problems, held, missing = [], 0, []
    for name, energy in _energies(result):
        limit_w = _limit_w(result, energy)
        if energy.mean_power_w is None or limit_w is None:
            missing.append(f"no power limit of {energy.channel} is known")
            continue
        held += 1
        if energy.mean_power_w > LIMIT_MARGIN * limit_w:
            problems.append(f"{name}: {energy.mean_power_w:.0f} W on average, the limit is {limit_w:.0f} W")
    if not held:
        return unknown("power_limit", _no_energy(result) or missing[0])
    return judged("power_limit", problems, f"{held} windows below {100 * LIMIT_MARGIN:.0f} % of their limits")


def floor_check(result: Result) -> Check:
    """Hold the mean power under load against that of the idle windows of the same channel."""
    idle = {e.channel: e.mean_power_w for i in result.idle for e in i.energy if e.mean_power_w is not None}
    problems, held = [], 0
    for name, energy in _energies(result):
        rest_w = idle.get(energy.channel)
        if energy.mean_power_w is None:
            continue
        if energy.mean_power_w <= 0:
            problems.append(f"{name}: {energy.mean_power_w:g} W under load")
        if rest_w is None or energy.scope in WIDE:
            continue
        held += 1
        if energy.mean_power_w < FLOOR_SHARE * rest_w:
            problems.append(f"{name}: {energy.mean_power_w:.1f} W under load, {rest_w:.1f} W at rest")
    if not held and not problems:
        return unknown("power_floor", _no_energy(result) or "no idle window of a device's own sensor")
    return judged("power_floor", problems, f"{held} windows draw more than rest")


def energy_floor_check(result: Result) -> Check:
    """Hold the energy of the arithmetic against the most FLOPs per joule that any vendor states."""
    code, backend = "energy_floor", result.backend
    if backend is None or backend.mock:
        return unknown(code, "nothing was computed")
    best = best_flops_per_j(compute_precision(backend))
    if best is None:
        return unknown(code, f"no vendor states products in {compute_precision(backend)} and a power")
    if result.load.work is None:
        return unknown(code, "the model is known to its server alone")
    work = result.load.work.prefill_flops + (result.load.work.decode_flops or 0.0)
    problems, held = [], 0
    for repeat in result.repeats:
        done = repeat.completions
        requests = sum(n for n, error in zip(done.requests, done.error, strict=True) if error is None)
        for energy in repeat.energy:
            if energy.energy_j is None or energy.scope == "other" or not _sees_all(result, energy):
                continue
            held += 1
            least_j = requests * work / (EFFICIENCY_MARGIN * best)
            if energy.energy_j < least_j:
                said = f"{repeat.name}, {energy.channel}: {energy.energy_j:.4g} J"
                problems.append(f"{said}, its arithmetic takes {least_j:.4g} J at least")
    if not held:
        return unknown(code, _no_energy(result) or "no channel sees the devices under test")
    return judged(code, problems, f"{held} energies above the floor")


def coverage_check(result: Result) -> Check:
    """Say whether the samples cover the windows; between them power is not known, which is no forgery."""
    known = [e.coverage for _, e in _energies(result) if e.energy_j is not None and e.coverage is not None]
    if not known:
        return unknown("coverage", _no_energy(result) or "no window has an energy")
    least = f"at least {100 * min(known):.1f} % of each window"
    return ok("coverage", least) if min(known) >= COVERAGE else unknown("coverage", least)


def poll_values_check(result: Result, polls: Sequence[Polls]) -> Check:
    """Say whether the values of a channel can be those of a sensor of something that works."""
    logs = {log.channel: [v for v in log.value if v is not None] for log in polls}
    sensors = [c.id for c in result.power.channels if c.scope != "other" and c.provenance == "measured"]
    held = {name: logs[name] for name in sensors if logs.get(name)}
    if not held:
        return unknown("poll_values", _no_energy(result) or "there is no poll of a sensor")
    problems = [problem for name, values in held.items() for problem in _value_problems(name, values)]
    admitted = SENSOR_DOUBTS & {doubt.code for doubt in result.doubts}
    if problems and admitted:
        return unknown("poll_values", f"{problems[0]}; the document says so itself ({', '.join(sorted(admitted))})")
    return judged("poll_values", problems, f"{sum(map(len, held.values()))} values")


def poll_times_check(result: Result, polls: Sequence[Polls]) -> Check:
    """Say whether the times of polls can be those of a recorder within the run."""
    if not any(log.value for log in polls):
        return unknown("poll_times", _no_energy(result) or "there is no poll")
    attached = {attachment.channel for attachment in result.attachments}
    own = [log for log in polls if log.channel not in attached]
    channels = {channel.id: channel for channel in result.power.channels}
    end_ns = None if result.run.duration_s is None else round(result.run.duration_s * 1e9)
    problems = [p for log in own for p in _time_problems(log, channels.get(log.channel), end_ns)]
    return judged("poll_times", problems, f"{sum(len(log.value) for log in own)} polls in order")


def best_flops_per_j(precision: str) -> float | None:
    """Return the most dense FLOPs per joule of nameplate power that any vendor states for products in a precision."""
    best = 0.0
    for row in database().accelerators.values():
        rate, tdp = row.dense_flops_per_s.get(precision), row.tdp_w
        if rate is not None and tdp is not None and rate.grade in RELIED_ON:
            best = max(best, (rate.value_high or rate.value) / tdp.value)
    return best or None


def _energies(result: Result) -> Iterator[tuple[str, ChannelEnergy]]:
    for repeat in result.repeats:
        for energy in repeat.energy:
            if energy.scope != "other":
                yield f"{repeat.name}, {energy.channel}", energy


def _limit_w(result: Result, energy: ChannelEnergy) -> float | None:
    """Return the limit of what a channel sees: the least that the document states of it, else the vendor's power."""
    channel = next((c for c in result.power.channels if c.id == energy.channel), None)
    if channel is None or energy.scope in WIDE:
        return None
    boards = [a for a in result.environment.accelerators if is_among(a.uuid, energy.covers)]
    stated = [channel.limit_w, *(a.power_limit_w for a in boards), *(a.power_limit_enforced_w for a in boards)]
    known = [limit for limit in stated if limit is not None and limit > 0]
    if known and energy.scope == "board":
        return min(known)
    if known:
        return max(known)  # a module or package holds more than the part that has the limit
    return _nameplate_w(boards)


def _nameplate_w(boards: Sequence[AcceleratorFacts]) -> float | None:
    if len(boards) != 1:
        return None
    rows = database().accelerators.values()
    found = match_accelerator(Identity(kind="driver", value=boards[0].name), rows).accelerator
    return None if found is None or found.tdp_w is None else found.tdp_w.value


def _sees_all(result: Result, energy: ChannelEnergy) -> bool:
    """Return whether one channel sees all that computed: the whole machine, or the only device under test."""
    devices = devices_of(result.power.covers)
    if energy.scope in WIDE:
        return True
    return len(devices) == 1 and is_among(devices[0], energy.covers) and len(under_test(result)) <= 1


def _value_problems(name: str, values: Sequence[float]) -> Iterator[str]:
    if len(values) < REGULAR:
        return
    if not any(values):
        yield f"{name}: all {len(values)} values are zero"
    elif len(set(values)) == 1:
        yield f"{name}: all {len(values)} values are {values[0]:g}"
    if min(values) < 0 or not all(map(math.isfinite, values)):
        yield f"{name}: it has a value of {min(values):g}"


def _time_problems(log: Polls, channel: ChannelRecord | None, end_ns: int | None) -> Iterator[str]:
    if any(after < before for before, after in zip(log.before_ns, log.after_ns, strict=True)):
        yield f"{log.channel}: a read ended before it began"
    if any(two < one for one, two in pairwise(log.before_ns)):
        yield f"{log.channel}: its polls do not ascend"
    if log.before_ns and end_ns is not None and (log.before_ns[0] < 0 or log.before_ns[-1] > end_ns + 1_000_000_000):
        yield f"{log.channel}: it has polls outside the run"
    if channel is not None and not channel.buffered and _regular(log.before_ns):
        yield f"{log.channel}: {REGULAR} polls in a row are exactly as far apart as the next, to the nanosecond"


def _regular(times_ns: Sequence[int]) -> bool:
    """Return whether many times in a row are equally far apart, more exactly than a thread can wake up."""
    run, last = 0, None
    for one, two in pairwise(times_ns):
        run = run + 1 if two - one == last and two > one else 1
        last = two - one
        if run >= REGULAR:
            return True
    return False


def _no_energy(result: Result) -> str | None:
    return None if result.power.unavailable_reason is None else "no energy was measured"
