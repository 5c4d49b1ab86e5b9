"""Small packages that behave as badly as vendors' software was seen to, or as AWS's placeholders do."""

from pathlib import Path

__all__ = ["EXTENSIONS", "HEADER_LIKE", "PLACEHOLDER", "TPU", "install", "install_mtia"]

PLACEHOLDER = "WRONG PACKAGE. Please install the package from Neuron Repository - pip.repos.neuron.amazonaws.com"
"""The description of torch-neuronx 1.0 on PyPI."""

HEADER_LIKE = "## Installation\nFirst: install it.\n\nSecond: use it."
"""A description with lines like headers, as that of torch_tpu 0.2.0: Python can read it, and not write it out again."""

TPU = """
import os, sys, types

os.environ["TPU_LEFT_BEHIND"] = "1"
print("libtpu not found.", flush=True)

class Module:
    def is_available(self): return True
    def device_count(self): return 1
    def current_device(self): return 0
    def _is_in_bad_fork(self): return False
    def manual_seed_all(self, seed): pass
    def get_device_name(self, index=0): return "TPU v6e"
    def get_device_properties(self, index=0): return types.SimpleNamespace(total_memory=32 * 2**30)

def load():
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
    _setup_privateuseone_for_python_backend("tpu", backend_module=Module())
"""
"""A device of torch's that answers and computes nothing, as a vendor's extension brings it."""

EXTENSIONS = {
    "aborts": "import os\ndef load():\n    print('CHECK failed: no device', flush=True)\n    os.abort()",
    "hangs": (
        "import pathlib, subprocess, sys, time\ndef load():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "    pathlib.Path(__file__).with_name('hangs.pid').write_text(str(child.pid))\n"
        "    time.sleep(600)"
    ),
    "exits": "import os\ndef load():\n    os._exit(0)",
    "raises": "def load():\n    raise OSError('libvendor.so.7: cannot open shared object file')",
    "chatters": "def load():\n    print('banner ' * 1000)",
}
"""Extensions of torch by name, and what loading each one does."""


MTIA = """
import torch

known = []
torch.mtia.is_available = lambda: bool(known)
torch.mtia.init = lambda: known.append(0)
torch.mtia.get_device_name = lambda index=0: "MTIA v2"
torch.accelerator.current_accelerator = lambda: torch.device("mtia")
torch.accelerator.is_available = lambda: bool(known)
torch.accelerator.device_count = lambda: len(known)
"""
"""A runtime of Meta's that knows its one device once it is initialised; it computes nothing."""


def install_mtia(folder: Path, code: str = MTIA) -> None:
    """Put Meta's runtime into a folder of the path, where torch says that it is."""
    module = folder / "mtia/host_runtime/torch_mtia/dynamic_library.py"
    module.parent.mkdir(parents=True)
    module.write_text(code)


def install(folder: Path, name: str, version: str, code: str, *, extension: str | None = None, text: str = "") -> None:
    """Put a package into a folder of the path: one module, and the metadata that pip would have written."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n{text}\n")
    if extension is not None:
        (info / "entry_points.txt").write_text(f"[torch.backends]\n{extension} = {module}:load\n")
