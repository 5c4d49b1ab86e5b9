"""Fixtures that many tests share, and turns for those that take times while others run at their side."""

import ctypes
import gc
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Examples are never timed: the machine may be busy.
settings.register_profile("untimed", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("few", settings.get_profile("untimed"), max_examples=5)
settings.load_profile("untimed")


NATIVE = Path(__file__).parent / "native"

LONGEST = (
    *("backends_torch_levels", "sweep", "real_weights", "faults", "agent_runs", "onnxruntime_backend", "endpoint_run"),
    *("onnx_genai", "onnx_export", "neuron_cli", "backends_contract_suite", "sensor_check", "onnx_graphs", "cli"),
    *("tensor_parallel", "recompute_calibrated", "calibrate_cli", "ceilings", "backends_torch_ranks"),
    *("servers_session", "servers_transformers", "power_coverage", "tuning", "traffic_inprocess", "sharing_processes"),
    *("sweep_powerlimit", "power_nvml", "store_faults", "store_remote", "recompute", "recompute_attached"),
    *("onnxruntime_openvino", "report_browser", "backends_torch", "peers", "torch_architectures"),
    *("store_privacy", "meters_recorder", "meters_secrets", "agent", "attach_power", "litert_android"),
)
"""Files of tests that take longest: they start first, those that wait beside those that compute, and leave no tail."""

if "PYTEST_XDIST_TESTRUNUID" in os.environ:
    # Threads that spin while they wait for each other take the cores from the tests of the other processes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Compiling side by side takes a further process that imports torch; the tests go side by side already.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

ALONE = frozenset({"test_completion_is_truthful"})
"""Tests of the contract, which know no marks of ours, that need the machine for themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the contract's tests that compare times, and let the longest files start first."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
    for item in items:
        if getattr(item, "originalname", None) in ALONE:
            item.add_marker(pytest.mark.alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test that is marked `alone` run while no other process of pytest-xdist runs one."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return (yield)
    with turn(Path(tempfile.gettempdir()) / f"wattbench-tests-{run}", alone="alone" in item.keywords):
        return (yield)


@contextmanager
def turn(path: Path, *, alone: bool) -> Iterator[None]:
    """Hold the machine, shared or alone; whoever waits for it lets nobody else in before."""
    import fcntl  # only where tests run side by side

    with path.with_suffix(".queue").open("w") as queue, path.with_suffix(".machine").open("w") as machine:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


@pytest.fixture(scope="module", autouse=True)
def settled() -> None:
    """Keep the modules of all files out of the collector's way: every schedule that is served begins by collecting."""
    if not gc.get_freeze_count():  # a client of servers thaws everything when a window ends
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of this run of the tests, which its processes share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def graph_cache(run_folder: Path) -> Path:
    """Give one cache folder to all files whose tests do not ask how a graph was built."""
    folder = run_folder / "graphs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def compiler_cache(run_folder: Path) -> Iterator[None]:
    """Keep what torch's compiler makes out of the user's folders, and make it once for all files and processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(run_folder / "inductor"))
        yield


@pytest.fixture(scope="module")
def kept_graphs(graph_cache: Path) -> Iterator[Path]:
    """Let a file's tests find in that folder what others made ahead of time, so that each thing is made once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATTBENCH_CACHE", str(graph_cache))
        yield graph_cache


@pytest.fixture(scope="session")
def factories() -> ModuleType:
    """Give the module tests/factories.py: `make_result(...)`, `make_repeat(...)` and so on."""
    return _module("factories", "factories.py")


@pytest.fixture(scope="session")
def cost_case() -> ModuleType:
    """Give the module tests/cost_case.py: `make_measured(...)` and `make_inputs(...)` of a plain case of costs."""
    return _module("cost_case", "cost_case.py")


@pytest.fixture(scope="session")
def cost_page() -> ModuleType:
    """Give the module tests/cost_page.py: the commands that docs/cost.md shows, and what they print."""
    return _module("cost_page", "cost_page.py")


@pytest.fixture(scope="session")
def peers() -> ModuleType:
    """Give the module tests/peers/servers.py: what tests start on loopback."""
    return _module("peers_servers", "peers/servers.py")


@pytest.fixture(scope="session")
def mlperf_run() -> ModuleType:
    """Give the module tests/mlperf_run.py: `unpack(folder)` and ways to damage a run's logs."""
    return _module("mlperf_run", "mlperf_run.py")


def _module(name: str, file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def compile_library() -> Callable[[Path, Path], Path]:
    """Give a function that compiles a stand-in for a vendor's library from its source, and returns where it lies."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stand-in library")

    def run(source: Path, target: Path) -> Path:
        flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-Wl,-soname,{target.name}"]
        subprocess.run([compiler, *flags, "-o", str(target), str(source)], check=True, timeout=120)
        return target

    return run


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory, compile_library: Callable[[Path, Path], Path]) -> Path:
    """Compile the stand-in for NVIDIA's library once, and return the folder that holds it."""
    folder = tmp_path_factory.mktemp("nvml")
    return compile_library(NATIVE / "fake_nvml.c", folder / "libnvidia-ml.so.1").parent


RENAMED = """
import ctypes

real = ctypes.CDLL

def renamed(name, *arguments, **options):
    return real({library!r} if {part!r} in str(name) else name, *arguments, **options)

ctypes.CDLL = renamed
"""
"""Some bindings name their library by a fixed path; this leads it to ours in a fresh Python (as its sitecustomize)."""


@pytest.fixture
def lead_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Path], pytest.MonkeyPatch]:
    """Give a function that leads whoever loads a library of some name to ours, here and in child processes."""
    real = ctypes.CDLL

    def lead(part: str, library: Path) -> pytest.MonkeyPatch:
        def renamed(name: Any, *arguments: Any, **options: Any) -> ctypes.CDLL:  # any: whatever CDLL takes
            return real(str(library) if part in str(name) else name, *arguments, **options)

        (library.parent / "sitecustomize.py").write_text(RENAMED.format(library=str(library), part=part))
        monkeypatch.setattr(ctypes, "CDLL", renamed)
        monkeypatch.setenv("PYTHONPATH", str(library.parent))
        return monkeypatch

    return lead
