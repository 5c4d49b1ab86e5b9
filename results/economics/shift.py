"""A fleet's way from training to inference by year, and which hardware meets a required cost of a query, how busy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from wattbench.results.economics.capital import energy_usd_per_h
from wattbench.results.economics.hourly import capital_hour_usd, opex_hour_usd
from wattbench.results.economics.inputs import CostInputs
from wattbench.results.economics.offers import AS_STATED, HardwareOffer
from wattbench.results.economics.power import ItPower
from wattbench.results.economics.training import inference_share
from wattbench.results.errors import UsageError

__all__ = ["ShiftYear", "Suitability", "fleet_shift", "suitable"]

PURPOSE = "The shift"
YEARS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftYear:
    """One year of a fleet, counted from 0: training and inference in USD and in kWh (None: not given), and shares."""

    year: int
    training_usd: float | None
    inference_usd: float | None
    inference_share_usd: float | None
    training_kwh: float | None
    inference_kwh: float | None
    inference_share_kwh: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suitability:
    """Whether a machine meets the required cost: from `utilisation` on; None with `reason` where never or not known.

    `usd_per_query_full` is its cost when it never idles, `queries_per_s` the rate it was computed with, which is
    `stated`, or follows from peaks and the shares attained of them.
    """

    offer: HardwareOffer
    queries_per_s: float | None
    rate_basis: Literal["stated", "from peaks", "unknown"]
    usd_per_query_full: float | None
    utilisation: float | None
    reason: str | None
    notes: tuple[str, ...]


def fleet_shift(inputs: CostInputs) -> tuple[ShiftYear, ...]:
    """Return spend and energy by year.

    Work grows by (1 + g) a year, and its unit cost falls by f: x_y = x_0 [(1 + g)(1 - f)]^y. Raises UsageError where
    neither money nor energy was given whole.
    """
    years = inputs.number("shift.years", PURPOSE)
    if years != int(years):
        raise UsageError("Years are whole", f"shift.years is {years:g}", "Give a whole number.")
    money, energy = _series("usd", "price_fall", int(years), inputs), _series("kwh", "energy_fall", int(years), inputs)
    if money is None and energy is None:
        inputs.number("shift.training_usd_per_year", f"{PURPOSE} (or shift.training_kwh_per_year)")
    found = []
    for year in range(int(years)):
        usd, kwh = (None if series is None else series[year] for series in (money, energy))
        found.append(
            ShiftYear(
                year=year,
                training_usd=usd[0] if usd else None,
                inference_usd=usd[1] if usd else None,
                inference_share_usd=_share(usd),
                training_kwh=kwh[0] if kwh else None,
                inference_kwh=kwh[1] if kwh else None,
                inference_share_kwh=_share(kwh),
            )
        )
    return tuple(found)


def suitable(offers: Iterable[HardwareOffer], inputs: CostInputs) -> tuple[Suitability, ...]:
    """Return for each machine from which utilisation on it meets `shift.usd_per_query`, best first.

    An hour of the calendar costs F + w u and does 3600 q u queries, so u* = F / (3600 q c - w), with F capital, running
    costs and energy at rest, w what work adds. Raises UsageError naming what is missing for all machines.
    """
    goal = inputs.number("shift.usd_per_query", "The required cost")
    rows = [_suitability(offer, inputs, goal) for offer in offers]
    return tuple(sorted(rows, key=lambda row: (row.utilisation is None, row.utilisation or 0.0)))


def _series(unit: Literal["usd", "kwh"], fall: str, years: int, inputs: CostInputs) -> list[tuple[float, float]] | None:
    paths = [f"shift.{side}_{unit}_per_year" for side in ("training", "inference")]
    if all(inputs.optional(path) is None for path in paths):
        return None
    starts = [inputs.number(path, PURPOSE) for path in paths]
    falls = 1 - inputs.number(f"shift.{fall}", PURPOSE)
    factors = [(1 + inputs.number(f"shift.{side}_growth", PURPOSE)) * falls for side in ("training", "inference")]
    return [(starts[0] * factors[0] ** year, starts[1] * factors[1] ** year) for year in range(years)]


def _share(pair: tuple[float, float] | None) -> float | None:
    return None if pair is None else inference_share(1.0, training=pair[0], per_query=pair[1])


def _suitability(offer: HardwareOffer, inputs: CostInputs, goal: float) -> Suitability:
    rate, basis = _rate(offer, inputs)
    if rate is None:
        why = "no rate is stated, and peak_flops or bandwidth_bytes_per_s is missing"
        return _unknown(offer, why)
    if offer.price_usd is None and offer.usd_per_h is None:
        return _unknown(offer, "neither a price nor a rent is stated")
    fixed, work, notes = _hour(offer, inputs)
    full, gain = (fixed + work) / (rate * 3600), rate * 3600 * goal - work
    utilisation = fixed / gain if gain > 0 else None
    reached = utilisation is not None and utilisation <= 1
    return Suitability(
        offer=offer,
        queries_per_s=rate,
        rate_basis=basis,
        usd_per_query_full=full,
        utilisation=utilisation if reached else None,
        reason=None if reached else f"even without idle hours a query costs {full:.3g} USD",
        notes=notes,
    )


def _unknown(offer: HardwareOffer, reason: str) -> Suitability:
    return Suitability(
        offer=offer,
        queries_per_s=None,
        rate_basis="unknown",
        usd_per_query_full=None,
        utilisation=None,
        reason=f"not known: {reason}",
        notes=(),
    )


def _rate(offer: HardwareOffer, inputs: CostInputs) -> tuple[float | None, Literal["stated", "from peaks", "unknown"]]:
    """Return the rate as stated, or 1 / [F / (a_F peak) + B / (a_B bandwidth)]: arithmetic and memory one by one."""
    if offer.queries_per_s is not None:
        return offer.queries_per_s, "stated"
    if offer.peak_flops is None or offer.bandwidth_bytes_per_s is None:
        return None, "unknown"
    flops, size, attained_flops, attained_bandwidth = (
        inputs.number(f"shift.{name}", "A rate from peaks")
        for name in ("flops_per_query", "bytes_per_query", "attained_flops", "attained_bandwidth")
    )
    compute_s = flops / (attained_flops * offer.peak_flops)
    return 1 / (compute_s + size / (attained_bandwidth * offer.bandwidth_bytes_per_s)), "from peaks"


def _hour(offer: HardwareOffer, inputs: CostInputs) -> tuple[float, float, tuple[str, ...]]:
    """Return what an hour costs in any case, and what an hour of work adds, in USD."""
    opex = opex_hour_usd(inputs)
    if offer.price_usd is None:
        assert offer.usd_per_h is not None, "checked by the caller"
        return offer.usd_per_h + opex, 0.0, ("rented for all hours, electricity in the rent",)
    fixed = capital_hour_usd(inputs.with_value("hardware.price_usd", offer.price_usd, offer.name)) + opex
    if offer.active_w is None:
        return fixed, 0.0, ("no energy is counted: no power is stated",)
    price, pue = (inputs.number(f"power.{name}", "The cost of energy") for name in ("usd_per_kwh", "pue"))
    active_usd = energy_usd_per_h(ItPower(power_w=offer.active_w).facility(pue), price)
    basis = () if offer.active_basis == AS_STATED else (f"its power at work is {offer.active_basis}",)
    if offer.idle_w is None:
        return fixed, active_usd, (*basis, "hours at rest are counted without energy: no power at rest is stated")
    idle_usd = energy_usd_per_h(ItPower(power_w=offer.idle_w).facility(pue), price)
    return fixed + idle_usd, active_usd - idle_usd, basis
