"""What a purchase has brought in, month by month: savings as they come, and at their worth on the first day."""

import math
from dataclasses import dataclass, replace

from wattbench.results.checks import require, require_not_negative
from wattbench.results.economics.capital import RATE_MIN
from wattbench.results.economics.inputs import CostInputs

__all__ = ["CashPoint", "Payback", "cash_curve", "month_rate", "payback_months", "payback_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CashPoint:
    """The sum of a purchase and its savings after `month` months, in USD: plain, and as net present value."""

    month: int
    summed_usd: float
    npv_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Payback:
    """Months after which savings have paid for machines; None where they never do.

    `months` without interest, `months_discounted` with it. `curve` follows the sum over the machines' life; it is empty
    where hardware.life_years or hardware.residual_usd was not given.
    """

    machines: int
    capital_usd: float
    saved_usd_per_month: float
    months: float | None
    months_discounted: float | None
    curve: tuple[CashPoint, ...] = ()


def month_rate(rate: float) -> float:
    """Return the month's share of a year's interest, (1 + rate)^(1/12) - 1."""
    return math.expm1(math.log1p(rate) / 12)  # which keeps the digits of a small rate


def cash_curve(
    *, capital_usd: float, saved_usd_per_month: float, rate: float, life_years: float, residual_usd: float
) -> tuple[CashPoint, ...]:
    """Return the point of every month of a machine's life, from its purchase to the sale of what is left of it.

    Summed: -K + m S; NPV: -K + S [1 - (1+i)^-m] / i, with the rest R / (1+i)^m at the end (annuity; i a month's rate).
    """
    require_not_negative(rate=rate, residual_usd=residual_usd)
    require(life_years > 0, "a machine lives for some time")
    last, i = max(1, math.floor(life_years * 12 + 1e-9)), month_rate(rate)
    points = []
    for month in range(last + 1):
        worth = month if i < RATE_MIN else -math.expm1(-month * math.log1p(i)) / i
        rest = residual_usd if month == last else 0.0
        points.append(
            CashPoint(
                month=month,
                summed_usd=-capital_usd + month * saved_usd_per_month + rest,
                npv_usd=-capital_usd + worth * saved_usd_per_month + rest / math.pow(1 + i, month),
            )
        )
    return tuple(points)


def payback_months(*, machines: int, capital_usd: float, saved_usd_per_month: float, rate: float) -> Payback:
    """Return after how many months savings have paid a sum, without interest and with `rate` a year.

    K / S, and -ln(1 - K i / S) / ln(1 + i) with the month's rate i = (1 + rate)^(1/12) - 1.
    """
    monthly = month_rate(rate)
    months = discounted = None
    if saved_usd_per_month > 0:
        months = max(0.0, capital_usd / saved_usd_per_month)
        if monthly < RATE_MIN:
            discounted = months
        elif months * monthly < 1:
            discounted = -math.log1p(-months * monthly) / math.log1p(monthly)
    return Payback(
        machines=machines,
        capital_usd=capital_usd,
        saved_usd_per_month=saved_usd_per_month,
        months=months,
        months_discounted=discounted,
    )


def payback_of(inputs: CostInputs, *, machines: int, capital_usd: float, saved_usd_per_month: float) -> Payback:
    """Return when and how far savings pay machines, at the given interest and over their life. Raises UsageError."""
    rate = inputs.number("hardware.interest_rate", "Paying back")
    found = payback_months(
        machines=machines, capital_usd=capital_usd, saved_usd_per_month=saved_usd_per_month, rate=rate
    )
    years, residual = inputs.optional("hardware.life_years"), inputs.optional("hardware.residual_usd")
    if years is None or residual is None:
        return found
    curve = cash_curve(
        capital_usd=capital_usd,
        saved_usd_per_month=saved_usd_per_month,
        rate=rate,
        life_years=years,
        residual_usd=machines * residual,
    )
    return replace(found, curve=curve)
