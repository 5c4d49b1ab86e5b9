"""Whole runs whose watts come from agents: joules that are right, clocks that are apart, and agents that get lost."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from agent_service import TOKEN, Agent, proxy, recording, shifted
from command_line import SOON

from wattbench.harness.cli.figures import result_lines
from wattbench.results.document import Result
from wattbench.results.energy import ChannelEnergy
from wattbench.results.files import read_result
from wattbench.results.report.blocks import Cards
from wattbench.results.report.headline import headline_section
from wattbench.results.report.subject import Subject

SHORT = ("--quick", "--load", "tiny-decoder/tiny", "--window", "1", "--warm-up-max", "0.1", *SOON)
LIMIT_S = 120
WATTS = 200.0


class Run:
    """`bench run` on the mock, as a process, with its power from agents."""

    def __init__(self, folder: Path, *power: str, repeats: int = 3) -> None:
        self.out = folder / "out"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("WATTBENCH_")}
        places = {"WATTBENCH_DATA": str(folder / "data"), "WATTBENCH_CACHE": str(folder / "cache")}
        words = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "run", "--backend", "mock", *SHORT]
        words += ["--repeats", str(repeats), "--idle", "0", "--out", str(self.out)]
        words += [word for one in power for word in ("--power", one)]
        self.process = subprocess.Popen(
            words, env={**kept, **places}, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def end(self) -> Result:
        """Wait for the end and return the result, read through every check."""
        stdout, stderr = self.process.communicate(timeout=LIMIT_S)

        assert "Traceback" not in stderr, stderr
        assert list(self.out.glob("*.json")), stdout + stderr
        (path,) = self.out.glob("*.json")
        return read_result(path)

    def wait_for_joules(self) -> None:
        """Wait until a repeat whose energy is known stands in the file."""
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            repeats = [
                repeat for path in self.out.glob("*.json") for repeat in json.loads(path.read_bytes())["repeats"]
            ]
            if any(energy["energy_j"] is not None for repeat in repeats for energy in repeat["energy"]):
                return
            time.sleep(0.05)
        raise AssertionError("no energy was measured")


@contextlib.contextmanager
def ahead_by(agent: Agent, seconds: float) -> Iterator[int]:
    """Give the port of an agent whose clock is ahead of ours: what it says goes through a proxy that shifts it."""
    with proxy(agent.port, lambda _, status, body: (status, shifted(body, round(seconds * 1e9)))) as port:
        yield port


def agent_of(agent: Agent, name: str) -> str:
    """Return the `--power` of an agent."""
    return f"agent:127.0.0.1:{agent.port},name={name}"


def j_per_token(result: Result) -> float:
    """Return the joules of an output token at the device's own rung."""
    assert result.summary is not None
    metric = result.summary.metric("energy.per_output_token")
    assert metric is not None
    assert metric.value is not None
    return metric.value


def known(result: Result, place: int) -> list[ChannelEnergy]:
    """Return the energies of a channel that are known, at least one; where a busy machine cost one, it says why."""
    energies = [repeat.energy[place] for repeat in result.repeats]
    found = [energy for energy in energies if energy.energy_j is not None]

    assert found, energies
    assert all(energy.reason for energy in energies if energy.energy_j is None)
    return found


def true_j_per_token(result: Result, watts: float) -> float:
    """Return what a constant power makes of the windows whose energy is known: time times watts, over their tokens."""
    return statistics.median(
        watts * repeat.window.duration_s / sum(repeat.completions.output_tokens)
        for repeat in result.repeats
        if all(energy.energy_j is not None for energy in repeat.energy)
    )


def test_a_clock_of_another_kernel_is_placed(tmp_path: Path) -> None:
    """An agent in a time namespace, whose monotonic clock is 5 s ahead in the kernel itself, gives the same joules."""
    prefix = ("unshare", "-r", "-T", "--monotonic", "5")
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs unshare and the right to make a time namespace")
    with Agent(tmp_path, "--power", recording(tmp_path, WATTS), prefix=prefix) as agent:
        result = Run(tmp_path, agent_of(agent, "host")).end()
    (clock,) = result.power.clocks

    assert true_j_per_token(result, WATTS) == pytest.approx(j_per_token(result), rel=0.01)
    assert abs(clock.offset_s - 5) <= clock.bound_s + 1e-6


