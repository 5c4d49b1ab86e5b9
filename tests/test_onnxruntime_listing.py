"""What ONNX Runtime offers here, and plug-ins that are broken in every way."""

from pathlib import Path

import pytest

pytest.importorskip("onnxruntime", reason="this is the onnxruntime backend")

from wattbench.backends.onnxruntime.backend import OnnxRuntimeBackend
from wattbench.backends.onnxruntime.listing import library_of, list_here, listing_from_child, plugin_modules
from wattbench.backends.onnxruntime.session import find_offer
from wattbench.results.errors import DeviceError, UsageError

LIBRARY = """
def get_library_path():
    return {path!r}
def get_ep_names():
    return ["BadExecutionProvider"]
"""

BROKEN = {
    "no file": (LIBRARY.format(path="/nowhere/libbad.so"), "No such file"),
    "no library": (LIBRARY.format(path=__file__), "invalid ELF header|Failed to load"),
    "raises": ("raise RuntimeError('built for another\\n version')", "built for another version"),
    "no function": ("", "it has none of get_library_path, library_path"),
    "ends the process": ("import os\nos._exit(3)", "ended with 3"),
}


@pytest.fixture
def bad_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """Install a broken plug-in on the path of this process and its children; return what its refusal says."""
    source, said = BROKEN[request.param]
    name = f"onnxruntime_ep_bad_{list(BROKEN).index(request.param)}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return f"{name}|{said}"


def test_a_child_lists_the_cpu() -> None:
    """The plain package offers its CPU provider, and can prove placements."""
    found = listing_from_child()

    assert found.proves
    assert "CPUExecutionProvider" in [device.provider for device in found.devices]
    assert "CPUExecutionProvider" in found.built_in


@pytest.mark.parametrize("bad_plugin", BROKEN, indirect=True)
def test_a_broken_plugin_is_left_out_with_the_reason(bad_plugin: str) -> None:
    """Whatever a plug-in does when it is loaded, the other devices remain and the probe says why it is left out."""
    module, _, said = bad_plugin.partition("|")
    backend = OnnxRuntimeBackend()
    found = backend.probe()

    assert found.usable
    assert f"{module} is left out" in found.reason
    assert any(words in found.reason for words in said.split("|"))
    assert "cpu" in [info.name for info in backend.devices()]


@pytest.mark.parametrize("bad_plugin", ["no file"], indirect=True)
def test_the_device_of_a_broken_plugin_is_an_error_with_its_words(bad_plugin: str) -> None:
    """Asking for such a device gives the loader's own words and never another device."""
    assert bad_plugin
    with pytest.raises(DeviceError, match="No such file"):
        find_offer("bad_0:0")


def test_another_device_loads_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU is opened without asking any plug-in: its threads would disturb what is timed."""
    (tmp_path / "onnxruntime_ep_loud.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)

    assert "onnxruntime_ep_loud" in plugin_modules()
    assert "cpu" == find_offer("cpu").info.name


def test_an_unknown_device_lists_the_known_ones() -> None:
    """A name that nobody has is the user's error."""
    with pytest.raises(UsageError, match="known are"):
        find_offer("cpux")


def test_names_by_any_form_of_the_convention(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in may give its names as a list, by a function or by a constant, and its path by either name."""
    (tmp_path / "onnxruntime_ep_old.py").write_text("EP_NAME = 'old'\nlibrary_path = lambda: '/x.so'")
    monkeypatch.syspath_prepend(tmp_path)
    found = library_of("onnxruntime_ep_old")

    assert (("old",), "/x.so") == (found.names, found.path)


def test_a_listing_leaves_nothing_registered() -> None:
    """Listing twice gives the same devices: libraries are let go again."""
    modules = plugin_modules()

    assert list_here(modules).devices == list_here(modules).devices
