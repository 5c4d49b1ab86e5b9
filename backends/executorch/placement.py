"""Where a program's operations run: counted as ExecuTorch reports it when it lowers them, and judged."""

from dataclasses import dataclass

from wattbench.backends.executorch.delegates import Delegate
from wattbench.backends.programs import Program
from wattbench.results.errors import DeviceError

__all__ = ["Placement", "judge"]

NAMED_OPERATIONS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The proof in words, the share of operations on the device, the delegate's share, and what ran elsewhere."""

    text: str
    share: float
    delegated: float
    fallback: str | None


def judge(delegate: Delegate, program: Program, *, allow_fallback: bool) -> Placement:
    """Return the placement of a program that was made for a delegate.

    What the delegate did not take runs in ExecuTorch's own kernels on the CPU: on the device where the delegate is the
    CPU's too, and elsewhere where it is not. Raises DeviceError when the delegate took nothing, whatever is allowed,
    and when something would run elsewhere unless `allow_fallback`.
    """
    taken, left = program.delegated or 0, program.left
    total = taken + sum(left.values())
    rest = _named(left)
    if taken == 0:
        raise DeviceError(
            f"{delegate.registered} computes nothing of this program",
            f"it took 0 of {total} operations: {rest}",
            f"This load cannot run on {delegate.device}; choose another --device.",
        )
    share = taken / total
    text = f"ExecuTorch's delegation: {taken} of {total} operations by {delegate.registered}"
    if left and delegate.on_cpu:
        text = f"{text}, the others by ExecuTorch's own kernels on the same CPU ({rest})"
        return Placement(text=text, share=1.0, delegated=share, fallback=None)
    if left and not allow_fallback:
        raise DeviceError(
            f"{delegate.registered} computes only {taken} of the program's {total} operations",
            f"the CPU would compute the others: {rest}",
            f"Choose another --device, or measure what {delegate.device} and the CPU do together: --allow-fallback.",
        )
    fallback = (
        f"{sum(left.values())} of {total} operations on the CPU, in {delegate.exported} ({rest})" if left else None
    )
    return Placement(text=text, share=share, delegated=share, fallback=fallback)


def _named(left: dict[str, int]) -> str:
    """Return the operations of which a delegate left most."""
    most = sorted(left.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{count} {name}" for name, count in most[:NAMED_OPERATIONS])
    return named + (", ..." if len(most) > NAMED_OPERATIONS else "")
