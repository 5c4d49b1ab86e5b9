"""Choosing samplers: which are asked for, which can be used, and why the others cannot."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattbench.harness.power.contract import Availability, ChannelRecord, Clocked, Sampler, SamplerOptions
from wattbench.harness.power.hosts import require_hosts_alone
from wattbench.harness.power.meters.argument import refuse_secrets
from wattbench.harness.power.supplies import require_told_apart
from wattbench.results.energy import SamplerRecord
from wattbench.results.errors import SensorError, UsageError, WattbenchError
from wattbench.results.plugins import load_plugin, nearest_lines, plugin_names

__all__ = ["GROUP", "Selection", "Wish", "make_sampler", "open_samplers", "parse_wanted"]

GROUP = "wattbench.samplers"
"""The entry point group of samplers."""

ON_REQUEST = (
    "model",
    "declared",
    "replay",
    "agent",
    "android",
    "dcgm",
    "ipmi",
    "kasa",
    "prometheus",
    "redfish",
    "scpi",
    "shelly",
    "tasmota",
)
"""Samplers that are no sensors of this machine, so that nobody misses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One item of `--power`: a sampler's name and the text after its colon."""

    name: str
    argument: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The opened samplers, a record of every one considered, and why there is no power at all (None when there is)."""

    samplers: tuple[Sampler, ...]
    records: tuple[SamplerRecord, ...]
    unavailable_reason: str | None

    @property
    def channels(self) -> tuple[ChannelRecord, ...]:
        """Return the channels of all opened samplers."""
        return tuple(channel for sampler in self.samplers for channel in sampler.channels)


def open_samplers(wanted: Sequence[str], covers: str | None) -> Selection:
    """Return the samplers that `--power` asked for, probed and ready to be read.

    "auto" takes every one that can be used (a replay, model or meter never is without its argument), "none" takes none,
    "NAME" or "NAME:ARGUMENT" must work, and a name may come again with another argument (two plugs). Raises UsageError
    for unknown names, arguments that do not do and contradictions, SensorError with the remedy when a named one cannot
    be used for another reason, such as a device that is not here; nothing stays open then.
    """
    wishes = parse_wanted(wanted)
    if [w.name for w in wishes] == ["none"]:
        records = tuple(_record(name, False, "not asked for", "") for name in plugin_names(GROUP))
        return Selection(samplers=(), records=records, unavailable_reason="power was not to be measured (--power none)")
    opened: list[Sampler] = []
    try:
        records = _open_all(wishes, covers, opened)
        _require_one_provenance(wishes, opened)
        channels = [c for sampler in opened for c in sampler.channels]
        require_told_apart(channels)
        clocks = [s.remote_clock() for s in opened if isinstance(s, Clocked)]
        require_hosts_alone(channels, [clock.boot for clock in clocks if clock is not None])
    except WattbenchError:
        for sampler in opened:
            sampler.close()
        raise
    tried = ", ".join(r.name for r in records if r.name not in ON_REQUEST)
    return Selection(
        samplers=tuple(opened),
        records=records,
        unavailable_reason=None if opened else f"no power sensor can be used here (looked for: {tried})",
    )


def make_sampler(name: str, argument: str | None, covers: str | None) -> Sampler:
    """Return a sampler that is constructed but not probed. Raises UsageError for an unknown name."""
    sampler: Sampler = load_plugin(GROUP, name, "sampler")(SamplerOptions(argument=argument, covers=covers))
    return sampler


def parse_wanted(wanted: Sequence[str]) -> tuple[Wish, ...]:
    """Return what `--power` asks for, or raise UsageError for an unknown, repeated or contradictory item."""
    for word in wanted:
        refuse_secrets(word)
    wishes = tuple(_wish(word) for word in wanted)
    names = [w.name for w in wishes]
    known = ("auto", "none", *plugin_names(GROUP))
    for name in names:
        if name not in known:
            raise UsageError(f"Unknown power source {name!r}", *nearest_lines(name, known))
    if twice := [w.name for w in wishes if wishes.count(w) > 1]:
        raise UsageError(f"The power source {twice[0]!r} is asked for twice", remedy="Name it once.")
    if pointless := [w.name for w in wishes if w.name in ("auto", "none") and w.argument is not None]:
        raise UsageError(f"The power source {pointless[0]!r} takes no argument", remedy=f"Use --power {pointless[0]}.")
    if not names:
        raise UsageError("No power source is named", remedy="Use --power auto, --power none, or a sampler's name.")
    if "none" in names and len(names) > 1:
        others = ", ".join(n for n in names if n != "none")
        raise UsageError("--power none contradicts the other sources", f"{others}", "Name either none or the others.")
    return wishes


def _wish(word: str) -> Wish:
    name, colon, argument = word.partition(":")
    return Wish(name=name, argument=argument if colon else None)


def _open_all(wishes: Sequence[Wish], covers: str | None, opened: list[Sampler]) -> tuple[SamplerRecord, ...]:
    """Probe every known sampler that is wanted; usable ones are added to `opened`."""
    named = {w.name for w in wishes}
    records = []
    for name in sorted(
        plugin_names(GROUP), key=ON_REQUEST.__contains__
    ):  # a board's own sensor before an exporter of it
        if name not in named and "auto" not in named:
            records.append(_record(name, False, "not asked for", ""))
            continue
        arguments = [w.argument for w in wishes if w.name == name] or [None]
        records += [_open_one(name, a, covers, opened, forgiving=name not in named) for a in arguments]
    return tuple(records)


def _open_one(
    name: str, argument: str | None, covers: str | None, opened: list[Sampler], *, forgiving: bool
) -> SamplerRecord:
    """Probe one sampler and add it to `opened` when it is usable; unless `forgiving` it must be."""
    sampler, found = _probed(name, argument, covers, forgiving=forgiving)
    if sampler is not None and found.usable:
        opened.append(sampler)
    elif not forgiving:
        mistaken = argument is not None and found.state == "broken"  # an argument that does not do is the user's
        error = UsageError if mistaken else SensorError
        raise error(f"The power source {name!r} cannot be used", found.reason, found.remedy)
    return _record(name, found.usable, found.reason, found.remedy)


def _probed(
    name: str, argument: str | None, covers: str | None, *, forgiving: bool
) -> tuple[Sampler | None, Availability]:
    """Return the sampler and what its probe says; with `forgiving` a broken plug-in is an answer, not an error."""
    try:
        sampler = make_sampler(name, argument, covers)
        return sampler, sampler.probe()
    except WattbenchError as exc:
        if not forgiving:
            raise
        return None, Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=exc.remedy)


def _require_one_provenance(wishes: Sequence[Wish], opened: Sequence[Sampler]) -> None:
    """Refuse to mix measured watts with modelled or replayed ones: a sum or a ladder of both means nothing."""
    kinds = {c.provenance for sampler in opened for c in sampler.channels}
    if any(w.name == "auto" for w in wishes):
        kinds |= {"measured"}
    if len(kinds) > 1 and kinds != {"measured"}:
        names = ", ".join(w.name for w in wishes)
        raise UsageError(
            f"The power sources {names} cannot be used together",
            f"they are {' and '.join(sorted(kinds))}",
            "Name sources of one kind: a replay or a model stands alone.",
        )


def _record(name: str, used: bool, reason: str, remedy: str) -> SamplerRecord:
    return SamplerRecord(name=name, used=used, reason=reason, remedy=remedy)
