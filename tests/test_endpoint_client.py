"""The client against the stub: schedules kept, faults told apart, nothing hangs, keys stay secret."""

import contextlib
import errno
import gc
import json
import os
import pickle
import resource
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from client_window import within_a_window

from wattbench.backends.endpoint import reaching
from wattbench.backends.endpoint.client import Client
from wattbench.backends.endpoint.connection import Connection
from wattbench.backends.endpoint.crew import shares
from wattbench.backends.endpoint.key import Key, load_key
from wattbench.backends.endpoint.pool import Pool
from wattbench.backends.endpoint.server_facts import ServerFacts
from wattbench.backends.endpoint.target import Target, make_target
from wattbench.backends.endpoint.timer import Timer
from wattbench.backends.traffic import NONE, Schedule, Served
from wattbench.harness.selftest.paired import closed_loop, open_loop, pair
from wattbench.harness.selftest.script import Fault, StubScript
from wattbench.harness.selftest.stub_process import Stub
from wattbench.results.errors import DeviceError, UsageError

PACED = StubScript(ttft_s=0.02, gap_s=0.005)


@pytest.fixture(scope="module")
def paced() -> Iterator[Stub]:
    """Start a stub that takes 20 ms to the first token and 5 ms for each later one."""
    with Stub(PACED) as stub:
        yield stub


def client_of(
    stub: Stub, *, workers: int = 1, timeout_s: float = 30.0, stream: bool = True, api: str = "chat"
) -> Client:
    """Return a client of a stub."""
    return Client(make_target(stub.url, model="stub", timeout_s=timeout_s, stream=stream, api=api), workers=workers)


def served(client: Client, schedule: Schedule) -> Served:
    """Return what a client served of a schedule."""
    return client.serve(schedule, client.prompts(schedule, 7))


def closed(calls: int, places: int, tokens: int = 8) -> Schedule:
    """Return a small closed loop."""
    return closed_loop(calls, places, input_tokens=16, output_tokens=tokens, give_up_s=20)


def test_a_closed_loop_holds_its_places_and_counts_its_tokens(paced: Stub) -> None:
    """Each call but the first few goes out when a place comes free; tokens are the server's count."""
    done = served(client_of(paced), closed(24, 4))
    paced.truths()
    assert set(done.error) == {None}
    assert sorted(done.call.tolist()) == list(range(24))
    assert set(done.output_tokens.tolist()) == {8}
    assert set(done.input_tokens.tolist()) == {16}
    assert done.health.in_flight_peak == done.health.connections_opened == 4
    assert not done.fresh.any(), "connections are opened before the window"
    starts = numpy.sort(done.planned_ns[done.planned_ns > done.window_start_ns])
    assert len(starts) == 20
    assert set(starts.tolist()) <= set(done.end_ns.tolist()) | set(starts.tolist())


@pytest.mark.parametrize("workers", [1, 2])
def test_an_open_loop_sends_at_its_times_however_many_processes(paced: Stub, workers: int) -> None:
    """The planned start is the schedule's own; what is late is late by little, and said."""
    schedule = open_loop(60, 200.0, None, input_tokens=16, output_tokens=8, give_up_s=20)
    done = served(client_of(paced, workers=workers), schedule)
    truths = paced.truths()
    assert set(done.error) == {None}
    planned = dict(zip(done.call.tolist(), (done.planned_ns - done.window_start_ns).tolist(), strict=True))
    assert planned == {call: due for call, due in enumerate(schedule.due_ns.tolist())}
    assert bool(numpy.all(done.start_ns >= done.planned_ns))
    assert set(truths) == set(range(60))
    assert done.health.workers == workers


def test_token_stamps_are_the_servers_writes(paced: Stub) -> None:
    """Half of all gaps are known to a fifth of a millisecond, even on a busy machine."""
    done = served(client_of(paced), closed(16, 4, tokens=16))
    paired = pair(done, paced.truths())
    assert (paired.requests, paired.unequal) == (16, 0)
    assert paired.gap.p50 < 0.0002
    assert 0 <= paired.token.p50 < 0.005
    if sys.platform.startswith("linux"):
        assert done.health.stamps == "kernel"


