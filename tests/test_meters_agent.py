"""The agent sampler against real agents, through a proxy where they are to misbehave."""

import json
import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from agent_service import TOKEN, Agent, Change, free_port, proxy, recording, shifted

from wattbench.harness.power.contract import Reading, SamplerOptions
from wattbench.harness.power.meters.agent import AgentSampler
from wattbench.harness.power.select import open_samplers
from wattbench.results.errors import SensorError, UsageError
from wattbench.testing import check_sampler


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Serve a constant 200 W on loopback."""
    folder = tmp_path_factory.mktemp("agent")
    with Agent(folder, "--power", recording(folder, 200), "--power-rate", "50") as found:
        yield found


def sampler(argument: str) -> AgentSampler:
    """Return a sampler for an argument, with time for an answer on a busy machine."""
    return AgentSampler(SamplerOptions(argument=f"{argument},timeout=30", covers=None))


def taken_ns(reading: Reading) -> int:
    """Return when a value was taken, on the run's clock."""
    assert reading.taken_ns is not None
    return reading.taken_ns


def polled(found: AgentSampler, count: int) -> list[Reading]:
    """Return what a sampler reads until so many polls have come."""
    readings: list[Reading] = []
    deadline_s = time.monotonic() + 30
    while len(readings) < count:
        assert time.monotonic() < deadline_s, readings
        readings += found.read()
        time.sleep(0.02)
    return readings


def bound_ns(found: AgentSampler) -> float:
    """Return within what a sampler states that it places values."""
    return 1e9 * (found.channels[0].clock_bound_s or 0.0)


def why(argument: str) -> str:
    """Return why an agent cannot be used."""
    found = sampler(argument).probe()

    assert "broken" == found.state
    return f"{found.reason} {found.remedy}"


def changed(agent: Agent, change: Change) -> str:
    """Return what a probe says of an agent whose answers are changed."""
    with proxy(agent.port, change) as port:
        return why(f"127.0.0.1:{port}")


def test_the_contract_is_kept(agent: Agent) -> None:
    """The agent sampler passes every check of a sampler."""
    assert check_sampler(lambda: sampler(f"127.0.0.1:{agent.port}"))


def test_channels_are_the_agents_under_the_hosts_name(agent: Agent) -> None:
    """Scope, kind and provenance stay; name, host and clock bound are added; the clock is ours on one machine."""
    found = sampler(f"127.0.0.1:{agent.port},name=left")
    answer = found.probe()
    (channel,) = found.channels
    clock = found.remote_clock()

    assert "present" == answer.state, answer
    assert ("agent:left:replay:board", "board", "replayed", "@left", True) == (
        channel.id,
        channel.scope,
        channel.provenance,
        channel.covers,
        channel.buffered,
    )
    assert channel.clock_bound_s is not None
    assert channel.clock_bound_s >= 0.005
    assert clock is not None
    assert abs(clock.offset_s) <= clock.bound_s
    found.close()


def test_polls_come_with_their_own_instants(agent: Agent) -> None:
    """Every poll since the last read comes once, placed between the reads, half of them 20 ms apart or nearly so."""
    found = sampler(f"127.0.0.1:{agent.port}")
    found.probe()
    start_ns = time.perf_counter_ns()
    first = found.read()
    readings = polled(found, 20)
    end_ns = time.perf_counter_ns()
    taken = [taken_ns(r) for r in readings]
    found.close()

    assert () == first
    assert {200.0} == {r.value for r in readings}
    assert 20_000_000 == pytest.approx(statistics.median(b - a for a, b in pairwise(taken)), rel=0.4)
    assert sorted(set(taken)) == taken
    assert start_ns - bound_ns(found) < taken[0] < taken[-1] < end_ns + bound_ns(found)


def test_a_clock_that_is_5_s_ahead_moves_no_poll(agent: Agent) -> None:
    """With the agent's stamps shifted by 5 s the polls stand where they stood, and the offset is told."""
    with proxy(agent.port, lambda _, status, body: (status, shifted(body, 5_000_000_000))) as port:
        found = sampler(f"127.0.0.1:{port}")
        found.probe()
        start_ns = time.perf_counter_ns()
        found.read()
        readings = polled(found, 5)
        end_ns = time.perf_counter_ns()
        clock = found.remote_clock()
        found.close()

    assert clock is not None
    assert abs(clock.offset_s - 5) <= clock.bound_s
    assert {200.0} == {r.value for r in readings}
    assert all(start_ns - bound_ns(found) < taken_ns(r) < end_ns + bound_ns(found) for r in readings)


def test_a_clock_that_jumps_is_an_error_and_a_record(agent: Agent) -> None:
    """A jump in mid-run fails the read that sees it; what comes after is placed by the new offset."""
    ahead_ns = [0]
    with proxy(agent.port, lambda _, status, body: (status, shifted(body, ahead_ns[0]))) as port:
        found = sampler(f"127.0.0.1:{port}")
        found.probe()
        found.read()
        ahead_ns[0] = 2_000_000_000
        start_ns = time.perf_counter_ns()
        with pytest.raises(SensorError, match=r"clock .* jumped"):
            found.read()
        readings = polled(found, 5)
        end_ns = time.perf_counter_ns()
        clock = found.remote_clock()
        found.close()

    assert clock is not None
    assert 1 == clock.steps
    assert all(start_ns - 1_000_000_000 < taken_ns(r) < end_ns + 1_000_000_000 for r in readings)