AHEAD_S = {"left": 0.0, "right": 5.0}
SHOWN_W = {"left": 200.0, "right": 50.0}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Give one run with the powers of two agents, of which one has a clock that is 5 s ahead of ours."""
    folder = tmp_path_factory.mktemp("deployment")
    with contextlib.ExitStack() as stack:
        power = []
        for name, watts in SHOWN_W.items():
            agent = stack.enter_context(Agent(folder, "--power", recording(folder, watts)))
            port = stack.enter_context(ahead_by(agent, AHEAD_S[name]))
            power.append(f"agent:127.0.0.1:{port},name={name}")
        return Run(folder, *power).end()


def test_joules_are_right_whatever_an_agents_clock_says(deployment: Result) -> None:
    """Constant powers through agents give joules to 1 %, also with a clock that is 5 s ahead."""
    assert "complete" == deployment.status
    assert true_j_per_token(deployment, sum(SHOWN_W.values())) == pytest.approx(j_per_token(deployment), rel=0.01)
    for place, watts in enumerate(SHOWN_W.values()):
        assert all(watts == pytest.approx(energy.mean_power_w, rel=0.01) for energy in known(deployment, place))


@pytest.mark.parametrize("place", [0, 1], ids=list(AHEAD_S))
def test_each_agents_clock_is_told_with_its_bound(deployment: Result, place: int) -> None:
    """The offset is the true one within its bound, which is in the channel and in every budget."""
    clock, channel = deployment.power.clocks[place], deployment.power.channels[place]

    assert list(AHEAD_S)[place] == clock.source
    assert abs(clock.offset_s - AHEAD_S[clock.source]) <= clock.bound_s + 1e-6
    assert clock.worst_bound_s is not None
    assert 0 < clock.worst_bound_s <= (channel.clock_bound_s or 0)
    assert all("alignment" in {term.name for term in energy.budget} for energy in known(deployment, place))


def test_two_hosts_are_one_deployment(deployment: Result) -> None:
    """The rung says how many hosts there are."""
    assert deployment.summary is not None
    lead = deployment.summary.metric("efficiency.tokens_per_j")
    assert lead is not None
    assert "all 2 serving hosts" in (lead.boundary or "")


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Return the result of six windows during which the agent is killed: as soon as one of them has joules."""
    folder = tmp_path_factory.mktemp("lost")
    with Agent(folder, "--power", recording(folder, WATTS)) as agent:
        run = Run(folder, agent_of(agent, "host"), repeats=6)
        run.wait_for_joules()
        agent.process.kill()
        return run.end()


def test_an_agent_that_is_lost_costs_the_joules_and_nothing_else(lost: Result) -> None:
    """Throughput stands; energy is null with the reason, and a doubt says so."""
    last = lost.repeats[-1]

    assert ("complete", 6) == (lost.status, len(lost.repeats))
    assert lost.summary is not None
    assert (speed := lost.summary.metric("throughput.output_tokens")) is not None
    assert speed.value
    assert last.energy[0].energy_j is None
    assert last.energy[0].reason
    assert known(lost, 0)
    assert {"sensor_failed"} <= {doubt.code for doubt in lost.doubts}


def test_figures_of_a_lost_agent_say_of_how_many_windows_they_are(lost: Result) -> None:
    """J/token is that of the windows before the loss; text and page say in how many of the six it is known."""
    count = len(known(lost, 0))
    said = f"known in {count} of 6 windows"
    cards = headline_section(Subject(name="one", result_id="one", document=lost, data=b"")).blocks[0]
    assert isinstance(cards, Cards)
    assert lost.summary is not None
    metric = lost.summary.metric("energy.per_output_token")
    assert metric is not None

    assert 0 < count < 6
    assert count == len(metric.samples)
    assert any(said in line for line in result_lines(lost))
    assert {True, False} == {said in card.note for card in cards.cards}


def test_watts_come_over_tls_from_an_agent_that_is_trusted(tmp_path: Path, peers: ModuleType) -> None:
    """Token and polls travel encrypted, checked against the agent's certificate; joules are those of the recording."""
    certificate, key = peers.certificate(tmp_path)
    token = tmp_path / "agent.key"
    token.write_text(f"token = {TOKEN}\n")
    token.chmod(0o600)
    flags = ("--credentials", str(token), "--tls-cert", str(certificate), "--tls-key", str(key))
    with Agent(tmp_path, "--power", recording(tmp_path, WATTS), *flags) as agent:
        address = f"agent:https://127.0.0.1:{agent.port},name=host,credentials={token}"
        result = Run(tmp_path, f"{address},tls={certificate}").end()
        stranger = Run(tmp_path, address)
        refusal = stranger.process.communicate(timeout=LIMIT_S)[1]

    assert "complete" == result.status
    assert true_j_per_token(result, WATTS) == pytest.approx(j_per_token(result), rel=0.01)
    assert 0 != stranger.process.returncode
    assert "certificate" in refusal
    assert TOKEN not in refusal + next((tmp_path / "out").glob("*.json")).read_text()
