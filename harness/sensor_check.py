"""What the power sensors are like here: found or why not, how often they really update, and how they answer a load."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from wattbench.harness.clock import RunClock
from wattbench.harness.commands import PREPARE_TIMEOUT_S, prepare_command
from wattbench.harness.doctor import SamplerReport
from wattbench.harness.driving import Driven
from wattbench.harness.messages import Drive, PreparedReply
from wattbench.harness.plan import Resolved
from wattbench.harness.power.contract import Sampler
from wattbench.harness.power.curves import curve_of
from wattbench.harness.power.identity import board_facts, device_of, facts_of
from wattbench.harness.power.observing import observe, observed_period
from wattbench.harness.power.probe_file import keep_response, recall_responses
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import GROUP, make_sampler, parse_wanted
from wattbench.harness.power.series import series_of
from wattbench.harness.power.step_fit import Edge, fit_steps
from wattbench.harness.reporter import Reporter
from wattbench.harness.worker_client import WorkerClient
from wattbench.results.availability import Availability
from wattbench.results.energy import ChannelRecord, Polls
from wattbench.results.errors import SensorError, WattbenchError
from wattbench.results.observed import ObservedRecord, StepResponse
from wattbench.results.plugins import plugin_names

__all__ = ["PowerReport", "check_sensors", "responses_of", "stepped"]

RATE_HZ = 50.0
"""Polls a second: the fastest power fields that are published update every 20 ms (docs/power.md)."""

STEPS = 3
STEP_S = (2.5, 3.5)
"""Three times load and pause of about three seconds, longer than the slowest published average (1 s) needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerReport:
    """Every sampler, how the channels of the usable ones behaved, and what a probe could not tell."""

    samplers: tuple[SamplerReport, ...]
    observed: tuple[ObservedRecord, ...]
    watched_s: float
    probed: bool
    untold: tuple[str, ...]


def check_sensors(wanted: str, seconds: float, probe: Resolved | None, reporter: Reporter) -> PowerReport:
    """Return what can be said of the samplers that `wanted` names ("auto": all), watched for some seconds.

    With `probe` its load runs in steps meanwhile, and the answers of the channels are remembered. Raises UsageError for
    an unknown sampler, and whatever the backend raises; a sampler that fails is reported, not raised.
    """
    reports, samplers = _found(wanted)
    if not samplers:
        return PowerReport(samplers=reports, observed=(), watched_s=0.0, probed=False, untold=())
    channels = tuple(c for sampler in samplers for c in sampler.channels)
    clock = RunClock()
    recorder = Recorder(samplers, RATE_HZ, origin_ns=clock.origin_ns)
    try:
        recorder.start()
        edges = stepped(probe, clock, reporter) if probe is not None else ()
        time.sleep(max(seconds - clock.now_ns() / 1e9, 0.0))
        watched_s, polls = clock.now_ns() / 1e9, recorder.polls()
    finally:
        recorder.stop()
    fresh, untold = responses_of(channels, polls, edges) if edges else ({}, ())
    responses = recall_responses(channels, board_facts()) | fresh
    return PowerReport(
        samplers=reports,
        observed=tuple(observe(c, polls, responses.get(c.id)) for c in channels),
        watched_s=watched_s,
        probed=probe is not None,
        untold=untold,
    )


def stepped(resolved: Resolved, clock: RunClock, reporter: Reporter) -> tuple[Edge, ...]:
    """Let the load run in steps and return when each began and ended, on the clock."""
    drawn = random.Random(resolved.plan.seed)  # uneven, so that the steps meet every phase of a sensor's updates
    spans: list[tuple[int, int]] = []
    with WorkerClient() as worker:
        reporter.note(f"preparing {resolved.plan.load} on {resolved.plan.device}")
        worker.ask(prepare_command(resolved.plan, clock.origin_ns), PreparedReply, PREPARE_TIMEOUT_S)
        start_ns = clock.now_ns()
        time.sleep(drawn.uniform(*STEP_S))
        for index in range(STEPS):
            reporter.note(f"step {index + 1} of {STEPS}")
            command = Drive(share=1.0, seconds=drawn.uniform(*STEP_S), seed=index)
            done = worker.ask(command, Driven, PREPARE_TIMEOUT_S)
            spans.append((done.start_ns - clock.origin_ns, done.end_ns - clock.origin_ns))
            time.sleep(drawn.uniform(*STEP_S))
        instants = [start_ns, *(at for span in spans for at in span), clock.now_ns()]
    return tuple(
        Edge(
            at_ns=instants[i],
            rising=i % 2 == 1,
            before_s=(instants[i] - instants[i - 1]) / 1e9,
            after_s=(instants[i + 1] - instants[i]) / 1e9,
        )
        for i in range(1, len(instants) - 1)
    )


def responses_of(
    channels: Sequence[ChannelRecord], polls: Sequence[Polls], edges: Sequence[Edge]
) -> tuple[dict[str, StepResponse], tuple[str, ...]]:
    """Return how each channel answered the steps, remembering it, and in words which ones cannot be told."""
    found: dict[str, StepResponse] = {}
    untold: list[str] = []
    boards = board_facts()
    for channel in channels:
        try:
            found[channel.id] = _response(channel, polls, edges, facts_of(device_of(channel), boards)[1])
            keep_response(channel, found[channel.id])
        except SensorError as exc:
            untold.append(f"{channel.id}: {exc.what}: {exc.why}")
    return found, tuple(untold)


def _response(
    channel: ChannelRecord, polls: Sequence[Polls], edges: Sequence[Edge], driver: str | None
) -> StepResponse:
    raw = series_of(_without_lag(channel), polls)
    times_ns, watts = curve_of(raw)
    period_s = observed_period(raw).period_s or raw.period_s
    answer = fit_steps(times_ns, watts, edges, period_s=period_s, spacing_s=raw.spacing_s)
    memory_s = answer.averaging_window_s or answer.time_constant_s or 0.0
    return StepResponse(
        kind=answer.kind,
        averaging_window_s=answer.averaging_window_s,
        u_averaging_window_s=answer.u_averaging_window_s,
        time_constant_s=answer.time_constant_s,
        lag_s=answer.lag_s,
        u_lag_s=answer.u_lag_s,
        edges=answer.edges,
        misfit_rel=answer.misfit_rel,
        poll_spacing_s=raw.spacing_s,
        time_resolution_s=max(period_s, raw.spacing_s, 0.0 if answer.kind == "instant" else memory_s),
        probed_at=datetime.now(tz=UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        driver=driver,
    )


def _without_lag(channel: ChannelRecord) -> ChannelRecord:
    """Return the channel with its polls left where they were read: the lag is what is looked for."""
    return replace(channel, lag_s=None)


def _found(wanted: str) -> tuple[tuple[SamplerReport, ...], tuple[Sampler, ...]]:
    """Return a report of every sampler that is asked for, and the usable ones, open."""
    wish = parse_wanted([wanted])[0]
    every = wish.name == "auto"
    reports, samplers = [], []
    for name in plugin_names(GROUP) if every else (wish.name,):
        try:
            sampler = make_sampler(name, None if every else wish.argument, None)
            availability = sampler.probe()
        except WattbenchError as exc:
            sampler = None
            availability = Availability(state="broken", reason=f"{exc.what}: {exc.why}", remedy=exc.remedy)
        usable = sampler is not None and availability.usable
        channels = sampler.channels if sampler is not None and usable else ()
        reports.append(SamplerReport(name=name, availability=availability, channels=channels))
        samplers += [sampler] if sampler is not None and usable else []
    return tuple(reports), tuple(samplers)
