"""The HTTP client of the meters against a real server on loopback: what it sends, what it refuses, how it recovers."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wattbench.harness.power.meters.argument import parse_argument
from wattbench.harness.power.meters.credentials import Credentials
from wattbench.harness.power.meters.digest import digest_header, parse_challenge
from wattbench.harness.power.meters.http_client import HttpClient, Scheme, make_client, target_of
from wattbench.results.errors import SensorError, UsageError

PASSWORD = "hunter2-long"


@pytest.fixture
def server(peers: ModuleType) -> Iterator[Any]:  # any: the module is loaded by its path
    """Serve one object."""
    with peers.JsonServer({"/x": {"power": 5}}) as found:
        yield found


def client(address: str, *, password: str | None = None, scheme: Scheme = "none", timeout_s: float = 1.0) -> HttpClient:
    """Return a client for an address."""
    argument = parse_argument("shelly", f"{address},timeout={timeout_s}")
    return make_client(argument, Credentials(user="admin", password=password), scheme)


def failure(found: HttpClient, target: str = "/x") -> SensorError:
    """Return the error of a request that must fail."""
    with pytest.raises(SensorError) as caught:
        found.get_json(target)
    found.close()
    return caught.value


def test_one_connection_is_kept(server: Any) -> None:
    """Two requests come from the same port."""
    found = client(server.address)

    assert [{"power": 5}, {"power": 5}] == [found.get_json("/x"), found.get_json("/x")]
    first = found._connection
    assert first is not None
    found.get_json("/x")
    assert first is found._connection
    found.close()


def test_a_server_that_was_restarted_is_asked_anew(peers: ModuleType) -> None:
    """The kept connection is dead; the request is sent once more on a new one."""
    with peers.JsonServer({"/x": {"power": 5}}) as first:
        found = client(first.address)
        found.get_json("/x")
        port = first.port
    with peers.JsonServer({"/x": {"power": 6}}, port=port):
        assert {"power": 6} == found.get_json("/x")
    found.close()


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "asks for credentials"), (403, "asks for credentials"), (404, "no such thing"), (500, "HTTP 500")],
)
def test_a_refusal_says_what_to_do(server: Any, status: int, said: str) -> None:
    """Each status has its own words and remedy."""
    server.status = status
    error = failure(client(server.address))

    assert said in error.why
    assert error.remedy


def test_redirects_are_not_followed(server: Any) -> None:
    """Credentials would go wherever the server says."""
    server.status = 302

    assert "elsewhere.example" in failure(client(server.address)).why


def test_an_unreachable_address_is_said(peers: ModuleType) -> None:
    """Nothing listens there."""
    assert "refused" in failure(client(f"127.0.0.1:{peers.free_port()}")).why.lower()


def test_an_unknown_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's answer is the cause."""

    def lookup(*args: object, **options: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)

    assert "name is not known" in failure(client("plug.example")).why


def test_a_slow_answer_is_none(server: Any) -> None:
    """After its time-out a request fails; the late answer is not taken for the next one's."""
    server.delay_s = 60.0
    found = client(server.address, timeout_s=0.3)
    start_s = time.monotonic()
    error = failure(found)

    assert "no whole answer within 0.3 s" in error.why
    assert time.monotonic() - start_s < 30
    server.delay_s = 0.0
    server.routes["/x"] = {"power": 7}
    assert {"power": 7} == found.get_json("/x")
    found.close()


def test_a_dripping_server_does_not_outlast_the_deadline() -> None:
    """Each byte comes in time, the whole would need 50 s."""
    listening = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    start_s = time.monotonic()
    error = failure(client(f"127.0.0.1:{listening.getsockname()[1]}", timeout_s=0.4))
    stop.set()
    thread.join()
    listening.close()

    assert "within 0.4 s" in error.why
    assert time.monotonic() - start_s < 25


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"[1]", b'{"power": NaN}', b"\xff\xfe{", b'{"power": 1', b"[" * 100_000]
)
def test_garbage_is_no_json(server: Any, body: bytes) -> None:
    """What is no JSON object is an error with its beginning."""
    server.routes["/x"] = body

    assert "JSON" in failure(client(server.address)).what


def test_an_endless_answer_is_refused(server: Any) -> None:
    """More than four megabytes are no meter's answer."""
    server.routes["/x"] = b" " * (5 * 2**20)

    assert "longer than" in failure(client(server.address)).why


