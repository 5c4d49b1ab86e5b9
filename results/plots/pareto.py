"""Price against interactivity: USD per million output tokens over the tokens that one user gets a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattbench.results.economics.comparing import Candidate
from wattbench.results.economics.query import query_cost
from wattbench.results.errors import UsageError
from wattbench.results.plots.sheet import Origin, figures, plain, sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Offer", "offers_of", "pareto_front", "plot_pareto"]

COVERAGE = 2.0
"""Error bars are expanded uncertainties, k=2: about 95 %."""

MARKERS = "osD^vP*X"
MEDIAN = 0.5
TPOT = "latency.tpot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One result: output tokens that a user gets a second, at the median, and USD per million output tokens.

    `reason` says what is missing where one of them is None; `u_rel` is the price's relative uncertainty (k=1).
    """

    label: str
    tokens_per_s: float | None
    usd_per_million: float | None
    u_rel: float | None
    reason: str


def plot_pareto(offers: Sequence[Offer], by: str, made_of: Sequence[Origin], unlike: Sequence[str] = ()) -> Figure:
    """Return the offers with their Pareto front; `unlike` says what keeps them from being like with like.

    Raises UsageError where no offer has both figures.
    """
    if by not in ("usage", "reservation"):
        why = f"the plot is of money, and the comparison is by {by}"
        raise UsageError("There is nothing to plot", why, "Use --by usage or --by reservation, or leave --plot out.")
    known = [offer for offer in offers if not offer.reason]
    if not known:
        why = "; ".join(f"{offer.label}: {offer.reason}" for offer in offers)
        raise UsageError("There is nothing to plot", why, "Give results of loads that decode, or leave --plot out.")
    notes = [
        "Interactivity: 1 / median time per output token (its 99 % bound where there is one)",
        "Filled: on the Pareto front, nothing drawn is both cheaper and faster for a user",
        *unlike,
        *(["Error bars: expanded uncertainty, k=2"] if any(offer.u_rel is not None for offer in known) else []),
        *(f"not drawn: {offer.label}: {offer.reason}" for offer in offers if offer.reason),
    ]
    title = f"Price against interactivity, by {by}"
    return sheet(title, made_of, lambda axes: _draw(axes, known, by), notes=notes, height_in=4.2)


def offers_of(
    candidates: Sequence[Candidate], names: Sequence[str], broken: Sequence[str], by: str
) -> tuple[Offer, ...]:
    """Return each candidate's place in the plot; the price is its decode part's, idle hours paid if by reservation.

    `broken` says for each which promise it does not keep, "" for none: such a one is at another service level.
    """
    return tuple(
        _offer(candidate, name, why, by) for candidate, name, why in zip(candidates, names, broken, strict=True)
    )


def pareto_front(offers: Sequence[Offer]) -> tuple[Offer, ...]:
    """Return the offers that no other one beats in both figures, the most interactive last."""
    known = [(o.tokens_per_s, o.usd_per_million, o) for o in offers if o.tokens_per_s and o.usd_per_million]
    front: list[Offer] = []
    for _, usd, offer in sorted(known, key=lambda row: (-row[0], row[1])):
        if not front or usd < (front[-1].usd_per_million or 0.0):
            front.append(offer)
    return tuple(reversed(front))


def _offer(candidate: Candidate, label: str, broken: str, by: str) -> Offer:
    measured = candidate.measured
    cost = query_cost(measured, candidate.inputs)
    money = cost.usage if by == "usage" else cost.reservation
    price = cost.usd_per_million_output
    rate = next((1 / q.value_s for q in measured.latencies if q.name == TPOT and q.q == MEDIAN and q.value_s > 0), None)
    reasons = [
        *([broken] if broken else []),
        *(["no time per output token was measured"] if rate is None else []),
        *(["input and output were not priced apart, or it has no output"] if price is None else []),
        *([cost.reservation_reason or "no price"] if money is None else []),
    ]
    idle = 1.0 if money is None else money.usd / cost.usage.usd
    return Offer(
        label=label,
        tokens_per_s=rate,
        usd_per_million=None if price is None else price * idle,
        u_rel=None if money is None else money.u_rel,
        reason="; ".join(reasons),
    )


def _draw(axes: Axes, offers: Sequence[Offer], by: str) -> None:
    front = pareto_front(offers)
    best = [(o.tokens_per_s or 0.0, o.usd_per_million or 0.0) for o in front]
    if len(best) > 1:
        axes.plot(*zip(*best, strict=True), color="0.4", linestyle="--", linewidth=1, zorder=1, label="Pareto front")
    for place, offer in enumerate(offers):
        assert offer.tokens_per_s is not None, "an offer without a reason is whole"
        assert offer.usd_per_million is not None, "an offer without a reason is whole"
        axes.errorbar(
            offer.tokens_per_s,
            offer.usd_per_million,
            yerr=None if offer.u_rel is None else COVERAGE * offer.u_rel * offer.usd_per_million,
            marker=MARKERS[place % len(MARKERS)],
            markersize=8,
            markerfacecolor="black" if offer in front else "white",
            color="black",
            linestyle="none",
            capsize=4,
            label=f"{place + 1}: {plain(offer.label, 70)}",
        )
        at = (offer.tokens_per_s, offer.usd_per_million)
        axes.annotate(str(place + 1), at, xytext=(8, 6), textcoords="offset points")
    axes.margins(0.2)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])  # room for the legend
    axes.xaxis.set_major_formatter(lambda value, _: figures(value))
    axes.yaxis.set_major_formatter(lambda value, _: figures(value))
    axes.set_xlabel("interactivity, output tokens/s of one user")
    axes.set_ylabel(f"USD per million output tokens ({by})")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize=8)
