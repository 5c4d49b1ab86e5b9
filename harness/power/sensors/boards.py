"""What the samplers of accelerator boards share: whether a board is wanted, and its channels."""

from wattbench.harness.power.contract import Availability, ChannelRecord
from wattbench.results.covers import is_among
from wattbench.results.energy import Scope

__all__ = ["board_channel", "board_wanted", "not_for_cpu", "not_here", "pci_covers"]


def pci_covers(address: str) -> str:
    """Return how channels name a board by its PCI address ("0000:03:00.0"), the same for every sampler."""
    return f"pci:{address.lower()}"


def board_wanted(covers: str | None, board: str) -> bool:
    """Return whether a board is to be opened: all of them when the device under test is not known."""
    return covers is None or is_among(board, covers)


def not_for_cpu(covers: str | None, boards: str) -> Availability | None:
    """Return the refusal where the CPU is under test, or None."""
    if covers is None or covers.split(":")[0] != "cpu":
        return None
    reason = f"the device under test is the CPU; {boards} are read when one is"
    return Availability(state="absent", reason=reason, remedy="Nothing to do: the CPU has sensors of its own.")


def not_here(covers: str | None, boards: str, found: tuple[str, ...]) -> Availability:
    """Return the answer where no board is the one under test, or none can be read."""
    here = ", ".join(found) or "none"
    reason = f"no {boards} {covers or ''} that can be read (there are: {here})"
    return Availability(state="absent", reason=reason, remedy="Check that the maker's own tool shows its power.")


def board_channel(
    sampler: str,
    board: str,
    field: str,
    *,
    counter: bool,
    basis: str,
    scope: Scope = "board",
    resolution: float | None = None,
    limit_w: float | None = None,
) -> ChannelRecord:
    """Return one channel of a board whose maker publishes neither rate nor accuracy of its sensor.

    All fields of one board in one scope are views of one source; scope "other" stands alone.
    """
    view = field if scope == "other" else scope
    return ChannelRecord(
        id=f"{sampler}:{board}:{field}",
        sampler=sampler,
        group=f"{sampler}:{board}:{view}",
        scope=scope,
        kind="counter" if counter else "power",
        provenance="measured",
        unit="J" if counter else "W",
        covers=board,
        resolution=resolution,
        update_period_s=None,
        averaging_window_s=None,
        lag_s=None,
        seen_share=1.0 if counter else None,
        wraps_at_j=None,
        limit_w=limit_w,
        accuracy_rel=None,
        accuracy_basis=basis,
    )
