"""The doubts about sensors: old calibrations, behaviour other than stated, frozen values, scopes at odds."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from wattbench.harness.power.calibration import range_facts
from wattbench.harness.power.calibration_file import CALIBRATION_AGE, age_of
from wattbench.harness.power.containment import contradicted_rungs
from wattbench.harness.power.frozen import frozen_facts
from wattbench.harness.power.ladder import rungs
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.doubts import Doubt
from wattbench.results.energy import PowerRecord
from wattbench.results.environment import Environment
from wattbench.results.measurement import IdleRecord, Repeat, WarmupRecord

__all__ = [
    "behaviour_doubts",
    "calibration_doubts",
    "drift_doubts",
    "frozen_doubts",
    "idle_drift_facts",
    "scope_doubts",
    "temperature_drift_facts",
]

IDLE_DRIFT = 0.05
IDLE_PAIRS = (("loaded", "after"), ("machine", "machine_after"))
"""States that are the same before and after the work."""

HEATING_C = 10.0


def behaviour_doubts(power: PowerRecord) -> Iterator[Doubt]:
    """Yield a doubt for each channel that does not behave as it is stated to."""
    for seen in power.observed:
        if seen.contradictions:
            facts = f"{seen.channel}: {'; '.join(seen.contradictions)}; the observed figures are used"
            advice = "See bench doctor --power --probe-load; the published table may not fit this board or driver."
            yield Doubt(code="sensor_behaviour", severity="doubt", facts=facts, advice=advice)


def frozen_doubts(
    power: PowerRecord, idle: Sequence[IdleRecord], warmup: WarmupRecord | None, repeats: Sequence[Repeat]
) -> Iterator[Doubt]:
    """Yield a doubt for each channel that repeated one value where it should have changed."""
    loads = [*([warmup.window] if warmup else []), *(repeat.window for repeat in repeats)]
    for channel in power.channels:
        facts = frozen_facts(channel, power.polls, [record.window for record in idle], loads)
        if facts is not None:
            advice = "Do not use its joules from there on; see whether the sensor has stopped, and measure again."
            yield Doubt(code="sensor_frozen", severity="doubt", facts=facts, advice=advice)


def scope_doubts(repeats: Sequence[Repeat]) -> Iterator[Doubt]:
    """Yield a doubt for each rung that shows less than a part of it, with the first window that it did so in."""
    found: dict[str, list[str]] = {}
    for repeat in repeats:
        for facts in contradicted_rungs(rungs(repeat.energy)):
            found.setdefault(facts.split(" ", 1)[0], []).append(f"{repeat.name}: {facts}")
    for said in found.values():
        more = f" (and in {len(said) - 1} more windows)" if len(said) > 1 else ""
        advice = "Check the unit of the lower one (kW taken for W?), its column, and which device each of them sees."
        yield Doubt(code="scope_contradiction", severity="doubt", facts=f"{said[0]}{more}", advice=advice)


def calibration_doubts(
    power: PowerRecord, environment: Environment, repeats: Sequence[Repeat], started_at: datetime
) -> Iterator[Doubt]:
    """Yield doubts about the calibrations that corrected a run: too old, made with another driver, out of range."""
    for record in power.calibrations:
        where = f"{record.group}, calibrated on {record.calibrated_at}"
        if age_of(record, started_at) > CALIBRATION_AGE:
            facts = f"{where}: that is more than {CALIBRATION_AGE.days} days ago"
            yield Doubt(code="calibration", severity="doubt", facts=facts, advice="Calibrate again: bench calibrate.")
        driver = _driver(record, environment)
        if driver != record.driver:
            facts = f"{where}: with driver {record.driver or 'unknown'}, it is {driver or 'unknown'} now"
            advice = "A driver may read the sensor otherwise; compare once, or calibrate again."
            yield Doubt(code="calibration", severity="note", facts=facts, advice=advice)
        outside = _outside(record, power, repeats)
        if outside is not None:
            advice = "Calibrate with a load that reaches the power of this run."
            yield Doubt(code="calibration", severity="doubt", facts=f"{where}: {outside}", advice=advice)


def drift_doubts(drifts: Sequence[str]) -> Iterator[Doubt]:
    """Yield a doubt when the device's power moved within windows; `drifts` says which, in words."""
    if drifts:
        more = f" (and {len(drifts) - 1} more)" if len(drifts) > 1 else ""
        advice = "Raise --warm-up-min and --warm-up-max, so that the device is in its steady state first."
        yield Doubt(code="power_drift", severity="doubt", facts=f"{drifts[0]}{more}", advice=advice)


def idle_drift_facts(idle: Sequence[IdleRecord]) -> Iterator[str]:
    """Yield, in words, each source whose idle power before and after differs by more than 5 %."""
    for first, last in IDLE_PAIRS:
        before, after = _idle_w(idle, first), _idle_w(idle, last)
        for channel in (c for c in before if c in after):
            if before[channel] > 0 and abs(after[channel] / before[channel] - 1) > IDLE_DRIFT:
                state = "with the model" if first == "loaded" else "without the worker"
                yield f"{channel}: idle {state} at {before[channel]:.1f} W before and {after[channel]:.1f} W after"


def temperature_drift_facts(repeats: Sequence[Repeat]) -> str | None:
    """Return, in words, a temperature that moved by more than 10 degrees C in a window or over all of them, or None."""
    known = [(r.name, r.temperature_c) for r in repeats if r.temperature_c is not None]
    for name, (first, last) in known:
        if abs(last - first) > HEATING_C:
            return f"{name}: {first:.0f} to {last:.0f} degrees C"
    if known and abs(known[-1][1][1] - known[0][1][0]) > HEATING_C:
        return f"over all repeats: {known[0][1][0]:.0f} to {known[-1][1][1]:.0f} degrees C"
    return None


def _driver(record: CalibrationRecord, environment: Environment) -> str | None:
    return next((a.driver for a in environment.accelerators if a.uuid == record.device), None)


def _outside(record: CalibrationRecord, power: PowerRecord, repeats: Sequence[Repeat]) -> str | None:
    """Return, in words, the first window whose raw power the calibration does not reach, or None."""
    members = {c.id for c in power.channels if c.group == record.group}
    for repeat in repeats:
        for energy in repeat.energy:
            raw_j = energy.energy_j if energy.raw_energy_j is None else energy.raw_energy_j
            if energy.channel in members and raw_j is not None:
                facts = range_facts(record, raw_j / repeat.window.duration_s)
                if facts is not None:
                    return f"{repeat.name}: {facts}"
    return None


def _idle_w(idle: Sequence[IdleRecord], state: str) -> dict[str, float]:
    """Return the power of each source in the last idle window of a state, in watts."""
    found: dict[str, float] = {}
    for record in idle:
        if record.state == state:
            found |= {e.channel: e.mean_power_w for e in record.energy if e.mean_power_w is not None}
    return found
