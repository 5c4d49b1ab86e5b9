"""Which packages of ONNX Runtime are installed, without importing them."""

from importlib.metadata import PackageNotFoundError, distributions, version

__all__ = ["runtime_distributions", "version_facts"]

PACKAGES = ("onnx", "onnxscript", "onnxruntime-genai")
PREFIX = "onnxruntime"
ROOT_FILE = "onnxruntime/__init__.py"


def runtime_distributions() -> dict[str, str]:
    """Return the versions of the distributions that put `import onnxruntime` in the place where it is found.

    More than one have overwritten each other's files.
    """
    found: dict[str, dict[str, str]] = {}
    for distribution in distributions():
        if distribution.name.startswith(PREFIX) and any(str(path) == ROOT_FILE for path in distribution.files or ()):
            place = str(distribution.locate_file(ROOT_FILE))
            found.setdefault(place, {})[distribution.name] = distribution.version
    return next(iter(found.values()), {})  # distributions() follows the path, as import does


def version_facts(modules: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the versions of ONNX Runtime, of what makes its graphs, and of plug-ins named by their modules."""
    known = {name: _version(name) for name in (*PACKAGES, *(module.replace("_", "-") for module in modules))}
    return runtime_distributions() | {name: found for name, found in known.items() if found is not None}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
