"""Saying what a prepared torch engine is: its record, read back from what was made and where it lies."""

import torch
from torch import Tensor

from wattbench.backends.contract import EAGER, DeviceInfo, Preparation
from wattbench.backends.torch.compile import kept_in
from wattbench.backends.torch.device import memory_source, version_facts
from wattbench.backends.torch.levels import CONTINUOUS, Made
from wattbench.backends.torch.linears import DynamicInt8
from wattbench.backends.torch.matrices import Packed, Plain
from wattbench.backends.torch.precision import Numbers
from wattbench.backends.torch.quantised import Float8, Int4, Int8
from wattbench.backends.torch.stamps import EventStamps
from wattbench.models.torch_build import TINY, BuiltModel
from wattbench.results.errors import DeviceError
from wattbench.results.subject import BackendRecord

__all__ = ["backend_record", "placement", "same_device"]


ON_HOST = "each token is read on the host in every step, and stamped when it is there"


def backend_record(
    p: Preparation,
    info: DeviceInfo,
    built: BuiltModel,
    made: Made,
    level: str,
    numbers: Numbers,
    fallback: str | None,
    memory_peak_bytes: int | None,
) -> BackendRecord:
    """Return the record of an engine after its first execution; `fallback` is why another level was asked for."""
    device = torch.device(info.name)
    versions = version_facts()
    if p.load.model.architecture != TINY:
        import transformers

        versions["transformers"] = transformers.__version__
    return BackendRecord(
        name="torch",
        engine=level,
        versions=versions,
        device=info.name,
        device_name=info.description,
        precision_requested=p.precision,
        precision_effective=_effective(made.module, p.precision, numbers),
        threads=torch.get_num_threads() if device.type == "cpu" else None,
        affinity=tuple(sorted(p.affinity)) if p.affinity is not None else None,
        tuning=f"{made.words}; {'' if level == CONTINUOUS else f'attention {built.attention}, static KV cache, '}"
        f"float32 products {torch.get_float32_matmul_precision()}",
        synchronisation=ON_HOST if level == CONTINUOUS else _synchronisation(device, made.stamps),
        placement=placement(made.module, made.engine.state(), device),
        token_source="counted from the tokens that the engine wrote and read",
        memory_peak_bytes=memory_peak_bytes,
        memory_source=memory_source(device),
        mock=False,
        emulated=info.emulated_on is not None,
        true_device=info.emulated_on,
        compute_precision=numbers.compute_precision,
        weight_bytes=made.step_bytes,
        kv_bytes_per_token=made.kv_bytes,
        tuning_fallback=fallback,
        compile_cache=kept_in(device.type) if level not in (EAGER, CONTINUOUS) else None,
    )


def placement(module: torch.nn.Module, state: tuple[Tensor, ...], device: torch.device) -> str:
    """Return the proof that everything lies on the device. Raises DeviceError when something does not."""
    parts: dict[str, list[Tensor]] = {
        "parameters": list(module.parameters()),
        "buffers": list(module.buffers()),
        "cache, token and output tensors": list(state),
    }
    for what, tensors in parts.items():
        strayed = {str(t.device) for t in tensors if not same_device(t.device, device)}
        if strayed:
            raise DeviceError(f"Some {what} do not lie on {device}", f"found on {', '.join(sorted(strayed))}")
    counts = ", ".join(f"{len(tensors)} {what}" for what, tensors in parts.items())
    return f"checked after the first execution: {counts}, all on {device.type}"


def same_device(found: torch.device, wanted: torch.device) -> bool:
    """Return whether two devices are one; a device without a number is the only one of its type."""
    return found.type == wanted.type and (found.index or 0) == (wanted.index or 0)


def _effective(module: torch.nn.Module, precision: str, numbers: Numbers) -> str:
    """Return the types of the weights, the one with the most bytes first, joined by "+".

    Rounded weights have the name of what most of them are kept in (a head may be kept wider), and float32 weights
    multiplied as tf32 have that name.
    """
    if numbers.rounded_to is not None:
        counts = _kept(module)
        return max(counts, key=lambda name: counts[name])
    weights: list[Tensor] = list(module.parameters())
    weights += [m.weight for m in module.modules() if isinstance(m, Plain | Packed)]
    sizes: dict[str, int] = {}
    for weight in weights:
        name = str(weight.dtype).removeprefix("torch.")
        sizes[name] = sizes.get(name, 0) + weight.nbytes
    found = "+".join(sorted(sizes, key=lambda name: -sizes[name]))
    return precision if (precision, found) == ("tf32", "float32") else found


def _kept(module: torch.nn.Module) -> dict[str, int]:
    """Return how many weights of a module's matrices are kept in each type; dense copies do not count."""
    match module:
        case Int8() | Float8():
            return {str(module.rounded.dtype).removeprefix("torch.").removesuffix("_e4m3fn"): module.rounded.numel()}
        case Int4():
            return {"int4": 2 * module.steps.nbytes}
        case DynamicInt8():
            return {"int8": module.packed.numel()}
        case Plain() | Packed() | torch.nn.Linear():
            return {str(module.weight.dtype).removeprefix("torch."): module.weight.numel()}
    counts: dict[str, int] = {}
    for child in module.children():
        for name, count in _kept(child).items():
            counts[name] = counts.get(name, 0) + count
    return counts


def _synchronisation(device: torch.device, stamps: EventStamps | None) -> str:
    if device.type == "cpu":
        return "CPU calls return when done; outputs are read on the host in every execution"
    if stamps is None:
        return "torch.accelerator.synchronize before each time stamp; outputs are read on the host in every execution"
    late_us = stamps.late_ns_max / 1e3
    return (
        "device events at each token, one synchronize an execution, mapped onto the host's clock by counting back from "
        f"its return: never early, at most {late_us:.0f} us late in the first execution; outputs are read on the host"
    )
