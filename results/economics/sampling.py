"""Draws for a Monte Carlo of costs, and Erlang's waiting formula over many draws at once."""

from collections.abc import Mapping

import numpy
import numpy.typing

from wattbench.results.economics.inputs import Prior
from wattbench.results.errors import UsageError

__all__ = ["WORK_MAX", "Floats", "draw", "instances_for_waits", "lognormal"]

Floats = numpy.typing.NDArray[numpy.float64]

WORK_MAX = 2e9
"""The most steps (draws x machines) of a fleet's Monte Carlo: about a minute."""


def draw(priors: Mapping[str, Prior], samples: int, random: numpy.random.Generator) -> dict[str, Floats]:
    """Return draws of each input from its triangle, in the order of their paths so that a seed gives one answer."""
    found = {}
    for path in sorted(priors):
        prior = priors[path]
        if prior.low == prior.high:
            found[path] = numpy.full(samples, prior.mode)
        else:
            found[path] = random.triangular(prior.low, prior.mode, prior.high, samples)
    return found


def lognormal(value: float, u_rel: float | None, samples: int, random: numpy.random.Generator) -> Floats:
    """Return draws of a measured value with its relative standard uncertainty; positive, with `value` as the median."""
    if not u_rel:
        return numpy.full(samples, value)
    return value * numpy.exp(u_rel * random.standard_normal(samples))


def instances_for_waits(arrivals_per_s: Floats, served_per_s: Floats, *, wait_s: float, probability: float) -> Floats:
    """Return for each draw the least number of instances at which few enough wait; as `fleet.instances_for_wait`.

    One recursion of Erlang B over all draws; those that have their answer leave it. Raises UsageError where that would
    take too long.
    """
    offered = arrivals_per_s / served_per_s
    least = numpy.maximum(1.0, numpy.ceil(numpy.round(offered, 9)))
    if float(least.max()) * least.size > WORK_MAX:
        why = f"up to {least.max():.0f} machines in {least.size} draws"
        raise UsageError("This Monte Carlo would take too long", why, "Use fewer draws: --samples N.")
    answer, open_ = numpy.zeros_like(offered), numpy.arange(offered.size)
    blocked, count, first = numpy.ones_like(offered), 0, float(least.min())
    while open_.size:
        count += 1
        blocked = offered * blocked / (count + offered * blocked)
        if count < first:
            continue
        spare = count * served_per_s - arrivals_per_s
        able = (spare > 0) & (count >= least)
        waits = blocked / (1 - numpy.where(able, offered, 0.0) / count * (1 - blocked))
        done = able & (waits * numpy.exp(-numpy.where(able, spare, 0.0) * wait_s) <= probability)
        if done.any():
            answer[open_[done]] = count
            keep = ~done
            open_, offered, blocked = open_[keep], offered[keep], blocked[keep]
            arrivals_per_s, served_per_s, least = arrivals_per_s[keep], served_per_s[keep], least[keep]
    return answer
