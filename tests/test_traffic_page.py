"""docs/scenarios.md has every scenario, format and named limit."""

from pathlib import Path

import pytest

from wattbench.harness.traffic.drawing import SCENARIOS
from wattbench.harness.traffic.sessions import KEYS
from wattbench.harness.traffic.trace_formats import FORMATS
from wattbench.results.slo import named_slos

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "scenarios.md").read_text()


@pytest.mark.parametrize("name", [*SCENARIOS, *(form.name for form in FORMATS)])
def test_names(name: str) -> None:
    """What can be named is on the page, in a table's first column."""
    assert f"\n| `{name}` |" in PAGE


@pytest.mark.parametrize("key", KEYS)
def test_words_of_sessions(key: str) -> None:
    """Every word of --sessions is explained."""
    assert f"\n| `{key}=` |" in PAGE


def test_named_limits() -> None:
    """Every model with limits of its own is on the page."""
    models = {name.removeprefix("mlperf:").partition("/")[0] for name in named_slos()}

    assert models == {model for model in models if f"{model}/..." in PAGE or f"`{model}`" in PAGE}
