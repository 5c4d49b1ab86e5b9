"""The text of `bench doctor --power`: every sensor, what it is stated to do and what it was seen to do."""

from collections.abc import Iterator

from wattbench.harness.power.probe_file import PROBE_AGE
from wattbench.harness.sensor_check import PowerReport
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord
from wattbench.results.observed import ObservedRecord, StepResponse

__all__ = ["power_lines"]

MARKS = {"present": "ok", "absent": "--", "broken": "XX"}


def power_lines(report: PowerReport) -> Iterator[str]:
    """Return the report as lines."""
    yield "power sensors"
    seen = {observed.channel: observed for observed in report.observed}
    for sampler in report.samplers:
        yield from _availability_lines(sampler.name, sampler.availability)
        for channel in sampler.channels:
            yield from _channel_lines(channel, seen[channel.id])
    for text in report.untold:
        yield f"  not told by the probe: {text}"
    yield from _ending(report)


def _availability_lines(name: str, availability: Availability) -> Iterator[str]:
    yield f"  {MARKS[availability.state]} {name:<10} {availability.reason}"
    if not availability.usable and availability.remedy:
        yield f"                {availability.remedy}"


def _channel_lines(channel: ChannelRecord, seen: ObservedRecord) -> Iterator[str]:
    yield f"       {channel.id}: {channel.scope}, {channel.kind} in {channel.unit}"
    yield f"         {'':<10}{'update':<18}{'averaging window':<24}lag"
    stated = (channel.update_period_s, channel.averaging_window_s, channel.lag_s)
    update, window, lag = (_seconds(value) for value in stated)
    yield f"         {'stated':<10}{update:<18}{window:<24}{lag}"
    yield f"         {'observed':<10}{_period(seen):<18}{_window(seen.response):<24}{_lag(seen.response)}"
    if seen.reason is not None:
        yield f"         no update period: {seen.reason}"
    if seen.response is not None:
        answer = seen.response
        times = f"{answer.edges} steps on {answer.probed_at}, {100 * answer.misfit_rel:.1f} % off the fitted curve"
        yield f"         answers {answer.kind}; tells apart {_seconds(answer.time_resolution_s)}; {times}"
    for text in seen.contradictions:
        yield f"       ! {text}"


def _ending(report: PowerReport) -> Iterator[str]:
    if not report.observed:
        yield "\nNo power sensor can be read here: energy will be null, with this reason, never 0."
        return
    yield f"\nwatched for {report.watched_s:.0f} s"
    if not report.probed:
        yield "bench doctor --power --probe-load     runs a load in steps, to measure averaging windows and lags"
    else:
        yield f"answers are remembered for {PROBE_AGE.days} days, for this device and driver; runs use them"


def _seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def _period(seen: ObservedRecord) -> str:
    if seen.update_period_s is None:
        return "not seen"
    return f"{'at most ' if seen.at_most else ''}{_seconds(seen.update_period_s)}"


def _window(answer: StepResponse | None) -> str:
    if answer is None:
        return "not probed"
    if answer.time_constant_s is not None:
        return f"time constant {_seconds(answer.time_constant_s)}"
    limit = "at most " if answer.kind == "instant" else ""
    u = f" +- {_seconds(answer.u_averaging_window_s)}" if answer.u_averaging_window_s is not None else ""
    return f"{limit}{_seconds(answer.averaging_window_s)}{u}"


def _lag(answer: StepResponse | None) -> str:
    return "not probed" if answer is None else f"{_seconds(answer.lag_s)} +- {_seconds(answer.u_lag_s)} (k=1)"
