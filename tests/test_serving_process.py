"""A server process of a run: started, awaited, its log bounded, and never left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from agent_service import free_port

from wattbench.harness.serving.guard import LOG_BYTES
from wattbench.harness.serving.process import ServerProcess, split_command
from wattbench.results.errors import UsageError, WorkerError

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("pids", child.pid, flush=True)
time.sleep(600)
"""
"""A server that does not end when asked, with a child in a session of its own."""

HOLDER = """
import sys, time
from wattbench.harness.serving.process import ServerProcess
server = ServerProcess((sys.executable, "-c", sys.argv[1]))
while len(server.log_tail()) < 1: time.sleep(0.05)
print(server.log_tail()[0], flush=True)
time.sleep(600)
"""
"""Whoever started a server, and is about to be killed."""


def python(code: str) -> tuple[str, ...]:
    """Return the command of a Python program."""
    return sys.executable, "-c", code


def web(port: int) -> tuple[str, ...]:
    """Return the command of a server that answers."""
    return sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)


def said(server: ServerProcess, lines: int = 1) -> tuple[str, ...]:
    """Return the log as soon as it has that many lines."""
    deadline_s = time.monotonic() + 30
    while len(server.log_tail()) < lines and time.monotonic() < deadline_s:
        time.sleep(0.05)
    return server.log_tail()


def assert_gone(pids: list[int]) -> None:
    """Assert that none of these processes lives for more than a moment."""
    deadline_s = time.monotonic() + 20
    while (left := [p for p in pids if alive(p)]) and time.monotonic() < deadline_s:
        time.sleep(0.05)

    assert [] == left


def alive(pid: int) -> bool:
    """Return whether a process lives; one that only waits to be collected does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    return [pid, *(p.pid for p in psutil.Process(pid).children(recursive=True))]


def test_a_server_is_awaited_and_ended(tmp_path: Path) -> None:
    """It is ready when its address answers; when it is stopped nothing of it is left, and its log can be read still."""
    port = free_port()
    with ServerProcess(web(port)) as server:
        took_s = server.await_ready(f"http://127.0.0.1:{port}/", 60)
        pids = tree(server.pid)
        said(server)

        assert server.alive
        assert 0 < took_s < 60
        assert len(pids) >= 2

    assert not server.alive
    assert "GET /" in "".join(server.log_tail())
    assert_gone(pids)
    assert server.stop() == server.stop()


def test_a_server_that_ends_says_its_last_words() -> None:
    """One that dies before it is ready fails at once, with its exit code and what it wrote."""
    with ServerProcess(python("print('no such model'); raise SystemExit(3)")) as server:
        start_s = time.monotonic()
        with pytest.raises(WorkerError) as caught:
            server.await_ready(f"http://127.0.0.1:{free_port()}/", 60)

    assert "exit code 3" in caught.value.why
    assert "no such model" in caught.value.why
    assert time.monotonic() - start_s < 30


def test_a_server_that_is_never_ready_is_given_up() -> None:
    """The deadline ends the waiting, with the last lines of the log."""
    with ServerProcess(python("print('loading', flush=True); import time; time.sleep(600)")) as server:
        said(server)
        with pytest.raises(WorkerError, match=r"not ready within 0\.5 s") as caught:
            server.await_ready(f"http://127.0.0.1:{free_port()}/", 0.5)

    assert "loading" in caught.value.why


def test_a_program_that_does_not_exist_is_said() -> None:
    """What cannot be started is told from what ended."""
    with ServerProcess(("/no/such/program",)) as server, pytest.raises(WorkerError, match="could not be started") as e:
        server.await_ready(f"http://127.0.0.1:{free_port()}/", 30)

    assert "No such file" in e.value.why


def test_who_ignores_the_request_to_end_is_killed_with_its_children() -> None:
    """After the grace time the server and its child, in another session even, are gone."""
    server = ServerProcess(python(STUBBORN))
    pids = [*tree(server.pid), int(said(server)[0].split()[1])]
    start_s = time.monotonic()

    assert 128 + signal.SIGKILL == server.stop(grace_s=0.5)
    assert 0.4 < time.monotonic() - start_s < 20
    assert_gone(pids)


def test_nothing_outlives_a_starter_that_is_killed() -> None:
    """`kill -9` of the measuring process ends the server, and what that started."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, STUBBORN.replace("SIG_IGN", "SIG_DFL")], text=True, stdout=-1
    )
    assert holder.stdout is not None
    child = int(holder.stdout.readline().split()[1])
    pids = [*tree(holder.pid), child]
    holder.kill()
    holder.communicate()

    assert len(set(pids)) >= 4
    assert_gone(pids)


def test_nothing_outlives_a_guard_that_is_killed() -> None:
    """`kill -9` of the process in between ends the server too (Linux)."""
    server = ServerProcess(python("print('up', flush=True); import time; time.sleep(600)"))
    said(server)
    pids = tree(server.pid)
    psutil.Process(server.pid).kill()

    assert_gone(pids)
    server.stop()


def test_the_log_stays_small() -> None:
    """A server that writes 8 MB leaves a log of a megabyte at most, with the end of what it wrote."""
    code = "import time\nfor n in range(80_000): print(n, 'x' * 95)\nprint('the end', flush=True); time.sleep(600)"
    with ServerProcess(python(code)) as server:
        deadline_s = time.monotonic() + 60
        while server.log_tail()[-1:] != ("the end",) and time.monotonic() < deadline_s:
            time.sleep(0.1)

        assert "the end" == server.log_tail()[-1]
        assert server.log_bytes <= LOG_BYTES + (1 << 16)


def test_the_server_has_no_terminal_and_takes_no_shell(tmp_path: Path) -> None:
    """Words are words: what a shell would do with them is not done."""
    touched = tmp_path / "touched"
    words = split_command(f"{sys.executable} -c 'import sys; print(sys.argv[1:])' '$HOME' ; touch {touched}")
    with ServerProcess(words) as server:
        lines = said(server)

    assert f"['$HOME', ';', 'touch', '{touched}']" == lines[0]
    assert not touched.exists()


@pytest.mark.parametrize("text", ["", "  ", "serve 'unclosed", "a\0b"])
def test_a_command_that_is_none_is_refused(text: str) -> None:
    """No words, open quotes and null characters are the user's mistake."""
    with pytest.raises(UsageError):
        split_command(text)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host/", "http://", "http://host:port/"])
def test_an_address_that_is_no_url_is_refused(url: str) -> None:
    """What cannot be asked is refused before the waiting."""
    with ServerProcess(python("import time; time.sleep(600)")) as server, pytest.raises(UsageError):
        server.await_ready(url, 30)