def test_what_is_no_http_is_said() -> None:
    """A server of another protocol is named as such."""
    listening = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            connection.recv(4096)

    thread = threading.Thread(target=greet)
    thread.start()
    error = failure(client(f"127.0.0.1:{listening.getsockname()[1]}"))
    thread.join()
    listening.close()

    assert "does not speak HTTP" in error.why


def test_basic_credentials_are_sent(server: Any) -> None:
    """The server lets them in, and refuses wrong ones without repeating them."""
    server.auth = "basic"
    found = client(server.address, password=PASSWORD, scheme="basic")

    assert {"power": 5} == found.get_json("/x")
    found.close()
    error = failure(client(server.address, password="wr0ng-one", scheme="basic"))
    assert "refused the credentials" in error.why
    assert "wr0ng-one" not in str(error)


def test_a_digest_challenge_is_answered(server: Any) -> None:
    """SHA-256 with a growing count; a new nonce is answered too."""
    server.auth = "digest"
    found = client(server.address, password=PASSWORD, scheme="digest")

    assert [{"power": 5}] * 3 == [found.get_json("/x") for _ in range(3)]
    assert ["nc=00000001", "nc=00000002", "nc=00000003"] == [
        seen[2]["Authorization"][-11:] for seen in server.seen if "Authorization" in seen[2]
    ]
    server.nonce = "another"
    assert {"power": 5} == found.get_json("/x")
    found.close()
    assert "refused the credentials" in failure(client(server.address, password="no", scheme="digest")).why


def test_the_digest_of_the_standard_comes_out() -> None:
    """RFC 7616, 3.9.1 gives request and responses for MD5 and SHA-256."""
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        challenge = parse_challenge(
            'Digest realm="http-auth@example.org", qop="auth, auth-int", '
            f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        assert challenge is not None
        header = digest_header(
            challenge,
            user="Mufasa",
            password="Circle of Life",
            method="GET",
            target="/dir/index.html",
            count=1,
            cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        )

        assert f'response="{response}"' in header


@pytest.mark.parametrize(
    "header", [None, "Basic realm=x", 'Digest realm="x"', 'Digest realm="x", nonce="n", algorithm=Q']
)
def test_other_challenges_are_not_answered(header: str | None) -> None:
    """What is no Digest that we can compute is left."""
    assert parse_challenge(header) is None


def test_tls_is_verified_unless_told_otherwise(peers: ModuleType, tmp_path: Path) -> None:
    """An unknown certificate is refused; a file of its own or `insecure` lets it pass."""
    paths = peers.certificate(tmp_path)
    with peers.JsonServer({"/x": {"power": 5}}, tls=paths) as server:
        error = failure(client(f"https://{server.address}"))

        assert "not trusted" in error.why
        assert "tls=FILE" in error.remedy
        for word in (paths[0], "insecure"):
            argument = parse_argument("redfish", f"https://{server.address},tls={word}", ("tls",))
            found = make_client(argument, Credentials(), "none")
            assert {"power": 5} == found.get_json("/x")
            found.close()


def test_a_server_without_tls_is_said(server: Any) -> None:
    """Plain HTTP behind https:// is named."""
    assert "TLS failed" in failure(client(f"https://{server.address}")).why


def test_a_tls_option_that_is_no_file_is_refused() -> None:
    """Its cause is the system's."""
    with pytest.raises(UsageError, match="insecure"):
        make_client(parse_argument("redfish", "https://h,tls=/none", ("tls",)), Credentials(), "none")


@pytest.mark.parametrize("address", ["ftp://h", "http://", "h:99999999", "h:x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """Only HTTP is spoken, and a port is a number."""
    with pytest.raises(UsageError, match="no address"):
        client(address)


def test_an_address_may_be_of_ipv6_and_have_a_path() -> None:
    """Brackets part the address from the port; the path is kept for whoever wants it."""
    argument = parse_argument("prometheus", "http://[::1]:9400/metrics?x=1")

    assert "http://[::1]:9400" == make_client(argument, Credentials(), "none").name
    assert "/metrics?x=1" == target_of(argument, "/")
    assert "/metrics" == target_of(parse_argument("prometheus", "h:9400"), "/metrics")


def test_the_servers_clock_is_told(server: Any) -> None:
    """The Date header bounds the offset to a second."""
    server.date_offset_s = 100.0
    found = client(server.address)
    exchange = found.get("/x").exchange
    found.close()

    assert exchange is not None
    assert 98.9 < exchange.remote_s - exchange.sent_s < 100.1
