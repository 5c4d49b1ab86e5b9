"""`bench agent` as a process: what it answers, whom it refuses, and how it ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest
from agent_service import TOKEN, Agent, recording

from wattbench.harness.agent.access import Token, find_token, parse_listen, tls_of
from wattbench.harness.agent.server import CLIENTS
from wattbench.results.errors import UsageError


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Serve a constant 200 W on loopback, open to this machine."""
    folder = tmp_path_factory.mktemp("agent")
    with Agent(folder, "--power", recording(folder, 200), "--power-rate", "50") as found:
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Serve with a token from a file."""
    folder = tmp_path_factory.mktemp("guarded")
    with Agent(folder, "--power", recording(folder, 200), "--credentials", str(key_file(folder))) as found:
        yield found


def key_file(folder: Path, text: str = f"token = {TOKEN}\n", mode: int = 0o600) -> Path:
    """Write a file of credentials."""
    path = folder / "agent.key"
    path.write_text(text)
    path.chmod(mode)
    return path


def drip(client: socket.socket, seconds: float) -> None:
    """Send a byte now and then."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        client.sendall(b"x")
        time.sleep(0.2)


def later_polls(agent: Agent, after: int, rows: int) -> tuple[int, dict[str, Any]]:  # any: JSON
    """Return the polls since a mark, as soon as there are that many."""
    deadline_s = time.monotonic() + 30
    while len((found := agent.get(f"/v1/polls?after={after}"))[1]["rows"]) < rows:
        assert time.monotonic() < deadline_s, found
        time.sleep(0.02)
    return found


