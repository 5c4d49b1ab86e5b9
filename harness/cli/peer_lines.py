"""What other tools said of the same windows, as lines of text. Nothing here prints."""

from collections.abc import Iterator

from wattbench.results.crosscheck import PeerEnergy, PeerPart
from wattbench.results.document import Result
from wattbench.results.stats import median

__all__ = ["peer_lines"]


def peer_lines(result: Result) -> Iterator[str]:
    """Yield one line for each part that a peer counted: its joules a window, ours beside them, and how far apart."""
    for peer in result.power.peers:
        for part in peer.parts:
            found = [e for r in result.repeats for e in r.peers if (e.peer, e.part) == (peer.name, part.name)]
            if found:
                yield f"{peer.name} {peer.version}, {_part(part)}: {_figures(found)}"


def _part(part: PeerPart) -> str:
    return f"{part.name} (ESTIMATED: {part.method})" if part.estimated else part.name


def _figures(found: list[PeerEnergy]) -> str:
    known = [e.energy_j for e in found if e.energy_j is not None]
    missing = [e.reason for e in found if e.reason is not None]
    if not known:
        return f"no figure ({missing[0]})"
    lost = f", none in {len(missing)} ({missing[0]})" if missing else ""
    text = f"{median(known):,.1f} J a window{lost}"
    both = [e for e in found if e.delta is not None]
    if not both:
        return f"{text}; nothing measured here sees that part"
    deltas = sorted(100 * e.delta for e in both if e.delta is not None)
    ours = median([e.ours_j for e in both if e.ours_j is not None])
    return f"{text} beside {ours:,.1f} J, {deltas[0]:+.2f} .. {deltas[-1]:+.2f} %"
