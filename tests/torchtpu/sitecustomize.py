"""Lets TorchTPU believe in one TPU where no bus has any: it counts them on the PCI bus before it asks its library."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

COUNTER = "torch_tpu._internal.utils.hardware"


class OneDevice(MetaPathFinder):
    """Finds the module that counts devices, once, and replaces its answer."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the module's own spec, whose loader replaces one function after it has run."""
        if fullname != COUNTER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def execute_and_count_one(module: ModuleType) -> None:
            execute(module)
            module.get_tpu_device_count = lambda: 1  # type: ignore[attr-defined] # of a module that is not installed

        spec.loader.exec_module = execute_and_count_one  # type: ignore[method-assign] # the import system calls it
        return spec


sys.meta_path.insert(0, OneDevice())
