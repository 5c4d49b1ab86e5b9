"""Real inference servers on loopback, each in a process of its own that ends with its test."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["llama_server", "metrics_of", "transformers_server"]

HERE = Path(__file__).parent


@contextmanager
def llama_server(
    model: Path, *, parallel: int = 4, context: int = 16_384, key: str | None = None
) -> Iterator["Running"]:
    """Run llama.cpp's server (the wheel xllamacpp) on a GGUF file."""
    words = [str(model), str(parallel), str(context), *([key] if key is not None else [])]
    command = [sys.executable, str(HERE / "llama_server.py"), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:"), f"llama.cpp's server did not start: {url}"
            yield Running(url, process)
        finally:
            process.kill()


@contextmanager
def transformers_server(folder: Path) -> Iterator["Running"]:
    """Run `transformers serve` on a folder with a model and its tokenizer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    log = folder / "server.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu"], stdout=out, stderr=subprocess.STDOUT, env=environment
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{port}"
            _await(f"{url}/health", process, log)
            yield Running(url, process)
        finally:
            process.kill()


class Running:
    """A server that answers at `url`."""

    def __init__(self, url: str, process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process


def metrics_of(url: str) -> dict[str, float]:
    """Return a server's own counters by name (Prometheus text)."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                json.loads(answer.read())
                return
        except (OSError, urllib.error.URLError, ValueError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
