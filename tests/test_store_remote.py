"""Stores behind real S3 and Azure servers keep the contract; every answer of a service becomes an error that helps."""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest
from store_servers import Served, azurite, seaweed, served

from wattbench.results.errors import (
    MissingKeyError,
    StoreAccessError,
    StoreError,
    StoreUnreachableError,
    TamperedError,
    UsageError,
    WattbenchError,
)
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.local import LocalStore
from wattbench.results.store.memory import MemoryStore
from wattbench.results.store.open import init_store, open_store
from wattbench.testing import check_store
from wattbench.testing.stores import CHECKS

obstore = pytest.importorskip("obstore", reason="needs obstore: pip install 'wattbench[store]'")

__all__ = ["azurite", "seaweed", "served"]

PART = itertools.count()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_real_services_keep_the_contract(served: Served, check: Callable[[Callable[[], ObjectStore]], None]) -> None:
    """SeaweedFS and Azurite, each a part of a bucket, pass every check of the contract."""
    part = f"contract-{next(PART)}"

    check(lambda: served.new_store(part))


def test_folders_and_memory_keep_the_contract(tmp_path: Path) -> None:
    """So do a folder and the memory."""
    memory = MemoryStore()

    assert len(CHECKS) == len(check_store(lambda: LocalStore(tmp_path)))
    assert len(CHECKS) == len(check_store(lambda: memory))


def test_a_listing_spans_many_pages(seaweed: Served) -> None:
    """More keys than a service gives at once are listed all, in order, and only those below the prefix."""
    store = seaweed.new_store("pages")
    names = [f"v1/log/2026-11-28/{number:05d}.json" for number in range(1100)]
    threads = [
        threading.Thread(target=lambda some: [store.create(name, b"x") for name in some], args=(names[start::8],))
        for start in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names == list(store.keys("v1/log/"))


def test_two_stores_in_one_bucket_do_not_see_each_other(served: Served) -> None:
    """A part of a bucket is a store of its own."""
    one, other = served.new_store("one"), served.new_store("one-more")
    one.create("v1/log/a.json", b"")

    assert ["v1/log/a.json"] == list(one.keys("v1/log/"))
    assert sorted([*other.keys(""), "v1/log/a.json"]) == list(one.keys(""))


def test_a_bucket_that_is_no_store_is_named(served: Served) -> None:
    """Opening a part that nobody made a store says how to make it one."""
    with served.credentials(), pytest.raises(StoreError, match="is no store of results") as error:
        open_store(served.name("nobody"))

    assert f"bench store init {served.name('nobody')}" in str(error.value)


def test_a_bucket_that_is_not_there_is_named(served: Served) -> None:
    """A wrong bucket is refused for reading and for writing, and not taken for an empty one."""
    wrong = served.uri.replace("results", "no-such-bucket-here")

    for act in (open_store, init_store):
        with served.credentials(), pytest.raises(StoreAccessError, match="there is no such bucket"):
            act(wrong)


@pytest.mark.parametrize(
    ("others", "why"),
    [
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "does not know this access key"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "secret does not belong to the access key"),
        ({"AZURE_STORAGE_ACCOUNT_KEY": "d3Jvbmc="}, "account's key is wrong"),
    ],
)
def test_wrong_credentials_are_named(seaweed: Served, azurite: Served, others: dict[str, str], why: str) -> None:
    """A key that is unknown or wrong is said to be so, and not repeated."""
    server = azurite if "AZURE" in next(iter(others)) else seaweed
    server.new_store("guarded")
    with server.credentials(**others), pytest.raises(StoreAccessError, match=why) as error:
        open_store(server.name("guarded"))

    assert not [value for value in server.environment.values() if len(value) > 20 and value in str(error.value)]


def test_a_reader_can_read_and_not_write(seaweed: Served) -> None:
    """A read-only key reads everything, and is told that it may not write."""
    seaweed.new_store("readable").create("v1/log/a.json", b"x")
    with seaweed.credentials(AWS_ACCESS_KEY_ID="reader", AWS_SECRET_ACCESS_KEY="reader-secret"):
        reader = open_store(seaweed.name("readable"))

    assert b"x" == reader.get("v1/log/a.json")
    with pytest.raises(StoreAccessError, match="may not do this"):
        reader.create("v1/log/b.json", b"y")


def test_a_service_that_is_down_may_be_asked_again(peers: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening is an error of its own, after some seconds at most."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{peers.free_port()}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")

    with pytest.raises(StoreUnreachableError, match="does not answer"):
        open_store("s3://results")


def test_an_untrusted_certificate_is_refused(
    peers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service whose certificate nobody vouches for gets nothing, and no second try."""
    with peers.JsonServer({}, tls=peers.certificate(tmp_path)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{server.address}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        with pytest.raises(StoreAccessError, match="certificate is not trusted"):
            open_store("s3://results")

        assert [] == server.seen


class Scripted:
    """Answers S3's requests on loopback with (status, error code or XML) in turn, the last for ever; keeps methods."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self.asked: list[str] = []
        script = list(answers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.asked.append(self.command)
                status, code = script.pop(0) if len(script) > 1 else script[0]
                error = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
                body = (code if code.startswith("<") else error if code else "").encode()
                self.send_response(status)
                self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(body)))
                self.send_header("ETag", '"x"')
                self.send_header("Last-Modified", "Sat, 28 Nov 2026 22:15:00 GMT")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            do_GET = do_PUT = do_HEAD = _answer

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.port = int(self._http.server_address[1])

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[ObjectStore, Scripted]]]:
    """Give a function that starts a service with its answers, and returns a store there and the service."""
    running: list[Scripted] = []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key")

    def start(*answers: tuple[int, str]) -> tuple[ObjectStore, Scripted]:
        from wattbench.results.store.buckets import open_s3

        running.append(Scripted(*answers))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running[-1].port}")
        return open_s3("s3://results"), running[-1]

    yield start
    for each in running:
        each.close()


