"""Checks by computing again: every figure of a document that its raw polls and completions do not give."""

from collections.abc import Iterable, Iterator, Sequence

from wattbench.harness.recompute import Difference, Pair, differences_of, leaves_of, recompute
from wattbench.harness.recompute_imported import recompute_imported
from wattbench.results.document import Result
from wattbench.results.energy import Polls
from wattbench.results.errors import DocumentError, WattbenchError
from wattbench.results.imported import ImportedResult
from wattbench.results.metrics import Metric
from wattbench.results.recheck import summary_differences
from wattbench.results.summarise import summarise
from wattbench.results.trust.verification import Check, failed, judged, ok, unknown
from wattbench.results.utilisation import CLAIM

__all__ = ["imported_checks", "recomputed_checks"]

GROUPS = {
    "utilisation": ("summary.utilisation.",),
    "latency": ("summary.latency.",),
    "calibration": ("power.calibrations",),
    "energy": ("summary.power.", "summary.energy.", "summary.efficiency.", "repeats[", "idle["),
}
"""Which check a path belongs to; all others are rates."""

FINE = {
    "energy": "the raw polls give the same",
    "rates": "the raw completions give the same",
    "latency": "the raw completions give the same",
    "utilisation": "completions, ceilings and claims give the same",
}


def recomputed_checks(result: Result, polls: Sequence[Polls] | None) -> tuple[Check, ...]:
    """Compute every derived figure again and return a check for each group; `polls` None: they are missing."""
    if polls is None:
        return _without_polls(result)
    try:
        found = [*recompute(result, polls).differences, *_summary_differences(result)]
    except DocumentError as exc:
        return unknown("energy", exc.why), *_without_polls(result)[1:]
    except (WattbenchError, ValueError, ArithmeticError) as exc:
        return failed("energy", f"it cannot be computed again: {exc}"), *_without_polls(result)[1:]
    return tuple(_grouped(found, result))


def imported_checks(result: ImportedResult) -> tuple[Check, ...]:
    """Compute our energy of an imported result again from the samples that it keeps."""
    rates = unknown("rates", f"{result.source.tool}'s logs are not in the document")
    try:
        found = recompute_imported(result)
    except DocumentError as exc:
        return unknown("energy", exc.why), rates
    except (WattbenchError, ValueError, ArithmeticError) as exc:
        return failed("energy", f"it cannot be computed again: {exc}"), rates
    return judged("energy", map(_text, found.differences), f"{found.polls} samples give the same"), rates


def _without_polls(result: Result) -> tuple[Check, ...]:
    """Return what the completions alone say; energies cannot be checked."""
    try:
        lines = [*summary_differences(result), *map(_text, _summary_differences(result))]
    except (WattbenchError, ValueError, ArithmeticError) as exc:  # a figure that no run gives, such as 1e308
        why = failed("rates", f"they cannot be computed again: {exc}")
        return unknown("energy", "the raw polls are missing"), why
    parts = {code: [line for line in lines if _code(line) == code] for code in ("rates", "latency", "utilisation")}
    checks = [judged(code, problems, FINE[code]) for code, problems in parts.items()]
    return unknown("energy", "the raw polls are missing"), *checks


def _grouped(found: Iterable[Difference], result: Result) -> Iterator[Check]:
    by_path = {difference.path: difference for difference in found}
    parts: dict[str, list[str]] = {code: [] for code in FINE}
    for path, difference in by_path.items():
        parts.setdefault(_code(path), []).append(_text(difference))
    for code, problems in parts.items():
        if code == "energy" and not problems and result.power.unavailable_reason is not None:
            yield ok("energy", "none is claimed")
        else:
            yield judged(code, problems, FINE.get(code, ""))
    if result.power.calibrations and "calibration" not in parts:
        yield ok("calibration", f"{len(result.power.calibrations)} lines drawn again")


def _code(path: str) -> str:
    return next((code for code, heads in GROUPS.items() if path.startswith(heads)), "rates")


def _text(difference: Difference) -> str:
    return f"{difference.path} is {difference.stored}, the raw data gives {difference.computed}"


def _summary_differences(result: Result) -> list[Difference]:
    """Return what of the summary does not follow from the completions, every number of it; energies are left out."""
    stored = result.summary
    if stored is None:
        return []
    expected = summarise(
        result.load,
        result.repeats,
        rung_energies=(),
        idle_power_w={},
        memory_peak_bytes=result.backend.memory_peak_bytes if result.backend else None,
        no_energy_reason="not looked at",
        backend=result.backend,
        ceilings=result.ceilings,
        traffic=result.plan.traffic,
    )
    pairs: list[Pair] = [
        (f"summary.{name}", getattr(stored, name), getattr(expected, name))
        for name in ("requests", "failed_requests", "repeats", "measured_s")
    ]
    ours, theirs = _held(stored.metrics), _held(expected.metrics)
    latencies = {m.name: m for m in stored.latencies}, {m.name: m for m in expected.latencies}
    for one, two in ((ours, theirs), latencies):
        for name in one | two:
            was, now = one.get(name), two.get(name)
            if was is not None or (now is not None and now.reason is None):  # an older file may lack what is unknown
                pairs.append((f"summary.{name}", was, now))
    return differences_of(leaves_of(pairs))


def _held(metrics: Sequence[Metric]) -> dict[str, Metric]:
    """Return the metrics that rest on completions alone; of claims the file's own are taken (results/recheck.py)."""
    heads = ("throughput.", "memory.", "utilisation.")
    return {m.name: m for m in metrics if m.name.startswith(heads) and not m.name.endswith(CLAIM)}
