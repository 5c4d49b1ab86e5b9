"""How NVIDIA's power sensors behave, by architecture: a small table of published measurements."""

import math
import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["UNCOMPARED", "Accuracy", "Behaviour", "Field", "accuracy_of", "architecture_of", "behaviour_of"]

Field = Literal["instant", "average", "usage", "counter", "energy", "samples"]

UNCOMPARED = "nobody compared this part's sensor with a meter in public"

_SOURCE = "Yang, Adamek, Armour, arXiv 2312.02741 and its data (GPU_Power_Benchmark), driver 535"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A field on an architecture: update period, averaging window and lag in s, share of time seen (None: unknown)."""

    update_period_s: float | None = None
    averaging_window_s: float | None = None
    lag_s: float | None = None
    seen_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The relative standard uncertainty (k=1) of a board's uncalibrated gain, and where it comes from."""

    rel: float
    basis: str


_ARCHITECTURES = {
    2: "kepler", 3: "maxwell", 4: "pascal", 5: "volta", 6: "turing", 7: "ampere", 8: "ada", 9: "hopper",
    10: "blackwell", 13: "rubin",
}  # fmt: skip
"""NVML_DEVICE_ARCH_* of nvidia-ml-py."""

_GA100_NAME = re.compile(r"\b(A100|A800|A30)(?!\d)|CMP 170HX")
"""Boards with the GA100 chip, which NVML calls Ampere though its sensor behaves otherwise."""

_WHOLE = Behaviour(update_period_s=0.1, averaging_window_s=0.1, lag_s=0.1, seen_share=1.0)
_QUARTER = Behaviour(update_period_s=0.1, averaging_window_s=0.025, lag_s=0.1, seen_share=0.25)
_HALF = Behaviour(update_period_s=0.02, averaging_window_s=0.01, seen_share=0.5)
_SECOND = Behaviour(update_period_s=0.1, averaging_window_s=1.0, lag_s=0.5, seen_share=1.0)

_INSTANT = {
    "kepler": Behaviour(update_period_s=0.1, lag_s=0.045),
    "maxwell": Behaviour(update_period_s=0.1),
    "pascal": _HALF,
    "volta": _HALF,
    "turing": _WHOLE,
    "ga100": Behaviour(update_period_s=0.1, averaging_window_s=0.025, lag_s=0.07, seen_share=0.25),
    "ampere": _WHOLE,
    "ada": _WHOLE,
    "hopper": _QUARTER,
}
"""Instant power: 25 of every 100 ms on GA100 and Hopper, 10 of 20 ms on Pascal and Volta, all of it on the others."""

_AVERAGE = {
    "ampere": _SECOND,
    "ada": _SECOND,
    # whether Hopper's average takes in what its instant field does not see is not published
    "hopper": Behaviour(update_period_s=0.1, averaging_window_s=1.0, lag_s=0.5),
}
"""Average power: the trailing second, from Ampere on except GA100 (nvml.h, nvmlDeviceGetPowerUsage)."""

_AMPERE_ADA = Accuracy(
    rel=math.hypot(0.043, 0.017),
    basis=f"9 Ampere and Ada boards read 4.3 % less than a shunt meter on average, SD 1.7 %, uncorrected ({_SOURCE})",
)
_PASCAL_VOLTA = Accuracy(
    rel=0.01, basis=f"4 Pascal boards within 1 % of a shunt meter; Volta taken as alike ({_SOURCE})"
)

_ACCURACY = {
    "kepler": Accuracy(rel=math.hypot(0.034, 0.089) / math.sqrt(2), basis=f"K40m +3.4 %, K80 -8.9 % ({_SOURCE})"),
    "maxwell": Accuracy(rel=math.hypot(0.0135, 0.41) / math.sqrt(2), basis=f"M40 -1.35 %, K620 -41 % ({_SOURCE})"),
    "pascal": _PASCAL_VOLTA,
    "volta": _PASCAL_VOLTA,
    "turing": Accuracy(
        rel=math.hypot(0.0793, 0.127) / math.sqrt(2), basis=f"RTX 2080 Ti -7.9 %, RTX 2060 S +12.7 % ({_SOURCE})"
    ),
    "ga100": _AMPERE_ADA,
    "ampere": _AMPERE_ADA,
    "ada": _AMPERE_ADA,
}

_UNVERIFIED = Accuracy(
    rel=0.05 / math.sqrt(3),
    basis="no public comparison with a meter; +-5 % rectangular, which nvml.h states for older boards; bias unverified",
)


def architecture_of(number: int, name: str) -> str:
    """Return the table's word for an NVML architecture number and a board's name; "unknown" for new ones."""
    word = _ARCHITECTURES.get(number, "unknown")
    return "ga100" if word == "ampere" and _GA100_NAME.search(name) else word


def behaviour_of(architecture: str, field: Field) -> Behaviour:
    """Return how a field behaves; facts that nobody published are None.

    "usage" (nvmlDeviceGetPowerUsage) is the averaged field where the architecture has one, else the instant one. The
    counter is updated about every 100 ms (20 ms on Volta); whether it takes in what the instant field does not see is
    not published, so it is credited with no more. Field 191 ("energy") is the same counter. How often the driver puts a
    sample into its log, and what a sample averages, is not published.
    """
    if field == "samples":
        return Behaviour()
    if field in ("counter", "energy"):
        instant = _INSTANT.get(architecture, Behaviour())
        return Behaviour(update_period_s=instant.update_period_s, seen_share=instant.seen_share)
    if field == "instant":
        return _INSTANT.get(architecture, Behaviour())
    average = _AVERAGE.get(architecture, Behaviour())
    return _INSTANT.get(architecture, average) if field == "usage" and architecture not in _AVERAGE else average


def accuracy_of(architecture: str) -> Accuracy:
    """Return the uncertainty of an uncalibrated board's gain, which the counter and the power fields share."""
    return _ACCURACY.get(architecture, _UNVERIFIED)
