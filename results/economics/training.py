"""When inference overtakes training, in money or in energy."""

from collections.abc import Iterator
from itertools import count

from wattbench.results.checks import require, require_not_negative

__all__ = ["inference_share", "monthly_shares", "queries_to_overtake"]


def queries_to_overtake(training: float, per_query: float) -> float:
    """Return the queries after which inference has taken as much as training; both in one unit (USD or kWh)."""
    require_not_negative(training=training)
    require(per_query > 0, "a query that takes nothing never overtakes")
    return training / per_query


def inference_share(queries: float, *, training: float, per_query: float) -> float:
    """Return the share of inference in the sum of training and inference after that many queries."""
    require_not_negative(queries=queries, training=training, per_query=per_query)
    inference = queries * per_query
    require(training + inference > 0, "a share needs something to share")
    return inference / (training + inference)


def monthly_shares(
    *, queries_per_month: float, growth_per_month: float, training: float, per_query: float
) -> Iterator[float]:
    """Yield the share of inference at the end of each month, with queries that grow by a share each month."""
    require_not_negative(queries_per_month=queries_per_month)
    require(growth_per_month > -1, "queries cannot shrink by more than all of them")
    total = 0.0
    for month in count():
        total += queries_per_month * (1 + growth_per_month) ** month
        yield inference_share(total, training=training, per_query=per_query)
