"""What ONNX Runtime offers on this machine: built-in providers, plug-in wheels, and the devices that each one lists.

`python -m wattbench.backends.onnxruntime.listing MODULE...` writes it as JSON: plug-in libraries are vendors' code that
may print, hang or abort, so the measuring process asks a child of its own.
"""

import json
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from wattbench.backends.onnxruntime.providers import provider_of
from wattbench.results.codec import decode, to_builtins
from wattbench.results.errors import DeviceError, DocumentError

__all__ = ["EpDevice", "Library", "Listing", "library_of", "list_here", "listing_from_child", "plugin_modules", "words"]

CONVENTION = re.compile(r"onnxruntime_(ep_\w+|qnn|ggml)")
"""How the modules of plug-in wheels are called; the last two came before the convention."""

CHILD_TIMEOUT_S = 60.0
"""A cold import of ONNX Runtime and of a plug-in's libraries takes seconds on a slow disk, never this long."""

LAST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A plug-in wheel's library: its module, the providers it holds, and the file."""

    module: str
    names: tuple[str, ...]
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EpDevice:
    """A device as a provider lists it; `unit` is "cpu", "gpu" or "npu", `module` the plug-in's (None: built in)."""

    provider: str
    unit: str
    vendor: str
    module: str | None
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Everything on offer; `refused` says of a plug-in's module why it offers nothing.

    `proves` says whether this ONNX Runtime can tell which provider each node of a graph was given to.
    """

    version: str
    proves: bool
    built_in: tuple[str, ...]
    devices: tuple[EpDevice, ...]
    refused: dict[str, str]


def plugin_modules() -> tuple[str, ...]:
    """Return the names of the installed modules that follow the convention of plug-in wheels; imports none."""
    return tuple(sorted({m.name for m in pkgutil.iter_modules() if CONVENTION.fullmatch(m.name)}))


def library_of(module: str) -> Library:
    """Return the library of a plug-in's module. Raises DeviceError when the module is broken or has no such file."""
    try:
        found = import_module(module)
        path = _answer(found, "get_library_path", "library_path")
        named = _answer(found, "get_ep_names", "get_ep_name", "EP_NAME")
    except Exception as exc:  # foreign code: whatever it raises is why it cannot be used
        raise DeviceError(f"The plug-in {module} cannot be used", words(exc), f"Reinstall or remove {module}.") from exc
    names = (named,) if isinstance(named, str) else tuple(named)
    return Library(module=module, names=names, path=os.fspath(path))


def list_here(modules: tuple[str, ...]) -> Listing:
    """Return what this process can use; libraries of `modules` that are not in use are loaded and let go again."""
    import onnxruntime

    refused: dict[str, str] = {}
    devices: list[EpDevice] = []
    for module in modules:
        try:
            offered = list(_offered(library_of(module)))
        except DeviceError as exc:
            refused[module] = exc.why
            continue
        devices += offered
        if not offered:
            refused[module] = f"it lists no device of this machine; it needs {_needs(module)}"
    plugged = {device.provider for device in devices}
    built_in = [_device(found, None) for found in onnxruntime.get_ep_devices() if found.ep_name not in plugged]
    return Listing(
        version=onnxruntime.__version__,
        proves=hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"),
        built_in=tuple(onnxruntime.get_available_providers()),
        devices=(*built_in, *devices),
        refused=refused,
    )


def listing_from_child() -> Listing:
    """Return what a fresh process could use; a plug-in that ends its process or hangs is refused with the reason.

    Raises DeviceError when ONNX Runtime itself cannot be loaded.
    """
    modules = plugin_modules()
    try:
        return _asked(modules)
    except DeviceError:
        if not modules:
            raise
    listing = _asked(())
    for module in modules:
        try:
            alone = _asked((module,))
        except DeviceError as exc:
            listing.refused[module] = exc.why
            continue
        listing.refused.update(alone.refused)
        listing = replace(listing, devices=(*listing.devices, *(d for d in alone.devices if d.module == module)))
    return listing


def words(exc: BaseException) -> str:
    """Return what a foreign exception says, on one line."""
    return " ".join(str(exc).split()) or type(exc).__name__


def _asked(modules: tuple[str, ...]) -> Listing:
    """Return a child's answer about some plug-ins. Raises DeviceError with its last words when there is none."""
    try:
        command = [sys.executable, "-P", "-m", __name__, *modules]
        done = subprocess.run(command, capture_output=True, timeout=CHILD_TIMEOUT_S, check=True)
        return decode(json.loads(done.stdout), Listing)
    except subprocess.TimeoutExpired as exc:
        raise DeviceError("ONNX Runtime gives no answer", f"none within {CHILD_TIMEOUT_S:.0f} s") from exc
    except subprocess.CalledProcessError as exc:
        said = exc.stderr.decode(errors="replace").strip()[-LAST_WORDS:]
        why = f"its process ended with {exc.returncode}{f': {said}' if said else ''}"
        raise DeviceError("ONNX Runtime cannot be loaded", why) from exc
    except (OSError, ValueError, DocumentError) as exc:
        raise DeviceError("ONNX Runtime gives no answer", words(exc)) from exc


def _needs(module: str) -> str:
    return provider_of(library_of(module).names[0], module).needs


def _answer(module: Any, *names: str) -> Any:  # any: a plug-in's module has no type
    """Return the value, or what the function gives, of the first of `names` that a module has."""
    for name in names:
        found = getattr(module, name, None)
        if found is not None:
            return found() if callable(found) else found
    raise AttributeError(f"it has none of {', '.join(names)}")


def _offered(library: Library) -> Iterator[EpDevice]:
    """Yield the devices of a library's providers. Raises DeviceError when it cannot be loaded."""
    import onnxruntime

    name = library.names[0]
    registered = any(device.ep_name in library.names for device in onnxruntime.get_ep_devices())
    try:
        if not registered:
            onnxruntime.register_execution_provider_library(name, library.path)
    except Exception as exc:  # ONNX Runtime's errors share no class
        raise DeviceError(f"The library of {library.module} cannot be loaded", words(exc)) from exc
    try:
        yield from [_device(d, library.module) for d in onnxruntime.get_ep_devices() if d.ep_name in library.names]
    finally:
        if not registered:
            onnxruntime.unregister_execution_provider_library(name)


def _device(found: Any, module: str | None) -> EpDevice:  # any: onnxruntime is untyped here
    return EpDevice(
        provider=str(found.ep_name),
        unit=str(found.device.type).rpartition(".")[2].lower(),
        vendor=str(found.device.vendor),
        module=module,
        metadata={str(key): str(value) for key, value in found.ep_metadata.items()},
    )


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error, never into the answer
    answers.write(json.dumps(to_builtins(list_here(tuple(sys.argv[1:])))))
    answers.close()


if __name__ == "__main__":
    _main()