FAULTS: dict[int, Fault] = {
    0: "http_500",
    1: "http_429",
    2: "http_401",
    3: "reset",
    4: "half_closed",
    5: "in_stream",
    6: "malformed",
    7: "not_http",
    8: "slow_head",
    9: "dropped",
    10: "endless",
    11: "no_usage",
    12: "no_done",
}
KINDS = {
    0: "http_5xx",
    1: "http_429",
    2: "http_401",
    3: "truncated",
    4: "truncated",
    5: "in_stream",
    6: "malformed",
    7: "malformed",
    8: "timeout",
    9: "truncated",
    10: "timeout",
    11: None,
    12: None,
}


@pytest.mark.parametrize("workers", [1, 2])
def test_every_fault_is_a_row_of_its_kind_and_harms_no_other(workers: int) -> None:
    """Nothing is retried: the stub read each call once."""
    with Stub(replace(PACED, faults=FAULTS)) as stub:
        done = served(client_of(stub, timeout_s=1.0, workers=workers), closed(20, 4))
        truths = stub.truths()
    kinds = dict(zip(done.call.tolist(), done.error_kind, strict=True))
    assert kinds == {**KINDS, **dict.fromkeys(range(13, 20))}
    assert len(truths) == 20
    row = done.call.tolist().index(11)
    assert done.output_tokens[row] == NONE, "a server that does not count leaves the count open"
    assert len(done.token_ns[row]) > 0


def test_what_is_in_progress_at_the_deadline_is_given_up() -> None:
    """A server that never ends does not hold the window up past its stated end."""
    with Stub(StubScript(gap_s=0.005, faults=dict.fromkeys(range(4), "endless"))) as stub:
        began = time.perf_counter()
        done = served(client_of(stub), replace(closed(8, 4), give_up_ns=700_000_000))
    assert time.perf_counter() - began < 10
    assert list(done.error_kind[:4]) == ["gave_up"] * 4
    assert len(done) == 4, "no further call was sent after the deadline"


def test_nothing_is_sent_after_the_time_for_sending() -> None:
    """Calls in progress go on to their end."""
    with Stub(PACED) as stub:
        done = served(client_of(stub), replace(closed(10_000, 2), issue_until_ns=300_000_000))
    assert set(done.error) == {None}
    assert 4 <= len(done) < 200
    assert int(done.start_ns.max()) - done.window_start_ns < 400_000_000


def test_a_chain_waits_for_its_call_and_its_pause(paced: Stub) -> None:
    """A tool's pause lies between the end of a call and the planned start of the next."""
    schedule = open_loop(3, 1000.0, None, input_tokens=16, output_tokens=4, give_up_s=20)
    chain = numpy.array([NONE, 0, 1])
    pauses = numpy.array([0, 50_000_000, 20_000_000])
    done = served(client_of(paced), replace(schedule, after=chain, pause_ns=pauses))
    paced.truths()
    assert done.call.tolist() == [0, 1, 2]
    waits = (done.planned_ns[1:] - done.end_ns[:-1]) / 1e6
    assert waits == pytest.approx([50, 20], abs=5)


@pytest.mark.parametrize(("stream", "api"), [(False, "chat"), (True, "completions"), (False, "completions")])
def test_the_other_apis(paced: Stub, stream: bool, api: str) -> None:
    """Without a stream there is no first token, and tokens are counted all the same."""
    done = served(client_of(paced, stream=stream, api=api), closed(4, 2))
    paced.truths()
    assert set(done.error) == {None}
    assert set(done.output_tokens.tolist()) == {8}
    assert bool((done.first_output_ns >= 0).all()) is stream


