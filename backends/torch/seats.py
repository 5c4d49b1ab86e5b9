"""Which devices the ranks of a load take, and what keeps a load from being shared out, before anything is started."""

from wattbench.backends.contract import DeviceInfo
from wattbench.backends.torch.lean_build import fits_lean
from wattbench.backends.torch.precision import ENCODERS
from wattbench.backends.torch.probing import device_infos, find_device
from wattbench.backends.torch.ranks import library_missing
from wattbench.models.load import Load
from wattbench.models.shards import refuse_ranks
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["rank_devices"]


def rank_devices(load: Load, device: str, ranks: int) -> tuple[DeviceInfo, ...]:
    """Return the device of each rank: the named one and those after it, or the CPU for all of them.

    Raises UsageError for a load that they cannot share, too few or unlike devices, and DeviceError for a torch without
    the collectives.
    """
    refuse_ranks(load.model, ranks)
    if load.model.family not in ENCODERS and not fits_lean(load.model):
        why = "ranks share decoders that run in the lean decoder: no biases, no windows, fixed rotations"
        raise UsageError(f"{load.model.name} cannot be shared out", why, "Leave out --tensor-parallel.")
    first = find_device(device)
    kind = first.name.partition(":")[0]
    missing = library_missing(kind)
    if missing is not None:
        remedy = "Install a build of torch with it, or leave out --tensor-parallel."
        raise DeviceError(f"The ranks cannot compute together on {kind}", missing, remedy)
    if kind == "cpu":
        return (first,) * ranks
    return _accelerators(first, kind, ranks)


def _accelerators(first: DeviceInfo, kind: str, ranks: int) -> tuple[DeviceInfo, ...]:
    here = [info for info in device_infos() if info.name.partition(":")[0] == kind]
    taken = here[here.index(first) : here.index(first) + ranks]
    if len(taken) < ranks:
        names = ", ".join(info.name for info in here)
        why = f"from {first.name} on there are {len(taken)} (in all: {names})"
        raise UsageError(f"{ranks} ranks need {ranks} devices", why, f"Choose --tensor-parallel {len(taken)} or less.")
    unlike = next((info for info in taken if info.description != first.description), None)
    if unlike is not None:
        why = (
            f"{first.name} is a {first.description}, {unlike.name} a {unlike.description}: the slower one sets the pace"
        )
        raise UsageError("The ranks' devices are unlike", why, "Choose the first of equal ones with --device.")
    return tuple(taken)
