"""Meters under the recorder: a slow one stalls no other, one that goes away comes back, and none is asked too often."""

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.contract import Paced, SamplerOptions
from wattbench.harness.power.energy import channel_energy
from wattbench.harness.power.meters.shelly import ShellySampler
from wattbench.harness.power.recorder import Recorder
from wattbench.harness.power.select import open_samplers
from wattbench.harness.power.series import is_absurd
from wattbench.results.energy import Polls
from wattbench.results.measurement import Window

INFO = {"model": "SNPL-00112EU", "gen": 2, "ver": "1.4.4"}


class Plug:
    """A plug whose counter follows its power, as a real one's does."""

    def __init__(self, power_w: float) -> None:
        self.power_w: object = power_w
        self._start_s = time.monotonic()
        self._watts = power_w

    def status(self, target: str, headers: dict[str, str], sent: bytes) -> dict[str, object]:
        """Answer Switch.GetStatus."""
        watt_hours = 1000 + self._watts * (time.monotonic() - self._start_s) / 3600
        return {"id": 0, "apower": self.power_w, "aenergy": {"total": round(watt_hours, 3)}}

    def routes(self) -> dict[str, Any]:
        """Return what the plug serves."""
        whole = {"sys": {"unixtime": 1}, "switch:0": {"apower": 1.0}}
        return {
            "/rpc/Shelly.GetDeviceInfo": INFO,
            "/rpc/Shelly.GetStatus": whole,
            "/rpc/Switch.GetStatus": self.status,
        }


@pytest.fixture
def serve(peers: ModuleType) -> Iterator[Callable[[Plug], Any]]:
    """Serve plugs until the test ends."""
    servers: list[Any] = []

    def start(plug: Plug, port: int = 0) -> Any:
        servers.append(peers.JsonServer(plug.routes(), port=port))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def until(recorder: Recorder, seen: Callable[[dict[str, Polls]], bool]) -> dict[str, Polls]:
    """Record until the polls of the channels show something, and return them."""
    deadline_s = time.monotonic() + 60
    while not seen(polls := {p.channel: p for p in recorder.polls()}):
        assert time.monotonic() < deadline_s, polls
        time.sleep(0.02)
    return polls


def watch(recorder: Recorder, seconds: float) -> None:
    """Record for some time."""
    recorder.start()
    time.sleep(seconds)
    recorder.stop()


def test_one_slow_plug_does_not_stall_the_other(serve: Callable[[Plug], Any]) -> None:
    """Each of two plugs of one kind has its own thread: while one answers after 5 s the other is polled on time."""
    quick, slow = serve(Plug(100.0)), serve(Plug(200.0))
    words = [
        f"shelly:{quick.address},name=quick,supply=1/2,every=0.05",
        f"shelly:{slow.address},name=slow,supply=2/2,every=0.05,timeout=0.5",
    ]
    selection = open_samplers(words, None)
    slow.delay_s = 5.0
    recorder = Recorder(selection.samplers, 20.0)

    def within(polls: dict[str, Polls]) -> int:
        """Return how many polls of the quick plug began and ended while a single one of the slow one's lasted."""
        good, bad = polls["shelly:quick:power"], polls["shelly:slow:power"]
        return max(
            (
                sum(a < began < ended < b for began, ended in zip(good.before_ns, good.after_ns, strict=True))
                for a, b in zip(bad.before_ns, bad.after_ns, strict=True)
            ),
            default=0,
        )

    recorder.start()
    polls = until(recorder, lambda polls: within(polls) >= 5)
    recorder.stop()
    good, bad = polls["shelly:quick:power"], polls["shelly:slow:power"]

    assert None not in good.value
    assert {None} == set(bad.value)
    assert all("within 0.5 s" in error for error in bad.errors.values())


def test_a_plug_that_goes_away_comes_back(serve: Callable[..., Any]) -> None:
    """While it is gone its polls are errors; the energy over the gap is null with a reason, never a number."""
    plug = Plug(100.0)
    server = serve(plug)
    sampler = ShellySampler(SamplerOptions(argument=f"{server.address},name=p,every=0.05,timeout=0.3", covers=None))
    sampler.probe()
    recorder = Recorder([sampler], 20.0)
    name = "shelly:p:power"
    recorder.start()
    until(recorder, lambda polls: 100.0 in polls[name].value)
    port = server.port
    server.stop()
    until(recorder, lambda polls: None in polls[name].value)
    time.sleep(4.0)  # more than three updates, which could be bridged
    serve(plug, port)
    power = until(recorder, lambda polls: polls[name].value[-1] == 100.0)[name]
    recorder.stop()
    window = Window(start_ns=power.after_ns[0], end_ns=power.before_ns[-1])
    energy = channel_energy(sampler.channels, recorder.polls(), window, rate_hz=20.0)

    assert 100.0 == power.value[0]
    assert any("Cannot reach" in error for error in power.errors.values())
    assert energy.integral_j is None
    assert "apart" in str(energy.notes) + str(energy.reason)


def test_a_plug_gives_the_right_joules(serve: Callable[[Plug], Any]) -> None:
    """100 W for 3 s are 300 J, by the counter and by the integral."""
    server = serve(Plug(100.0))
    sampler = ShellySampler(SamplerOptions(argument=f"{server.address},every=0.05", covers=None))
    sampler.probe()
    recorder = Recorder([sampler], 20.0)
    start_ns = time.perf_counter_ns()
    watch(recorder, 4.0)
    window = Window(start_ns=start_ns + 500_000_000, end_ns=start_ns + 3_500_000_000)
    energy = channel_energy(sampler.channels, recorder.polls(), window, rate_hz=20.0)

    assert pytest.approx(300.0, rel=0.001) == energy.integral_j
    assert energy.energy_j is not None
    assert pytest.approx(300.0, rel=0.1) == energy.energy_j


@pytest.mark.parametrize("power_w", [-5.0, 1e9])
def test_what_cannot_be_true_gives_no_energy(serve: Callable[[Plug], Any], power_w: float) -> None:
    """Negative, or far above the limit that the user states: the doubt is `sensor_absurd`."""
    plug = Plug(100.0)
    plug.power_w = power_w
    server = serve(plug)
    sampler = ShellySampler(SamplerOptions(argument=f"{server.address},every=0.05,limit=3680", covers=None))
    sampler.probe()
    recorder = Recorder([sampler], 20.0)
    start_ns = time.perf_counter_ns()
    watch(recorder, 1.0)
    window = Window(start_ns=start_ns + 200_000_000, end_ns=start_ns + 800_000_000)
    energy = channel_energy(sampler.channels, recorder.polls(), window, rate_hz=20.0)

    assert energy.energy_j is None
    assert is_absurd(str(energy.reason))


def test_a_meter_is_not_asked_more_often_than_it_likes(serve: Callable[[Plug], Any]) -> None:
    """At 20 Hz a plug is polled four times a second, and its health is held against that."""
    server = serve(Plug(100.0))
    sampler = ShellySampler(SamplerOptions(argument=server.address, covers=None))
    sampler.probe()
    recorder = Recorder([sampler], 20.0)
    name = sampler.channels[0].id
    recorder.start()
    polls = until(recorder, lambda polls: len(polls[name].value) >= 4)[name]
    recorder.stop()
    (health,) = recorder.health()

    assert isinstance(sampler, Paced)
    assert (4.0, 0) == (health.asked_rate_hz, health.failed)
    assert polls.before_ns[-1] - polls.before_ns[0] > 450_000_000
