"""A device of torch's that computes on the processor, as a vendor's extension would bring it; installed by tests.

Its tensors only hold one of the processor's, and every function of torch is computed with what they hold. Its compiler
takes everything, and fails when what it made is called. The device fails in what the file of FAILS_IN names.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any  # any: a kernel takes and returns whatever its operator does

import torch
from torch.utils._pytree import tree_map

KIND = "neuron"

COMPILER_SAYS = "neuronx-cc terminated with exit code 70: unsupported operator"

DEVICE_SAYS = "NRT_EXEC_UNIT_UNRECOVERABLE: the device is lost"

FAILS_IN = "COMPUTING_DEVICE_FAILS_IN"
"""The variable that names a file; a device fails in each of wattbench's functions that the file has names of."""

KEPT: list[torch.library.Library] = []
"""Libraries of operators, which are gone when nobody holds them."""

COPIES = (torch.ops.aten._copy_from.default, torch.ops.aten._copy_from_and_resize.default)


class DeviceIsLostError(Exception):
    """An error of the vendor's own, of no kind that Python knows."""


class OnDevice(torch.Tensor):
    """A tensor that says that it lies on the device; `held` has its numbers."""

    held: torch.Tensor

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        """Compute a function of torch, or a property of a tensor, with what is held."""
        if function == torch.Tensor.device.__get__:  # type: ignore[attr-defined] # of C, unknown to the stubs
            return torch.device(KIND, 0)
        return kernel(function, *arguments, **(options or {}))

    def detach(self) -> "OnDevice":
        """Return the same numbers; torch's own way would forget what is held."""
        return wrapped(self.held.detach())


class Module:
    """What torch has under the device's name."""

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_device_name(self, index: int = 0) -> str:
        return "Trainium2"

    def get_device_properties(self, index: int = 0) -> SimpleNamespace:
        return SimpleNamespace(total_memory=96 * 2**30)


def wrapped(held: torch.Tensor) -> OnDevice:
    """Return the device's tensor for one of the processor's."""
    with torch.inference_mode(mode=False):
        made: Any = torch._C._acc.create_empty_tensor(held.shape, held.dtype)
    made.__class__ = OnDevice
    made.held = held
    found: OnDevice = made
    return found


def kernel(function: Any, *arguments: Any, **options: Any) -> Any:
    """Compute a function or an operator; what is returned as it was given stays itself: writing in place works."""
    fail_where_told()
    given: dict[int, torch.Tensor] = {}

    def unwrap(value: Any) -> Any:
        if isinstance(value, torch.device):
            return torch.device("cpu") if value.type == KIND else value
        held = value.held if isinstance(value, OnDevice) else value
        if isinstance(value, torch.Tensor):
            given[id(held)] = value
        return held

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return given[id(value)] if id(value) in given else wrapped(value)

    to_host = function is torch.Tensor.cpu or any(str(value) == "cpu" for value in places(arguments, options))
    if function in COPIES:
        function, arguments = torch.ops.aten.copy_.default, (arguments[1], arguments[0])
    found = function(*tree_map(unwrap, arguments), **tree_map(unwrap, options))
    return found.clone() if to_host else tree_map(wrap, found)


def fail_where_told() -> None:
    """Raise what a lost device raises, and leave a mark, if this is called within a function that the file names."""
    file = Path(os.environ.get(FAILS_IN, os.devnull))
    names = file.read_text().split() if file.exists() else []
    frame = sys._getframe() if names else None
    while frame is not None:
        if frame.f_code.co_name in names and str(frame.f_globals.get("__name__")).startswith("wattbench."):
            file.with_suffix(".struck").touch()
            raise DeviceIsLostError(f"{DEVICE_SAYS}\n  on core 3 of 8")
        frame = frame.f_back


def places(arguments: Any, options: Any) -> list[Any]:
    """Return the devices that a call names."""
    named = [*arguments, *options.values()]
    return [value for value in named if isinstance(value, torch.device | str)]


def compile_lazily(_function: Callable[..., Any], **_options: Any) -> Callable[..., Any]:
    """Return what fails when it is called."""

    def call(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{COMPILER_SAYS}\n  in model.hlo, line 3")

    return call


def load() -> None:
    """Register the device and its kernel; what torch calls of it without asking the device is replaced."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(KIND, backend_module=Module())
    KEPT.append(torch.library.Library("_", "IMPL"))
    KEPT[0].fallback(kernel, "PrivateUse1")
    changed: Any = torch
    changed.accelerator.synchronize = lambda device=None: None
    changed.accelerator.empty_cache = fail_where_told
    changed.compile = compile_lazily
