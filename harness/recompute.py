"""A result computed again from its raw polls and completions alone: which of its figures do not follow from them."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wattbench.harness.exchange.attached_energy import derive_attached
from wattbench.harness.power.budget import BUDGET_VERSION
from wattbench.harness.power.calibration import fit_line
from wattbench.harness.power.derive import Derived
from wattbench.results.calibration import CalibrationRecord
from wattbench.results.codec import to_builtins
from wattbench.results.document import Result
from wattbench.results.energy import Polls, PowerRecord
from wattbench.results.errors import DocumentError, SensorError
from wattbench.results.metrics import Metric, Summary
from wattbench.results.recheck import summary_differences
from wattbench.results.summarise import summarise

__all__ = [
    "Difference",
    "Pair",
    "Recomputation",
    "differences_of",
    "leaves_of",
    "recomputation_lines",
    "recompute",
    "rules_note",
    "same_rules",
]

TOLERANCE_REL = 1e-9
"""Far above what another order of additions costs in doubles, far below any edit that would matter."""

COMPARED_TEXT = frozenset({"channel", "scope", "covers", "name", "unit", "method", "provenance"})
"""Texts that are facts of a figure; reasons, notes and bases are wording, which versions may improve."""

SUMMARY = "summary."
WORDED_METHODS = (SUMMARY, "metrics.")
"""Below these paths a method is a sentence, not the name of one."""

LINE = ("gain", "u_gain", "gain_interval", "offset_w", "u_offset_w", "offset_interval_w", "covariance_w")
"""The figures of a calibration that follow from its levels."""

ENERGY = ("power.", "energy.", "efficiency.")

UNCERTAINTY = re.compile(
    r"^(?!power\.calibrations).*\.(budget|u_(absolute|comparison)_rel|u_net_(absolute|comparison)_j)\b"
)
"""The paths of what follows from the rules of budgets, which a newer version may have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of the document that its raw data does not give: where it stands, what it says, what follows."""

    path: str
    stored: str
    computed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputation:
    """What was computed again, from how many polls, and every difference; none means that the document follows.

    `note` says what could not be computed again, or None.
    """

    polls: int
    windows: int
    figures: int
    differences: tuple[Difference, ...]
    note: str | None


def recompute(result: Result, polls: Sequence[Polls]) -> Recomputation:
    """Compute every energy, throughput, latency and efficiency of a result again and compare.

    Energies come from `polls` alone, corrected by the calibrations of the document, whose lines are drawn again through
    their levels; the rest comes from the completions. What the result says of any of them is not used. Uncertainties by
    rules of another version are not compared, and `note` says so.
    Raises DocumentError for a result that has energies and no poll.
    """
    count = sum(len(log.value) for log in polls)
    energies = [*(idle.energy for idle in result.idle), *(repeat.energy for repeat in result.repeats)]
    if not count and any(energy.energy_j is not None for window in energies for energy in window):
        why = "it has energies, and neither polls nor a file of them"
        raise DocumentError("This result cannot be computed again", why, "Take the original result.")
    power = replace(result.power, polls=tuple(polls), polls_file=None)
    rate_hz = result.plan.power_rate_hz
    derived = derive_attached(power, result.idle, result.repeats, result.attachments, rate_hz=rate_hz)
    lines = [pair for n, record in enumerate(power.calibrations) for pair in _line_pairs(n, record)]
    leaves = same_rules(
        result.power, leaves_of([*lines, *_window_pairs(result, derived), *_summary_pairs(result, derived)])
    )
    found = differences_of(leaves)
    told = {difference.path for difference in found}
    found += [difference for difference in _other_differences(result) if difference.path not in told]
    return Recomputation(
        polls=count,
        windows=len(energies),
        figures=len(leaves),
        differences=tuple(found),
        note=_note(result),
    )


Pair = tuple[str, object, object]
"""Where a value stands, what the document says, and what was computed."""


def leaves_of(pairs: Iterable[Pair]) -> list[Pair]:
    """Return the numbers and named facts of records that stand side by side; sentences are left out."""
    return [leaf for path, stored, computed in pairs for leaf in _leaves(path, _plain(stored), _plain(computed))]


def same_rules(power: PowerRecord, leaves: Sequence[Pair]) -> list[Pair]:
    """Return the leaves without uncertainties where the document's rules for them are not this version's."""
    same = power.budget_version == BUDGET_VERSION
    return [leaf for leaf in leaves if same or not UNCERTAINTY.search(leaf[0])]


def rules_note(power: PowerRecord) -> str | None:
    """Return in words that uncertainties were not compared, or None where they were."""
    if power.budget_version == BUDGET_VERSION:
        return None
    rules = f"its budgets are of version {power.budget_version}, this wattbench's of version {BUDGET_VERSION}"
    return f"Uncertainties were not compared: {rules} (docs/uncertainty.md#versions)."


def differences_of(leaves: Iterable[Pair]) -> list[Difference]:
    """Return the leaves of which the two values are not the same."""
    return [
        Difference(path=path, stored=_text(stored), computed=_text(computed))
        for path, stored, computed in leaves
        if not _same(stored, computed)
    ]


def recomputation_lines(found: Recomputation) -> list[str]:
    """Return the outcome as text for people."""
    windows = "1 window" if found.windows == 1 else f"{found.windows} windows"
    head = f"{found.figures} figures of {windows} computed again from {found.polls} polls"
    lines = [head + (":" if found.differences else ": all the same.")]
    lines += [f"  {d.path} is {d.stored}, the raw data gives {d.computed}" for d in found.differences]
    if found.differences:
        count = len(found.differences)
        lines.append(f"{count} figure{'s do' if count > 1 else ' does'} not follow from the raw data.")
    return [*lines, *([found.note] if found.note else [])]


def _line_pairs(number: int, record: CalibrationRecord) -> Iterator[Pair]:
    """Yield every figure of a calibration's line beside the one that its levels give."""
    path = f"power.calibrations[{number}]"
    try:
        line = fit_line(record.levels)
    except SensorError:
        yield f"{path}.levels", len(record.levels), None
        return
    yield f"{path}.residual_rms_w", record.residual_rms_w, line.residual_rms_w
    for name in LINE:
        yield f"{path}.{name}", getattr(record, name), getattr(line, name)


