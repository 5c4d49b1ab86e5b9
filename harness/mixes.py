"""The mixes of result files for the regression of energy over tokens: which belong together, and their sums."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wattbench.harness.power.derive import ladder, primary_name
from wattbench.harness.power.ladder import rungs
from wattbench.harness.sweep.folder import MANIFEST
from wattbench.results.document import Result
from wattbench.results.energy_split import EnergySplit, Mix, split_energy
from wattbench.results.errors import DocumentError
from wattbench.results.files import read_result
from wattbench.results.rates import Work, work_of
from wattbench.results.rungs import RungEnergy

__all__ = ["LeftOut", "SplitReport", "split_lines", "split_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that tells nothing about energy over mixes, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What must be the same in all mixes of one split."""

    model: str
    backend: str
    engine: str
    device: str
    precision: str
    batch: int
    ranks: int
    scope: str
    boundary: str
    provenance: str

    @property
    def text(self) -> str:
        """Return the subject in a line."""
        device = self.device if self.ranks == 1 else f"{self.ranks} ranks, {self.device}"
        return (
            f"{self.model} on {device} ({self.backend} {self.engine}, {self.precision}, batch {self.batch}); "
            f"energy {self.provenance}, {self.scope}: {self.boundary}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSplit:
    """The split of one subject, and the codes of the severe doubts that its results have."""

    subject: Subject
    split: EnergySplit
    invalid_because: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """Every split that the files give, and what was left out."""

    groups: tuple[GroupSplit, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """One result's mix and what it belongs to."""

    file: str
    run: str
    subject: Subject
    mix: Mix
    severe: tuple[str, ...]


def split_report(paths: Sequence[Path]) -> SplitReport:
    """Return the splits over result files, and over all results in folders (those of sweeps too).

    Raises DocumentError for a file that was named and is no result; in a folder such a file is left out with the
    reason.
    """
    found: dict[Subject, list[_Measured]] = {}
    left_out = []
    for path, named in _files(paths):
        try:
            measured = _measured(path.name, read_result(path))
        except DocumentError as exc:
            if named:
                raise
            left_out.append(LeftOut(file=str(path), reason=f"{exc.what.removeprefix(f'{path}: ')}: {exc.why}"))
            continue
        if isinstance(measured, str):
            left_out.append(LeftOut(file=str(path), reason=measured))
            continue
        members = found.setdefault(measured.subject, [])
        twin = next((member for member in members if member.run == measured.run), None)
        if twin is None:
            members.append(measured)
        else:  # an attached meter makes a second document of the same windows
            left_out.append(LeftOut(file=str(path), reason=f"it is the same run as {twin.file}"))
    groups = [
        GroupSplit(
            subject=subject,
            split=split_energy([m.mix for m in members]),
            invalid_because=tuple(dict.fromkeys(code for m in members for code in m.severe)),
        )
        for subject, members in found.items()
    ]
    return SplitReport(groups=tuple(groups), left_out=tuple(left_out))


def split_lines(report: SplitReport) -> list[str]:
    """Return the report as text for people."""
    lines = []
    for group in report.groups:
        lines += [group.subject.text, *_group_lines(group.split)]
        if group.invalid_because:
            lines.append(f"  not to be published: {', '.join(group.invalid_because)}")
        lines.append("")
    if not report.groups:
        lines += ["No result has an energy to split.", ""]
    lines += [f"left out  {left.file}: {left.reason}" for left in report.left_out]
    return lines if report.left_out else lines[:-1]


def _group_lines(split: EnergySplit) -> list[str]:
    first, second = split.input_token_j, split.output_token_j
    if first is None or second is None or split.residual_rel is None:
        return [f"  no split: {split.reason}"]
    lines = [f"  E = a x tokens in + b x tokens out + P_idle x T over {len(split.mixes)} mixes"]
    for name, found in (("a", first), ("b", second)):
        interval, u = found.interval, found.u_absolute_rel
        absolute = "absolute uncertainty not stated" if u is None else f"absolute u {100 * u:.1f} % (k=1)"
        spans = f"{100 * interval.level:.0f} % {interval.low:.4g} .. {interval.high:.4g}"
        lines.append(f"  {name}       {found.value:.4g} J/token   {spans}   {absolute}")
    lines.append(f"  P_idle  {split.idle_power_w:.4g} W {split.idle_source}")
    worst = max(range(len(split.mixes)), key=lambda k: abs(split.residuals_rel[k]))
    lines.append(
        f"  residual {100 * split.residual_rel:.2f} % rms, largest {100 * split.residuals_rel[worst]:+.2f} % "
        f"({split.mixes[worst]})"
    )
    return lines


def _files(paths: Iterable[Path]) -> list[tuple[Path, bool]]:
    """Return the files with whether each was named itself; of a folder its results, without those put aside."""
    found: list[tuple[Path, bool]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(path.glob("*.json"))
            found += [(file, False) for file in inside if file.name != MANIFEST and ".old" not in file.stem]
        else:
            found.append((path, True))
    return found


def _measured(name: str, result: Result) -> _Measured | str:
    """Return a result's mix, or why it has none."""
    backend = result.backend
    if result.status != "complete" or backend is None:
        return f"the run is {result.status}"
    primary = primary_name(result.repeats[0].energy, result.power.covers) if result.repeats else None
    own = [ladder(repeat.energy, result.power.covers, primary)[0] for repeat in result.repeats]
    pairs = [(rung, work_of(repeat)) for rung, repeat in zip(own, result.repeats, strict=True)]
    known = [(rung, work) for rung, work in pairs if rung.energy_j is not None and work.failed == 0]
    if not known:
        return result.power.unavailable_reason or "; ".join(dict.fromkeys(str(r.reason) for r in own)) or "no repeat"
    first = known[0][0]
    subject = Subject(
        model=result.load.model,
        backend=backend.name,
        engine=backend.engine,
        device=backend.device_name or backend.device,
        precision=backend.precision_effective,
        batch=result.plan.batch,
        ranks=result.plan.tensor_parallel,
        scope=first.scope,
        boundary=first.boundary,
        provenance=first.provenance,
    )
    severe = tuple(doubt.code for doubt in result.doubts if doubt.severity == "severe")
    return _Measured(file=name, run=result.run.id, subject=subject, mix=_mix(name, result, known), severe=severe)


def _mix(name: str, result: Result, known: Sequence[tuple[RungEnergy, Work]]) -> Mix:
    """Return the sum over the repeats whose energy is known; the idle power is that before and after the load.

    Where both are known the idle power lies anywhere between them (rectangular).
    """
    rung = known[0][0].name
    watts = [
        w
        for record in result.idle
        if record.state in ("loaded", "after")
        for w in (next((r.mean_power_w for r in rungs(record.energy, result.power.covers) if r.name == rung), None),)
        if w is not None
    ]
    us = [r.u_absolute_rel for r, _ in known]
    return Mix(
        name=f"{result.load.name} ({name})",
        input_tokens=sum(work.input_tokens for _, work in known),
        output_tokens=sum(work.output_tokens for _, work in known),
        duration_s=math.fsum(work.duration_s for _, work in known),
        energy_j=math.fsum(r.energy_j or 0.0 for r, _ in known),
        idle_power_w=math.fsum(watts) / len(watts) if watts else None,
        idle_power_u_w=(max(watts) - min(watts)) / math.sqrt(12) if watts else 0.0,
        u_absolute_rel=None if None in us else max(u for u in us if u is not None),
    )