def test_shares_keep_chains_together_and_lose_nothing() -> None:
    """Places of a closed loop are shared out too."""
    schedule = closed(10, 3)
    after = numpy.array([NONE, 0, NONE, 1, 2, NONE, NONE, 3, NONE, NONE])
    parts = shares(replace(schedule, after=after), 2)
    assert sorted(call for part in parts for call in part.calls) == list(range(10))
    assert [part.schedule.in_flight_max for part in parts] == [2, 1]
    for part in parts:
        own = part.schedule.after.tolist()
        assert [after[call] for call in part.calls] == [NONE if a == NONE else part.calls[a] for a in own]


def test_a_port_where_nothing_listens() -> None:
    """The reason is the system's own."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        target = make_target(f"http://127.0.0.1:{sock.getsockname()[1]}", model="x")
        with pytest.raises(DeviceError, match="refused"):
            Client(target).probe()


def test_a_host_that_does_not_exist() -> None:
    """Names are resolved before anything is timed."""
    with pytest.raises(DeviceError, match="cannot be reached"):
        Client(make_target("http://nowhere.invalid:1", model="x")).probe()


def test_a_wrong_model_shows_the_servers_list(paced: Stub) -> None:
    """The nearest name is offered."""
    with pytest.raises(UsageError) as caught:
        Client(make_target(paced.url, model="stubb")).probe()
    assert "stub" in f"{caught.value.why} {caught.value.remedy}"


@contextlib.contextmanager
def dripping(models: bytes, answer: bytes, drop: bytes) -> Iterator[str]:
    """Yield the address of a server that lists models, answers with some bytes, and goes on with drops for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def drip(peer: socket.socket) -> None:
            with peer, contextlib.suppress(OSError):
                peer.sendall(models if peer.recv(65_536).startswith(b"GET") else answer)
                while not over.wait(0.01):
                    peer.sendall(drop)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()


LISTED = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"data":[{"id":"stub"}]}'
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_a_list_of_models_that_does_not_end(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that go on arriving do not put its deadline off."""
    monkeypatch.setattr(reaching, "PROBE_TIMEOUT_S", 0.3)
    with dripping(head, b"", b" ") as url, pytest.raises(DeviceError) as caught:
        Client(make_target(url, model="stub")).probe()
    assert caught.value.why == "no end of its answer after 0.3 s"


def test_a_first_answer_that_does_not_end() -> None:
    """The short calls before a run keep to the time that one request may take."""
    with dripping(LISTED, ENDLESS, b": ping\n\n") as url, pytest.raises(DeviceError) as caught:
        Client(make_target(url, model="stub", timeout_s=0.3)).probe()
    assert caught.value.why == "no end after 0.3 s"


def test_something_that_is_no_inference_server() -> None:
    """It is told at once, not timed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                for _ in range(4):
                    peer, _ = listener.accept()
                    peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                    peer.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(DeviceError, match="does not answer"):
            Client(make_target(f"http://127.0.0.1:{listener.getsockname()[1]}", model="x")).probe()


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ftp://host", "neither http nor https"),
        ("localhost:80", "neither http nor https"),
        ("http://", "no host"),
        ("http://user:secret@host", "a user or a password"),
        ("http://host:99999", "out of range"),
        ("http://host/?key=1", "a query"),
        ("http://127.0.0.1:8000/m\u00fcller", "beyond ASCII"),
    ],
)
def test_addresses_that_are_none(url: str, what: str) -> None:
    """A secret in an address is refused, and not repeated."""
    with pytest.raises(UsageError) as caught:
        make_target(url, model="m")
    assert what in caught.value.why
    assert "secret" not in caught.value.why + caught.value.remedy


