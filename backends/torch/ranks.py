"""The ranks of one load in torch.distributed: how they find each other, and the collectives that a cut model needs."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor, distributed

from wattbench.models.shards import Share

__all__ = ["COLLECTIVE_TIMEOUT_S", "LIBRARIES", "Ranks", "join", "leave", "library_missing"]

LIBRARIES = {"cpu": "gloo", "cuda": "nccl"}
"""By device type, torch's library of collectives."""

PREPARE_TIMEOUT_S = 1800.0
"""How long a rank may wait for another one while they build and compile, which may take them unlike times."""

COLLECTIVE_TIMEOUT_S = 120.0
"""How long a rank may wait for another one while they execute: all have the same work, so this means that one hangs."""

LOOPBACK = "127.0.0.1"


class Ranks:
    """The place of this process among the ranks, and what it computes together with the others.

    Both collectives are single operations that torch.compile and CUDA graphs take as they are; nothing waits for the
    host in them.
    """

    def __init__(self, share: Share, library: str, group: str) -> None:
        self.share, self.library, self._group = share, library, group

    def summed(self, x: Tensor) -> Tensor:
        """Return the sum of what every rank gives; it has the same bits on all of them."""
        operations = torch.ops._c10d_functional
        y: Tensor = operations.wait_tensor(operations.all_reduce(x, "sum", self._group))
        return y

    def gathered(self, x: Tensor) -> Tensor:  # (batch, this rank's columns)
        """Return the columns of all ranks in their order, (batch, columns)."""
        operations, ranks = torch.ops._c10d_functional, self.share.ranks
        parts = operations.all_gather_into_tensor(x.contiguous(), ranks, self._group)
        y: Tensor = operations.wait_tensor(parts)  # (ranks x batch, this rank's columns)
        return y.unflatten(0, (ranks, -1)).transpose(0, 1).flatten(1)

    def limit_waiting(self) -> None:
        """Take a rank that does not come within `COLLECTIVE_TIMEOUT_S` for one that hangs, from now on."""
        change: Any = distributed.distributed_c10d._set_pg_timeout  # any: it has no public name yet
        change(timedelta(seconds=COLLECTIVE_TIMEOUT_S))


def library_missing(kind: str) -> str | None:
    """Return why ranks on a device type cannot compute together with this build of torch, or None."""
    if kind not in LIBRARIES:
        return f"torch's collectives are used on {' and '.join(LIBRARIES)} devices only"
    if not distributed.is_available():
        return f"torch {torch.__version__} was built without torch.distributed"
    there = distributed.is_gloo_available() if kind == "cpu" else distributed.is_nccl_available()
    return None if there else f"torch {torch.__version__} was built without {LIBRARIES[kind]}"


def join(folder: Path, share: Share, device: torch.device) -> Ranks:
    """Return this rank's place once all ranks are there; they meet in a file of `folder`, so that no port is open."""
    library = LIBRARIES[device.type]
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        os.environ.setdefault(variable, _loopback())
    distributed.init_process_group(
        library,
        store=distributed.FileStore(str(folder / "ranks"), share.ranks),
        rank=share.rank,
        world_size=share.ranks,
        timeout=timedelta(seconds=PREPARE_TIMEOUT_S),
        device_id=None if device.type == "cpu" else device,
    )
    group: Any = distributed.group.WORLD  # any: its type depends on the build
    return Ranks(share, library, group.group_name)


def leave() -> None:
    """Leave the other ranks; safe to call without having joined."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _loopback() -> str:
    """Return the name of the interface that does not leave the machine: all ranks are here."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(a.family == socket.AF_INET and a.address == LOOPBACK for a in addresses):
            return name
    return "lo"