@pytest.mark.parametrize(
    ("status", "code", "kind", "why"),
    [
        (403, "RequestTimeTooSkewed", StoreAccessError, "clock differs too much"),
        (403, "AccessDenied", StoreAccessError, "may not do this"),
        (400, "ExpiredToken", StoreAccessError, "credentials have expired"),
        (400, "AuthorizationHeaderMalformed", StoreAccessError, "in another region"),
        (404, "NoSuchKey", MissingKeyError, "has no v1/x.json"),
        (418, "Teapot", StoreAccessError, "refuses v1/x.json"),
        (500, "InternalError", StoreUnreachableError, "does not answer"),
        (503, "SlowDown", StoreUnreachableError, "does not answer"),
    ],
)
def test_every_answer_becomes_an_error_that_helps(
    scripted: Callable[..., tuple[ObjectStore, Scripted]], status: int, code: str, kind: type[WattbenchError], why: str
) -> None:
    """What a service answers says whether it is worth to try again, why, and what to do; never a secret."""
    store, _ = scripted((status, code))
    with pytest.raises(kind, match=why) as error:
        store.get("v1/x.json")

    assert kind is MissingKeyError or error.value.remedy
    assert "very-secret-key" not in str(error.value)


def test_a_conflict_of_writers_is_tried_again(scripted: Callable[..., tuple[ObjectStore, Scripted]]) -> None:
    """S3's 409, two writers at one moment of whom perhaps neither is done, is asked again until it is clear."""
    store, service = scripted((409, "ConditionalRequestConflict"), (404, ""), (200, ""))

    assert store.create("v1/x.json", b"x")
    assert ["PUT", "HEAD", "PUT"] == service.asked


def test_a_key_that_is_there_is_no_error(scripted: Callable[..., tuple[ObjectStore, Scripted]]) -> None:
    """S3's 412, somebody was first, is False."""
    store, _ = scripted((412, "PreconditionFailed"), (200, ""))

    assert not store.create("v1/x.json", b"x")


def test_a_service_that_recovers_gets_the_write(scripted: Callable[..., tuple[ObjectStore, Scripted]]) -> None:
    """An overloaded service is asked again, a bounded number of times."""
    store, service = scripted((503, "SlowDown"), (503, "SlowDown"), (200, ""))

    assert store.create("v1/x.json", b"x")
    assert 3 == len(service.asked)


LISTING = """<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>"""
LISTED = """<Contents><Key>{}</Key><Size>1</Size><LastModified>2026-11-28T22:15:00.000Z</LastModified></Contents>"""


@pytest.mark.parametrize("name", ["v1/log//a.json", "v1/log/../a.json", "v1/log/./a.json"])
def test_a_name_that_cannot_be_asked_for_is_said(
    scripted: Callable[..., tuple[ObjectStore, Scripted]], name: str
) -> None:
    """A name in the bucket that is no path ends a listing with the name and who can help, and is not followed."""
    store, _ = scripted((200, LISTING.format(LISTED.format(name))))

    with pytest.raises(StoreAccessError, match="holds a name that is no path") as error:
        list(store.keys("v1/log/"))
    assert name in str(error.value)


def test_what_is_too_large_is_not_read(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with more than a store may hold is refused before it is in the memory, in a bucket as in a folder."""
    for module in ("remote", "local"):
        monkeypatch.setattr(f"wattbench.results.store.{module}.GET_MAX_BYTES", 100)
    for store in (served.new_store("large"), LocalStore(tmp_path)):
        store.create("v1/x.json", b"x" * 101)
        with pytest.raises(TamperedError, match="too large"):
            store.get("v1/x.json")


def test_every_error_of_obstore_is_known() -> None:
    """Whatever obstore raises of its own is caught at the border."""
    from wattbench.results.store.remote import FOREIGN

    own = [each for each in vars(obstore.exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]

    assert [] == [each for each in own if not issubclass(each, FOREIGN)]


@pytest.mark.parametrize(
    "address",
    ["s3://key:secret@results", "s3://results?key=secret", "s3://", "s3://results/../x", "gs://results//x", "az://Ä"],
)
def test_addresses_hold_no_secret(address: str) -> None:
    """An address is a bucket and a path; anything else is refused without repeating it."""
    with pytest.raises(UsageError, match="is no address") as error:
        open_store(address)

    assert "secret" not in str(error.value)


@pytest.mark.parametrize("endpoint", ["http://example.com", "http://10.0.0.1:9000", "http://127.0.0.1.example.com"])
def test_only_loopback_may_go_without_encryption(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint by plain HTTP is refused before anything is sent, unless it is this machine."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    with pytest.raises(UsageError, match="without TLS"):
        open_store("s3://results")


def test_an_unknown_kind_of_store_is_answered_with_the_known() -> None:
    """A scheme that no package knows lists those that are."""
    with pytest.raises(UsageError, match=r"Unknown kind of store 's4': known are .*s3") as error:
        open_store(f"s4://{uuid.uuid4().hex}")

    assert "Did you mean 's3'?" in str(error.value)