def test_a_key_shows_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither as text nor pickled; what a server repeats of it is scrubbed."""
    monkeypatch.setenv("TRIAL_KEY", "sk-trial-123")
    key = load_key(env="TRIAL_KEY")
    assert "sk-trial" not in repr(key)
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert key.scrub("bad key sk-trial-123!") == "bad key ***!"
    assert key.header == "Authorization: Bearer sk-trial-123\r\n"
    path = tmp_path / "key"
    path.write_text("sk-other\n")
    path.chmod(0o644)
    with pytest.raises(UsageError, match="not safe"):
        load_key(file=str(path))
    path.chmod(0o600)
    assert load_key(file=str(path)).header.endswith("sk-other\r\n")


@pytest.mark.parametrize("secret", ["", "two words", "line\nbreak", "\u00fc"])
def test_keys_that_could_not_stand_in_a_header(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line break in a key would be a header of its own."""
    monkeypatch.setenv("TRIAL_KEY", secret)
    with pytest.raises(UsageError):
        load_key(env="TRIAL_KEY")


def test_ctrl_c_gives_what_there_is() -> None:
    """The calls in progress are rows of their own kind."""
    script = (
        "import sys, json, signal\n"
        "from wattbench.backends.endpoint.client import Client\n"
        "from wattbench.backends.endpoint.target import make_target\n"
        "from wattbench.harness.selftest.paired import closed_loop\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs begin without it
        "client = Client(make_target(sys.argv[1], model='stub'))\n"
        "schedule = closed_loop(10000, 2, input_tokens=16, output_tokens=8, give_up_s=60)\n"
        "prompts = client.prompts(schedule, 0)\n"
        "print('ready', flush=True)\n"
        "done = client.serve(schedule, prompts)\n"
        "print(json.dumps([len(done), sorted({str(kind) for kind in done.error_kind})]))\n"
    )
    with Stub(PACED) as stub:
        process = subprocess.Popen([sys.executable, "-c", script, stub.url], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    count, kinds = json.loads(out)
    assert process.returncode == 0
    assert count >= 2
    assert kinds == ["None", "gave_up"]


class TlsProxy:
    """Decrypts what comes and passes it on to a plain server, one thread a connection and direction."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with (
            raw,
            contextlib.suppress(OSError),
            self._context.wrap_socket(raw, server_side=True) as outer,
            socket.create_connection(("127.0.0.1", self._port)) as inner,
        ):
            back = threading.Thread(target=self._copy, args=(outer, inner), daemon=True)
            back.start()
            self._copy(inner, outer)
            back.join(5)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1 that signs itself."""
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_name("key.pem").read_text())
    return path


def tls_target(proxy: TlsProxy, certificate: Path | None) -> Target:
    """Return a target behind the proxy."""
    ca_file = None if certificate is None else str(certificate)
    return make_target(f"https://127.0.0.1:{proxy.port}", model="stub", ca_file=ca_file)


@pytest.mark.parametrize("workers", [1, 2])
def test_tls_is_spoken_verified_and_stamped(paced: Stub, certificate: Path, workers: int) -> None:
    """The kernel's stamps are those of the encrypted records."""
    proxy = TlsProxy(paced.port, certificate)
    try:
        done = served(Client(tls_target(proxy, certificate), workers=workers), closed(12, 3))
        open_ended = open_loop(12, 400.0, None, input_tokens=16, output_tokens=8, give_up_s=20)
        later = served(Client(tls_target(proxy, certificate), workers=workers), open_ended)
    finally:
        proxy.close()
        paced.truths()
    assert set(done.error) == set(later.error) == {None}
    assert set(done.output_tokens.tolist()) == set(later.output_tokens.tolist()) == {8}
    assert bool(later.fresh.any()), "connections of an open loop are opened when they are needed"


def test_a_certificate_that_nobody_vouches_for_is_refused(paced: Stub, certificate: Path) -> None:
    """Before anything is timed."""
    proxy = TlsProxy(paced.port, certificate)
    try:
        with pytest.raises(DeviceError, match="certificate"):
            Client(tls_target(proxy, None)).probe()
    finally:
        proxy.close()


