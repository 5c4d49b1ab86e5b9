"""How long probes take: at once with nothing installed, and never longer than the limit that they state."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import wattbench
from wattbench.backends import asking
from wattbench.results.plugins import plugin_names
from wattbench.testing.backends import PROBE_LIMIT_S

PROMISED_S = 5.0
"""What docs/backends.md promises for a probe with nothing installed; one takes some hundredths of a second."""

PAGE = (Path(__file__).parents[1] / "docs" / "backends.md").read_text()

SDKS = (
    "torch",
    "functorch",
    "transformers",
    "onnx",
    "executorch",
    "ai_edge",
    "litert",
    "coremltools",
    "mlx",
    "openvino",
)
"""How the names of the SDKs' packages begin."""

NEEDS_NONE = ("endpoint", "mock")

PROBE = """
import json, sys, time
from wattbench.results.codec import to_builtins
from wattbench.results.plugins import load_plugin
backend = load_plugin("wattbench.backends", sys.argv[1], "backend")()
start = time.perf_counter()
found = backend.probe()
took_s = time.perf_counter() - start
print(json.dumps(to_builtins(found) | {"took_s": took_s}))
"""

VENDORS = """
import json, subprocess, time
def refuse(*_, **__): raise AssertionError("a process was started")
from wattbench.backends.torch.probing import probe_vendors
from wattbench.results.codec import to_builtins
subprocess.Popen.__init__ = refuse
start = time.perf_counter()
found = probe_vendors()
took_s = time.perf_counter() - start
print(json.dumps({"took_s": took_s, "found": to_builtins([row.finding for row in found])}))
"""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment with everything that is installed here but the SDKs."""
    folder = tmp_path_factory.mktemp("bare")
    installed = Path(sysconfig.get_path("purelib"))
    for entry in installed.iterdir():
        if not entry.name.lower().startswith(SDKS):
            (folder / entry.name).symlink_to(entry)
    own = Path(wattbench.__file__).parents[1]
    places = [folder] if own == installed else [folder, own]
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places))}


def asked(code: str, *arguments: str, flags: tuple[str, ...] = ("-P",), **environment: str) -> Any:  # any: JSON
    """Return what a process of its own answers."""
    command = [sys.executable, *flags, "-c", code, *arguments]
    environment = environment or dict(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", sorted(set(plugin_names("wattbench.backends")) - set(NEEDS_NONE)))
def test_a_backend_without_its_sdk(bare: dict[str, str], name: str) -> None:
    """It is absent, says what to do, and has answered before the promised time is over."""
    found = asked(PROBE, name, flags=("-P", "-S"), **bare)

    assert "absent" == found["state"], found
    assert found["remedy"]
    assert found["took_s"] < PROMISED_S


@pytest.mark.parametrize("name", NEEDS_NONE)
def test_a_backend_that_needs_none(bare: dict[str, str], name: str) -> None:
    """What needs no SDK is there all the same."""
    assert "present" == asked(PROBE, name, flags=("-P", "-S"), **bare)["state"]


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac has a GPU of its own, which is asked for")
def test_vendors_of_torch_without_their_software() -> None:
    """None of them starts a process; each is absent and states the limit that it would have been given."""
    pytest.importorskip("torch", reason="this is the torch backend")
    from wattbench.backends.torch.probing import GIVES_UP, TIMEOUT_S
    from wattbench.backends.torch.vendors import VENDORS as RECORDS

    answer = asked(VENDORS)
    rows = {row["name"]: row["availability"] for row in answer["found"]}

    assert {vendor.kind for vendor in RECORDS} <= set(rows)
    assert {"absent"} == {row["state"] for row in rows.values()}
    assert {f"{TIMEOUT_S:g} s"} == {row["facts"][GIVES_UP] for row in rows.values()}
    assert answer["took_s"] < PROMISED_S


def test_the_page_has_the_limits() -> None:
    """The table names every limit as the code has it."""
    pytest.importorskip("torch", reason="this is the torch backend")
    from wattbench.backends.onnxruntime.listing import CHILD_TIMEOUT_S
    from wattbench.backends.torch.probing import TIMEOUT_S

    limits = [float(found) for found in re.findall(r"^\| [^|]+ \| `[^|]+ \| (\d+) s \|$", PAGE, re.MULTILINE)]

    assert [asking.TIMEOUT_S, CHILD_TIMEOUT_S, TIMEOUT_S] == limits
    assert f"allows an honest probe {PROBE_LIMIT_S:g} s" in PAGE
    assert f"within {PROMISED_S:g} s" in PAGE
    assert asking.TIMEOUT_S <= PROBE_LIMIT_S
