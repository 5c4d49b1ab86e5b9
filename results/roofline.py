"""The roofline of a result as records: the measured ceilings, and where the run's phases lie below them."""

from collections.abc import Mapping
from dataclasses import dataclass

from wattbench.results.document import Result
from wattbench.results.stats import median
from wattbench.results.utilisation import Limit, Part, cached_weights, ceiling_of, intensity, reached

__all__ = ["LABELS", "Point", "Roof", "Roofline", "roofline_of"]

LABELS: dict[str, str] = {"P": "prefill", "D": "decode", "E": "encoder"}
"""The marks of phases and what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """The two ceilings: products in FLOP/s and memory in By/s, with what they are in words."""

    flops_per_s: float
    bytes_per_s: float
    products: str
    memory: str

    def attainable(self, flops_per_byte: float) -> float:
        """Return the FLOP/s that the ceilings allow at an intensity (Williams et al., doi:10.1145/1498765.1498785)."""
        return min(self.flops_per_s, self.bytes_per_s * flops_per_byte)

    @property
    def ridge(self) -> float:
        """Return the intensity from which on products are the limit and memory is not."""
        return self.flops_per_s / self.bytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One phase of the run: its mark, its FLOPs for each byte, and the FLOP/s that it reached."""

    mark: str
    flops_per_byte: float
    flops_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """The ceilings, the phases that can be placed, and by mark why the others cannot."""

    roof: Roof
    points: tuple[Point, ...]
    missing: Mapping[str, str]


def roofline_of(result: Result) -> Roofline | str:
    """Return the roofline with at least one point, or why there is none.

    The phases stand at their measured rates: P prefill, D decode, E an encoder's whole pass. What counts as moved
    bytes stands in docs/metrics.md.
    """
    roof = _roof(result)
    if isinstance(roof, str):
        return roof
    points, missing = _phases(result, roof)
    if not points:
        return next(iter(missing.values()))
    return Roofline(roof=roof, points=tuple(points), missing=missing)


def _roof(result: Result) -> Roof | str:
    """Return the measured ceilings, or why there is nothing to draw."""
    if result.summary is None:
        return "nothing was measured"
    products, memory = (ceiling_of(part, result.backend, result.ceilings) for part in ("flops", "bandwidth"))
    if products.rate is None or memory.rate is None:
        return _unknown(products, memory)
    return Roof(
        flops_per_s=products.rate, bytes_per_s=memory.rate, products=products.words, memory=f"memory, {memory.words}"
    )


def _unknown(*limits: Limit) -> str:
    return next(limit.words for limit in limits if limit.rate is None)


def _phases(result: Result, roof: Roof) -> tuple[list[Point], dict[str, str]]:
    """Return the phases that can be placed, and by mark why the others cannot."""
    marks: dict[str, Part] = {"P": "prefill_flops", "D": "bandwidth"} if result.load.output_tokens else {"E": "flops"}
    if result.load.output_tokens == 1:
        del marks["D"]
    points, missing = [], {}
    for mark, part in marks.items():
        found = _point(mark, part, result, roof)
        if isinstance(found, Point):
            points.append(found)
        else:
            missing[mark] = found
    return points, missing


def _point(mark: str, part: Part, result: Result, roof: Roof) -> Point | str:
    """Return where a phase lies, or why that is not known."""
    found = reached(part, result.load, result.repeats, result.backend, result.ceilings)
    rates = [rate for rate in found.rates if rate]
    if not rates:
        return found.reason
    flops_per_byte = intensity(part, result.load, result.repeats, result.backend)
    if flops_per_byte is None:
        return "how much of its weights it reads is not known"
    cached = cached_weights(result.load, result.backend, result.ceilings)
    if cached is not None and flops_per_byte < roof.ridge:
        return cached
    rate = median(rates) * (flops_per_byte if part == "bandwidth" else 1.0)
    return Point(mark=mark, flops_per_byte=flops_per_byte, flops_per_s=rate)