def answers_again(agent: Agent) -> bool:
    """Return whether the agent answers, after a while if need be."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        try:
            return agent.get("/v1/clock")[0] == 200
        except OSError:
            time.sleep(0.1)
    return False


def bench_agent(folder: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    """Run `bench agent` to its end."""
    words = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "agent", *flags]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_facts_say_what_there_is(agent: Agent) -> None:
    """The facts name the channels as their sampler states them, the rate, the depth and the machine."""
    status, facts = agent.get("/v1/facts")
    (channel,) = facts["channels"]

    assert (200, 1, 50.0) == (status, facts["protocol"], facts["rate_hz"])
    assert ("replay:board", "W", "replayed") == (channel["id"], channel["unit"], channel["provenance"])
    assert facts["depth_rows"] > 1000
    assert facts["machine"]["os"]


def test_the_clock_stands_between_question_and_answer(agent: Agent) -> None:
    """Receipt lies before sending, and on one machine both lie between our asking and our hearing."""
    before_ns = time.perf_counter_ns()
    _, clock = agent.get("/v1/clock")

    assert before_ns < clock["received_ns"] <= clock["sent_ns"] < time.perf_counter_ns()


def test_polls_follow_each_other_without_a_hole(agent: Agent) -> None:
    """Each answer goes on where the last one ended; every row has its instants and its value."""
    _, first = agent.get("/v1/polls")
    _, second = later_polls(agent, first["next"], rows=5)
    _, third = agent.get(f"/v1/polls?after={second['next']}")
    rows = [*second["rows"], *third["rows"]]

    assert [] == first["rows"]
    assert second["next"] == first["next"] + len(second["rows"])
    assert {200.0} == {row[3] for row in rows}
    assert all(before <= after for _, before, after, *_ in rows)
    assert sorted(row[1] for row in rows) == [row[1] for row in rows]


@pytest.mark.parametrize(
    ("target", "status"),
    [("/v1/polls?after=-1", 400), ("/v1/polls?after=x", 400), ("/v1/polls?after=1&after=2", 400), ("/", 404)],
)
def test_a_wrong_question_is_answered_so(agent: Agent, target: str, status: int) -> None:
    """A question that means nothing gets its own status and a reason."""
    found = agent.get(target)

    assert status == found[0]
    assert found[1]["error"]


def test_a_body_is_refused_and_ends_the_connection(agent: Agent) -> None:
    """What follows a question is never taken for the next one."""
    connection = HTTPConnection("127.0.0.1", agent.port, timeout=20)
    connection.request("GET", "/v1/clock", body=b"GET /v1/facts HTTP/1.1\r\n\r\n")
    reply = connection.getresponse()

    assert (400, "close") == (reply.status, reply.getheader("Connection"))
    connection.close()


def test_another_name_for_this_machine_is_refused_without_a_token(agent: Agent) -> None:
    """A page in a browser that has its own name point here learns nothing."""
    assert 403 == agent.get("/v1/facts", Host="attacker.example")[0]


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer"])
def test_without_the_token_nothing_is_told(guarded: Agent, header: str | None) -> None:
    """A missing or wrong token gets 401, and no fact."""
    headers = {} if header is None else {"Authorization": header}
    status, body = guarded.get("/v1/facts", **headers)

    assert (401, ["error"]) == (status, list(body))


def test_the_token_opens_and_shows_nowhere(guarded: Agent) -> None:
    """With the token the facts are told; the token stands in no process list."""
    assert 200 == guarded.get("/v1/facts", Authorization=f"Bearer {TOKEN}")[0]
    assert TOKEN not in " ".join(psutil.Process(guarded.process.pid).cmdline())
    assert TOKEN not in repr(Token(TOKEN))


def test_more_clients_than_seats_are_turned_away_and_seats_come_free(agent: Agent) -> None:
    """A full house answers nobody new; who leaves makes room."""
    with ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(("127.0.0.1", agent.port), timeout=20))
        time.sleep(0.2)
        late = stack.enter_context(socket.create_connection(("127.0.0.1", agent.port), timeout=20))
        try:
            late.sendall(b"GET /v1/clock HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = late.recv(100)
        except ConnectionError:
            heard = b""

    assert b"" == heard
    assert answers_again(agent)


def test_a_client_that_drips_is_cut_off(agent: Agent) -> None:
    """Whoever sends a header a byte at a time loses the seat after the time of one request."""
    with socket.create_connection(("127.0.0.1", agent.port), timeout=30) as slow:
        start_s = time.monotonic()
        slow.sendall(b"GET /v1/clock HTTP/1.1\r\nX: ")
        with pytest.raises(ConnectionError):
            drip(slow, 30)

    assert time.monotonic() - start_s < 25


def test_listening_to_the_network_needs_a_token(tmp_path: Path) -> None:
    """Without a token the agent refuses, and says how to make one."""
    ended = bench_agent(tmp_path, "--listen", "0.0.0.0:0", "--power", recording(tmp_path, 200))

    assert 2 == ended.returncode
    assert "there is no token" in ended.stderr
    assert "secrets.token_urlsafe" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_listening_to_the_network_with_a_token_works(tmp_path: Path) -> None:
    """With a token it listens on every address, and notes that the token travels in the open."""
    environment = {"WATTBENCH_AGENT_TOKEN": TOKEN}
    with Agent(tmp_path, "--power", recording(tmp_path, 200), listen="0.0.0.0:0", environment=environment) as found:
        assert 401 == found.get("/v1/facts")[0]
        assert 200 == found.get("/v1/facts", Authorization=f"Bearer {TOKEN}")[0]


@pytest.mark.parametrize(("text", "mode", "why"), [
    (f"token = {TOKEN}\n", 0o644, "others may read"),
    ("user = me\n", 0o600, "holds no token"),
    ("token = short\n", 0o600, "too short"),
])  # fmt: skip
def test_an_unsafe_token_is_refused(tmp_path: Path, text: str, mode: int, why: str) -> None:
    """A file that others may read, one without a token, and a token that can be guessed are refused unrepeated."""
    with pytest.raises(UsageError) as caught:
        find_token(key_file(tmp_path, text, mode))

    said = f"{caught.value.what} {caught.value.why}"
    assert why in said
    assert TOKEN not in said


@pytest.mark.parametrize("word", ["", ":8477", "127.0.0.1:x", "127.0.0.1:70000", "no.such.host.invalid"])
def test_an_address_that_is_none_is_refused(word: str) -> None:
    """Where nobody can listen is said before anything is opened."""
    with pytest.raises(UsageError):
        parse_listen(word)


def test_half_of_tls_is_refused(tmp_path: Path) -> None:
    """A certificate without a key, and files that are neither, are refused."""
    with pytest.raises(UsageError, match="TLS needs"):
        tls_of(tmp_path / "cert", None)
    with pytest.raises(UsageError, match="cannot be used"):
        tls_of(tmp_path / "cert", tmp_path / "key")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end it with code 0 within seconds."""
    with Agent(tmp_path, "--power", recording(tmp_path, 200)) as found:
        start_s = time.monotonic()

        assert 0 == found.stop(number)
        assert time.monotonic() - start_s < 15


def test_once_prints_the_facts_and_ends(tmp_path: Path) -> None:
    """`--once --json` opens no port."""
    ended = bench_agent(tmp_path, "--once", "--json", "--power", recording(tmp_path, 200))

    assert 0 == ended.returncode
    assert ["replay:board"] == [c["id"] for c in json.loads(ended.stdout)["channels"]]
    assert "listening" not in ended.stderr


def test_a_port_that_is_taken_is_said(agent: Agent, tmp_path: Path) -> None:
    """A second agent on the port is told so."""
    ended = bench_agent(tmp_path, "--listen", f"127.0.0.1:{agent.port}", "--power", recording(tmp_path, 200))

    assert 2 == ended.returncode
    assert "Address already in use" in ended.stderr


def test_once_says_what_would_be_served(tmp_path: Path) -> None:
    """A channel is told by scope, kind and unit, and by what it covers where that is known."""
    ended = bench_agent(tmp_path, "--once", "--power", recording(tmp_path, 200))

    assert "  replay:board: board, power in W" == ended.stdout.splitlines()[1]


def test_an_agent_serves_no_agent(agent: Agent, tmp_path: Path) -> None:
    """A clock is placed once: agents are not chained."""
    ended = bench_agent(tmp_path, "--power", f"agent:127.0.0.1:{agent.port}")

    assert 2 == ended.returncode
    assert "does not serve another" in ended.stderr