def test_polls_that_the_agent_no_longer_has_are_told(agent: Agent) -> None:
    """A hole shows as a missing value with its cause, never as silence."""

    def forget(target: str, status: int, body: bytes) -> tuple[int, bytes]:
        found = json.loads(body)
        if "lost" in found:
            found["lost"] = 7 * ("after=" in target)
        return status, json.dumps(found).encode()

    with proxy(agent.port, forget) as port:
        found = sampler(f"127.0.0.1:{port}")
        found.probe()
        found.read()
        hole = found.read()[0]
        found.close()

    assert hole.value is None
    assert hole.error is not None
    assert "7 polls were lost" in hole.error


def test_a_slow_way_gives_no_value_that_cannot_be_placed(agent: Agent) -> None:
    """A bound that the user wants and the network does not give is refused at once."""

    def dawdle(target: str, status: int, body: bytes) -> tuple[int, bytes]:
        time.sleep(0.02)
        return status, body

    with proxy(agent.port, dawdle) as port:
        assert "can be placed within 0.0" in why(f"127.0.0.1:{port},clock=0.001")


def test_an_agent_that_was_started_anew_is_noticed(tmp_path: Path) -> None:
    """Another life of the agent is another clock: its polls are not taken for the old one's."""
    port = free_port()
    flags = ("--power", recording(tmp_path, 200))
    with Agent(tmp_path, *flags, listen=f"127.0.0.1:{port}"):
        found = sampler(f"127.0.0.1:{port}")
        found.probe()
        found.read()
    with pytest.raises(SensorError, match="Cannot reach"):
        found.read()
    with Agent(tmp_path, *flags, listen=f"127.0.0.1:{port}"), pytest.raises(SensorError, match="started anew"):
        found.read()
    found.close()


def test_a_wrong_token_is_said_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No token and a wrong one are told apart; the right one opens, from a file too."""
    environment = {"WATTBENCH_AGENT_TOKEN": TOKEN}
    monkeypatch.delenv("WATTBENCH_AGENT_TOKEN", raising=False)
    with Agent(tmp_path, "--power", recording(tmp_path, 200), environment=environment) as found:
        address = f"127.0.0.1:{found.port}"
        assert "asks for credentials" in why(address)
        monkeypatch.setenv("WATTBENCH_AGENT_TOKEN", "wrong-wrong-wrong-wrong")
        said = why(address)
        assert "refused the credentials" in said
        assert "wrong-wrong" not in said
        key = tmp_path / "key"
        key.write_text(f"token = {TOKEN}\n")
        key.chmod(0o600)
        right = sampler(f"{address},credentials={key}")
        assert "present" == right.probe().state
        right.close()


def test_nobody_there_is_said() -> None:
    """A port that nobody listens on."""
    assert "Connection refused" in why(f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "is no agent"),
        (200, b'{"a": 1}', "is no agent"),
        (429, b"{}", "HTTP 429"),
        (500, b"{}", "HTTP 500"),
    ],
)
def test_something_else_on_the_port_is_no_agent(agent: Agent, status: int, body: bytes, said: str) -> None:
    """Another server, and one that has no time or is broken, is an error that says so."""
    assert said in changed(agent, lambda *_: (status, body))


def test_another_version_is_said(agent: Agent) -> None:
    """Another protocol, and a fact that this version does not know, ask for one version on both machines."""
    assert "another version" in changed(agent, lambda _, s, body: (s, body.replace(b'"protocol": 1', b'"protocol": 9')))
    assert "one version" in changed(agent, lambda _, s, body: (s, body.replace(b'"group"', b'"gruppe"')))


def test_without_an_address_nothing_is_searched() -> None:
    """The agent is read only when named."""
    assert "absent" == AgentSampler(SamplerOptions(argument=None, covers=None)).probe().state


def test_agents_are_not_mixed_with_sensors_here(agent: Agent, tmp_path: Path) -> None:
    """A replay of this machine's beside an agent is refused, and so is one agent by two names."""
    with pytest.raises(UsageError, match="cannot be used together"):
        open_samplers([f"agent:127.0.0.1:{agent.port}", recording(tmp_path, 100)], None)
    with pytest.raises(UsageError, match="named twice"):
        open_samplers([f"agent:127.0.0.1:{agent.port},name=a", f"agent:localhost:{agent.port},name=b"], None)


@pytest.mark.parametrize("option", ["clock=0", "clock=nan", "every=0", "every=often"])
def test_options_that_cannot_be_are_told_before_anybody_is_asked(option: str) -> None:
    """Nothing listens on port 9 here, which is not what is wrong first."""
    assert f"{option} cannot be used: it is a positive number" in why(f"127.0.0.1:9,{option}")
