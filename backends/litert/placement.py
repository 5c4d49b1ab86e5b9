"""Where a compiled model's operations run, as LiteRT tells it: all of them on the accelerator, or not all."""

from dataclasses import dataclass

from wattbench.backends.litert.accelerators import Accelerator

__all__ = ["Placement", "judge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The proof in words, the share of operations on the device, the delegate's share, and what ran elsewhere."""

    text: str
    share: float | None
    delegated: float | None
    fallback: str | None


def judge(accelerator: Accelerator, *, whole: bool) -> Placement:
    """Return the placement of a model that LiteRT compiled; `whole` is its `is_fully_accelerated`.

    LiteRT does not tell how much of a model an accelerator took when it is not all: it may be nothing. On the CPU the
    rest is LiteRT's own kernels', so that everything is on the device whoever took it.
    """
    word = f"LiteRT's is_fully_accelerated is {whole}"
    if accelerator.unit == "CPU":
        rest = "" if whole else ": XNNPACK left some operations to LiteRT's own kernels on the same CPU"
        return Placement(text=f"{word}{rest}", share=1.0, delegated=1.0 if whole else None, fallback=None)
    if whole:
        return Placement(text=f"{word} for {accelerator.unit}", share=1.0, delegated=1.0, fallback=None)
    why = f"LiteRT says that {accelerator.label} did not take every one, not how many"
    fallback = f"some or all operations on the CPU, in float32: {why}"
    return Placement(text=f"{word} for {accelerator.unit} and CPU", share=None, delegated=None, fallback=fallback)
