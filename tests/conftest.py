"""Fixtures that many tests share."""

import importlib.util
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
    spec = importlib.util.spec_from_file_location("factories", Path(__file__).parent / "factories.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