def _window_pairs(result: Result, derived: Derived) -> Iterator[Pair]:
    for index, (idle, again) in enumerate(zip(result.idle, derived.idle, strict=True)):
        yield f"idle[{index}].energy", idle.energy, again.energy
    for index, (repeat, anew) in enumerate(zip(result.repeats, derived.repeats, strict=True)):
        yield f"repeats[{index}].energy", repeat.energy, anew.energy


def _summary_pairs(result: Result, derived: Derived) -> Iterator[Pair]:
    """Yield the energy metrics of the summary beside those that follow, in their order."""
    if result.summary is None:
        return
    backend = result.backend
    expected = summarise(
        result.load,
        derived.repeats,
        rung_energies=derived.rung_energies,
        idle_power_w=derived.idle_power_w,
        memory_peak_bytes=backend.memory_peak_bytes if backend else None,
        no_energy_reason=result.power.unavailable_reason,
        phases=derived.phases if result.status != "started" else (),
    )
    stored, computed = _by_name(result.summary), _by_name(expected)
    for name in stored | computed:
        yield f"{SUMMARY}{name}", stored.get(name), computed.get(name)


def _by_name(summary: Summary) -> dict[str, Metric]:
    """Return the energy metrics by name and scope, a later one of the same name and scope with its number."""
    found: dict[str, Metric] = {}
    for metric in summary.metrics:
        if metric.name.startswith(ENERGY):
            name = f"{metric.name}@{metric.scope}" if metric.scope else metric.name
            count = sum(1 for known in found if known.split("#")[0] == name)
            found[f"{name}#{count + 1}" if count else name] = metric
    return found


def _other_differences(result: Result) -> Iterator[Difference]:
    """Yield what the completions say otherwise of counts, throughput, latency and utilisation."""
    for line in summary_differences(result):
        path, _, rest = line.partition(" is ")
        stored, _, computed = rest.partition(", its repeats give ")
        yield Difference(path=path, stored=stored, computed=computed)


def _plain(record: object) -> object:
    return None if record is None else to_builtins(record)


def _leaves(path: str, stored: object, computed: object) -> Iterator[Pair]:
    """Yield the numbers and named facts of two plain values side by side."""
    if isinstance(stored, dict) and isinstance(computed, dict):
        for key in stored | computed:
            worded = isinstance(stored.get(key), str) or isinstance(computed.get(key), str)
            if worded and (key not in COMPARED_TEXT or (key == "method" and path.startswith(WORDED_METHODS))):
                continue
            yield from _leaves(f"{path}.{key}", stored.get(key), computed.get(key))
    elif isinstance(stored, list | tuple) and isinstance(computed, list | tuple):
        for index in range(max(len(stored), len(computed))):
            was = stored[index] if index < len(stored) else None
            now = computed[index] if index < len(computed) else None
            yield from _leaves(f"{path}[{index}]", was, now)
    else:
        yield path, stored, computed


def _same(stored: object, computed: object) -> bool:
    if isinstance(stored, int | float) and isinstance(computed, int | float):
        return math.isclose(stored, computed, rel_tol=TOLERANCE_REL, abs_tol=1e-15)
    return stored == computed


def _text(value: object) -> str:
    return "not there" if value is None else f"{value}" if isinstance(value, int | float | str) else "a record"


def _note(result: Result) -> str | None:
    if result.power.unavailable_reason is not None:
        return f"No energy was measured: {result.power.unavailable_reason}."
    if result.status == "started":
        return "The run did not end: its figures are those of the moment, from a log that may have gone on."
    return rules_note(result.power)
