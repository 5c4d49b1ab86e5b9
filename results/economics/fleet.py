"""How many instances carry a load at a latency target: arrivals in the peak hour and Erlang's waiting formula."""

import math

from wattbench.results.checks import require, require_not_negative

__all__ = [
    "erlang_c",
    "headroom",
    "instances_for_rate",
    "instances_for_wait",
    "peak_rate",
    "rate_for_wait",
    "wait_probability",
]

INSTANCES_MAX = 1_000_000


def peak_rate(*, users: float, tasks_per_day: float, calls_per_task: float, peak_share: float) -> float:
    """Return the requests per second of the busiest hour, into which `peak_share` of a day's requests fall."""
    require_not_negative(users=users, tasks_per_day=tasks_per_day, calls_per_task=calls_per_task)
    require(0 < peak_share <= 1, f"the peak hour's share of the day lies within 0..1, not {peak_share:g}")
    return users * tasks_per_day * calls_per_task * peak_share / 3600


def erlang_c(servers: int, offered: float) -> float:
    """Return the probability that an arrival must wait, with Poisson arrivals and exponential service.

    `offered` is arrival rate over one server's service rate, in erlang. 1 when the servers cannot keep up. By the
    stable recursion of Erlang B: B(0) = 1, B(k) = a B(k-1) / (k + a B(k-1)), C = B / (1 - (a/c)(1 - B)).
    """
    require(servers >= 1, f"there must be at least one server, not {servers}")
    require_not_negative(offered=offered)
    if offered >= servers:
        return 1.0
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def wait_probability(servers: int, *, arrivals_per_s: float, served_per_s: float, wait_s: float) -> float:
    """Return the probability that an arrival waits longer than `wait_s`: C(c, a) e^{-(c mu - lambda) t}."""
    require(served_per_s > 0, "a server must serve something")
    require_not_negative(arrivals_per_s=arrivals_per_s, wait_s=wait_s)
    spare = servers * served_per_s - arrivals_per_s
    waits = erlang_c(servers, arrivals_per_s / served_per_s)
    return 1.0 if spare <= 0 else waits * math.exp(-spare * wait_s)


def instances_for_rate(arrivals_per_s: float, served_per_s: float) -> int:
    """Return the least number of instances whose rates add up to the arrivals; nothing is left for waiting."""
    require(served_per_s > 0, "an instance must serve something")
    require_not_negative(arrivals_per_s=arrivals_per_s)
    return max(1, math.ceil(round(arrivals_per_s / served_per_s, 9)))


def instances_for_wait(
    *, arrivals_per_s: float, served_per_s: float, wait_s: float, probability: float, spares: int = 0
) -> int:
    """Return the least number of instances at which no more than `probability` of arrivals wait longer than `wait_s`.

    `spares` are added for failures. Raises ValueError where more than a million would be needed.
    """
    require(0 < probability < 1, f"the share that may wait longer lies within 0..1, not {probability:g}")
    require(spares >= 0, f"spares cannot be negative, got {spares}")
    require_not_negative(wait_s=wait_s)
    offered, blocked = arrivals_per_s / served_per_s, 1.0
    least = instances_for_rate(arrivals_per_s, served_per_s)
    for count in range(1, INSTANCES_MAX + 1):
        blocked = offered * blocked / (count + offered * blocked)  # Erlang B, as in `erlang_c`
        spare = count * served_per_s - arrivals_per_s
        if count < least or spare <= 0:
            continue
        waits = blocked / (1 - offered / count * (1 - blocked))
        if waits * math.exp(-spare * wait_s) <= probability:
            return count + spares
    raise ValueError("more than a million instances would be needed")


def rate_for_wait(instances: int, *, served_per_s: float, wait_s: float, probability: float) -> float:
    """Return the largest arrival rate at which no more than `probability` wait longer than `wait_s`, by bisection.

    The probability rises with the rate, from 0 to 1 where the instances cannot keep up; the answer is within a part in
    1e12 of their whole rate, on the safe side.
    """
    require(0 < probability < 1, f"the share that may wait longer lies within 0..1, not {probability:g}")
    require(instances >= 1 and served_per_s > 0, "a rate needs instances that serve something")
    low, high = 0.0, 1.0  # shares of the instances' whole rate
    for _ in range(40):
        middle = (low + high) / 2
        arrivals = middle * instances * served_per_s
        waits = wait_probability(instances, arrivals_per_s=arrivals, served_per_s=served_per_s, wait_s=wait_s)
        low, high = (middle, high) if waits <= probability else (low, middle)
    return low * instances * served_per_s


def headroom(instances: int, *, arrivals_per_s: float, served_per_s: float) -> float:
    """Return the share of the instances' rate that the peak leaves free; negative when it is too much for them."""
    require(instances >= 1 and served_per_s > 0, "headroom needs instances that serve something")
    return 1 - arrivals_per_s / (instances * served_per_s)
