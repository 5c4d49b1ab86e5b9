"""What a client measured held against what the stub knows, request by request and token by token."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from wattbench.backends.traffic import Schedule, Served, lone_calls
from wattbench.harness.selftest.script import Truth

__all__ = ["Paired", "Spread", "closed_loop", "open_loop", "pair"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Quantiles of an error in seconds, and of how many values."""

    p50: float
    p99: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How far the client was from the truth.

    `ttft` is its time to first token less the server's own from reading the request to writing that token; what is left
    is the way in and out. `token` is a token's stamp less the beginning of its write, `gap` the absolute error of the
    time between two tokens. `requests` were compared, `unequal` had another number of tokens than was written.
    """

    ttft: Spread
    token: Spread
    gap: Spread
    requests: int
    unequal: int


def pair(served: Served, truths: Mapping[int, Truth]) -> Paired:
    """Return the errors of a window that the stub served. Raises ValueError when no request can be paired."""
    ttft: list[float] = []
    token: list[NDArray[numpy.int64]] = []
    gap: list[NDArray[numpy.int64]] = []
    unequal = 0
    for row, call in enumerate(served.call.tolist()):
        truth = truths.get(call)
        if truth is None or served.error[row] is not None:
            continue
        stamps, written = served.token_ns[row], numpy.array(truth.write_ns, dtype=numpy.int64)
        if len(stamps) != len(written):
            unequal += 1
            continue
        ttft.append(float(stamps[0] - served.start_ns[row]) - float(written[0] - truth.read_ns))
        token.append(stamps - written)
        gap.append(numpy.abs(numpy.diff(stamps) - numpy.diff(written)))
    if not ttft:
        raise ValueError("no request of the window has one token a write that could be paired")
    return Paired(
        ttft=_spread(numpy.array(ttft)),
        token=_spread(numpy.concatenate(token)),
        gap=_spread(numpy.concatenate(gap)),
        requests=len(ttft),
        unequal=unequal,
    )


def closed_loop(calls: int, concurrency: int, *, input_tokens: int, output_tokens: int, give_up_s: float) -> Schedule:
    """Return a closed loop of equal calls."""
    return _equal(numpy.zeros(calls, dtype=numpy.int64), concurrency, input_tokens, output_tokens, give_up_s, False)


def open_loop(
    calls: int, rate_per_s: float, in_flight_max: int | None, *, input_tokens: int, output_tokens: int, give_up_s: float
) -> Schedule:
    """Return an open loop of equal calls at a constant rate."""
    due = numpy.round(numpy.arange(calls) / rate_per_s * 1e9).astype(numpy.int64)
    return _equal(due, in_flight_max, input_tokens, output_tokens, give_up_s, True)


def _equal(
    due: NDArray[numpy.int64], limit: int | None, tokens_in: int, tokens_out: int, give_up_s: float, is_open: bool
) -> Schedule:
    each = numpy.ones_like(due)
    return Schedule(
        **lone_calls(due, tokens_in * each, tokens_out * each),
        open_loop=is_open,
        in_flight_max=limit,
        issue_until_ns=None,
        give_up_ns=round(give_up_s * 1e9),
    )


def _spread(values: NDArray[numpy.float64] | NDArray[numpy.int64]) -> Spread:
    if not len(values):
        return Spread(p50=0.0, p99=0.0, count=0)
    low, high = numpy.quantile(values, [0.5, 0.99], method="inverted_cdf")
    return Spread(p50=float(low) / 1e9, p99=float(high) / 1e9, count=len(values))
