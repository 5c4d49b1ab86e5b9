"""The peers of one run: opened before it, asked for each window, their figures set beside ours."""

from collections.abc import Sequence
from math import fsum

from wattbench.harness.peers.client import PeerClient, PeerRow
from wattbench.harness.power.curve import interpolate
from wattbench.results.covers import is_among
from wattbench.results.crosscheck import PeerEnergy, PeerPart, PeerRecord
from wattbench.results.energy import ChannelEnergy
from wattbench.results.measurement import Window

__all__ = ["Peers", "beside_ours", "peer_energy"]

GAP_PERIODS = 5
"""Two rows around an edge may lie so many periods apart: the peers are tools as they are, and may be late."""


class Peers:
    """The other tools that watch a run; none is the usual case."""

    def __init__(self, clients: Sequence[PeerClient] = ()) -> None:
        self._clients = tuple(clients)

    @classmethod
    def open(cls, names: Sequence[str], python: str | None, covers: str | None) -> "Peers":
        """Start every peer that is asked for. Raises UsageError or SensorError when one cannot watch; none stays."""
        clients: list[PeerClient] = []
        try:
            for name in names:
                clients.append(PeerClient(name, python, covers))
        except BaseException:
            for client in clients:
                client.close()
            raise
        return cls(clients)

    @property
    def records(self) -> tuple[PeerRecord, ...]:
        """Return who watches, and what each one counts."""
        return tuple(client.record for client in self._clients)

    @property
    def lag_s(self) -> float:
        """Return how long after a window every peer has been asked again, in seconds; 0 without peers."""
        return max((2 * client.record.period_s for client in self._clients), default=0.0)

    def energies(self, window: Window, ours: Sequence[ChannelEnergy], origin_ns: int) -> tuple[PeerEnergy, ...]:
        """Return what each peer counted of each of its parts in a window, beside ours; never raises."""
        found = []
        for client in self._clients:
            client.collect()
            for index, part in enumerate(client.record.parts):
                try:
                    energy_j, reason = peer_energy(client.rows, index, window, origin_ns, client.record.period_s), None
                except ValueError as exc:
                    energy_j, reason = None, client.lost or f"{client.name}: {exc}"
                found.append(beside_ours(client.name, part, energy_j, reason, ours))
        return tuple(found)

    def close(self) -> None:
        """End every peer; safe to call twice."""
        for client in self._clients:
            client.close()


def peer_energy(rows: Sequence[PeerRow], part: int, window: Window, origin_ns: int, period_s: float) -> float:
    """Return the joules that a peer's running total gained over a window, interpolated at its edges.

    Each row stands in the middle of its question. Raises ValueError, with the reason, when the rows do not reach over
    both edges, leave a gap there, or go backwards.
    """
    points = [((b + a) // 2 - origin_ns, joules[part]) for b, a, joules in rows]
    known = [(t, j) for t, j in points if j is not None]
    times, totals = tuple(t for t, _ in known), tuple(j for _, j in known)
    if not times or times[0] > window.start_ns or times[-1] <= window.end_ns:
        raise ValueError("its figures do not reach over the window")
    for edge_ns in (window.start_ns, window.end_ns):
        after = next(i for i, t in enumerate(times) if t > edge_ns)
        if times[after] - times[after - 1] > GAP_PERIODS * period_s * 1e9:
            raise ValueError(f"it was silent for {(times[after] - times[after - 1]) / 1e9:.1f} s at the window's edge")
    gained = interpolate(times, totals, window.end_ns) - interpolate(times, totals, window.start_ns)
    if gained < 0:
        raise ValueError(f"its total went backwards by {-gained:.6g} J")
    return gained


def beside_ours(
    peer: str, part: PeerPart, energy_j: float | None, reason: str | None, ours: Sequence[ChannelEnergy]
) -> PeerEnergy:
    """Return a peer's figure with that of our channels which see the same part, as far as there are any."""
    same = _same_part(part, ours)
    known = [joules for e in same if (joules := _read_j(e)) is not None]
    ours_j = fsum(known) if same and len(known) == len(same) else None
    return PeerEnergy(
        peer=peer,
        part=part.name,
        estimated=part.estimated,
        energy_j=energy_j,
        ours=" + ".join(e.channel for e in same) or None,
        ours_j=ours_j,
        delta=None if energy_j is None or not ours_j else energy_j / ours_j - 1,
        reason=reason,
    )


def _read_j(energy: ChannelEnergy) -> float | None:
    """Return what the sensor itself said: a peer knows no calibration."""
    return energy.energy_j if energy.raw_energy_j is None else energy.raw_energy_j


def _same_part(part: PeerPart, ours: Sequence[ChannelEnergy]) -> list[ChannelEnergy]:
    """Return our energies of a peer's part: one board by its counter, or the packages (or DRAM) of the machine."""
    if part.scope != "board":
        every = [e for e in ours if e.scope == part.scope and _within(e.covers, part.covers)]
        first = every[0].channel.split(":", 1)[0] if every else ""
        return [e for e in every if e.channel.split(":", 1)[0] == first]
    boards = [e for e in ours if e.scope in ("board", "module")]
    same = [e for e in boards if part.covers is None or is_among(e.covers, part.covers)]
    by_device: dict[str | None, ChannelEnergy] = {}
    for energy in sorted(same, key=lambda e: not e.channel.endswith(":counter")):  # the call that the peers make too
        by_device.setdefault(energy.covers, energy)
    return list(by_device.values())


def _within(covers: str | None, whole: str | None) -> bool:
    return covers == whole or (covers or "").startswith(f"{whole}:")
