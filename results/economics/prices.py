"""From money an hour to money a token, a query, a task and a year."""

from dataclasses import dataclass

from wattbench.results.checks import require, require_finite, require_not_negative

__all__ = [
    "DAYS_PER_MONTH",
    "PhaseCost",
    "TokenPrices",
    "annual_usd",
    "blended_usd_per_million",
    "cached_price",
    "gross_margin",
    "markup",
    "prices_by_ratio",
    "query_usd",
    "reservation_usd_per_million",
    "split_by_time",
    "task_usd",
    "tokens_for_usd",
    "usage_usd_per_million",
]

DAYS_PER_MONTH = 30.4
"""The month of API price lists: 365 / 12, rounded as they do."""

MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """Prices of input and output tokens, in USD per million."""

    input_usd_per_million: float
    output_usd_per_million: float

    def __post_init__(self) -> None:
        require_not_negative(
            input_usd_per_million=self.input_usd_per_million, output_usd_per_million=self.output_usd_per_million
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCost:
    """What the two phases of one query cost, in USD; their sum is the query's whole cost, by construction."""

    input_usd: float
    output_usd: float

    @property
    def total_usd(self) -> float:
        """Return the cost of the query."""
        return self.input_usd + self.output_usd


def usage_usd_per_million(cost_usd_per_h: float, units_per_s: float) -> float:
    """Return the cost of a million units (tokens, queries) while the machine is busy, in USD."""
    require_not_negative(cost_usd_per_h=cost_usd_per_h)
    require_finite(units_per_s=units_per_s)
    require(units_per_s > 0, "nothing was done: a cost per unit needs a throughput above zero")
    return cost_usd_per_h / (units_per_s * 3600) * MILLION


def reservation_usd_per_million(cost_usd_per_h: float, units_per_s: float, utilisation: float) -> float:
    """Return the cost of a million units when idle hours are paid too: the usage cost over the busy share, in USD."""
    require(0 < utilisation <= 1, f"utilisation is a share within 0..1 and above 0, not {utilisation:g}")
    return usage_usd_per_million(cost_usd_per_h, units_per_s) / utilisation


def split_by_time(*, cost_usd_per_h: float, prefill_s: float, decode_s: float, concurrency: float) -> PhaseCost:
    """Return what prefill and decode of one query cost by the time that each holds the machine, in USD.

    Of `concurrency` queries at once each pays its share of the hour. The two add up to the query's cost exactly, which
    a division of the whole hour by input and again by output tokens does not.
    """
    require_not_negative(cost_usd_per_h=cost_usd_per_h, prefill_s=prefill_s, decode_s=decode_s)
    require(concurrency > 0, f"concurrency must be positive, not {concurrency:g}")
    second_usd = cost_usd_per_h / 3600 / concurrency
    return PhaseCost(input_usd=second_usd * prefill_s, output_usd=second_usd * decode_s)


def prices_by_ratio(usd: float, *, input_tokens: float, output_tokens: float, ratio: float) -> TokenPrices:
    """Return token prices that bring in `usd` when an output token costs `ratio` times an input token.

    A convention, for where the phases were not measured apart: x = usd / (in + ratio out), output = ratio x.
    """
    require_not_negative(usd=usd, input_tokens=input_tokens, output_tokens=output_tokens, ratio=ratio)
    shares = input_tokens + ratio * output_tokens
    require(shares > 0, "a price needs tokens")
    price = usd / shares * MILLION
    return TokenPrices(input_usd_per_million=price, output_usd_per_million=ratio * price)


def cached_price(input_usd: float, cached_usd: float, hit_share: float) -> float:
    """Return the mean price of input tokens of which a share is found in the provider's cache, in the same unit."""
    require(0 <= hit_share <= 1, f"the share of cache hits lies within 0..1, not {hit_share:g}")
    return input_usd * (1 - hit_share) + cached_usd * hit_share


def query_usd(prices: TokenPrices, *, input_tokens: float, output_tokens: float) -> float:
    """Return the price of one query at token prices, in USD."""
    require_not_negative(input_tokens=input_tokens, output_tokens=output_tokens)
    return (prices.input_usd_per_million * input_tokens + prices.output_usd_per_million * output_tokens) / MILLION


def blended_usd_per_million(prices: TokenPrices, *, input_share: float) -> float:
    """Return one price for a mix of tokens, in USD per million; `input_share` of them are input tokens."""
    require(0 <= input_share <= 1, f"input_share lies within 0..1, not {input_share:g}")
    return prices.input_usd_per_million * input_share + prices.output_usd_per_million * (1 - input_share)


def task_usd(
    prices: TokenPrices,
    *,
    calls: int,
    input_tokens: float,
    growth_tokens: float,
    output_tokens: float,
    retry_share: float,
    tools_usd: float,
) -> float:
    """Return the cost of one agentic task, in USD: `calls` queries whose input grows by `growth_tokens` each.

    `retry_share` of all calls fail and are repeated, which costs 1/(1 - share); `tools_usd` is paid beside.
    """
    require(calls >= 1, f"a task has at least one call, not {calls}")
    require(0 <= retry_share < 1, f"the share of repeated calls lies within 0..1 and below 1, not {retry_share:g}")
    require_not_negative(growth_tokens=growth_tokens, tools_usd=tools_usd)
    mean_input = input_tokens + growth_tokens * (calls - 1) / 2
    once = query_usd(prices, input_tokens=mean_input, output_tokens=output_tokens)
    return calls * once / (1 - retry_share) + tools_usd


def annual_usd(queries_per_day: float, usd_per_query: float) -> float:
    """Return the bill of 365 days, in USD."""
    require_not_negative(queries_per_day=queries_per_day, usd_per_query=usd_per_query)
    return queries_per_day * 365 * usd_per_query


def tokens_for_usd(usd: float, usd_per_million: float) -> float:
    """Return how many tokens a sum buys at a price per million."""
    require(usd_per_million > 0, "a price of zero buys without end")
    return usd / usd_per_million * MILLION


def gross_margin(cost: float, price: float) -> float:
    """Return the share of a price that is left after its cost."""
    require(price > 0, "a margin needs a price above zero")
    return 1 - cost / price


def markup(revenue: float, cost: float) -> float:
    """Return profit as a share of cost: revenue / cost - 1."""
    require(cost > 0, "a markup needs a cost above zero")
    return revenue / cost - 1
