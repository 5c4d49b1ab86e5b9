"""Compiling with torch.compile: when it can, how its failures are told, and that nothing is compiled again later."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Any  # any: what a compiled function returns is its own affair

import torch

from wattbench.backends.torch.vendors import vendor_of
from wattbench.models.torch_memory import is_out_of_memory

__all__ = ["CompileError", "Options", "can_compile", "compiled", "compiled_static", "compiling", "kept_in", "sealed"]

Options = dict[str, str | int | bool]

COMPILERS = ("g++", "clang++", "c++")

SHAPES_MAX = 32
"""Fixed shapes that one function may be compiled for: the spans of a context (`graphs.GRAPHS_MAX`), with room."""


class CompileError(Exception):
    """A level could not be made ready; the text says why, in one line."""


def can_compile(device: str) -> bool:
    """Return whether torch.compile has what it needs for a device type: a C++ compiler, and Triton on a GPU.

    A vendor's own compiler comes with its extension.
    """
    vendor = vendor_of(device)
    if vendor is not None and vendor.compiler != "inductor":
        return vendor.compiler is not None
    wanted = os.environ.get("CXX")
    found = any(shutil.which(name) for name in ((wanted,) if wanted else COMPILERS))
    return found and (device == "cpu" or find_spec("triton") is not None)


def compiled(function: Callable[..., Any], options: Options) -> Callable[..., Any]:
    """Return the function compiled as one graph at its first call; see inductor's config for `options`.

    The number of threads is named, so that it is part of the key of inductor's cache: the code for a CPU has it in it,
    and older versions of torch leave it out of that key unless it is named.
    """
    threads = {"cpp.threads": torch.get_num_threads()}
    compile_: Any = torch.compile  # any: its overloads know fewer options than inductor has
    made: Callable[..., Any] = compile_(function, fullgraph=True, options=options | threads)
    return made


def compiled_static(function: Callable[..., Any], compiler: str) -> Callable[..., Any]:
    """Return the function compiled by a vendor's own compiler as one graph, once for each set of shapes."""
    compile_: Any = torch.compile  # any: see `compiled`
    made: Callable[..., Any] = compile_(function, backend=compiler, fullgraph=True, dynamic=False)
    return made


def kept_in(device: str) -> str | None:
    """Return the folder in which a vendor's compiler keeps its code, "~" for the user's own; None where not known."""
    vendor = vendor_of(device)
    if vendor is None:
        return None
    named = next((os.environ[name] for name in vendor.caches if os.environ.get(name)), vendor.cache_default)
    home = os.path.expanduser("~")
    return "~" + named[len(home) :] if named is not None and home != "/" and named.startswith(home) else named


@contextmanager
def compiling(*, freezes: bool) -> Iterator[None]:
    """Raise CompileError for every failure of the compiler within; what it warns of is its own affair.

    With `freezes` the parameters of modules become constants, which inductor lays out for oneDNN. The compiler's helper
    processes are ended afterwards, so that none of them lives beside what is timed.
    """
    from torch._dynamo import config as dynamo_config
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor import config
    from torch._inductor.async_compile import shutdown_compile_workers
    from torch._inductor.exc import CppCompileError

    try:
        many = dynamo_config.patch(recompile_limit=SHAPES_MAX)
        with warnings.catch_warnings(), config.patch(freezing=freezes), many:
            warnings.simplefilter("ignore")
            yield
    except (TorchDynamoException, CppCompileError) as exc:
        if is_out_of_memory(exc):
            raise
        raise CompileError(f"torch.compile failed: {_first_words(exc)}"[:300]) from exc
    finally:
        shutdown_compile_workers()


def _first_words(exc: Exception) -> str:
    """Return the first line of an error, with those that it announces: "backend='tpu' raised:" says nothing yet."""
    found: list[str] = []
    for line in filter(None, map(str.strip, str(exc).splitlines())):
        found.append(line)
        if not line.endswith(":"):
            break
    return " ".join(found) or type(exc).__name__


def sealed() -> AbstractContextManager[Any]:
    """Return a context in which a call that would have to be compiled anew fails instead of being timed."""
    context: AbstractContextManager[Any] = torch.compiler.set_stance("fail_on_recompile")
    return context
