"""How a channel was seen to behave: its update period from its own polls, and where that contradicts what is stated."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from wattbench.harness.power.series import Series, series_of
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.observed import ObservedRecord, StepResponse

__all__ = ["CHANGES_MIN", "Period", "observe", "observed_period", "used_channel"]

CHANGES_MIN = 20
"""Fewer changes of the value tell no period (our choice)."""

EVERY_POLL = 0.9
"""Where more of the polls bring a new value, the sensor is updated about as often or more often (our choice)."""

IRREGULAR = 0.5
"""Intervals whose quartiles lie further apart than this share of their median have no period (our choice)."""

APART = 0.25
"""A period or window off by more than this share contradicts (our choice): the published ones scatter by 10 %."""

PERIOD = "update period"
"""How the contradiction of an update period begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """An update period seen in a poll log, in seconds with its k=1; None with the reason where there is none to see."""

    period_s: float | None
    u_period_s: float | None
    at_most: bool
    changes: int
    reason: str | None


def observe(channel: ChannelRecord, polls: Sequence[Polls], response: StepResponse | None) -> ObservedRecord:
    """Return what a channel's polls and its last probe say of it, and where that contradicts what is stated."""
    series = series_of(channel, polls)
    seen = observed_period(series)
    return ObservedRecord(
        channel=channel.id,
        polls=len(series.times_ns),
        changes=seen.changes,
        update_period_s=seen.period_s,
        u_update_period_s=seen.u_period_s,
        at_most=seen.at_most,
        reason=seen.reason,
        stated_update_period_s=channel.update_period_s,
        stated_averaging_window_s=channel.averaging_window_s,
        stated_lag_s=channel.lag_s,
        response=response,
        contradictions=(*_period_contradiction(channel, seen, series.spacing_s), *_response_facts(channel, response)),
    )


def observed_period(series: Series) -> Period:
    """Return the update period that a poll log shows.

    A change of value is an update. Some updates bring the same value, so their intervals are the period or multiples
    of it; the mean of those near the lower quartile is taken. Its uncertainty is that of one poll's spacing at either
    end (rectangular, spacing/sqrt(6)) over the root of their number.
    """
    changes = [series.times_ns[i + 1] for i, (a, b) in enumerate(pairwise(series.values)) if a != b]
    count = len(changes)
    if count < CHANGES_MIN:
        why = f"the value changed {count} times; {CHANGES_MIN} changes tell a period"
        return Period(period_s=None, u_period_s=None, at_most=False, changes=count, reason=why)
    spacing_s = series.spacing_s
    intervals = sorted((b - a) / 1e9 for a, b in pairwise(changes))
    low, middle, high = (intervals[round(q * (len(intervals) - 1))] for q in (0.25, 0.5, 0.75))
    if high - low > max(1.01 * spacing_s, IRREGULAR * middle):
        why = f"the value changes at irregular intervals, half of them between {low:.3g} and {high:.3g} s"
        return Period(period_s=None, u_period_s=None, at_most=False, changes=count, reason=why)
    near = [s for s in intervals if abs(s - low) <= 1.5 * spacing_s]
    return Period(
        period_s=math.fsum(near) / len(near),
        u_period_s=spacing_s / math.sqrt(6 * len(near)),
        at_most=count >= EVERY_POLL * (len(series.values) - 1),
        changes=count,
        reason=None,
    )


def used_channel(channel: ChannelRecord, observed: ObservedRecord) -> ChannelRecord:
    """Return the channel with the observed facts in place of stated ones that they contradict, or that nobody states.

    The lag comes with the uncertainty that the probe found. An update period is taken only where it is contradicted:
    a stated one that agrees is better known.
    """
    period_s, lag_s, window_s = channel.update_period_s, channel.lag_s, channel.averaging_window_s
    lag_u_s, response = channel.lag_u_s, observed.response
    if any(text.startswith(PERIOD) for text in observed.contradictions):
        period_s = observed.update_period_s
    if response is not None and (lag_s is None or _lag_contradicts(lag_s, response)):
        lag_s, lag_u_s = max(response.lag_s, 0.0), response.u_lag_s
    if response is not None and (window_s is None or _window_contradicts(window_s, response)):
        window_s = response.averaging_window_s
    return replace(channel, update_period_s=period_s, lag_s=lag_s, lag_u_s=lag_u_s, averaging_window_s=window_s)


def _period_contradiction(channel: ChannelRecord, seen: Period, spacing_s: float) -> list[str]:
    stated_s, period_s = channel.update_period_s, seen.period_s
    if stated_s is None or period_s is None:
        return []
    apart_s = period_s - stated_s
    shorter = seen.at_most and apart_s >= 0  # longer than stated only because the polls are rare
    if shorter or abs(apart_s) <= max(APART * stated_s, 1.5 * spacing_s):
        return []
    return [f"{PERIOD} {period_s:.3g} s, stated is {stated_s:.3g} s"]


def _response_facts(channel: ChannelRecord, response: StepResponse | None) -> list[str]:
    window_s, lag_s, found = channel.averaging_window_s, channel.lag_s, []
    if response is not None and window_s is not None and _window_contradicts(window_s, response):
        seen_s = response.averaging_window_s
        seen = "none, but an exponential approach" if seen_s is None else f"{seen_s:.3g} s"
        found.append(f"averaging window {seen}, stated is {window_s:.3g} s")
    if response is not None and lag_s is not None and _lag_contradicts(lag_s, response):
        found.append(f"lag {response.lag_s:.3g} +- {response.u_lag_s:.2g} s, stated is {lag_s:.3g} s")
    return found


def _window_contradicts(stated_s: float, response: StepResponse) -> bool:
    """Return whether a stated window cannot be the observed one; of an instant response only a longer one cannot."""
    seen_s = response.averaging_window_s
    if seen_s is None:
        return True
    slack_s = max(APART * stated_s, 2 * (response.u_averaging_window_s or 0.0), 2 * response.poll_spacing_s)
    if response.kind == "instant":
        return stated_s > seen_s + slack_s
    return abs(seen_s - stated_s) > slack_s


def _lag_contradicts(stated_s: float, response: StepResponse) -> bool:
    """Return whether a stated lag lies outside the observed one's interval (k=2) and a poll's spacing."""
    return abs(response.lag_s - stated_s) > 2 * response.u_lag_s + response.poll_spacing_s
