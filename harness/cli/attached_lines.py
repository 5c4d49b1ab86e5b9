"""What the meters that were attached to a run saw of it, as lines of text. Nothing here prints."""

from collections.abc import Iterator
from math import fsum

from wattbench.harness.power.derive import ladder, primary_name
from wattbench.results.attachment import AttachmentRecord
from wattbench.results.document import Result
from wattbench.results.energy import ChannelEnergy

__all__ = ["attached_lines"]


def attached_lines(result: Result) -> Iterator[str]:
    """Yield one line for each attached meter: its mean power, or that the figures are its own, or why it has none."""
    for record in result.attachments:
        name = f"{record.channel} ({record.file}, attached)"
        if record.channel in _leading(result):
            yield f"{name}: the figures above"
        else:
            yield f"{name}: {_figures(result, record)}"


def _leading(result: Result) -> tuple[str, ...]:
    """Return the channels of the rung whose figures stand first."""
    if not result.repeats:
        return ()
    energies, covers = result.repeats[0].energy, result.power.covers
    return ladder(energies, covers, primary_name(energies, covers))[0].channels


def _figures(result: Result, record: AttachmentRecord) -> str:
    found = [(r.window.duration_s, e) for r in result.repeats for e in r.energy if e.channel == record.channel]
    known = [(duration_s, e.energy_j) for duration_s, e in found if e.energy_j is not None]
    missing = [energy.reason for _, energy in found if energy.reason is not None]
    if not known:
        return f"no figure ({missing[0] if missing else 'it saw no window'})"
    watts = fsum(joules for _, joules in known) / fsum(duration_s for duration_s, _ in known)
    lost = f", none in {len(missing)} of {len(found)} windows ({missing[0]})" if missing else ""
    return f"{watts:,.1f} W{_per_request(result, record)}{_uncertainty([energy for _, energy in found])}{lost}"


def _per_request(result: Result, record: AttachmentRecord) -> str:
    """Return the joules of a query, where the scope is the meter's alone."""
    metrics = result.summary.metrics if result.summary else ()
    found = [m.value for m in metrics if m.name == "energy.per_request" and m.scope == record.scope]
    return f", {found[0]:.4g} J/query" if len(found) == 1 and found[0] is not None else ""


def _uncertainty(energies: list[ChannelEnergy]) -> str:
    """Return the largest absolute uncertainty of a window (k=2)."""
    us = [energy.u_absolute_rel for energy in energies if energy.energy_j is not None]
    known = [u for u in us if u is not None]
    return f", +/-{200 * max(known):.1f} % absolute (k=2)" if len(known) == len(us) else ", accuracy not stated"