def test_the_server_gone_in_the_middle_leaves_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was in progress is cut short, what comes after is unreachable, and the window ends."""
    with Stub(PACED) as stub:
        client = client_of(stub)
        schedule = open_loop(200, 100.0, None, input_tokens=16, output_tokens=8, give_up_s=20)
        prompts = client.prompts(schedule, 7)
        within_a_window(monkeypatch, 1.0, lambda: os.kill(stub.pid, signal.SIGKILL))
        done = client.serve(schedule, prompts)
    assert len(done) == 200
    assert {"truncated", "unreachable"} >= {kind for kind in done.error_kind if kind is not None} != set()
    assert done.error_kind.count(None) > 10


@pytest.mark.parametrize("chained", [False, True])
def test_calls_that_cannot_go_out_are_rows(paced: Stub, chained: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of failures at once, as without a free port, end neither the run nor its window early."""

    def no_port(_: Pool) -> Connection:
        raise OSError(errno.EADDRNOTAVAIL, "made-up lack of ports")

    client = client_of(paced)
    schedule = closed(3000, 4)
    if chained:
        after = numpy.arange(-1, len(schedule) - 1)
        after[0] = NONE
        schedule = replace(schedule, after=after)
    prompts = client.prompts(schedule, 7)
    monkeypatch.setattr(Pool, "open", no_port)
    done = client.serve(schedule, prompts)
    assert sorted(done.call.tolist()) == list(range(3000))
    assert set(done.error_kind) == {"client_limit"}
    assert set(done.error) == {"made-up lack of ports"}


def test_a_soft_limit_of_files_is_no_limit_of_calls(paced: Stub) -> None:
    """A hundred calls in progress go out where the soft limit allows eighty files and the hard one more."""
    client = client_of(paced)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, hard))
    try:
        done = served(client, closed(200, 100))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    paced.truths()

    assert set(done.error) == {None}


def test_a_timer_that_never_fires_stops_nothing(paced: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may lose one that is set in the moment when it is due; calls go out all the same, and time out."""
    monkeypatch.setattr(Timer, "set", lambda self, at_ns: None)
    client = client_of(paced)
    done = served(client, open_loop(20, 100.0, None, input_tokens=16, output_tokens=2, give_up_s=20))
    paced.truths()

    assert [None] * 20 == list(done.error)
    assert 0.1 <= (done.start_ns.max() - done.start_ns.min()) / 1e9


def test_the_hard_limit_of_files_is_the_clients_own() -> None:
    """What found no descriptor says so, and not that the server could not be reached; the others are answered."""
    script = (
        "import sys, json, resource\n"
        "from wattbench.backends.endpoint.client import Client\n"
        "from wattbench.backends.endpoint.target import make_target\n"
        "from wattbench.harness.selftest.paired import closed_loop\n"
        "client = Client(make_target(sys.argv[1], model='stub'))\n"
        "schedule = closed_loop(80, 40, input_tokens=16, output_tokens=8, give_up_s=60)\n"
        "prompts = client.prompts(schedule, 0)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))\n"
        "done = client.serve(schedule, prompts)\n"
        "print(json.dumps(sorted({(str(k), str(e)) for k, e in zip(done.error_kind, done.error)})))\n"
    )
    with Stub(PACED) as stub:
        said = subprocess.run(
            [sys.executable, "-c", script, stub.url], capture_output=True, text=True, timeout=120, check=True
        )

    assert [["None", "None"], ["client_limit", os.strerror(errno.EMFILE)]] == json.loads(said.stdout)


def test_what_others_froze_stays_frozen(paced: Stub) -> None:
    """A process that keeps its own objects out of the collector's way has them there after a window too."""
    gc.freeze()
    frozen = gc.get_freeze_count()
    served(client_of(paced), closed(4, 2))
    paced.truths()

    assert gc.get_freeze_count() > frozen / 2, "some may have gone by themselves, but none was thawed"
    assert gc.isenabled()


def test_a_key_goes_out_and_is_scrubbed_from_what_comes_back(paced: Stub) -> None:
    """The stub does not look at keys; the client's own error texts are scrubbed."""
    client = Client(make_target(paced.url, model="stub"), key=Key("sk-hidden"))
    assert isinstance(client.probe(), ServerFacts)
    done = served(client, closed(2, 1))
    paced.truths()
    assert set(done.error) == {None}
