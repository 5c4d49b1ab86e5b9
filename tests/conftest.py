"""Fixtures that many tests share."""

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

# Examples are never timed: the machine may be busy.
settings.register_profile("untimed", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def factories() -> ModuleType:
    """Give the module tests/factories.py: `make_result(...)`, `make_repeat(...)` and so on."""
    return _module("factories", "factories.py")


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
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the stand-in for NVIDIA's library once, and return the folder that holds it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for the stand-in library")
    folder = tmp_path_factory.mktemp("nvml")
    target = folder / "libnvidia-ml.so.1"
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run(
        [compiler, *flags, "-o", str(target), str(Path(__file__).parent / "native" / "fake_nvml.c")],
        check=True,
        timeout=120,
    )
    return folder
